"""Alert rules: what a team writes in YAML, checked by pydantic.

One class per kind, told apart by ``kind``. ``target`` is in the unit of the kind: a duration for backlog_age,
sla_breach_predicted, source_silent and exposure_cap, a count for dead_letters, a ratio for all others. Later kinds add a
class here and an evaluator in alerts/kinds.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer, model_validator

from alerts.scopes import DIMENSIONS, SOURCE, Scope
from alerts.signals import Severity
from config.durations import Seconds
from config.tables import WindowName
from streams.core.durations import format_duration
from streams.core.forecast.observe import FORECAST_WINDOW
from streams.core.window_names import CALENDAR_WINDOWS, same_window, window_ms
from streams.models.events import MIN_PROBABILITY

Ratio = Annotated[float, Field(gt=0, lt=1)]
DurationS = Annotated[Seconds, Field(gt=0)]
Probability = Annotated[float, Field(ge=MIN_PROBABILITY, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)]


class Selector(BaseModel):
    """Which scopes a rule watches.

    ``all`` (the whole floor), ``{by: vendor}`` (every vendor), ``{by: [queue, policy]}`` (every pair), or exact
    ``{vendor: bpo-a}``. Both together narrow: ``{by: queue, vendor: bpo-a}`` is every queue of that vendor.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: tuple[str, ...] = ()
    exact: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, raw: Any) -> Any:
        if raw == "all" or raw is None:
            return {}
        if not isinstance(raw, dict):
            # pydantic turns ValueError, and only that, into a validation error
            raise ValueError(  # noqa: TRY004
                f"scope {raw!r}: write all, {{by: vendor}}, {{by: [queue, policy]}} or {{vendor: bpo-a}}"
            )
        by = raw.get("by", ())
        by = (by,) if isinstance(by, str) else by
        exact = {**raw.get("exact", {}), **{name: value for name, value in raw.items() if name not in ("by", "exact")}}
        names = [*by, *exact]
        for name in names:
            if name not in (*DIMENSIONS, SOURCE):
                raise ValueError(f"{name!r} is not a dimension; use one of {', '.join(DIMENSIONS)}")
        if len(set(names)) != len(names):
            raise ValueError(f"a dimension is named twice in {raw!r}; name each once")
        return {"by": by, "exact": exact}

    @property
    def names(self) -> frozenset[str]:
        """All dimensions named."""
        return frozenset((*self.by, *self.exact))

    def matches(self, scope: Scope) -> bool:
        """Whether a row's scope is one this selector watches."""
        return scope.keys() == self.names and all(scope[name] == value for name, value in self.exact.items())


class Escalation(BaseModel):
    """One tier: nobody has acknowledged ``after`` (a duration) from when people were told, so ``route`` is told too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: DurationS
    route: str

    @field_serializer("after", when_used="json")
    def _with_unit(self, after: float) -> str:
        return format_duration(after)


def _rising(tiers: tuple[Escalation, ...]) -> tuple[Escalation, ...]:
    for number, (before, tier) in enumerate(pairwise(tiers), 2):
        if tier.after <= before.after:
            raise ValueError(
                f"tier {number} (after {format_duration(tier.after)}) must come later than tier {number - 1} "
                f"(after {format_duration(before.after)})"
            )
    return tiers


Tiers = Annotated[tuple[Escalation, ...], AfterValidator(_rising), Field(max_length=10)]


class RuleBase(BaseModel):
    """Fields of every rule. ``for_evaluations`` and ``resolve_for`` count consecutive evaluations.

    ``escalate``: whom to tell besides when nobody acknowledges; without it, what ``alerts.escalate`` says of the severity.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Name
    scope: Selector = Selector()
    window: WindowName = "1h"
    severity: Severity = "warn"
    route: str = "default"
    for_evaluations: int = Field(default=2, ge=1, le=1000, alias="for")
    resolve_for: int = Field(default=3, ge=1, le=1000)
    escalate: Tiers | None = None

    @model_validator(mode="after")
    def _dimensions_fit(self) -> RuleBase:
        about_stream = getattr(self, "kind", "") in ("source_silent", "dead_letters")
        if about_stream and self.scope.names - {SOURCE}:
            raise ValueError("this kind watches the stream itself: its scope is all or {by: source}")
        if not about_stream and SOURCE in self.scope.names:
            raise ValueError(f"source is not a dimension of a label; use one of {', '.join(DIMENSIONS)}")
        return self

    @model_validator(mode="after")
    def _reference_is_sliding(self) -> RuleBase:
        reference = getattr(self, "reference", None)
        if reference in CALENDAR_WINDOWS:
            raise ValueError(
                f"reference {reference}: one that has just begun is shorter than the window; take a sliding one such as 7d"
            )
        return self


