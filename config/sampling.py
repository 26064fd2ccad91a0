"""Settings of how audits are drawn whose sender names no probability."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from config.base import Section, SettingsFault, refuse
from config.grants import OneOrMore
from streams.models.events import MIN_PROBABILITY
from streams.models.sampling_plan import Method, SamplingPlan, SamplingRule, SourceSampling

Probability = Annotated[float, Field(ge=MIN_PROBABILITY, le=1)]

_OF_AUDIT = ("method", "auditor")
_OF_LABEL = ("decision", "queue", "policy", "market", "priority")


class SamplingCondition(Section):
    """Which audits a rule is for: all that is said must hold. Patterns as ``lead-*``; a list is any of them."""

    method: OneOrMore | None = Field(default=None, description="The name of the method that the sender gave.")
    auditor: OneOrMore | None = Field(default=None, description="Who audited.")
    gold: bool | None = Field(default=None, description="Whether the right answer was known beforehand.")
    blind: bool | None = Field(default=None, description="Whether the auditor did not see the label's decision.")
    decision: OneOrMore | None = Field(default=None, description="The label's decision; known of webhooks only.")
    queue: OneOrMore | None = Field(default=None, description="The label's queue; known of webhooks only.")
    policy: OneOrMore | None = Field(default=None, description="The label's policy; known of webhooks only.")
    market: OneOrMore | None = Field(default=None, description="The label's market; known of webhooks only.")
    priority: OneOrMore | None = Field(default=None, description="The label's priority; known of webhooks only.")


class SamplingDraw(Section):
    """How audits are drawn: at random with a probability, or picked."""

    method: Method | None = Field(
        default=None, description="random, with a probability; targeted: picked; unset: assumed random."
    )
    probability: Probability | None = Field(default=None, description="A label's chance of being audited, e.g. 0.05.")

    def draw_faults(self) -> list[SettingsFault]:
        """Return what of method and probability does not go together."""
        if self.method == "random" and self.probability is None:
            hint = "set probability, e.g. probability: 0.05; if it is not known, unset assumes that audits are random"
            return [SettingsFault(("method",), "random needs a probability", hint)]
        if self.method in ("targeted", "unset") and self.probability is not None:
            return [SettingsFault(("probability",), f"{self.method} audits have no probability", "remove one of both")]
        return []


class SamplingRuleSettings(SamplingDraw):
    """An exception for some audits of a source."""

    when: SamplingCondition = Field(description="Which audits.")

    @model_validator(mode="after")
    def _sound(self) -> SamplingRuleSettings:
        faults = self.draw_faults()
        if not self.when.model_fields_set:
            faults.append(SettingsFault(("when",), "no condition is said", "name one, e.g. when: {method: flagged}"))
        if self.method == "unset":
            faults.append(SettingsFault(("method",), "a rule says random or targeted", "remove the rule"))
        elif self.method is None and self.probability is None:
            faults.append(SettingsFault((), "the rule says nothing", "set probability, or method: targeted"))
        refuse(faults)
        return self

    def lowered(self) -> SamplingRule:
        """Return the rule as intake holds audits against it."""
        said = {name: getattr(self.when, name) for name in (*_OF_AUDIT, *_OF_LABEL)}
        when = {name: patterns for name, patterns in said.items() if patterns is not None}
        return SamplingRule(when, self.when.gold, self.when.blind, self.probability)


class SourceSamplingSettings(SamplingDraw):
    """How audits of one source are drawn that name no probability of their own."""

    rules: tuple[SamplingRuleSettings, ...] = Field(
        default=(), description="Exceptions, e.g. {when: {method: flagged}, probability: 0.2}; the first that fits."
    )
    min_probability: Probability | None = Field(
        default=None, description="Audits that name a smaller one are refused; null takes sampling.min_probability."
    )

    @model_validator(mode="after")
    def _sound(self) -> SourceSamplingSettings:
        faults = self.draw_faults()
        if (self.method, self.probability, self.min_probability, self.rules) == (None, None, None, ()):
            hint = "write targeted, unset, or for example {method: random, probability: 0.05}; or remove the line"
            faults.append(SettingsFault((), "says nothing of how its audits are drawn", hint))
        least = self.min_probability or 0
        for at, one in enumerate((self, *self.rules)):
            if one.probability is not None and one.probability < least:
                place = ("probability",) if not at else ("rules", at - 1, "probability")
                faults.append(SettingsFault(place, "is below min_probability", "raise it, or lower the other"))
        refuse(faults)
        return self

    def lowered(self, place: str, least: float) -> SourceSampling:
        """Return what intake holds audits against.

        Args:
            place: Where in the configuration this stands.
            least: Bound of sources that name none.
        """
        method = self.method or ("unset" if self.probability is None else "random")
        bound = least if self.min_probability is None else self.min_probability
        return SourceSampling(method, self.probability, tuple(rule.lowered() for rule in self.rules), bound, place)


def _written(value: Any) -> Any:
    """Return ``targeted`` or ``unset`` as the group it is short for."""
    return {"method": value} if isinstance(value, str) else value


class SamplingSettings(Section):
    """How audits are drawn whose sender names no probability (docs/production.md)."""

    min_probability: Probability = Field(
        default=MIN_PROBABILITY,
        description="Audits that name a smaller one are refused: one of 0.001 stands for 1,000 labels. The contract's own bound.",
    )
    sources: dict[str, Annotated[SourceSamplingSettings, BeforeValidator(_written)]] = Field(
        default={},
        description="By CloudEvents source, or its beginning with *: {method: random, probability: 0.05}, targeted, or unset. "
        "Unset: an audit without sampling is assumed to be random, one that names a method is targeted.",
    )

    @model_validator(mode="after")
    def _sound(self) -> SamplingSettings:
        faults = []
        for name in self.sources:
            if not name.strip() or "*" in name[:-1]:
                hint = (
                    "write the source of its events, e.g. label-studio/kul, or its beginning and one *: label-studio/*"
                )
                faults.append(SettingsFault(("sources", name), "is no source and no beginning of one", hint))
        faults += [fault for name, one in self.sources.items() for fault in self._below(name, one)]
        refuse(faults)
        return self

    def _below(self, name: str, source: SourceSamplingSettings) -> list[SettingsFault]:
        """Return which probabilities of a source without a bound of its own are below that of all sources."""
        found = []
        for at, one in enumerate((source, *source.rules) if source.min_probability is None else ()):
            if one.probability is not None and one.probability < self.min_probability:
                place = ("probability",) if not at else ("rules", at - 1, "probability")
                reason = f"is below sampling.min_probability, {self.min_probability:g}: audits that name it are refused"
                hint = "raise it, lower sampling.min_probability, or give this source a min_probability of its own"
                found.append(SettingsFault(("sources", name, *place), reason, hint))
        return found

    def plan(self) -> SamplingPlan:
        """Return what gateway and intake hold audits against."""
        found = {
            name: one.lowered(f"sampling.sources.{name}", self.min_probability) for name, one in self.sources.items()
        }
        return SamplingPlan(found, SourceSampling(min_probability=self.min_probability))
