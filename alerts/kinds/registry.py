"""Every kind of alert. A new kind is a module beside this file, its two lines here, and a runbook (docs/extending.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from alerts.incident import Incident
from alerts.kinds import (
    accuracy_low,
    agreement_low,
    backlog_age,
    critical_errors,
    exposure_cap,
    overturns_high,
    rushing,
    sla_attainment,
    sla_breach_predicted,
    throughput_drop,
)
from alerts.kinds.base import KindSpec
from alerts.kinds.stream_health import STREAM_KIND_OF
from alerts.kinds.words import Phrase, phrase
from alerts.rules import Rule
from config.base import Section, SettingsFault, refuse

KINDS: tuple[KindSpec, ...] = (
    accuracy_low.KIND,
    critical_errors.KIND,
    sla_attainment.KIND,
    throughput_drop.KIND,
    backlog_age.KIND,
    sla_breach_predicted.KIND,
    overturns_high.KIND,
    agreement_low.KIND,
    exposure_cap.KIND,
    rushing.KIND,
)
"""In the order in which messages and pages list them."""

KIND_OF: dict[str, KindSpec] = {kind.name: kind for kind in KINDS}

ALL_KINDS: tuple[str, ...] = (*KIND_OF, *STREAM_KIND_OF)
"""Names of all kinds of incidents, also those about the stream itself, which no rule raises."""

TOLD_ELSEWHERE: dict[str, str] = {
    "dead_letters": "use Prometheus' FloorwatchDeadLetters (prometheus/alerting_rules.py) instead",
    "source_silent": "Floorwatch tells it without a rule; set its thresholds in alerts.health instead (docs/alerts.md)",
}
"""Names that were kinds once and never had rows to read, with what to do instead."""


def headline_of(kind: str) -> str:
    """Return what a message of a kind begins with. A kind that another version wrote is told by its name."""
    spec = KIND_OF.get(kind) or STREAM_KIND_OF.get(kind)
    return kind.replace("_", " ").capitalize() if spec is None else spec.headline


def phrase_of(incident: Incident) -> Phrase:
    """Return an incident's number in words. A kind that another version wrote is told by its name and plain numbers."""
    spec = KIND_OF.get(incident.kind) or STREAM_KIND_OF.get(incident.kind)
    if spec is not None:
        return spec.say(incident)
    number = "unknown" if incident.value is None else f"{incident.value:g}"
    return phrase(headline_of(incident.kind).lower(), number, f"{incident.target:g}")


def _is_a_kind(rule: Any) -> Any:
    kind = rule.get("kind") if isinstance(rule, dict) else None
    if isinstance(kind, str) and kind in TOLD_ELSEWHERE:
        reason = f"there is no kind {kind}: no table has what it would read"
        refuse([SettingsFault(("kind",), reason, TOLD_ELSEWHERE[kind])])
    return rule


if TYPE_CHECKING:
    AnyRule = Rule
else:
    AnyRule = Annotated[
        Union[tuple(kind.rule for kind in KINDS)],  # noqa: UP007 - made of a list
        Field(discriminator="kind"),
        BeforeValidator(_is_a_kind),
    ]
"""A rule of any kind, told apart by ``kind``: the type of a setting."""


class RuleSet(Section):
    """A rules file: ``rules:`` and nothing else; names are unique."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[AnyRule, ...]

    @model_validator(mode="after")
    def _unique_names(self) -> RuleSet:
        seen: set[str] = set()
        for rule in self.rules:
            if rule.name in seen:
                raise ValueError(
                    f"two rules are named {rule.name!r}; an incident is told by its rule's name: rename one"
                )
            seen.add(rule.name)
        return self
