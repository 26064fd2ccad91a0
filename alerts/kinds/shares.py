"""Common part of the kinds that hold a share of good outcomes against a target by its Wilson interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from alerts.contributors import Cell, share_contributors
from alerts.kinds.base import Context, Finding, examples, live_rows
from alerts.rules import AccuracyLowRule, CriticalErrorsRule, SlaAttainmentRule
from alerts.signals import Contributor
from alerts.statistics import wilson
from alerts.view import Row, instant_ms

ShareRule = AccuracyLowRule | CriticalErrorsRule | SlaAttainmentRule


class Share(Struct, frozen=True):
    """How a kind reads its table and speaks of it.

    ``good_target`` is the least good share. ``value`` is the number shown for a cell (None when empty), ``sentence``
    the evidence, ``part`` a contributor's share, ``noun`` what is counted.
    """

    table: str
    noun: str
    good_target: float
    read: Callable[[Row], Cell]
    value: Callable[[Cell], float]
    sentence: Callable[[Row, Cell, tuple[float, float]], str]
    part: Callable[[Cell], str]


def evaluate_share(rule: ShareRule, context: Context, share: Share) -> Iterable[Finding]:
    """One finding per selected row: firing when the interval's upper end is below ``share.good_target``.

    Equality is not evidence: an interval that just reaches the target does not fire.
    """
    rows = live_rows(context.view, share.table, rule.window, context.watermark_ms)
    reference: Mapping[str, Row] = {}
    if rule.reference is not None:
        reference = live_rows(context.view, share.table, rule.reference, context.watermark_ms)
    for key in sorted(rows):
        row = rows[key]
        if not rule.scope.matches(row["scope"]):
            continue
        cell = share.read(row)
        ends = wilson(cell.good, cell.total)
        enough = cell.total >= rule.min_sample
        firing = enough and ends[1] < share.good_target
        parts: tuple[Contributor, ...] = ()
        if firing:
            parts = share_contributors(
                row["scope"],
                rows,
                reference=reference,
                read=share.read,
                target=share.good_target,
                words=share.part,
            )
        yield Finding(
            scope=dict(row["scope"]),
            scope_key=key,
            firing=firing,
            value=share.value(cell) if cell.total else None,
            target=rule.target,
            evidence=_evidence(rule, share, row, cell, ends),
            since_ms=instant_ms(row["start"]),
            contributors=parts,
            examples=examples(row),
        )


def _evidence(rule: ShareRule, share: Share, row: Row, cell: Cell, ends: tuple[float, float]) -> str:
    if not cell.total:
        return f"no {share.noun} in the last {rule.window}"
    sentence = share.sentence(row, cell, ends)
    if cell.total < rule.min_sample:
        return f"{sentence}; too few to judge ({rule.min_sample} {share.noun} needed)"
    return sentence
