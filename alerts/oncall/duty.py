"""Who is on duty, and whether a calendar is on."""

from __future__ import annotations

from alerts.oncall.policy import CalendarPolicy, Duty, RotaFacts, SchedulePolicy, Span


def on_duty(schedule: SchedulePolicy, facts: RotaFacts, at_ms: int) -> tuple[Duty, ...]:  # noqa: ARG001 - no rotas yet
    """Return who is on duty; none where the schedule has a gap.

    Args:
        schedule: The schedule.
        facts: What the log says.
        at_ms: Wall time of a record of the log.
    """
    return ()


def active(calendar: CalendarPolicy, facts: RotaFacts, at_ms: int) -> Span | None:  # noqa: ARG001 - no calendars yet
    """Return the span of a calendar that holds a time; None where it is not on.

    Args:
        calendar: The calendar.
        facts: What the log says.
        at_ms: Wall time of a record of the log.
    """
    return None