Method = Literal["evidence", "interval"]
"""``evidence``: a detector with a known rate of false alarms. ``interval``: the 95% Wilson interval of one window."""


class Budget(BaseModel):
    """How often all scopes of a rule together may raise a false alarm: once in ``days``.

    ``per_day``: audits a day of all these scopes together (for sla_attainment: quarter hours with due tasks, 96 a
    queue; for throughput_drop: hours, 24 a scope).
    The bar of evidence is ``per_day * days``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_day: float = Field(default=20_000, gt=0)
    days: float = Field(default=7, gt=0)


class AccuracyLowRule(RuleBase):
    """Fires on evidence that accuracy is below ``target`` (or, by interval, when its upper end is)."""

    kind: Literal["accuracy_low"]
    target: Ratio = 0.95
    method: Method = "evidence"
    budget: Budget = Budget()
    least_probability: Probability | None = None
    """Least sampling probability of the audit plan, as far as one is fixed: weights 1/probability then never rise above
    the known greatest one, where without it the greatest met so far is taken."""
    min_sample: int = Field(default=50, ge=1)
    reference: WindowName | None = None
    """A longer window to compare with when naming contributors; without it, the excess errors over target."""


class CriticalErrorsRule(RuleBase):
    """Fires on evidence that the critical-error ratio is above ``target`` (or, by interval, when its lower end is)."""

    kind: Literal["critical_errors"]
    target: Ratio = 0.005
    method: Method = "evidence"
    budget: Budget = Budget()
    least_probability: Probability | None = None
    min_sample: int = Field(default=100, ge=1)
    reference: WindowName | None = None


class SlaAttainmentRule(RuleBase):
    """Fires on evidence that attainment is below ``target`` (or, by interval, when its upper end is).

    ``min_sample``: due tasks.
    """

    kind: Literal["sla_attainment"]
    target: Ratio = 0.95
    method: Method = "evidence"
    budget: Budget = Budget(per_day=96, days=28)
    min_sample: int = Field(default=50, ge=1)
    reference: WindowName | None = None


class ThroughputDropRule(RuleBase):
    """Fires when labels are at most ``target`` of the trailing baseline and that is no chance (z <= -min_z).

    ``method: evidence`` compares every hour with the same hour of the week before instead, and needs a week of history;
    ``target`` and the ``min_`` fields are then not looked at.
    """

    kind: Literal["throughput_drop"]
    target: Ratio = 0.7
    method: Literal["baseline", "evidence"] = "baseline"
    budget: Budget = Budget(per_day=24, days=300)
    min_sample: float = Field(default=30, gt=0)
    """Least labels expected by the baseline."""
    min_z: float = Field(default=4.0, gt=0)
    min_windows: int = Field(default=4, ge=2, le=24)

    @model_validator(mode="after")
    def _of_equal_windows(self) -> ThroughputDropRule:
        if self.method == "baseline" and self.window in CALENDAR_WINDOWS:
            raise ValueError(
                f"a {self.window} in progress cannot be compared with whole ones: take a sliding window such as 24h, or "
                "method: evidence"
            )
        return self


class BacklogAgeRule(RuleBase):
    """Fires when the oldest open task is older than ``target`` (a duration)."""

    kind: Literal["backlog_age"]
    target: DurationS = 86_400
    min_sample: int = Field(default=1, ge=1)
    """Least open tasks."""


class SlaBreachPredictedRule(RuleBase):
    """Fires when a queue's open work will not fit into its pace before it is due, within ``target`` (a duration) from now.

    Evaluated once a minute: ``for`` 10 and ``resolve_for`` 30 are the two and six evaluations, five minutes apart, whose
    precision and lead are known (docs/forecast.md).
    """

    kind: Literal["sla_breach_predicted"]
    scope: Selector = Selector(by=("queue",))
    target: DurationS = 28_800
    for_evaluations: int = Field(default=10, ge=1, le=1000, alias="for")
    resolve_for: int = Field(default=30, ge=1, le=1000)
    min_sample: int = Field(default=10, ge=1)
    """Least shortfall in tasks: fewer are the chance of a few minutes."""

    @model_validator(mode="after")
    def _about_queues(self) -> SlaBreachPredictedRule:
        if self.scope.names != {"queue"}:
            raise ValueError("a breach is forecast per queue: its scope is {by: queue} or {queue: NAME}")
        if same_window(self.window, (FORECAST_WINDOW,)) is None:
            raise ValueError(f"the forecast stands in the rows of window {FORECAST_WINDOW}")
        return self


class OverturnsHighRule(RuleBase):
    """Fires when surely more than ``target`` of the decided appeals overturn what was decided.

    Judged by the Wilson interval ``min_z`` wide: looked at every minute, the usual 1.96 would lie in most quarters
    (docs/quality.md). Rows count appeals at the time of the label, hence a long window.
    """

    kind: Literal["overturns_high"]
    window: WindowName = "7d"
    target: Ratio = 0.2
    method: Literal["interval"] = "interval"
    min_z: float = Field(default=4.0, gt=0)
    min_sample: int = Field(default=20, ge=1)
    """Least decided appeals."""
    reference: WindowName | None = None


class AgreementLowRule(RuleBase):
    """Fires when surely less than ``target`` of the tasks labelled by several people were decided alike by all of them.

    Judged as ``overturns_high``. Raw agreement: where values are so skewed that chance agrees too, ``floorwatch quality``
    shows Krippendorff's alpha beside it.
    """

    kind: Literal["agreement_low"]
    window: WindowName = "7d"
    target: Ratio = 0.8
    method: Literal["interval"] = "interval"
    min_z: float = Field(default=4.0, gt=0)
    min_sample: int = Field(default=30, ge=1)
    """Least tasks labelled by several people."""
    reference: WindowName | None = None

    @model_validator(mode="after")
    def _not_of_one(self) -> AgreementLowRule:
        if "labeler" in self.scope.names:
            raise ValueError("nobody agrees alone: its scope cannot name labeler; use {by: policy} or {by: team}")
        return self


class DeadLettersRule(RuleBase):
    """Fires when more than ``target`` events of the window went to the dead letters."""

    kind: Literal["dead_letters"]
    target: int = Field(default=0, ge=0)
    min_sample: int = Field(default=1, ge=1)


class SourceSilentRule(RuleBase):
    """Fires when a source has sent nothing for ``target`` (a duration)."""

    kind: Literal["source_silent"]
    scope: Selector = Selector(by=(SOURCE,))
    target: DurationS = 600
    min_sample: int = Field(default=1, ge=1)


class ExposureCapRule(RuleBase):
    """Fires when a labeller's severity-weighted handle time reaches ``target`` (a duration), or will within ``ahead``.

    ``weights`` by policy needs the scope ``[policy, labeler]`` in ``tables.scopes``.
    """

    kind: Literal["exposure_cap"]
    scope: Selector = Selector(by=("labeler",))
    window: WindowName = "24h"
    target: DurationS = 14_400
    ahead: DurationS = 7200
    weights: dict[str, Annotated[float, Field(ge=0, le=100)]] | None = None
    """None takes ``people.exposure``, cap included: people and alerts then say the same."""
    other_weight: float | None = Field(default=None, ge=0, le=100)
    """Weight of a policy that is not named; with weights of its own: 1, in full, the careful side."""

    @property
    def weight_of_others(self) -> float:
        """The weight of a policy that is not named."""
        return 1.0 if self.other_weight is None else self.other_weight

    @model_validator(mode="after")
    def _about_people(self) -> ExposureCapRule:
        if self.scope.names != {"labeler"}:
            raise ValueError("exposure is a person's: its scope is {by: labeler} or {labeler: NAME}")
        return self


class RushingRule(RuleBase):
    """Fires when handle time is at most ``target`` of before against everybody, and the person's accuracy fell."""

    kind: Literal["rushing"]
    scope: Selector = Selector(by=("labeler",))
    window: WindowName = "24h"
    reference: WindowName = "7d"
    target: Ratio = 0.9
    min_z: float = Field(default=5.0, gt=0)
    min_sample: int = Field(default=100, ge=2)
    """Least timed labels in each of the four medians compared."""

    @model_validator(mode="after")
    def _about_people(self) -> RushingRule:
        if "labeler" not in self.scope.names:
            raise ValueError("rushing is a person's: its scope names labeler, e.g. {by: [queue, policy, labeler]}")
        if window_ms(self.reference) <= window_ms(self.window):
            raise ValueError("the reference must be longer than the window")
        return self


Rule = (
    AccuracyLowRule
    | CriticalErrorsRule
    | SlaAttainmentRule
    | ThroughputDropRule
    | BacklogAgeRule
    | SlaBreachPredictedRule
    | OverturnsHighRule
    | AgreementLowRule
    | DeadLettersRule
    | SourceSilentRule
    | ExposureCapRule
    | RushingRule
)


class RuleSet(BaseModel):
    """A rules file: ``rules:`` and nothing else; names are unique."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[Annotated[Rule, Field(discriminator="kind")], ...]

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
