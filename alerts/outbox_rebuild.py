"""The outbox filled again from the log, where Redis lost it: flushed, replaced, or restarted without its last second (ADR 51).

Key ``whole`` says that the outbox is as it was left, and which run of a server held it then. It is missing, or names another run,
where something may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from redis.exceptions import ResponseError

from alerts.outbox_scripts import FINISH
from alerts.receipts import ChannelReceipt, NoticeReceipts

if TYPE_CHECKING:
    from redis.asyncio import Redis

AT_ONCE: Final = 500
"""Commands in one pipeline."""

_FILLING: Final = "filling "
_STATES: Final = {"sent": "sent", "given_up": "dead", "gone": "moved", "failing": "waiting"}

# KEYS whole; ARGV expected, new. Notes that the outbox is whole, unless it was lost again meanwhile.
_FINISH_REBUILD: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""

_SETTLE: Final = (
    FINISH
    + """
local function settle(prefix, id, channel, at_ms, keep_ms)
  local item = prefix .. 'item:' .. id
  local state = redis.call('HGET', item, 's|' .. channel)
  if redis.call('EXISTS', item) == 0 or state == 'sent' or state == 'dead' then return 0 end
  redis.call('HSET', item, 's|' .. channel, 'sent', 't|' .. channel, '', 'w|' .. channel, at_ms)
  redis.call('HDEL', item, 'u|' .. channel, 'f|' .. channel)
  redis.call('ZREM', prefix .. 'due:' .. channel, id)
  if state ~= 'waiting' then return 0 end
  local counts = prefix .. 'channel:' .. channel
  redis.call('HINCRBY', counts, 'sent', 1)
  redis.call('HSET', counts, 'sent_ms', at_ms)
  redis.call('HDEL', counts, 'failing_since_ms')
  if redis.call('HINCRBY', item, 'open', -1) <= 0 and not redis.call('ZSCORE', prefix .. 'due', id) then
    finish(item, keep_ms)
  end
  return 1
end
"""
)
"""Notes that a channel has an item, whoever claimed it; one whose channels are not chosen yet goes to the others."""

# KEYS item; ARGV prefix, id, keep_ms, then channel, at_ms …
_SETTLED: Final = (
    _SETTLE
    + """
for place = 4, #ARGV, 2 do settle(ARGV[1], ARGV[2], ARGV[place], ARGV[place + 1], ARGV[3]) end
return 1
"""
)

# KEYS item, due (unrouted), notes; ARGV prefix, id, payload, now_ms, keep_ms, queued_ms, unsure (0|1), choose (1: by the
# configuration), then by channel: name, state, at_ms, reason, since_ms, instead (of whom and why).
# Puts an item as the log knows it. Of one that is there, only what is sent is noted.
_RESTORE: Final = (
    _SETTLE
    + """
local prefix, id, now_ms = ARGV[1], ARGV[2], ARGV[4]
if redis.call('EXISTS', KEYS[1]) == 1 then
  for place = 9, #ARGV, 6 do
    if ARGV[place + 1] == 'sent' then settle(prefix, id, ARGV[place], ARGV[place + 2], ARGV[5]) end
  end
  return 0
end
local open, dead = 0, false
redis.call('HSET', KEYS[1], 'state', 'waiting', 'queued_ms', ARGV[6])
for place = 9, #ARGV, 6 do
  local channel, state, at_ms = ARGV[place], ARGV[place + 1], ARGV[place + 2]
  local reason, since_ms, instead = ARGV[place + 3], ARGV[place + 4], ARGV[place + 5]
  if reason ~= '' then redis.call('HSET', KEYS[1], 'r|' .. channel, reason) end
  if since_ms ~= '' then redis.call('HSET', KEYS[1], 'f|' .. channel, since_ms) end
  if instead ~= '' then redis.call('HSET', KEYS[1], 'i|' .. channel, instead) end
  if state ~= 'chosen later' then
    redis.call('HSET', KEYS[1], 's|' .. channel, state, 'a|' .. channel, 0, 't|' .. channel, '', 'w|' .. channel, at_ms)
  end
  if state == 'dead' then
    dead = true
    redis.call('ZADD', prefix .. 'dead:' .. channel, at_ms, id)
    redis.call('SADD', prefix .. 'channels', channel)
  elseif state == 'waiting' then
    open = open + 1
    redis.call('ZADD', prefix .. 'due:' .. channel, now_ms, id)
    redis.call('SADD', prefix .. 'channels', channel)
  end
  if ARGV[7] == '1' and (state == 'waiting' or state == 'chosen later') then
    redis.call('HSET', KEYS[1], 'u|' .. channel, 1)
  end
