"""The rules on times of an event relative to its own time: one table, used wherever events are accepted.

Gateway, SDK, intake and ``check-events`` all call ``broken_rule`` through ``streams.models.acceptance``. The decoder of the
log (``decode_log_event``) does not: events on ``events.v1`` are folded whatever the rules are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from msgspec import Struct

from streams.models import events as wire
from streams.models.lenient import TIMES
from streams.models.refusal import Refusal
from streams.models.timestamps import DAY_MS, HOUR_MS, MINUTE_MS, to_ms

FIRST_YEAR, END_YEAR = 2000, 2100
"""Years that a time may be written in: from the first, before the second."""

TIME_PATTERN = (
    r"^(?:20[0-9]{2}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))|20(?:[02468][048]|[13579][26])-02-29)"
    r"[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])$"
)
"""The form of a time, for the JSON Schema: RFC 3339 with a zone, in those years, on an existing day. A space for T and
an offset without its colon are accepted too; a leap second (:60) and 24:00 are not. The decoder agrees, by test."""


class EventLimits(Struct, frozen=True):
    """How far the times of an event may be from its own ``time``, in milliseconds. ``events`` in the configuration.

    Attributes:
        due_ms: ``due_at`` before or after ``time``.
        created_ms: ``created_at`` before ``time``.
        handle_ms: ``started_at`` before ``time``: the handle time of a label.
        shift_ms: A shift's ``from`` and ``to`` before or after ``time``.
        shift_length_ms: From a shift's ``from`` to its ``to``.
    """

    due_ms: int = 400 * DAY_MS
    created_ms: int = 400 * DAY_MS
    handle_ms: int = DAY_MS
    shift_ms: int = 400 * DAY_MS
    shift_length_ms: int = 7 * DAY_MS


DEFAULT_LIMITS = EventLimits()

Check = Callable[[Any, EventLimits], str | None]
"""Returns what is wrong with an event, in a sentence; None where nothing is."""


class TimeRule(NamedTuple):
    """One rule of the table.

    Attributes:
        code: Of the refusal.
        kinds: Event classes it is about.
        field: The field of ``data`` it is about, by its name in JSON.
        says: The rule, for the contract's README.
        check: Whether an event keeps it.
        hint: What to do about an event that breaks it.
    """

    code: str
    kinds: tuple[type[Struct], ...]
    field: str
    says: str
    check: Check
    hint: str


def span_words(length_ms: int) -> str:
    """Return a length of time in words, e.g. ``400 days``; exact to the second."""
    for unit_ms, one in ((DAY_MS, "day"), (HOUR_MS, "hour"), (MINUTE_MS, "minute")):
        if length_ms >= unit_ms and length_ms % unit_ms == 0:
            count = length_ms // unit_ms
            return f"{count} {one}{'' if count == 1 else 's'}"
    return f"{length_ms / 1000:.15g} s"


def _ahead_ms(event: Any, name: str) -> int | None:
    """Return how long after the event's own time a field's time is; None where the field is not sent."""
    instant = getattr(event.data, name)
    return None if instant is None else to_ms(instant) - to_ms(event.time)


def _far(name: str, ahead_ms: int, most_ms: int) -> str:
    side = "after" if ahead_ms > 0 else "before"
    return f"{name} is more than {span_words(most_ms)} {side} the event's time"


def _due(event: Any, limits: EventLimits) -> str | None:
    ahead_ms = _ahead_ms(event, "due_at")
    return None if ahead_ms is None or abs(ahead_ms) <= limits.due_ms else _far("due_at", ahead_ms, limits.due_ms)


def _created_late(event: Any, _: EventLimits) -> str | None:
    ahead_ms = _ahead_ms(event, "created_at")
    return None if ahead_ms is None or ahead_ms <= 0 else "the task is created after the event's time"


def _created_early(event: Any, limits: EventLimits) -> str | None:
    ahead_ms = _ahead_ms(event, "created_at")
    most_ms = limits.created_ms
    return None if ahead_ms is None or ahead_ms >= -most_ms else _far("created_at", ahead_ms, most_ms)


def _started_late(event: Any, _: EventLimits) -> str | None:
    ahead_ms = _ahead_ms(event, "started_at")
    return None if ahead_ms is None or ahead_ms <= 0 else "the label starts after its own time"


def _handle(event: Any, limits: EventLimits) -> str | None:
    ahead_ms = _ahead_ms(event, "started_at")
    if ahead_ms is None or ahead_ms >= -limits.handle_ms:
        return None
    return f"started_at is more than {span_words(limits.handle_ms)} before the event's time: no handle time is so long"


def _shift_order(event: Any, _: EventLimits) -> str | None:
    return None if to_ms(event.data.to) > to_ms(event.data.from_) else "to is not after from"


def _shift_length(event: Any, limits: EventLimits) -> str | None:
    if to_ms(event.data.to) - to_ms(event.data.from_) <= limits.shift_length_ms:
        return None
    return f"the shift is longer than {span_words(limits.shift_length_ms)}"


def _shift_edge(name: str, field: str) -> Check:
    def check(event: Any, limits: EventLimits) -> str | None:
        ahead_ms = _ahead_ms(event, name) or 0
        return None if abs(ahead_ms) <= limits.shift_ms else _far(field, ahead_ms, limits.shift_ms)

    return check


_DUE_KINDS = (wire.TaskCreated, wire.LabelSubmitted)
_LABEL = (wire.LabelSubmitted,)
_SHIFT = (wire.ShiftScheduled,)
_ZERO = "leave the field out where the tool does not know; zero times such as 0001-01-01 or 1970-01-01 are not times"

RULES: tuple[TimeRule, ...] = (
    TimeRule(
        "started_after_time", _LABEL, "started_at", "not after `time`", _started_late,
        "send started_at at or before the event's time",
    ),
    TimeRule(
        "handle_time_too_long", _LABEL, "started_at", "at most {handle} before `time`", _handle,
        "leave started_at out where the tool does not know when work began (send active_ms if it knows that), or raise "
        "events.max_handle_s",
    ),
    TimeRule(
        "created_after_time", _LABEL, "created_at", "not after `time`", _created_late,
        "send created_at at or before the event's time",
    ),
    TimeRule(
        "created_out_of_range", _LABEL, "created_at", "at most {created} before `time`", _created_early,
        f"{_ZERO}; or raise events.max_created_s",
    ),
    TimeRule(
        "due_out_of_range", _DUE_KINDS, "due_at", "within {due} before or after `time`", _due,
        "leave due_at out where nothing is due (9999-12-31 does not mean never); or raise events.max_due_s",
    ),
    TimeRule(
        "shift_ends_before_start", _SHIFT, "to", "after `from`", _shift_order,
        "send the shift's end in to; a shift over midnight ends on the next day",
    ),
    TimeRule(
        "shift_too_long", _SHIFT, "to", "at most {shift_length} after `from`", _shift_length,
        "send one event for each shift, or raise events.max_shift_length_s",
    ),
    TimeRule(
        "shift_out_of_range", _SHIFT, "from", "within {shift} before or after `time`", _shift_edge("from_", "from"),
        "send time as the moment the roster was made; or raise events.max_shift_s",
    ),
    TimeRule(
        "shift_out_of_range", _SHIFT, "to", "within {shift} before or after `time`", _shift_edge("to", "to"),
        "send time as the moment the roster was made; or raise events.max_shift_s",
    ),
)  # fmt: skip
"""The rules, in the order they are told."""


def said(rule: TimeRule, limits: EventLimits = DEFAULT_LIMITS) -> str:
    """Return a rule in words, with its limit."""
    return rule.says.format(
        due=span_words(limits.due_ms),
        created=span_words(limits.created_ms),
        handle=span_words(limits.handle_ms),
        shift=span_words(limits.shift_ms),
        shift_length=span_words(limits.shift_length_ms),
    )


def first_broken(event: Any, limits: EventLimits) -> Refusal | None:
    """Return the first rule that an event breaks, by the whole table. About 1 microsecond a time in the event."""
    outside = next(_outside_years(event), None)
    if outside is not None:
        field, year = outside
        reason = f"{field} is in the year {year}; times are of the years {FIRST_YEAR} to {END_YEAR - 1}"
        return Refusal("year_out_of_range", field, reason, _ZERO)
    for rule in RULES:
        if isinstance(event, rule.kinds) and (broken := rule.check(event, limits)) is not None:
            return Refusal(rule.code, f"$.data.{rule.field}", broken, rule.hint)
    return None


def _outside_years(event: Any) -> Iterator[tuple[str, int]]:
    if not FIRST_YEAR <= event.time.year < END_YEAR:
        yield "$.time", event.time.year
    for name in TIMES[event.__struct_config__.tag]:
        instant = getattr(event.data, name)
        if instant is not None and not FIRST_YEAR <= instant.year < END_YEAR:
            yield f"$.data.{name.removesuffix('_')}", instant.year


_WITHOUT_TIMES = frozenset(cls for cls in wire.EVENT_CLASSES if not TIMES[str(cls.__struct_config__.tag)])


_SURELY_FROM = datetime(FIRST_YEAR, 1, 3, tzinfo=UTC)
_SURELY_BEFORE = datetime(END_YEAR - 1, 12, 31, tzinfo=UTC)
"""A time between these is in an allowed year in any zone, and so is a time up to a day before it."""


def keeps_rules(event: Any, limits: EventLimits) -> bool:
    """Tell whether an event certainly keeps all rules. If this returns False, the table decides. About 0.2 microseconds.

    The common cases: no times in ``data``, or those of a label or a new task, some way from their limits. There the spans
    between decoded times, which cost a tenth of whole milliseconds, say the same.
    """
    kind, time = type(event), event.time
    if not _SURELY_FROM <= time < _SURELY_BEFORE:
        return False
    if kind is wire.LabelSubmitted:
        data = event.data
        started, created, due = data.started_at, data.created_at, data.due_at
        if started is not None:
            took = time - started
            if took.days or took.seconds * 1000 > limits.handle_ms - 1000:
                return False
        if created is not None:
            days = (time - created).days
            if days < 0 or days >= limits.created_ms // DAY_MS or created < _SURELY_FROM:
                return False
    elif kind is wire.TaskCreated:
        due = event.data.due_at
    else:
        return kind in _WITHOUT_TIMES
    if due is None:
        return True
    most = limits.due_ms // DAY_MS
    return -most <= (due - time).days < most and bool(_SURELY_FROM <= due < _SURELY_BEFORE)


def broken_rule(event: Any, limits: EventLimits = DEFAULT_LIMITS) -> Refusal | None:
    """Return the first rule that an event breaks, or None.

    Args:
        event: A decoded event of the contract.
        limits: How far its times may be from its own.
    """
    return None if keeps_rules(event, limits) else first_broken(event, limits)
