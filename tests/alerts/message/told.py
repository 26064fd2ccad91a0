"""What a reader is told of incidents, in tests; and one incident of every kind, made by its evaluator from rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import structs

from alerts.escape import PLAIN, Sink
from alerts.incident import Flapping, Incident, ToldReceiver
from alerts.lifecycle import IncidentPolicy, policy_of, step
from alerts.message.compose import compose_members
from alerts.message.model import Message, Reader
from alerts.message.texts import chat
from alerts.message.titles import Member
from alerts.rules import Rule
from alerts.signals import Contributor, Signal
from alerts.text import Links, Text
from tests.alerts.rows import MINUTE_MS, NOW_MS, accuracy, common, flat_baseline, one, rule, signals, sla, throughput
from tests.alerts.test_kind_breach import forecast

HOUR_MS = 60 * MINUTE_MS
BASE = IncidentPolicy(board_base_url="https://grafana.example", runbook_base_url="https://wiki.example")
KUL = Reader("Asia/Kuala_Lumpur", place="KUL")


def message_on(
    incident: Incident, step_name: str = "open", reader: Reader | None = None, links: Links | None = None
) -> Message:
    """The message of one incident."""
    return compose_members([Member(incident, step_name)], reader or Reader(), links=links)


def told(incident: Incident, step_name: str = "open", links: Links | None = None, sink: Sink = PLAIN) -> Text:
    """Its title and body for a sink."""
    return chat(message_on(incident, step_name, links=links), sink)


def pace(scope: dict[str, str], window: str, handle_ms: int, p50: float = 30_000) -> dict[str, Any]:
    """A throughput row with handle times."""
    times = {"handle_ms_sum": handle_ms, "handle_ms_p50": p50, "handle_ms_p90": 1.9 * p50}
    return {"table": "throughput", **common(scope, window), "labels": 900, "handled": 900, **times}


def _accuracy() -> tuple[Rule, Signal]:
    the_rule = rule(
        "accuracy_low", scope={"by": "vendor"}, window="8h", reference="24h", method="interval", severity="page"
    )
    rows = []
    for window, hate, ads in (("8h", (222, 300), (96, 100)), ("24h", (702, 800), (866, 900))):
        whole = tuple(map(sum, zip(hate, ads, strict=True)))
        rows += [accuracy({"vendor": "bpo-a"}, *whole, window=window, examples=["t-1001"])]
        rows += [accuracy({"vendor": "bpo-a", "queue": "hate"}, *hate, window=window)]
        rows += [accuracy({"vendor": "bpo-a", "queue": "ads"}, *ads, window=window)]
    return the_rule, _firing(the_rule, *rows)


def _critical() -> tuple[Rule, Signal]:
    the_rule = rule("critical_errors", scope={"by": "vendor"}, window="24h", method="interval", severity="page")
    return the_rule, _firing(the_rule, accuracy({"vendor": "bpo-a"}, 480, 500, critical=12, window="24h"))


def _sla() -> tuple[Rule, Signal]:
    the_rule = rule(
        "sla_attainment", scope={"by": "queue"}, window="8h", reference="24h", method="interval", severity="page"
    )
    rows: list[Any] = []
    for window, parts in (
        ("8h", {"bpo-a": (1000, 1300), "own": (1418, 126)}),
        ("24h", {"bpo-a": (6000, 1500), "own": (4000, 200)}),
    ):
        met, missed = map(sum, zip(*parts.values(), strict=True))
        rows.append(
            {**sla({"queue": "comments"}, met, missed, overdue_open=212), **common({"queue": "comments"}, window)}
        )
        for vendor, counts in parts.items():
            scope = {"vendor": vendor, "queue": "comments"}
            rows.append({**sla(scope, *counts), **common(scope, window)})
    return the_rule, _firing(the_rule, *rows)


def _throughput() -> tuple[Rule, Signal]:
    the_rule = rule("throughput_drop", scope={"by": "site"}, window="1h", min_sample=50)
    past = flat_baseline({"site=kul": [520, 530, 510, 520, 520, 520]})
    return the_rule, one(the_rule, throughput({"site": "kul"}, 310, end_ms=NOW_MS), baseline=past)


def _backlog() -> tuple[Rule, Signal]:
    the_rule = rule("backlog_age", scope={"by": "queue"}, target="24h")
    part = sla({"queue": "hate", "policy": "P1"}, 0, 0, backlog=240, oldest_open_age_ms=52 * HOUR_MS)
    return the_rule, _firing(the_rule, sla({"queue": "hate"}, 0, 0, backlog=340, oldest_open_age_ms=52 * HOUR_MS), part)


def _breach() -> tuple[Rule, Signal]:
    row = sla({"queue": "hate"}, 90, 10, backlog=1100, oldest_open_age_ms=HOUR_MS, forecast=forecast())
    the_rule = rule("sla_breach_predicted")
    return the_rule, _firing(the_rule, row)


def _overturns() -> tuple[Rule, Signal]:
    the_rule = rule("overturns_high", scope={"by": "policy"}, severity="info")
    row = accuracy({"policy": "P3"}, 0, 0, window="7d", appeals_decided=120, appeals_overturned=60)
    return the_rule, _firing(the_rule, row)


def _agreement() -> tuple[Rule, Signal]:
    the_rule = rule("agreement_low", scope={"by": "policy"}, severity="info")
    return the_rule, _firing(the_rule, accuracy({"policy": "P3"}, 0, 0, window="7d", overlapped=200, unanimous=120))


def _exposure() -> tuple[Rule, Signal]:
    gore, ana = {"policy": "gore", "labeler": "ana"}, {"labeler": "ana"}
    rows = (pace(ana, "24h", 3 * HOUR_MS), pace(gore, "24h", 3 * HOUR_MS), pace(gore, "1h", HOUR_MS // 2))
    the_rule = rule("exposure_cap")
    return the_rule, _firing(the_rule, *rows)


def _rushing() -> tuple[Rule, Signal]:
    the_rule = rule("rushing", severity="info")
    ana = {"labeler": "ana"}
    rows = [
        pace(ana, "24h", HOUR_MS, 20_000),
        pace(ana, "7d", HOUR_MS, 30_000),
        pace({}, "24h", HOUR_MS),
        pace({}, "7d", HOUR_MS),
    ]
    rows += [accuracy(ana, 150, 200, window="24h"), accuracy(ana, 2050, 2200, window="7d")]
    return the_rule, _firing(the_rule, *rows)


def _firing(the_rule: Rule, *rows: Any) -> Signal:
    return next(found for found in signals(the_rule, *rows) if found.firing)


MAKERS: dict[str, Callable[[], tuple[Rule, Signal]]] = {
    "accuracy_low": _accuracy,
    "critical_errors": _critical,
    "sla_attainment": _sla,
    "throughput_drop": _throughput,
    "backlog_age": _backlog,
    "sla_breach_predicted": _breach,
    "overturns_high": _overturns,
    "agreement_low": _agreement,
    "exposure_cap": _exposure,
    "rushing": _rushing,
}


def incident_of_kind(kind: str) -> Incident:
    """An open incident of a kind."""
    the_rule, signal = MAKERS[kind]()
    if not signal.firing:
        raise RuntimeError(f"{kind} should fire: {signal.evidence}")
    incident, policy = None, structs.replace(policy_of(the_rule, BASE), open_after=1)
    incident = step(incident, signal, policy)
    if incident is None:
        raise RuntimeError("it should be open")
    return incident


def at_step(incident: Incident, step_name: str) -> Incident:
    """An incident as of a step: it has gone on for a while, or is over."""
    later_ms = incident.updated_ms + 35 * MINUTE_MS
    match step_name.split("-", maxsplit=1)[0]:
        case "escalated":
            return structs.replace(incident, state="escalated", tier=1, updated_ms=later_ms)
        case "reminder":
            told = ToldReceiver("channel:ops", ("ops",), "g:1", step_name, NOW_MS + 2 * HOUR_MS + 5_000, "")
            return structs.replace(incident, timer_ms=NOW_MS, told_people=(told,))
        case "resolved":
            return structs.replace(
                incident, state="resolved", resolved_ms=later_ms, updated_ms=later_ms, acknowledged_by="mei"
            )
        case "flapping":
            times = tuple(NOW_MS + 40 * MINUTE_MS * number for number in range(4))
            return structs.replace(incident, reopened=4, reopened_at_ms=times, flapping=Flapping(4, HOUR_MS))
        case "reopened":
            return structs.replace(incident, reopened=1)
        case _:
            return incident


STEPS = ("open", "escalated-0-1", "reminder-0-2", "reopened-1", "flapping-4", "resolved-0")

__all__ = ["KUL", "MAKERS", "STEPS", "Contributor", "at_step", "incident_of_kind", "message_on", "told"]
