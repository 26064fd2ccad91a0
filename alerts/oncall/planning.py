"""Overrides and iCalendar texts as people plan them: what is taken, and what is put on the log. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b, sha256

from alerts.incident import MOST_CALENDAR, Calendar, Override
from alerts.oncall.duty import duties, on_duty
from alerts.oncall.ical import calendar_faults, good_events
from alerts.oncall.ical_lines import CalendarFault, scan
from alerts.oncall.policy import CalendarPolicy, RotaFacts, SchedulePolicy
from alerts.plan_fault import PlanFault, check_name, check_person_text, check_span
from streams.models.timestamps import DAY_MS

MOST_OVERRIDE_MS = 366 * DAY_MS
MOST_OVERRIDES = 1_000
"""Overrides that are not over."""


def override_of(
    schedule: str, person: str, from_ms: int, to_ms: int, *, by: str, now_ms: int, name: str = ""
) -> Override:
    """Return an override as it is put on the log.

    Args:
        schedule: Name of the schedule.
        person: Who takes it.
        from_ms: Wall time of its begin; it may be past.
        to_ms: Wall time of its end, excluded.
        by: Who plans it.
        now_ms: Wall time.
        name: Its id; empty: one is made of all that it says.

    Raises:
        PlanFault: It cannot be meant so.
    """
    check_span("override", from_ms, to_ms, now_ms, MOST_OVERRIDE_MS)
    check_person_text("by", by)
    check_name(name)
    made = "o-" + blake2b(repr((schedule, person, from_ms, to_ms, by)).encode(), digest_size=5).hexdigest()
    return Override(name or made, schedule, person, from_ms, to_ms, by, now_ms)


def check_overrides(overrides: Iterable[Override], new: Override) -> None:
    """Check that one more override may be planned beside those that are not over.

    Raises:
        PlanFault: There are too many, or its id is that of another schedule's.
    """
    others = {one.id: one for one in overrides}
    held = others.pop(new.id, None)
    if held is not None and held.schedule != new.schedule:
        raise PlanFault("id", f"{new.id} is an override of schedule {held.schedule}", "take another id, or none")
    if sum(not one.removed and one.to_ms > new.at_ms for one in others.values()) >= MOST_OVERRIDES:
        raise PlanFault("schedule", f"there are {MOST_OVERRIDES:,} overrides already", "remove some")


def counts(schedule: SchedulePolicy, facts: RotaFacts, override: Override, now_ms: int) -> str | None:
    """Return why an override does not name who is on duty when it begins, or now if it has begun; None: it does."""
    at_ms = max(override.from_ms, now_ms)
    duties = on_duty(schedule, facts, at_ms)
    if any(f"override {override.id} " in duty.why for duty in duties):
        return None
    who = ", ".join(f"{duty.person} ({duty.why})" for duty in duties)
    return f"somebody has made a later one: on duty is {who or 'nobody'}"


def calendar_of(name: str, text: str, now_ms: int) -> Calendar:
    """Return an iCalendar text as it is put on the log.

    Args:
        name: As ``ical`` of a schedule or calendar names it.
        text: The text. Single events with faults are left out when it is read; see ``faults_of``.
        now_ms: Wall time.

    Raises:
        PlanFault: It is no calendar, has no event that can be read, or is too long.
    """
    found = scan(text)
    if found.events is None:
        fault = found.faults[-1]
        raise PlanFault("file", f"line {fault.line}: {fault.reason}", fault.hint)
    size = len(text.encode())
    if size > MOST_CALENDAR:
        raise PlanFault("file", f"it has {size:,} bytes, {MOST_CALENDAR:,} at most", "export a shorter time")
    return Calendar(name, sha256(text.encode()).hexdigest(), text, now_ms)


def events_left_out(
    text: str, name: str, schedules: Iterable[SchedulePolicy], calendars: Iterable[CalendarPolicy]
) -> tuple[int, int]:
    """Return of how many events the text has how many are left out by whoever reads least of it.

    Returns:
        (left out, all). Where both are the same, some schedule or calendar would have nothing of the text.
    """
    readers = {one.person_from for one in schedules if one.ical == name}
    every = len(scan(text).events or ())
    alone = {None} if any(one.ical == name for one in calendars) else set()
    return every - min((good_events(text, reader) for reader in readers | alone), default=every), every


def faults_of(
    text: str, name: str, schedules: Iterable[SchedulePolicy], calendars: Iterable[CalendarPolicy]
) -> list[CalendarFault]:
    """Return what is left out of a text by whatever reads it, in the order of its lines."""
    asked = {one.person_from for one in schedules if one.ical == name}
    readers = [*sorted(asked), *([None] if any(one.ical == name for one in calendars) else [])]
    return sorted({fault for reader in readers for fault in calendar_faults(text, reader)})


def unknown_people(
    schedule: SchedulePolicy, facts: RotaFacts, people: Iterable[str], from_ms: int, to_ms: int
) -> list[str]:
    """Return who is named by a schedule in a time and is nobody of the configuration, so that nobody could be told."""
    known = set(people)
    named = (duty.person for span in duties(schedule, facts, from_ms, to_ms) for duty in span.duties)
    return sorted({person for person in named if person not in known})
