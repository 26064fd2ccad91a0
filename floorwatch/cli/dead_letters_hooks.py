"""Dead letters of mapped tools, as the events that the mapping of now makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.events import event_limits
from gateway.recorded import Record, recorded
from gateway.sources.mapped.again import NotUnderstood, events_again, holds_item

if TYPE_CHECKING:
    from floorwatch.analysis.dead_letters import Letter
    from floorwatch.settings.schema import FloorwatchConfig

GATEWAY, _TOOL = "gateway", "mapped/"


def is_of_mapping(one: Letter) -> bool:
    """Tell whether a letter holds an item of a mapped tool, and when it came."""
    return one.stage == GATEWAY and one.source.startswith(_TOOL) and one.at_ms >= 0 and holds_item(one.value)


def records_again(settings: FloorwatchConfig, one: Letter) -> list[Record]:
    """Return what the gateway would publish of a letter's item now, with the rights that its source has now.

    Args:
        settings: With the source and its mapping.
        one: Of which ``is_of_mapping`` is true.

    Raises:
        NotUnderstood: The mapping still makes no events of it, or they may not be sent.
        ConfigErrors: The mapping cannot be read.
    """
    name = one.source.removeprefix(_TOOL)
    source = settings.gateway.sources.get(name)
    mapping = None if source is None or source.tool != "mapped" else source.mapped.loaded()
    if source is None or mapping is None:
        raise NotUnderstood(f"gateway.sources has no {name} with a mapping; name its configuration with --config")
    grant = source.grant(name, f"gateway.sources.{name}")
    key = next(iter(settings.gateway.grant_keys), None)
    limits, plan = event_limits(settings.events), settings.sampling.plan()
    found = []
    for event in events_again(one.value, one.source, one.at_ms, mapping):
        record, refusals = recorded(event, limits, grant, key, plan)
        if record is None or refusals:
            raise NotUnderstood(refusals[0].reason)
        found.append(record)
    return found
