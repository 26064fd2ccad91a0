"""sla_breach_predicted: a queue's open work will not fit into its pace before it is due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from alerts.contributors import children, rank
from alerts.incident import Incident
from alerts.kinds.base import Finding, KindSpec, RuleContext, examples
from alerts.kinds.judged import attempt, judged, live_rows
from alerts.kinds.words import Phrase, count, figure, phrase
from alerts.rules import DurationS, Rule, Selector
from alerts.scopes import scope_key
from alerts.signals import Contributor
from alerts.view import Row, instant_ms
from streams.core.forecast.observe import FORECAST_WINDOW, has_forecast
from streams.core.formatting import duration, instant, plural


class SlaBreachPredictedRule(Rule):
    """Fires when a queue's open work will not fit into its pace before it is due, within ``target`` (a duration) from now.

    Evaluated once a minute: ``for`` 10 and ``resolve_for`` 30 are the two and six evaluations, five minutes apart, whose
    precision and lead are known (docs/forecast.md).
    """

    tables_read: ClassVar[tuple[str, ...]] = ("sla",)
    kind: Literal["sla_breach_predicted"]
    scope: Selector = Selector(by=("queue",))
    target: DurationS = 28_800
    for_evaluations: int = Field(default=10, ge=1, le=1000, alias="for")
    resolve_for: int = Field(default=30, ge=1, le=1000)
    min_sample: int = Field(
        default=10, ge=1, description="Least shortfall in tasks: fewer are the chance of a few minutes."
    )

    @model_validator(mode="after")
    def _about_queues(self) -> SlaBreachPredictedRule:
        if self.scope.names != {"queue"}:
            raise ValueError("a breach is forecast per queue: its scope is {by: queue} or {queue: NAME}")
        if not has_forecast(self.window):
            raise ValueError(f"the forecast stands in the rows of window {FORECAST_WINDOW}")
        return self


def evaluate(rule: SlaBreachPredictedRule, context: RuleContext) -> Iterable[Finding]:
    """Forecast of each selected queue: fires when a breach lies within ``rule.target`` and is short by ``min_sample``.

    The test is made with the row (docs/forecast.md): open work by due time against pace or roster. Its two evaluations
    in a row and six to clear, five minutes apart, are ``for: 10`` and ``resolve_for: 30`` once a minute.
    """
    rows = live_rows(rule, context, "sla", rule.window)

    def judge(key: str) -> Finding | None:
        row = rows[key]
        forecast = row.get("forecast")
        if not forecast or not rule.scope.matches(row["scope"]):
            return None
        breach_at = forecast["breach_at"]
        ahead_s = None
        if breach_at is not None:
            ahead_s = max(0.0, (instant_ms(breach_at) - context.watermark_ms) / 1000)
        firing = ahead_s is not None and ahead_s <= rule.target and forecast["shortfall"] >= rule.min_sample
        return Finding(
            scope=dict(row["scope"]),
            scope_key=key,
            firing=firing,
            value=ahead_s,
            target=rule.target,
            evidence=evidence(row),
            figures=figures(forecast),
            since_ms=context.watermark_ms,
            contributors=attempt(rule, context, key, lambda: _contributors(rule, context, row, rows)) or ()
            if firing
            else (),
            examples=examples(row),
        )

    return judged(rule, context, sorted(rows), judge)


def figures(forecast: Row) -> dict[str, float]:
    """Return the tasks that will be late, and the open and overdue ones now."""
    open_tasks = sum(tasks for _, tasks in forecast["open_by_due"])
    return {"late": forecast["shortfall"] or 0, "open": open_tasks, "overdue": forecast["overdue"] or 0}


def evidence(row: Row) -> str:
    """The forecast of a row in words."""
    forecast = row["forecast"]
    open_tasks = sum(tasks for _, tasks in forecast["open_by_due"])
    late = f", {forecast['overdue']:,} of them overdue" if forecast["overdue"] else ""
    work = f"{plural(open_tasks, 'task')} open{late}"
    rate = forecast["tasks_per_hour"]
    if rate is None:
        return f"{work}; nothing was completed in the last hour, so there is no pace to forecast by"
    basis = "by the roster" if forecast["basis"] == "roster" else "at the pace of the last hour"
    pace = f"{work}; {basis} {rate:,.0f} an hour are completed"
    return f"{pace}: {_when(forecast)}{_short(forecast)}"


def _when(forecast: Row) -> str:
    """From when on due times are missed, by the order in which tasks are taken."""
    by_due, by_arrival = (forecast.get(name) for name in ("breach_at", "breach_at_by_arrival"))
    spare = forecast["spare"]
    room = f", with {spare:,.0f} tasks to spare" if spare is not None and by_due is None else ""
    if by_due is None:
        if by_arrival is None:
            return f"every due time can be met{room}"
        return (
            f"every due time can be met if the earliest due is taken first{room}; in order of arrival due times will be missed from "
            f"{instant(instant_ms(by_arrival))} on"
        )
    first = _first(forecast)
    if by_arrival is None or by_arrival == by_due:
        return first
    return f"{first} if the earliest due is taken first, from {instant(instant_ms(by_arrival))} on in order of arrival"


def _first(forecast: Row) -> str:
    """From when on due times are missed, the earliest due taken first: as a range where one is told."""
    low, high = forecast.get("breach_at_low"), forecast.get("breach_at_high")
    if low is None or low == high:
        return f"due times will be missed from {instant(instant_ms(forecast['breach_at']))} on"
    if high is None:
        return f"due times will be missed from {instant(instant_ms(low))} on or from some time later"
    return (
        f"due times will be missed from some time between {instant(instant_ms(low))} and {instant(instant_ms(high))} on"
    )


def _short(forecast: Row) -> str:
    """How many tasks will be late in any order; nothing where that follows only from tasks still to come."""
    if forecast["shortfall_at"] is None:
        return ""
    due_by = sum(tasks for due, tasks in forecast["open_by_due"] if due <= forecast["shortfall_at"])
    with_late = " (the overdue with them)" if forecast["overdue"] else ""
    return (
        f"; of {due_by:,} due by {instant(instant_ms(forecast['shortfall_at']))}{with_late}, {forecast['shortfall']:,.0f} will not be "
        "done in time, whatever the order"
    )


def _contributors(
    rule: SlaBreachPredictedRule, context: RuleContext, row: Row, rows: Mapping[str, Row]
) -> tuple[Contributor, ...]:
    """Where the open work is: parts by their share of the backlog, negated. A part that cannot be read is left out."""
    backlog, found = int(row.get("backlog") or 0), []

    def part_of(dimension: str, value: str, part: Row) -> Contributor | None:
        count, age_ms = int(part.get("backlog") or 0), int(part.get("oldest_open_age_ms") or 0)
        if not count or not backlog:
            return None
        detail = f"{plural(count, 'open task')}, oldest {duration(age_ms / 1000)}"
        return Contributor(dimension, value, -round(100 * count / backlog, 2), count, detail, share_of="backlog")

    for dimension, parts in children(row["scope"], rows).items():
        for value, part in parts.items():
            one = attempt(rule, context, scope_key(part["scope"]), partial(part_of, dimension, value, part))
            if one is not None:
                found.append(one)
    return rank(found)


def say(incident: Incident) -> Phrase:
    """Return ``SLA will be missed in 1 h 5 min (horizon 8 h)``, ``46 too many``."""
    late, overdue = figure(incident, "late"), figure(incident, "overdue")
    if incident.value is None:
        return phrase("SLA can be met:", "no", duration(incident.target), after="breach", held="horizon")
    line = f"Open: {count(incident, 'open')}" if figure(incident, "open") is not None else ""
    line += f", {overdue:,} of them late already" if line and overdue else ""
    line += f"; {late:,} more will be late at this pace" if line and late else ""
    begin, when = (
        ("SLA will be missed in", duration(incident.value))
        if incident.value >= 60
        else ("SLA is missed", "from now on")
    )
    return phrase(
        begin,
        when,
        duration(incident.target),
        held="horizon",
        extra=f"{late:,} too many" if late else "",
        line=f"{line}." if line else "",
    )


KIND = KindSpec(
    SlaBreachPredictedRule,
    evaluate,
    "SLA will be missed",
    say,
    {
        "late": "open tasks that will not be done in time, whatever the order",
        "open": "open tasks",
        "overdue": "open tasks that are past due",
    },
)
