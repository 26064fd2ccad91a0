"""exposure_cap: somebody has seen, or will soon have seen, as much hard content as the cap allows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from alerts.incident import Incident
from alerts.kinds.base import Finding, KindSpec, RuleContext
from alerts.kinds.judged import ReadableRows, attempt, judged, live_rows, readable
from alerts.kinds.words import Phrase, phrase
from alerts.rules import DurationS, Rule, Selector
from alerts.scopes import scope_of_key
from alerts.signals import Contributor
from alerts.view import Row
from config.base import SettingsFault
from config.tables import WindowName
from streams.core.formatting import duration, instant
from streams.core.window_names import same_window, window_ms, window_words

if TYPE_CHECKING:
    from config.people import ExposureSettings


PACE_WINDOW = "1h"
"""The window whose pace is extrapolated; ``ExposureCapRule.pace_window`` is its name in ``tables.windows``."""


class ExposureCapRule(Rule):
    """Fires when a labeller's severity-weighted handle time reaches ``target`` (a duration), or will within ``ahead``.

    ``weights`` by policy needs the scope ``[policy, labeler]`` in ``tables.scopes``.
    """

    tables_read: ClassVar[tuple[str, ...]] = ("throughput",)
    kind: Literal["exposure_cap"]
    scope: Selector = Selector(by=("labeler",))
    window: WindowName = "24h"
    target: DurationS = 14_400
    ahead: DurationS = Field(
        default=7200, description="How long before the cap is reached, at the present pace, it fires."
    )
    weights: dict[str, Annotated[float, Field(ge=0, le=100)]] | None = Field(
        default=None,
        description="By policy; null takes people.exposure, cap included: people and alerts then say the same.",
    )
    other_weight: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Weight of a policy that is not named; with weights of its own: 1, in full, the careful side.",
    )

    _pace_window: str = PrivateAttr(default=PACE_WINDOW)

    @property
    def pace_window(self) -> str:
        """The window whose pace is extrapolated, by its name in ``tables.windows``."""
        return self._pace_window

    def windows_read(self) -> frozenset[str]:
        """Return its own window, and that of the pace."""
        return super().windows_read() | {self.pace_window}

    def on_windows(self, windows: Collection[str]) -> Self:
        """Return the rule with its windows, that of the pace among them, by their names in ``tables.windows``."""
        found = super().on_windows(windows).model_copy()
        found._pace_window = same_window(PACE_WINDOW, windows) or PACE_WINDOW  # noqa: SLF001 - of its own copy
        return found

    def completed(self, exposure: ExposureSettings) -> Self:
        """Return the rule with all it does not say itself from ``people.exposure``, as the command ``people`` takes it."""
        said = self.model_fields_set
        found: dict[str, Any] = {
            name: value for name, value in (("target", exposure.cap_s), ("ahead", exposure.ahead_s)) if name not in said
        }
        if self.weights is None and self.other_weight is None and exposure.configured:
            found |= {"weights": exposure.weights, "other_weight": exposure.other_weight}
        return self.model_copy(update=found)

    def unmet(
        self, windows: Collection[str], scopes: Collection[frozenset[str]], *, written: bool
    ) -> list[SettingsFault]:
        """Return faults where no pace is known, nothing says what counts as exposure, or no row tells weighted policies apart."""
        found = []
        if written and same_window(PACE_WINDOW, windows) is None:  # one that is shipped still tells of the cap
            reason = (
                f"{PACE_WINDOW} is not among tables.windows: no pace is known, and the rule would fire only at the cap"
            )
            found.append(SettingsFault(("kind",), reason, f"add {PACE_WINDOW} to tables.windows"))
        if self.weights is None and self.other_weight is None:
            reason = "nothing says what counts as exposure, so the rule would never fire"
            hint = "set people.exposure.weights, or people.exposure.other_weight: 1 to count all work alike"
            found.append(SettingsFault(("kind",), reason, hint))
        if self.weights and BY_POLICY not in scopes:
            reason = "weights tell policies apart, and no row does: [policy, labeler] is not among tables.scopes"
            hint = "add [policy, labeler] to tables.scopes, or remove weights to count all work alike"
            found.append(SettingsFault(("weights",), reason, hint))
        return found

    @property
    def weight_of_others(self) -> float:
        """The weight of a policy that is not named."""
        return 1.0 if self.other_weight is None else self.other_weight

    @model_validator(mode="after")
    def _about_people(self) -> ExposureCapRule:
        if self.scope.names != {"labeler"}:
            raise ValueError("exposure is a person's: its scope is {by: labeler} or {labeler: NAME}")
        return self


BY_PERSON = frozenset({"labeler"})
BY_POLICY = frozenset({"policy", "labeler"})
"""The scope whose rows distinguish policies. It is not a default scope, because there are as many as people times
policies."""


def evaluate(rule: ExposureCapRule, context: RuleContext) -> Iterable[Finding]:
    """Severity-weighted handle time of each selected labeller against ``rule.target`` seconds.

    With rows scoped policy × labeler (``tables.scopes`` must have them) each policy counts with its weight; without
    them policies cannot be distinguished, so all handle time counts with ``other_weight`` and the evidence says so.
    ReadableRows know handle time by the pane of the decision and count open tasks that overlap each: ``floorwatch scorecard``
    is exact. The prediction is (cap − dose) / pace of the last hour, as if nothing left the window, so it may be too
    early but not too late.

    Source: ours; dose = Σ weight · handle time, as in floorwatch/analysis/people/exposure.
    """
    people = _timed(rule, context, rule.window)
    now = _doses(rule, people)
    timed = _timed(rule, context, rule.pace_window)
    recent = _doses(rule, timed)
    lacking = {**_lacking(timed, recent), **_lacking(people, now)}

    def judge(key: str) -> Finding | None:
        scope = people[key]["scope"]
        if not rule.scope.matches(scope):
            return None
        parts, split = now.get(scope["labeler"], ({}, False))
        dose_s = sum(parts.values())
        pace = sum(recent.get(scope["labeler"], ({}, False))[0].values()) / (window_ms(PACE_WINDOW) / 1000)
        left_s = (rule.target - dose_s) / pace if pace > 0 else None
        over = dose_s >= rule.target
        soon = left_s is not None and left_s <= rule.ahead
        if not (over or soon) and scope["labeler"] in lacking:
            raise lacking[scope["labeler"]]  # what is known is too little, and no reason to say that all is well
        return Finding(
            scope=dict(scope),
            scope_key=key,
            firing=over or soon,
            value=dose_s,
            target=rule.target,
            evidence=_words(rule, context.watermark_ms, dose_s, left_s, split=split),
            since_ms=context.watermark_ms,
            figures={} if left_s is None else {"left_s": max(0.0, left_s)},
            contributors=attempt(rule, context, key, partial(_contributors, parts, dose_s)) or ()
            if split and (over or soon)
            else (),
        )

    return judged(rule, context, sorted(people), judge)


def _timed(rule: ExposureCapRule, context: RuleContext, window: str) -> ReadableRows:
    """Return the rows without those of people whose handle time cannot be read."""

    def read(row: Row) -> None:
        if row["scope"].keys() in (BY_POLICY, BY_PERSON):
            int(row["handle_ms_sum"])

    return readable(rule, context, live_rows(rule, context, "throughput", window), read)


def _lacking(rows: ReadableRows, doses: Mapping[str, tuple[dict[str, float], bool]]) -> dict[str, Exception]:
    """Return whose dose lacks something, because a row of it cannot be read, and what the row raised."""
    found = {}
    for key, error in rows.damaged.items():
        scope = scope_of_key(key) or {}
        if scope.keys() == BY_POLICY or (scope.keys() == BY_PERSON and scope["labeler"] not in doses):
            found[scope["labeler"]] = error
    return found


def _doses(rule: ExposureCapRule, rows: Mapping[str, Row]) -> dict[str, tuple[dict[str, float], bool]]:
    """Weighted seconds of each labeller by policy, and whether policies could be told apart."""
    found: dict[str, tuple[dict[str, float], bool]] = {}
    other = rule.weight_of_others
    for row in rows.values():
        scope = row["scope"]
        if scope.keys() == BY_POLICY:
            weight = (rule.weights or {}).get(scope["policy"], other)
            parts = found.setdefault(scope["labeler"], ({}, True))[0]
            parts[scope["policy"]] = weight * int(row["handle_ms_sum"]) / 1000
    for row in rows.values():
        scope = row["scope"]
        if scope.keys() == BY_PERSON and scope["labeler"] not in found:
            found[scope["labeler"]] = ({"": other * int(row["handle_ms_sum"]) / 1000}, False)
    return found


def _words(rule: ExposureCapRule, watermark_ms: int, dose_s: float, left_s: float | None, *, split: bool) -> str:
    spent = f"{duration(dose_s)} severity-weighted in {window_words(rule.window)}, the cap is {duration(rule.target)}"
    if dose_s >= rule.target:
        said = f"{spent}: reached"
    elif left_s is None:
        said = f"{spent}; nothing in the last hour"
    else:
        said = f"{spent}; reached about {instant(watermark_ms + round(left_s * 1000))} at the pace of the last hour"
    if split:
        return said
    return (
        f"{said}. No rows by policy,labeler (tables.scopes): every policy counts with weight {rule.weight_of_others:g}"
    )


def _contributors(parts: Mapping[str, float], dose_s: float) -> tuple[Contributor, ...]:
    """Policies by their share of the dose, the greatest first; the share is negated, for it makes it worse."""
    ranked = sorted(parts.items(), key=lambda item: (-item[1], item[0]))[:5]
    return tuple(
        Contributor("policy", name, -round(100 * seconds / dose_s, 2), 0, duration(seconds), share_of="exposure")
        for name, seconds in ranked
        if seconds
    )


def say(incident: Incident) -> Phrase:
    """Return ``exposure 3 h 50 min (cap 4 h)``, ``cap in 20 min``."""
    dose_s, left_s = incident.value, incident.figures.get("left_s")
    if dose_s is not None and dose_s >= incident.target:
        extra, line = "cap reached", "The cap is reached: no more hard content today."
    elif left_s is not None:
        extra = f"cap in {duration(left_s)}"
        line = f"At the pace of the last hour the cap comes in {duration(left_s)}."
    else:
        extra = line = ""
    number = "unknown" if dose_s is None else duration(dose_s)
    return phrase("exposure", number, duration(incident.target), held="cap", extra=extra, line=line)


KIND = KindSpec(
    ExposureCapRule,
    evaluate,
    "Exposure near the cap",
    say,
    {"left_s": "seconds until the cap is reached at the pace of the last hour"},
    high=True,
)
