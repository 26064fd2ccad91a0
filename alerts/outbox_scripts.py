"""The outbox's steps as Lua scripts. Each is done completely or not at all, even in a crash. See ``alerts/outbox.py`` for the keys.

Fields of an item by channel are ``<name>|<channel>``: s (state: waiting, sent, dead), a (attempts), t (token of the claim
under way), r (reason of the last failure), w (wall time in ms of the last change), u (1: the last attempt may have arrived),
i (the channel in whose place this one got it, and why), f (since when it fails, without a success between).
"""

from __future__ import annotations

from typing import Final

DEAD_KEPT: Final = 10_000
"""Dead notifications listed by channel; the oldest beyond are forgotten."""

FINISH: Final = """
local function finish(item, keep_ms)
  local dead = false
  local all = redis.call('HGETALL', item)
  for place = 1, #all, 2 do
    if string.sub(all[place], 1, 2) == 's|' and all[place + 1] == 'dead' then dead = true end
  end
  if not dead then
    redis.call('HSET', item, 'state', 'done')
    redis.call('HDEL', item, 'payload')
  end
  redis.call('PEXPIRE', item, keep_ms)
end
"""
"""Ends an item that no channel waits for. Its text is kept only if a dead delivery may be revived."""

_INSTEAD: Final = """
local function instead(prefix, id, item, channel, fallback, now_ms, reason)
  if fallback == '' or redis.call('HGET', item, 's|' .. fallback) then return end
  redis.call('HSET', item, 's|' .. fallback, 'waiting', 'a|' .. fallback, 0, 't|' .. fallback, '', 'w|' .. fallback, now_ms)
  redis.call('HSET', item, 'i|' .. fallback, channel .. ': ' .. reason)
  redis.call('HINCRBY', item, 'open', 1)
  redis.call('ZADD', prefix .. 'due:' .. fallback, now_ms, id)
  redis.call('ZADD', prefix .. 'urgent:' .. fallback, now_ms, id)
  redis.call('SADD', prefix .. 'channels', fallback)
end
"""
"""Gives what a channel never got to the channel named in its place, once."""

# KEYS item, due, notes; ARGV id, payload, now_ms, keep_ms
ENQUEUE: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'payload', ARGV[2], 'state', 'waiting', 'queued_ms', ARGV[3], 'open', 0)
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return 1
"""

# KEYS due; ARGV now_ms, prefix. The next notification whose channels are not chosen yet; nothing is changed.
UNROUTED: Final = """
for _ = 1, 100 do
  local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)
  if not ids[1] then return nil end
  local payload = redis.call('HGET', ARGV[2] .. 'item:' .. ids[1], 'payload')
  if payload then
    return {ids[1], payload, redis.call('HGET', ARGV[2] .. 'item:' .. ids[1], 'queued_ms') or ARGV[1]}
  end
  redis.call('ZREM', KEYS[1], ids[1])
end
return nil
"""

# KEYS due, item, channels, sent (of the outbox before channels had queues); ARGV id, now_ms, prefix, keep_ms, urgent (0|1), channel...
ROUTE: Final = (
    FINISH
    + """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
local added = 0
for place = 6, #ARGV do
  local channel = ARGV[place]
  local state = redis.call('HGET', KEYS[2], 's|' .. channel)
  if not state and redis.call('SISMEMBER', KEYS[4], channel) == 1 then
    redis.call('HSET', KEYS[2], 's|' .. channel, 'sent', 'w|' .. channel, ARGV[2])
  elseif not state or state == 'moved' then
    redis.call('HSET', KEYS[2], 's|' .. channel, 'waiting', 'a|' .. channel, 0, 't|' .. channel, '', 'w|' .. channel, ARGV[2])
    redis.call('ZADD', ARGV[3] .. 'due:' .. channel, ARGV[2], ARGV[1])
    if ARGV[5] == '1' then redis.call('ZADD', ARGV[3] .. 'urgent:' .. channel, ARGV[2], ARGV[1]) end
    redis.call('SADD', KEYS[3], channel)
    added = added + 1
  end
