"""Which sources the gateways refuse. Pure: counts come from Redis, ``streams/adapters/refused_requests.py``."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from alerts.health.facts import StreamFault
from alerts.health.sources import SourceLimits, is_quiet
from streams.adapters.refused_requests import ANYONE, UNKNOWN, RefusedRequests
from streams.core.formatting import duration, instant, plural, printable
from streams.core.policy import HOUR_MS

REFUSED = "source_refused"
WITHIN_MS = HOUR_MS // 2
"""Refusals are counted over so long, by quarters of an hour; without another one for so long the fault is over."""
LEAST_TIMES = 10
"""Refused requests of a source from which it is told: one that is mistyped by hand is no fault of a set-up."""


def refusals(
    found: Iterable[RefusedRequests], limits: SourceLimits, now_ms: int, open_ones: Collection[str] = ()
) -> list[StreamFault]:
    """Return a fault for each configured source whose requests are refused.

    Args:
        found: What was refused within ``WITHIN_MS``.
        limits: Of which sources nothing is told.
        now_ms: Wall time.
        open_ones: Sources of which it is told already: one more refusal keeps it going.
    """
    by_sender: dict[str, list[RefusedRequests]] = {}
    for one in found:
        if one.sender not in (UNKNOWN, ANYONE) and not is_quiet(limits, one.sender):
            by_sender.setdefault(one.sender, []).append(one)
    return [
        _fault(sender, parts, now_ms)
        for sender, parts in sorted(by_sender.items())
        if sender in open_ones or sum(one.times for one in parts) >= LEAST_TIMES
    ]


def _fault(sender: str, parts: list[RefusedRequests], now_ms: int) -> StreamFault:
    times = sum(one.times for one in parts)
    most = sorted(parts, key=lambda one: (-one.times, one.code))
    codes = ", ".join(f"{one.status} {one.code} {one.times:,}x" for one in most[:3])
    last_ms = max(one.last_ms for one in parts)
    said = f"The gateway refused {plural(times, 'request')} of source {printable(sender)} within {duration(WITHIN_MS / 1000)}"
    evidence = f"{said}: {codes}; the last {instant(last_ms)}. Its log says why."
    # Of each code only the last refusal is known by its time; seconds after a set-up broke it is near the first.
    since_ms = min(one.last_ms for one in parts)
    return StreamFault(REFUSED, {"source": sender}, since_ms, now_ms - since_ms, 0, evidence, {"refused": times})
