"""Alert rules: what every rule of a team's YAML has, checked by pydantic.

Each kind adds its own fields in its module of alerts/kinds. ``target`` is in the unit of the kind: a duration for
backlog_age, sla_breach_predicted and exposure_cap, a ratio for all others.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, field_serializer, model_validator

from alerts.scopes import DIMENSIONS, Scope
from alerts.signals import Severity
from config.base import SettingsFault, StrictNumbers, refuse
from config.durations import Seconds
from config.nearest import choices
from config.tables import WindowName
from streams.core.durations import format_duration
from streams.core.tables import TABLES
from streams.core.window_names import CALENDAR_WINDOWS, same_window
from streams.models.events import MIN_PROBABILITY

if TYPE_CHECKING:
    from collections.abc import Collection

    from config.people import ExposureSettings

Ratio = Annotated[float, Field(gt=0, lt=1)]
DurationS = Annotated[Seconds, Field(gt=0)]
Probability = Annotated[float, Field(ge=MIN_PROBABILITY, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)]


class Selector(StrictNumbers):
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
        wrong = [name for name in dict.fromkeys(names) if name not in DIMENSIONS]
        if wrong:
            raise ValueError(
                "; ".join(f"{name!r} is not a dimension: {choices(str(name), DIMENSIONS)}" for name in wrong)
            )
        if len(set(names)) != len(names):
            twice = ", ".join(name for name in dict.fromkeys(names) if names.count(name) > 1)
            raise ValueError(f"{twice}: a dimension is named twice; name each once")
        return {"by": by, "exact": exact}

    @property
    def names(self) -> frozenset[str]:
        """All dimensions named."""
        return frozenset((*self.by, *self.exact))

    def matches(self, scope: Scope) -> bool:
        """Whether a row's scope is one this selector watches."""
        return scope.keys() == self.names and all(scope[name] == value for name, value in self.exact.items())


class Escalation(StrictNumbers):
    """One tier: nobody has acknowledged ``after`` (a duration) from when people were told, so ``route`` is told too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: DurationS
    route: str

    @field_serializer("after", when_used="json")
    def _with_unit(self, after: float) -> str:
        return format_duration(after)


def _rising(tiers: tuple[Escalation, ...]) -> tuple[Escalation, ...]:
    refuse(
        [
            SettingsFault(
                (number - 1, "after"),
                f"tier {number} (after {format_duration(tier.after)}) must come later than tier {number - 1} "
                f"(after {format_duration(before.after)})",
                "after counts from when people were told: write the tiers in the order of their times",
            )
            for number, (before, tier) in enumerate(pairwise(tiers), 2)
            if tier.after <= before.after
        ]
    )
    return tiers


Tiers = Annotated[tuple[Escalation, ...], AfterValidator(_rising), Field(max_length=10)]


class Rule(StrictNumbers):
    """What every rule has. ``for_evaluations`` and ``resolve_for`` count consecutive evaluations."""

    reads_baseline: ClassVar[bool] = False
    """Whether the kind compares with the trailing counts of labels, which are then kept for its window."""

    tables_read: ClassVar[tuple[str, ...]] = TABLES
    """The tables whose rows the kind reads. With ten thousand scopes each takes a tenth of a second and more of every look."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Name = Field(description="An incident is told by it; no two rules have one.")
    scope: Selector = Field(
        default=Selector(),
        description="all, {by: vendor}, {by: [queue, policy]} or {vendor: bpo-a}; one of tables.scopes.",
    )
    window: WindowName = Field(default="1h", description="Whose rows are read; one of tables.windows.")
    severity: Severity = Field(default="warn", description="page, warn or info.")
    route: str = Field(default="default", description="One of alerts.routes: who is told.")
    for_evaluations: int = Field(
        default=2,
        ge=1,
        le=1000,
        alias="for",
        description="Evaluations in a row, a minute apart, that open an incident.",
    )
    resolve_for: int = Field(default=3, ge=1, le=1000, description="Quiet evaluations in a row that end it.")
    escalate: Tiers | None = Field(
        default=None,
        description="Whom to tell too when nobody acknowledges; null takes alerts.escalate of the severity.",
    )
    kind: str

    def windows_read(self) -> frozenset[str]:
        """Return the windows whose rows the rule reads: its own, and the longer one that it compares with."""
        reference: str | None = getattr(self, "reference", None)
        return frozenset((self.window,) if reference is None else (self.window, reference))

    def on_windows(self, windows: Collection[str]) -> Self:
        """Return the rule with its windows by their names in ``tables.windows``: 60m is the row of 1h.

        Args:
            windows: The windows that the tables keep.
        """
        written = {name: getattr(self, name, None) for name in ("window", "reference")}
        found = {name: same_window(text, windows) or text for name, text in written.items() if text is not None}
        return self if found.items() <= written.items() else self.model_copy(update=found)

    def completed(self, exposure: ExposureSettings) -> Self:  # noqa: ARG002 - for the kinds that need it
        """Return the rule with what it leaves open taken from other sections of the configuration.

        Args:
            exposure: What counts as exposure, and how much of it a person may see.
        """
        return self

    def unmet(  # for the kinds that need it
        self,
        windows: Collection[str],  # noqa: ARG002
        scopes: Collection[frozenset[str]],  # noqa: ARG002
        *,
        written: bool,  # noqa: ARG002
    ) -> list[SettingsFault]:
        """Return what the kind needs besides its window, reference and scope and does not have.

        Args:
            windows: The windows that the tables keep.
            scopes: The kinds of scopes that the tables keep.
            written: Somebody wrote the rule. One that is shipped is left out of force where this returns a fault, so it gets
                one only where it would never fire.
        """
        return []

    @model_validator(mode="after")
    def _reference_is_sliding(self) -> Rule:
        reference = getattr(self, "reference", None)
        if reference in CALENDAR_WINDOWS:
            raise ValueError(
                f"reference {reference}: one that has just begun is shorter than the window; take a sliding one such as 7d"
            )
        return self


Method = Annotated[
    Literal["evidence", "interval"],
    Field(
        description="evidence: a detector with a known rate of false alarms; interval: the exact test of one window, at 2.5%."
    ),
]
LeastProbability = Annotated[
    Probability | None,
    Field(
        description="Least sampling probability of the audit plan, as far as one is fixed: no weight 1/probability is above that "
        "of it. Without it the greatest met so far is taken."
    ),
]
Reference = Annotated[
    WindowName | None,
    Field(
        description="A longer window to compare with when naming contributors; without it, the excess over the target counts."
    ),
]
MinZ = Annotated[float, Field(gt=0, description="Standard errors that the number must be from chance.")]


class Budget(StrictNumbers):
    """How often all scopes of a rule together may raise a false alarm: once in ``days``.

    ``per_day``: audits a day of all these scopes together (for sla_attainment: quarter hours with due tasks, 96 a
    queue; for throughput_drop: hours, 24 a scope).
    The bar of evidence is ``per_day * days``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_day: float = Field(default=20_000, gt=0)
    days: float = Field(default=7, gt=0)


FalseAlarms = Annotated[
    Budget, Field(description="How often a detector may be wrong: once in days, with per_day a day.")
]