end
if redis.call('HINCRBY', KEYS[2], 'open', added) <= 0 then finish(KEYS[2], ARGV[4]) end
return added
"""
)

# KEYS due of the channel, urgent of the channel, rate of the channel;
# ARGV now_ms, lease_until_ms, token, max_attempts, prefix, channel, per_minute (0: no limit), burst.
# One that has had all attempts is returned with one attempt more, the token of its last and the reason; nothing is changed.
CLAIM: Final = """
local channel, now_ms = ARGV[6], tonumber(ARGV[1])
local per_minute, burst = tonumber(ARGV[7]), tonumber(ARGV[8])
local tokens = burst
if per_minute > 0 then
  local had = tonumber(redis.call('HGET', KEYS[3], 'tokens') or burst)
  local since_ms = math.max(0, now_ms - tonumber(redis.call('HGET', KEYS[3], 'at_ms') or now_ms))
  tokens = math.min(burst, had + since_ms * per_minute / 60000)
  if tokens < 1 then return nil end
end
local function next_due()
  local first, first_ms = nil, now_ms + 1
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, 99)) do
    local due_ms = redis.call('ZSCORE', KEYS[1], id)
    if not due_ms then
      redis.call('ZREM', KEYS[2], id)
    elseif tonumber(due_ms) < first_ms then
      first, first_ms = id, tonumber(due_ms)
    end
  end
  return first or redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
end
for _ = 1, 100 do
  local id = next_due()
  if not id then return nil end
  local item = ARGV[5] .. 'item:' .. id
  local payload = redis.call('HGET', item, 'payload')
  local attempts = tonumber(redis.call('HGET', item, 'a|' .. channel) or 0)
  local before = redis.call('HGET', item, 't|' .. channel) or ''
  if not payload then
    redis.call('ZREM', KEYS[1], id)
  elseif attempts >= tonumber(ARGV[4]) then
    return {id, '', tonumber(ARGV[4]) + 1, before, redis.call('HGET', item, 'r|' .. channel) or ''}
  else
    local unsure = redis.call('HGET', item, 'u|' .. channel) == '1' or before ~= ''
    redis.call('HSET', item, 'a|' .. channel, attempts + 1, 't|' .. channel, ARGV[3])
    redis.call('ZADD', KEYS[1], ARGV[2], id)
    if per_minute > 0 then
      redis.call('HSET', KEYS[3], 'tokens', tostring(tokens - 1), 'at_ms', ARGV[1])
      redis.call('PEXPIRE', KEYS[3], math.ceil(burst / per_minute * 60000) + 60000)
    end
    return {id, payload, attempts + 1, unsure and 1 or 0, redis.call('HGET', item, 'i|' .. channel) or ''}
  end
end
return nil
"""

# KEYS item, due of the channel, channel; ARGV id, token, channel, now_ms, keep_ms
SENT: Final = (
    FINISH
    + """
if redis.call('HGET', KEYS[1], 't|' .. ARGV[3]) ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 's|' .. ARGV[3], 'sent', 't|' .. ARGV[3], '', 'w|' .. ARGV[3], ARGV[4])
redis.call('HDEL', KEYS[1], 'u|' .. ARGV[3], 'f|' .. ARGV[3])
redis.call('HINCRBY', KEYS[3], 'sent', 1)
redis.call('HSET', KEYS[3], 'sent_ms', ARGV[4])
redis.call('HDEL', KEYS[3], 'failing_since_ms')
if redis.call('HINCRBY', KEYS[1], 'open', -1) <= 0 then finish(KEYS[1], ARGV[5]) end
return 1
"""
)

NEW_REASON: Final = 2
"""Result of ``RETRY``: it was done, and it did not fail so before."""

# KEYS item, due of the channel, channel; ARGV id, token, channel, now_ms, due_ms, reason, unsure
RETRY: Final = """
if redis.call('HGET', KEYS[1], 't|' .. ARGV[3]) ~= ARGV[2] then return 0 end
local same = redis.call('HGET', KEYS[1], 'r|' .. ARGV[3]) == ARGV[6]
redis.call('HSETNX', KEYS[1], 'f|' .. ARGV[3], ARGV[4])
redis.call('HSET', KEYS[1], 't|' .. ARGV[3], '', 'r|' .. ARGV[3], ARGV[6], 'w|' .. ARGV[3], ARGV[4], 'u|' .. ARGV[3], ARGV[7])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
redis.call('HINCRBY', KEYS[3], 'failed', 1)
redis.call('HSET', KEYS[3], 'failed_ms', ARGV[4], 'reason', ARGV[6])
redis.call('HSETNX', KEYS[3], 'failing_since_ms', ARGV[4])
return same and 1 or 2
"""

# KEYS item, due of the channel, channel, dead of the channel, channels;
# ARGV id, token, channel, now_ms, keep_ms, reason, kept, prefix, fallback
BURY: Final = (
    _INSTEAD
    + """
