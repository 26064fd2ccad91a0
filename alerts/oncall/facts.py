"""Fold what people plan into the facts about schedules and calendars."""

from __future__ import annotations

from msgspec import structs

from alerts.incident import Calendar, Maintenance, Override
from alerts.oncall.policy import RotaFacts


def fold(facts: RotaFacts, given: Override | Maintenance | Calendar) -> RotaFacts:
    """Return the facts after one more record. A removed override or maintenance window is kept, marked as removed."""
    match given:
        case Override():
            return structs.replace(facts, overrides={**facts.overrides, given.id: given})
        case Maintenance():
            return structs.replace(facts, maintenance={**facts.maintenance, given.id: given})
        case Calendar():
            return structs.replace(facts, calendars={**facts.calendars, given.name: given})
