"""rushing: somebody got faster against everybody on the same work, and makes more errors than before."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar, Literal

from msgspec import Struct
from pydantic import Field, model_validator

from alerts.incident import Incident
from alerts.kinds.base import Finding, KindSpec, RuleContext, begun_anew, examples
from alerts.kinds.judged import ReadableRows, judged, live_rows
from alerts.kinds.words import Phrase, phrase
from alerts.rules import MinZ, Ratio, Rule, Selector
from alerts.scopes import scope_key
from alerts.view import Row, instant_ms
from config.tables import WindowName
from streams.core.estimates import accuracy_share, row_without
from streams.core.formatting import percent, plural
from streams.core.proportions import Interval, difference_of
from streams.core.window_names import window_ms, window_words


class RushingRule(Rule):
    """Fires when handle time is at most ``target`` of before against everybody, and the person's accuracy fell."""

    tables_read: ClassVar[tuple[str, ...]] = ("throughput", "accuracy")
    kind: Literal["rushing"]
    scope: Selector = Selector(by=("labeler",))
    window: WindowName = "24h"
    reference: WindowName = Field(default="7d", description="The longer window to compare with.")
    target: Ratio = 0.9
    min_z: MinZ = 5.0
    min_sample: int = Field(default=100, ge=2, description="Least timed labels in each of the four medians compared.")

    @model_validator(mode="after")
    def _about_people(self) -> RushingRule:
        if "labeler" not in self.scope.names:
            raise ValueError("rushing is a person's: its scope names labeler, e.g. {by: [queue, policy, labeler]}")
        if window_ms(self.reference) <= window_ms(self.window):
            raise ValueError("the reference must be longer than the window")
        return self


_ERROR_OF_MEDIAN = math.sqrt(math.pi / 2)
"""Standard error of a median in units of that of a mean, for a normal distribution: here of log times.

Source: Kendall, Stuart, The Advanced Theory of Statistics 1 (1969), section 10.10."""
_Z_90 = 1.2815515655446004
_Z_50_TO_90_LEAST = 0.05


class _PaceChange(Struct, frozen=True):
    """exp(shift) against everybody and its size in standard errors."""

    ratio: float
    z: float


def evaluate(rule: RushingRule, context: RuleContext) -> Iterable[Finding]:
    """Median handle time of each selected labeller's scope against its reference, less what everybody's did.

    Fires when the shift is at most ``rule.target`` and ``min_z`` errors from chance *and* the labeller's accuracy fell
    beyond chance (the interval to judge by of window against the rest of the reference lies below 0; random audits, weighed, so
    that nobody got worse because auditors picked other labels). ReadableRows do not know whether
    it was the fast labels that were wrong; ``floorwatch scorecard`` does. ReadableRows hold quantiles, so the error is that of
    medians of log-normal times, σ = ln(p90/p50)/1.2816. Select ``{by: [queue, policy, labeler]}`` to hold the mix fixed.
    """
    now = live_rows(rule, context, "throughput", rule.window)
    before = live_rows(rule, context, "throughput", rule.reference)
    audits = live_rows(rule, context, "accuracy", rule.window)
    audits_before = live_rows(rule, context, "accuracy", rule.reference)

    def judge(key: str) -> Finding | None:
        row = now[key]
        if not rule.scope.matches(row["scope"]):
            return None
        shift = _shift(rule, row, now, before)
        person = scope_key({"labeler": row["scope"]["labeler"]})
        change = _change(audits.one(person), audits_before.one(person))
        faster = shift is not None and shift.ratio <= rule.target and shift.z <= -rule.min_z
        return Finding(
            scope=dict(row["scope"]),
            scope_key=key,
            firing=faster and change is not None and change.high < 0,
            value=shift.ratio if shift is not None else None,
            target=rule.target,
            evidence=_words(rule, row, shift, change),
            figures={} if change is None else {"accuracy_points": round(change.value * 100, 1)},
            since_ms=instant_ms(row["start"]),
            holds=begun_anew(rule.window, int(row["handled"]), rule.min_sample),
            examples=examples(audits[person]) if person in audits else (),
        )

    return judged(rule, context, sorted(now), judge)


def _shift(rule: RushingRule, row: Row, now: ReadableRows, before: ReadableRows) -> _PaceChange | None:
    parent = scope_key({name: value for name, value in row["scope"].items() if name != "labeler"})
    four = (row, before.one(row["scope_key"]), now.one(parent), before.one(parent))
    total, variance = 0.0, 0.0
    for sign, one in zip((1, -1, -1, 1), four, strict=True):
        if one is None or int(one["handled"]) < rule.min_sample or not one["handle_ms_p50"]:
            return None
        middle = math.log(one["handle_ms_p50"])
        sigma = max(_Z_50_TO_90_LEAST, (math.log(one["handle_ms_p90"]) - middle) / _Z_90)
        total += sign * middle
        variance += (_ERROR_OF_MEDIAN * sigma) ** 2 / int(one["handled"])
    return _PaceChange(math.exp(total), total / math.sqrt(variance))


def _change(now: Row | None, reference: Row | None) -> Interval | None:
    """How the accuracy changed, by random audits. The reference includes the window, which is subtracted first."""
    earlier = row_without(reference, now) if now is not None and reference is not None else None
    if now is None or earlier is None:
        return None
    sides = [accuracy_share(one) for one in (now, earlier)]
    found = [Interval(side.estimate.value, *side.limits()) for side in sides if side is not None]
    return difference_of(*found) if len(found) == 2 else None


def _words(rule: RushingRule, row: Row, shift: _PaceChange | None, change: Interval | None) -> str:
    if shift is None:
        return f"{plural(int(row['handled']), 'timed label')} in {window_words(rule.window)}: too few, now or before, to judge"
    fixed = {"queue", "policy"} <= row["scope"].keys()
    mix = (
        "on the same queue and policy"
        if fixed
        else "whatever the mix of work (select queue, policy, labeler to fix it)"
    )
    pace = f"{shift.ratio:.2f}× the handle time of {window_words(rule.reference)} against everybody, {mix}; z {shift.z:.1f}"
    if change is None:
        return f"{pace}; too few audits to say whether errors rose"
    ends = f"{change.low * 100:+.1f} to {change.high * 100:+.1f}"
    return (
        f"{pace}; accuracy {change.value * 100:+.1f} points (95% interval {ends}); alarm at {percent(rule.target)}, "
        f"z -{rule.min_z:g} and accuracy down beyond chance"
    )


def say(incident: Incident) -> Phrase:
    """Return ``72% of the usual time a task (alarm at 90%)``, ``accuracy -4.1 points``."""
    number = "unknown" if incident.value is None else percent(incident.value, 0)
    points = incident.figures.get("accuracy_points")
    return phrase(
        "",
        number,
        percent(incident.target, 0),
        after="of the usual time a task",
        held="alarm at",
        extra="" if points is None else f"accuracy {points:+.1f} points",
        line="Faster than everybody on the same work, and more of it is wrong."
        if points is not None and points < 0
        else "",
    )


KIND = KindSpec(
    RushingRule,
    evaluate,
    "Faster, with more errors",
    say,
    {"accuracy_points": "percentage points by which accuracy changed"},
    coaching=True,
)