if redis.call('HGET', KEYS[1], 't|' .. ARGV[3]) ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 's|' .. ARGV[3], 'dead', 't|' .. ARGV[3], '', 'r|' .. ARGV[3], ARGV[6], 'w|' .. ARGV[3], ARGV[4])
instead(ARGV[8], ARGV[1], KEYS[1], ARGV[3], ARGV[9], ARGV[4], ARGV[6])
if redis.call('HINCRBY', KEYS[1], 'open', -1) <= 0 then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
redis.call('ZADD', KEYS[4], ARGV[4], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - tonumber(ARGV[7]))
redis.call('SADD', KEYS[5], ARGV[3])
redis.call('HINCRBY', KEYS[3], 'failed', 1)
redis.call('HINCRBY', KEYS[3], 'dead', 1)
redis.call('HSET', KEYS[3], 'failed_ms', ARGV[4], 'reason', ARGV[6])
redis.call('HSETNX', KEYS[3], 'failing_since_ms', ARGV[4])
return 1
"""
)

# KEYS due (unrouted), item, dead of no channel, channels; ARGV id, now_ms, keep_ms, reason, channel
BURY_UNROUTED: Final = """
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], 's|' .. ARGV[5], 'dead', 'r|' .. ARGV[5], ARGV[4], 'w|' .. ARGV[5], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
redis.call('SADD', KEYS[4], ARGV[5])
return 1
"""

# KEYS dead (the list of 24565ae), dead of no channel, channels; ARGV prefix, now_ms, channel.
# Lists what is dead since before channels had queues, so that it is shown and may be revived; what was revived since is left.
ADOPT_DEAD: Final = """
local count = 0
while true do
  local raw = redis.call('RPOP', KEYS[1])
  if not raw then return count end
  local known, entry = pcall(cjson.decode, raw)
  local item = known and type(entry) == 'table' and entry.id and ARGV[1] .. 'item:' .. entry.id
  if item and redis.call('HGET', item, 'state') == 'dead' and redis.call('HGET', item, 'payload') then
    local reason = tostring(entry.reason or 'given up')
    local at = redis.call('HGET', item, 'queued_ms') or ARGV[2]
    redis.call('HSET', item, 'state', 'waiting', 'queued_ms', at, 'open', 0)
    redis.call('HSET', item, 's|' .. ARGV[3], 'dead', 'r|' .. ARGV[3], reason, 'w|' .. ARGV[3], ARGV[2])
    redis.call('ZADD', KEYS[2], ARGV[2], entry.id)
    redis.call('SADD', KEYS[3], ARGV[3])
    count = count + 1
  end
end
"""

# KEYS item, dead of the channel, due (of the channel, or unrouted); ARGV id, channel, now_ms, routed (1: the channel has a queue)
REVIVE: Final = """
if redis.call('HGET', KEYS[1], 's|' .. ARGV[2]) ~= 'dead' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('PERSIST', KEYS[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
redis.call('HDEL', KEYS[1], 'r|' .. ARGV[2], 'f|' .. ARGV[2])
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], 's|' .. ARGV[2], 'waiting', 'a|' .. ARGV[2], 0, 'w|' .. ARGV[2], ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'open', 1)
else
  redis.call('HSET', KEYS[1], 'queued_ms', ARGV[3])
  redis.call('HDEL', KEYS[1], 's|' .. ARGV[2], 'w|' .. ARGV[2])
end
return 1
"""

# KEYS due of a channel nobody has, due (unrouted), channels; ARGV before_ms, now_ms, prefix, channel.
# Gives what waits back to be routed.
MOVE: Final = """
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 100)
for _, id in ipairs(ids) do
  local item = ARGV[3] .. 'item:' .. id
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', ARGV[3] .. 'urgent:' .. ARGV[4], id)
  if redis.call('HGET', item, 'payload') then
    redis.call('HSET', item, 's|' .. ARGV[4], 'moved', 't|' .. ARGV[4], '', 'w|' .. ARGV[4], ARGV[2])
    redis.call('HINCRBY', item, 'open', -1)
    redis.call('ZADD', KEYS[2], ARGV[2], id)
  end
end
return #ids
"""