end
redis.call('HSET', KEYS[1], 'open', open)
if ARGV[8] == '1' then redis.call('ZADD', KEYS[2], ARGV[6], id) end
if open > 0 or ARGV[8] == '1' or dead then redis.call('HSET', KEYS[1], 'payload', ARGV[3]) end
if open == 0 and ARGV[8] ~= '1' then
  if not dead then redis.call('HSET', KEYS[1], 'state', 'done') end
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
redis.call('ZADD', KEYS[3], ARGV[6], id)
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return 1
"""
)


class OutboxRebuild:
    """What the outbox knows of its own loss, and how it is filled again."""

    def __init__(self, redis: Redis, clock: Callable[[], int], prefix: str, keep_ms: int) -> None:
        """Connects to nothing yet."""
        self.redis, self.clock, self.prefix, self._keep_ms = redis, clock, prefix, keep_ms

    def key(self, name: str) -> str:
        """Return the full name of a key."""
        return self.prefix + name

    async def lost(self) -> bool:
        """Tell whether something may be missing: it was flushed, or is held by another run of a server than before."""
        held = await self.redis.get(self.key("whole"))
        return held is None or _text(held) != await self._run_id()

    async def begin_rebuild(self) -> str:
        """Note that the outbox is being filled; return what ``finish_rebuild`` needs."""
        begun = _FILLING + await self._run_id()
        await self.redis.set(self.key("whole"), begun)
        return begun

    async def finish_rebuild(self, begun: str) -> bool:
        """Note that the outbox is whole. False if it was lost again since ``begin_rebuild``, so that it is to be filled again."""
        new = begun.removeprefix(_FILLING)
        return new == await self._run_id() and bool(await self._run(_FINISH_REBUILD, [self.key("whole")], begun, new))

    async def missing(self, notices: Sequence[str]) -> list[str]:
        """Return those of some ids that the outbox does not know."""
        found: list[str] = []
        for part in _parts(notices):
            async with self.redis.pipeline(transaction=False) as pipe:
                for name in part:
                    pipe.exists(self._item(name))
                found += [name for name, known in zip(part, await pipe.execute(), strict=True) if not known]
        return found

    async def restore(self, states: Sequence[NoticeReceipts], payloads: Mapping[str, bytes], *, unsure: bool) -> None:
        """Put notifications as the log knows them. Of one that is there, only what is sent is noted.

        Args:
            states: What became of each.
            payloads: Notifications as JSON, of all that a channel waits for and those that a person may have tried again.
            unsure: What waits may have been sent before, so that it is marked as a possible repeat.
        """
        for part in _parts(states):
            async with self.redis.pipeline(transaction=False) as pipe:
                for state in part:
                    keys = [self._item(state.id), self.key("due"), self.key(f"notes:{incident_of_id(state.id)}")]
                    decided = any(name in state.channels for name in state.open)
                    args = [self.prefix, state.id, payloads.get(state.id, b""), self.clock(), self._keep_ms]
                    args += [state.at_ms, int(unsure), int(decided), *_by_channel(state)]
                    pipe.eval(_RESTORE, len(keys), *keys, *args)
                await pipe.execute()

    async def settle(self, sent: Iterable[tuple[str, str, int]]) -> None:
        """Note what the log says is sent, so that nobody sends it again: of (id, channel, wall time)."""
        for part in _parts(list(sent)):
            async with self.redis.pipeline(transaction=False) as pipe:
                for name, channel, at_ms in part:
                    pipe.eval(_SETTLED, 1, self._item(name), self.prefix, name, self._keep_ms, channel, at_ms)
                await pipe.execute()

    async def _run_id(self) -> str:
        """Return the name of this run of the server; the same for all where the server does not tell."""
        try:
            said: Mapping[str, Any] = await self.redis.info("server")
        except ResponseError:  # no right to ask
            return "any"
        return str(said.get("run_id") or "any")

    def _item(self, notification_id: str) -> str:
        return self.key(f"item:{notification_id}")

    async def _run(self, script: str, keys: list[str], *args: object) -> Any:
        # EVAL, not EVALSHA: some hundred bytes a call, and nothing to reload after a Redis restart.
        return await self.redis.eval(script, len(keys), *keys, *cast("tuple[str, ...]", args))


def incident_of_id(notification_id: str) -> str:
    """Return what an id begins with: the id of the group, of version 2 the key of the incident."""
    return notification_id.partition(":")[0]


def _by_channel(state: NoticeReceipts) -> list[str | int]:
    """Return what ``_RESTORE`` is told of each channel."""
    found: list[str | int] = []
    known = {one.channel: one for one in state.receipts}
    for name in dict.fromkeys((*state.awaited, *known)):
        one, first = known.get(name), state.replaces(name)
        instead = "" if first is None else f"{first.channel}: {first.reason}"
        found += [name, *_told(one, later=name in state.channels, at_ms=state.at_ms), instead]
    return found


def _told(one: ChannelReceipt | None, *, later: bool, at_ms: int) -> list[str | int]:
    """Return state, time, reason and since when it fails. ``later``: where it waits, its channel is chosen by the configuration."""
    if one is None:
        return ["chosen later" if later else "waiting", at_ms, "", ""]
    state = "chosen later" if later and one.outcome == "failing" else _STATES[one.outcome]
    return [state, one.at_ms, one.reason, "" if one.since_ms is None else one.since_ms]


def _parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[at : at + AT_ONCE] for at in range(0, len(values), AT_ONCE))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
