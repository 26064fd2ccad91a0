"""exposure_cap: somebody has seen, or will soon have seen, as much hard content as the cap allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alerts.kinds.base import Finding, RuleContext, live_rows
from alerts.rules import ExposureCapRule
from alerts.signals import Contributor
from alerts.view import Row
from streams.core.formatting import duration, instant
from streams.core.window_names import window_ms, window_words

PACE_WINDOW = "1h"
"""The window whose pace is extrapolated."""

BY_POLICY = frozenset({"policy", "labeler"})
"""The scope whose rows distinguish policies. It is not a default scope, because there are as many as people times
policies."""


def evaluate(rule: ExposureCapRule, context: RuleContext) -> Iterable[Finding]:
    """Severity-weighted handle time of each selected labeller against ``rule.target`` seconds.

    With rows scoped policy × labeler (``tables.scopes`` must have them) each policy counts with its weight; without
    them policies cannot be distinguished, so all handle time counts with ``other_weight`` and the evidence says so.
    Rows know handle time by the pane of the decision and count open tasks that overlap each: ``floorwatch scorecard``
    is exact. The prediction is (cap − dose) / pace of the last hour, as if nothing left the window, so it may be too
    early but not too late.

    Source: ours; dose = Σ weight · handle time, as in floorwatch/analysis/people/exposure.
    """
    people = live_rows(context.view, "throughput", rule.window, context.watermark_ms)
    now = _doses(rule, people)
    recent = _doses(rule, live_rows(context.view, "throughput", PACE_WINDOW, context.watermark_ms))
    for key in sorted(people):
        scope = people[key]["scope"]
        if not rule.scope.matches(scope):
            continue
        parts, split = now.get(scope["labeler"], ({}, False))
        dose_s = sum(parts.values())
        pace = sum(recent.get(scope["labeler"], ({}, False))[0].values()) / (window_ms(PACE_WINDOW) / 1000)
        left_s = (rule.target - dose_s) / pace if pace > 0 else None
        over = dose_s >= rule.target
        soon = left_s is not None and left_s <= rule.ahead
        yield Finding(
            scope=dict(scope),
            scope_key=key,
            firing=over or soon,
            value=dose_s,
            target=rule.target,
            evidence=_words(rule, context.watermark_ms, dose_s, left_s, split=split),
            since_ms=context.watermark_ms,
            contributors=_contributors(parts, dose_s) if split and (over or soon) else (),
        )


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
        if scope.keys() == {"labeler"} and scope["labeler"] not in found:
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
