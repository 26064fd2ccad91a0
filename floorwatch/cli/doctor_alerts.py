"""The doctor's checks of alerts: whether each channel can be built and each route reaches somebody, and what the outbox holds."""

from __future__ import annotations

import asyncio
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.deliveries import ChannelState, channel_states
from alerts.health.heartbeat import HEARTBEAT, Beat, HeartbeatState, decode_state
from alerts.outbox import Outbox
from alerts.receipts import NO_CHANNEL
from alerts.routes import Channels, build_channels
from alerts.settings.channels import ConsoleSettings
from config.connect import redis_options
from floorwatch.cli.doctor_check import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, Check
from floorwatch.output.reader_zone import local_instant
from floorwatch.settings.schema import FloorwatchConfig
from streams.adapters.readmodel import ReadModel
from streams.core.formatting import duration, plural, printable

_WAITED_LONG_S = 300
_BEATS_MISSED = 3
"""Signs of life that may be late before the doctor says so."""


def _now_ms() -> int:
    return int(time.time() * 1000)


async def alert_checks(config: FloorwatchConfig) -> list[Check]:
    """Check channels and routes as a worker builds them, and how delivery has fared.

    Args:
        config: The loaded configuration; its faulty channels are set aside.
    """
    built = build_channels(config.alerts, _now_ms)
    checks = [
        Check("fail", f"alerts.{'.'.join(map(str, fault.field))}", printable(fault.reason), fault.hint)
        for fault in built.faults
    ]
    states, heartbeat = await _states(config, built)
    checks += _heartbeat_check(config, heartbeat)
    if states is None:
        return [*checks, Check("warn", "outbox", "cannot be looked at: Redis does not answer", "mend Redis first")]
    return [*checks, *(_check(built, state) for state in states)]


async def _states(config: FloorwatchConfig, built: Channels) -> tuple[list[ChannelState] | None, HeartbeatState | None]:
    """Return how channels and heartbeat fare; None for what is not known."""
    options = redis_options(config.redis)
    options |= {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": CONNECT_TIMEOUT_S}
    try:
        redis: Redis = Redis.from_url(options.pop("url"), **options)
    except (ValueError, TypeError):
        return None, None
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            kept = await ReadModel(redis, config.redis.prefix).asked(HEARTBEAT)
            states = await channel_states(Outbox(redis, _now_ms, prefix=config.redis.prefix), built.by_name)
            return states, None if kept is None else decode_state(kept)
    except (RedisError, OSError, TimeoutError, ValueError, TypeError):
        return None, None  # the last two: options of the URL that the client does not know, told by the check of Redis
    finally:
        await redis.aclose()


def _heartbeat_check(config: FloorwatchConfig, state: HeartbeatState | None) -> list[Check]:
    """Return whether somebody outside hears that Floorwatch lives."""
    beat, name = config.alerts.heartbeat, "heartbeat"
    if beat is None:
        if all(isinstance(one, ConsoleSettings) for one in config.alerts.channels.values()):
            return []  # on a machine of one's own nobody waits for a message
        fix = "set alerts.heartbeat (docs/alerts.md): a receiver outside that rings when nothing more comes"
        return [Check("warn", name, "nobody outside would hear that Floorwatch is dead", fix)]
    if state is None:
        return [Check("warn", name, "no sign of life has been given", "does a worker run?")]
    if state.broken:
        said = " ".join(printable(reason) for reason in state.broken)
        return [Check("warn", name, f"tells that something is broken: {said}", "mend what it names")]
    late_s = (_now_ms() - state.at_ms) / 1000
    if late_s > _BEATS_MISSED * beat.every:
        said = f"the last look was {duration(late_s)} ago, although one is due each {duration(beat.every)}"
        return [Check("warn", name, said, "does a worker run?")]
    return [_beat_check(one) for one in state.beats]


def _beat_check(beat: Beat) -> Check:
    name = f"heartbeat {beat.to}"
    last = "it never took one" if beat.ok_ms is None else f"the last one it took was {local_instant(beat.ok_ms)}"
    if beat.reason:
        return Check(
            "warn", name, f"takes no sign of life: {printable(beat.reason)}; {last}", "mend what the reason names"
        )
    return Check("ok", name, f"takes signs of life; {last}")


def _check(built: Channels, state: ChannelState) -> Check:
    """Return the check of one channel. A receiver that refuses messages is a warning, not a failure of Floorwatch."""
    name = "notifications without a channel" if state.name == NO_CHANNEL else f"channel {state.name}"
    told, fixes = [], []
    if state.failing_since_ms is not None:
        told.append(f"fails since {local_instant(state.failing_since_ms)}: {printable(state.reason)}")
        fixes.append("mend the receiver or its address; `floorwatch notifications test` tries it")
    oldest_s = (state.oldest_waiting_ms or 0) / 1000
    if state.waiting and (oldest_s >= _WAITED_LONG_S or told):
        told.append(f"{plural(state.waiting, 'notification')} waiting, the oldest for {duration(oldest_s)}")
        fixes.append("is a worker running?")
    if state.dead:
        told.append(f"{plural(state.dead, 'notification')} given up")
        fixes.append(
            "`floorwatch notifications list` shows them, `floorwatch notifications revive --all` tries them again"
        )
    tested = _tested(state)
    if tested is not None and state.test_failed_ms is not None and state.test_failed_ms == _last_test_ms(state):
        told.append(tested)
        fixes.append(f"mend what the reason names, then `floorwatch notifications test {printable(state.name)}`")
    elif tested is not None and told:
        told.append(tested)
    if told:
        return Check("warn", name, "; ".join(told), "; ".join(fixes))
    if state.name not in built.usable:
        return Check("warn", name, "holds nothing", None)
    said = "nothing delivered yet" if state.sent_ms is None else f"last delivered {local_instant(state.sent_ms)}"
    untried = "; `floorwatch notifications test` tries it" if state.sent_ms is None else ""
    return Check("ok", name, f"can be built, {said}{untried if tested is None else f'; {tested}'}")


def _last_test_ms(state: ChannelState) -> int:
    return max(state.tested_ms or 0, state.test_failed_ms or 0)


def _tested(state: ChannelState) -> str | None:
    """Return the result of the last test message, unless something was delivered or failed since."""
    at_ms = _last_test_ms(state)
    if not at_ms or at_ms < max(state.sent_ms or 0, state.failed_ms or 0):
        return None
    if state.tested_ms == at_ms:
        return f"took a test message {local_instant(at_ms)}"
    return f"did not take a test message {local_instant(at_ms)}: {printable(state.test_reason)}"
