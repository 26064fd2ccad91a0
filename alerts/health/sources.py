"""Which sources are silent that usually send. Pure: counts and times come from Redis, ``streams/adapters/source_counts.py``.

What a source usually sends at a time is what it sent at the same time a week before; in its first week a day before; on its first day
in the two hours before it fell silent. That is the seasonal naive forecast (Hyndman and Athanasopoulos, Forecasting: Principles and
Practice, 3rd ed. 2021, section 5.2). So nights, weekends and shifts are no silence. Nor is a shift that ends a quarter early:
silence is told only where the source went on sending a quarter later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct, field

from alerts.health.facts import StreamFault
from alerts.kinds.stream_health import rate_words
from streams.core.formatting import duration, instant, printable
from streams.core.policy import DAY_MS, HOUR_MS

SILENT = "source_silent"
QUARTER_MS = 900_000
"""Events are counted by quarter of an hour of their arrival."""
KEPT_MS = 8 * DAY_MS
"""How long counts are kept, and how long a silent source is remembered: a week, the silence before it, and some."""
_SPAN_MS = 2 * HOUR_MS
"""At most so much of a silence is compared: its end."""
LEAST_EXPECTED = 20.0
"""Events that usually come in a silence before it is told. Of a Poisson count of 20 the chance of none is exp(-20), 2 in a billion;
real senders come in bursts, so it is not the bound of a test but far from chance."""
_FIRST_MS = HOUR_MS // 2
"""On the first day a source must have been heard of for so long before it is judged."""


class SourceLimits(Struct, frozen=True):
    """From when on a source is silent.

    Attributes:
        silent_ms: The least silence.
        own_ms: By source, or its beginning with ``*``, the silence that is told whatever is usual; the longest name that fits counts.
        quiet: Sources, or beginnings with ``*``, of which silence is never told.
    """

    silent_ms: int = 600_000
    own_ms: Mapping[str, int] = field(default_factory=dict)
    quiet: tuple[str, ...] = ()


class SourceCounts(Struct, frozen=True):
    """What is known of the senders. Times are wall ms of arrivals.

    Attributes:
        since_ms: Since when events are counted; None: they are not yet.
        last_ms: By source, when its last event came.
        counts: Events by quarter (its number since 1970) and source, of the quarters that were asked for.
    """

    since_ms: int | None = None
    last_ms: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


def silent_so_far(counts: SourceCounts, limits: SourceLimits, now_ms: int) -> list[str]:
    """Return the sources whose silence is long enough to be looked at, by name."""
    return sorted(
        name
        for name, last_ms in counts.last_ms.items()
        if now_ms - last_ms >= min(limits.silent_ms, _own_ms(limits, name) or limits.silent_ms)
        and not is_quiet(limits, name)
    )


def is_quiet(limits: SourceLimits, name: str) -> bool:
    """Tell whether nothing is told of a source."""
    return _fitting(limits.quiet, name) is not None


def quarters_wanted(counts: SourceCounts, names: Iterable[str], now_ms: int) -> dict[int, list[str]]:
    """Return which counts are needed to judge some sources: names by quarter."""
    wanted: dict[int, list[str]] = {}
    for name in names:
        from_ms, to_ms, _ = _reference(counts, name, now_ms)
        for quarter in {*(quarter for quarter, _ in _parts(from_ms, to_ms)), _after(to_ms)}:
            wanted.setdefault(quarter, []).append(name)
    return wanted


def silences(
    counts: SourceCounts, limits: SourceLimits, now_ms: int, open_ones: Collection[str] = ()
) -> list[StreamFault]:
    """Return a fault for each source that is silent and usually sends, and one for the whole if no source sends that usually does.

    Args:
        counts: What is known, with the quarters of :func:`quarters_wanted`.
        limits: From when on a source is silent.
        now_ms: Wall time.
        open_ones: Sources whose silence is told already: it lasts until they send, whatever is usual by now.
    """
    found = [
        fault
        for name in silent_so_far(counts, limits, now_ms)
        if (fault := _silence(counts, limits, now_ms, name, told=name in open_ones)) is not None
    ]
    silent = {fault.scope["source"] for fault in found}
    heard = {name for name, at_ms in counts.last_ms.items() if now_ms - at_ms < limits.silent_ms}
    if len(found) > 1 and not heard - silent:
        since_ms = max(fault.since_ms for fault in found)
        usual = sum(fault.figures.get("usual_per_hour", 0.0) for fault in found)
        said = f"No source sends anything since {instant(since_ms)}: {', '.join(sorted(map(printable, silent)))}."
        found.append(_fault({}, since_ms, now_ms, limits.silent_ms, said, usual))
    return found


def _silence(counts: SourceCounts, limits: SourceLimits, now_ms: int, name: str, *, told: bool) -> StreamFault | None:
    last_ms, own_ms = counts.last_ms[name], _own_ms(limits, name)
    from_ms, to_ms, when = _reference(counts, name, now_ms)
    seen = sum(counts.counts.get(quarter, {}).get(name, 0) * share for quarter, share in _parts(from_ms, to_ms))
    usual_per_hour = seen * HOUR_MS / (to_ms - from_ms) if to_ms > from_ms else 0.0
    silent_ms = now_ms - last_ms
    if own_ms is not None:
        fires, limit_ms = silent_ms >= own_ms, own_ms
    else:
        expected = usual_per_hour * min(silent_ms, _SPAN_MS) / HOUR_MS
        # On the first day nothing is known of a later quarter: what is compared with ends where the silence begins.
        goes_on = to_ms == last_ms or counts.counts.get(_after(to_ms), {}).get(name, 0) > 0
        fires, limit_ms = expected >= LEAST_EXPECTED and goes_on, limits.silent_ms
    if not fires and not told:
        return None
    said = f"Source {printable(name)} has sent nothing since {instant(last_ms)}, for {duration(silent_ms / 1000)}"
    usual = f"; {when} it sent {rate_words(round(usual_per_hour))}" if round(usual_per_hour) else ""
    return _fault({"source": name}, last_ms, now_ms, limit_ms, f"{said}{usual}.", usual_per_hour)


def _fault(
    scope: dict[str, str], since_ms: int, now_ms: int, limit_ms: int, evidence: str, usual_per_hour: float
) -> StreamFault:
    figures: dict[str, float] = {"usual_per_hour": round(usual_per_hour)} if round(usual_per_hour) else {}
    return StreamFault(SILENT, scope, since_ms, now_ms - since_ms, limit_ms, evidence, figures)


def _reference(counts: SourceCounts, name: str, now_ms: int) -> tuple[int, int, str]:
    """Return the time with which a silence is compared, from and to, and what it is; an empty one where nothing can be compared."""
    last_ms = counts.last_ms[name]
    from_ms = max(last_ms, now_ms - _SPAN_MS)
    since_ms = now_ms if counts.since_ms is None else counts.since_ms
    for ago_ms, when in ((7 * DAY_MS, "at this time a week ago"), (DAY_MS, "at this time yesterday")):
        if since_ms <= from_ms - ago_ms:
            return from_ms - ago_ms, now_ms - ago_ms, when
    begin_ms = max(since_ms, last_ms - _SPAN_MS)
    return (begin_ms, last_ms, "before that") if last_ms - begin_ms >= _FIRST_MS else (last_ms, last_ms, "")


def _parts(from_ms: int, to_ms: int) -> Iterator[tuple[int, float]]:
    """Yield the quarters that a time touches, with the share of each that lies in it."""
    for quarter in range(from_ms // QUARTER_MS, -(-to_ms // QUARTER_MS)):
        begin_ms = quarter * QUARTER_MS
        share = (min(to_ms, begin_ms + QUARTER_MS) - max(from_ms, begin_ms)) / QUARTER_MS
        if share > 0:
            yield quarter, share


def _after(at_ms: int) -> int:
    """Return the quarter after that of a time."""
    return at_ms // QUARTER_MS + 1


def _own_ms(limits: SourceLimits, name: str) -> int | None:
    found = _fitting(limits.own_ms, name)
    return None if found is None else limits.own_ms[found]


def _fitting(names: Iterable[str], source: str) -> str | None:
    """Return the longest name that is a source's, or its beginning with ``*``."""
    fitting = [one for one in names if one == source or (one.endswith("*") and source.startswith(one[:-1]))]
    return max(fitting, key=lambda one: (one == source, len(one)), default=None)
