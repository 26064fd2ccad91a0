"""Settings of what an event may say relative to its own time."""

from __future__ import annotations

from pydantic import Field

from config.base import Section
from config.durations import Seconds
from streams.core.durations import seconds_to_ms
from streams.models.time_rules import EventLimits

_DAY_S = 86_400.0
_MOST_S = 1830 * _DAY_S
"""Five years: with times written in 2000 to 2099 every time stays one that can be rendered and summed exactly."""


class EventSettings(Section):
    """How far the other times of an event may be from its own; intake, gateway, SDK and check-events refuse the rest."""

    max_due_s: Seconds = Field(
        default=400 * _DAY_S,
        ge=3600,
        le=_MOST_S,
        description="due_at before or after time: a year and a month; 9999-12-31 for never is a fault.",
    )
    max_created_s: Seconds = Field(
        default=400 * _DAY_S, ge=3600, le=_MOST_S, description="A label's created_at before time; as max_due_s."
    )
    max_handle_s: Seconds = Field(
        default=_DAY_S,
        ge=60,
        le=30 * _DAY_S,
        description="started_at before time: one label takes no day; a zero time would be centuries.",
    )
    max_shift_s: Seconds = Field(
        default=400 * _DAY_S, ge=3600, le=_MOST_S, description="A shift's from and to before or after time."
    )
    max_shift_length_s: Seconds = Field(
        default=7 * _DAY_S, ge=3600, le=31 * _DAY_S, description="From from to to: a week's standby is the longest."
    )


def event_limits(events: EventSettings) -> EventLimits:
    """Return how far the times of an event may be from its own, in milliseconds."""
    return EventLimits(
        due_ms=seconds_to_ms(events.max_due_s),
        created_ms=seconds_to_ms(events.max_created_s),
        handle_ms=seconds_to_ms(events.max_handle_s),
        shift_ms=seconds_to_ms(events.max_shift_s),
        shift_length_ms=seconds_to_ms(events.max_shift_length_s),
    )
