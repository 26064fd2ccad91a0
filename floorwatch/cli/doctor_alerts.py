"""The doctor's checks of alerts: whether each channel can be built and each route reaches somebody, and what the outbox holds."""

from __future__ import annotations

import asyncio
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.deliveries import ChannelState, channel_states
from alerts.outbox import NO_CHANNEL, Outbox
from alerts.routes import Channels, build_channels
from config.connect import redis_options
from floorwatch.cli.doctor_check import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, Check
from floorwatch.output.reader_zone import local_instant
from floorwatch.settings.schema import FloorwatchConfig
from streams.core.formatting import duration, plural, printable

_WAITED_LONG_S = 300


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
    states = await _states(config, built)
    if states is None:
        return [*checks, Check("warn", "outbox", "cannot be looked at: Redis does not answer", "mend Redis first")]
    return [*checks, *(_check(built, state) for state in states)]


async def _states(config: FloorwatchConfig, built: Channels) -> list[ChannelState] | None:
    options = redis_options(config.redis)
    options |= {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": CONNECT_TIMEOUT_S}
    try:
        redis: Redis = Redis.from_url(options.pop("url"), **options)
    except (ValueError, TypeError):
        return None
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await channel_states(Outbox(redis, _now_ms, prefix=config.redis.prefix), built.by_name)
    except (RedisError, OSError, TimeoutError, ValueError, TypeError):
        return None  # the last two: options of the URL that the client does not know, told by the check of Redis
    finally:
        await redis.aclose()


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
