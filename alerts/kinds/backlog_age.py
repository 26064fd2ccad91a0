"""backlog_age: the oldest open task has waited too long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from alerts.contributors import children
from alerts.incident import Incident
from alerts.kinds.base import Finding, KindSpec, RuleContext, examples
from alerts.kinds.judged import attempt, judged, readable
from alerts.kinds.words import Phrase, count, figure, phrase
from alerts.rules import DurationS, Rule
from alerts.scopes import scope_key
from alerts.signals import Contributor
from alerts.view import Row
from streams.core.formatting import duration, plural


class BacklogAgeRule(Rule):
    """Fires when the oldest open task is older than ``target`` (a duration), counted from the begin of the minute of its creation."""

    tables_read: ClassVar[tuple[str, ...]] = ("sla",)
    kind: Literal["backlog_age"]
    target: DurationS = 86_400
    min_sample: int = Field(default=1, ge=1, description="Least open tasks.")


def evaluate(rule: BacklogAgeRule, context: RuleContext) -> Iterable[Finding]:
    """Age of the oldest open task of each selected scope against ``rule.target`` seconds.

    Backlog is a state and not a sum over a window, so an old row is still right. Contributors are the parts whose own
    oldest task is over the target too; their ``effect_pp`` is their share of the backlog, negated.
    """
    rows = readable(rule, context, context.view.rows("sla", rule.window))

    def judge(key: str) -> Finding | None:
        row = rows[key]
        if not rule.scope.matches(row["scope"]):
            return None
        backlog = int(row.get("backlog") or 0)
        age_ms = int(row.get("oldest_open_age_ms") or 0)
        firing = backlog >= rule.min_sample and age_ms > rule.target * 1000
        evidence = (
            f"oldest open task has waited {duration(age_ms / 1000)}, at most {duration(rule.target)} wanted; "
            f"{plural(backlog, 'task')} open"
            if backlog
            else "no open tasks"
        )
        parts = (attempt(rule, context, key, lambda: _parts_too_old(rule, context, row, rows)) or []) if firing else []
        return Finding(
            scope=dict(row["scope"]),
            scope_key=key,
            firing=firing,
            value=age_ms / 1000 if backlog else None,
            target=rule.target,
            evidence=evidence,
            since_ms=context.watermark_ms - age_ms,
            contributors=tuple(sorted(parts, key=lambda part: (part.effect_pp, part.dimension, part.value))[:5]),
            examples=examples(row),
            figures={"open": backlog},
        )

    return judged(rule, context, sorted(rows), judge)


def _parts_too_old(rule: BacklogAgeRule, context: RuleContext, row: Row, rows: Mapping[str, Row]) -> list[Contributor]:
    """Return the parts whose own oldest task is over the target. A part that cannot be read is left out."""
    backlog, found = int(row["backlog"]), []

    def part_of(dimension: str, value: str, part: Row) -> Contributor | None:
        age_ms, tasks = int(part.get("oldest_open_age_ms") or 0), int(part.get("backlog") or 0)
        if age_ms <= rule.target * 1000 or not tasks:
            return None
        effect_pp = -round(100 * tasks / backlog, 2)
        detail = f"oldest {duration(age_ms / 1000)}"
        return Contributor(dimension, value, effect_pp, tasks, detail, share_of="backlog")

    for dimension, by_value in children(row["scope"], rows).items():
        for value, part in by_value.items():
            one = attempt(rule, context, scope_key(part["scope"]), partial(part_of, dimension, value, part))
            if one is not None:
                found.append(one)
    return found


def say(incident: Incident) -> Phrase:
    """Return ``oldest task 2 d 4 h (at most 1 d)``, ``340 open``."""
    number = "none" if incident.value is None else duration(incident.value)
    return phrase(
        "oldest task",
        number,
        duration(incident.target),
        held="at most",
        extra=count(incident, "open", "open"),
        line=f"The oldest of {plural(waiting, 'open task')} has waited {number}."
        if (waiting := figure(incident, "open"))
        else "",
    )


KIND = KindSpec(BacklogAgeRule, evaluate, "Backlog is too old", say, {"open": "open tasks"}, high=True)
