"""Who is on duty, as lines for people and as records for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floorwatch.output.reader_zone import local_instant

if TYPE_CHECKING:
    from alerts.oncall.policy import DutySpan, RotaFacts, SchedulePolicy


def duty_words(span: DutySpan) -> str:
    """Return who is on duty in a span: ``mei``, ``mei, arif``, or that nobody is."""
    return ", ".join(duty.person for duty in span.duties) or "NOBODY (gap)"


def why_words(span: DutySpan, schedule: str) -> str:
    """Return why: ``layer 1``, ``override o-1 by ann``; the schedule's own name is left out."""
    said = dict.fromkeys(duty.why.removeprefix(f"schedule {schedule}, ") for duty in span.duties)
    return ", ".join(said)


def now_lines(schedule: SchedulePolicy, facts: RotaFacts, at_ms: int, upto_ms: int) -> list[str]:
    """Return who is on duty at a time, until when, and who is next, as lines.

    Args:
        schedule: The schedule.
        facts: What is planned.
        at_ms: Wall time.
        upto_ms: How far is looked.
    """
    from alerts.oncall.duty import duties

    spans = duties(schedule, facts, at_ms, upto_ms)
    first, *later = spans
    until = f" until {local_instant(first.to_ms, now_ms=at_ms)}" if later else ""
    why = why_words(first, schedule.name)
    lines = [f"{schedule.name}: {duty_words(first)}{until}{f' ({why})' if why else ''}"]
    if later:
        then = later[0]
        end = f" until {local_instant(then.to_ms, now_ms=at_ms)}" if len(later) > 1 else ""
        lines.append(f"  then {duty_words(then)}{end}")
    gap = next((one for one in later[1:] if not one.duties), None)
    if gap is not None:
        begin, end = (local_instant(at, now_ms=at_ms) for at in (gap.from_ms, gap.to_ms))
        lines.append(f"  gap: nobody from {begin} to {end}")
    return lines


def span_lines(schedule: SchedulePolicy, facts: RotaFacts, from_ms: int, to_ms: int, now_ms: int) -> list[str]:
    """Return who is on duty from one time to another, a line for each span, and how long nobody is.

    Args:
        schedule: The schedule.
        facts: What is planned.
        from_ms: Wall time.
        to_ms: Wall time, excluded.
        now_ms: Wall time: times of another year name it.
    """
    from alerts.oncall.duty import duties
    from streams.core.formatting import duration

    spans = duties(schedule, facts, from_ms, to_ms)
    rows = [
        [
            *(local_instant(at, now_ms=now_ms) for at in (one.from_ms, one.to_ms)),
            duty_words(one),
            why_words(one, schedule.name),
        ]
        for one in spans
    ]
    missing_ms = sum(one.to_ms - one.from_ms for one in spans if not one.duties)
    gaps = f"; nobody for {duration(missing_ms / 1000)}" if missing_ms else ""
    return [
        f"{schedule.name} (its zone: {schedule.zone}){gaps}",
        *_columns([["from", "to", "on duty", "by"], *rows]),
    ]


def _columns(rows: list[list[str]]) -> list[str]:
    """Return rows of text as lines, each column as wide as its longest cell."""
    from rich.cells import cell_len, set_cell_size

    widths = [max(cell_len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ("  ".join(set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [f"  {line}".rstrip() for line in lines]


def as_records(schedule: SchedulePolicy, facts: RotaFacts, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
    """Return the spans of a time as JSON shows them; times are RFC 3339 in UTC, ``duty`` is empty in a gap."""
    from alerts.oncall.duty import duties
    from streams.core.formatting import rfc3339

    return [
        {
            "schedule": schedule.name,
            "from": rfc3339(span.from_ms),
            "to": rfc3339(span.to_ms),
            "duty": [{"person": duty.person, "why": duty.why} for duty in span.duties],
        }
        for span in duties(schedule, facts, from_ms, to_ms)
    ]
