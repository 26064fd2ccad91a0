"""The product's own path: events, ledger, floor, readings. Corrections leave what an uninterrupted run has."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from alerts.baseline import BaselineState
from alerts.detectors import detectors_of
from alerts.evaluate import evaluate
from alerts.rules_file import parse_rules
from alerts.view import MemoryRowView
from streams.core.detectors.bets import PaneClass
from streams.core.detectors.dispersion import NANO
from streams.core.detectors.fold import FoldState, begin, fold_pane
from streams.core.detectors.packed import accuracy_pane, critical_pane, evidence_amount, evidence_counter
from streams.core.detectors.watch import STANDS_FOR, Watch, first_pane_ms
from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.policy import DAY_MS, EVIDENCE_TIER, HOUR_MS, CorePolicy
from streams.core.rowcodec import json_bytes
from streams.core.tables import window_json, window_rows
from streams.core.time_text import rfc3339
from tests.core.floorgen import small_log
from tests.core.harness import CoreRun
from tests.core.test_exactness import crashing
from tests.support import seeds, size

START_MS = 1_795_392_000_000  # Mon 23 Nov 2026 00:00 UTC
RULES = parse_rules(
    """
rules:
- {name: floor, kind: accuracy_low, scope: all, window: 24h, budget: {per_day: 500, days: 2}}
- {name: vendor, kind: accuracy_low, scope: {by: vendor}, window: 24h, budget: {per_day: 500, days: 2}}
- {name: critical, kind: critical_errors, scope: {by: vendor}, window: 24h, budget: {per_day: 500, days: 2}}
- {name: sla, kind: sla_attainment, scope: {by: queue}, window: 8h, budget: {per_day: 96, days: 12}}
""",
).rules
POLICY = CorePolicy(detectors=detectors_of(RULES))


def event(kind: str, number: Any, task: str, at_ms: int, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{kind}-{number}",
        "source": "test",
        "type": f"floorwatch.{kind}.v1",
        "subject": task,
        "time": rfc3339(at_ms),
        "data": data,
    }


def audit(number: int, at_ms: int, *, wrong: bool, **more: Any) -> dict[str, Any]:
    judged = {"verdict": "incorrect", "error_class": "wrong_selection", "severity": "major"} if wrong else {}
    sampling = more.pop("sampling", {"method": "uniform", "probability": 0.05})
    return event(
        "audit.completed",
        more.pop("id", number),
        f"t{number}",
        at_ms,
        **{"audit_id": f"a{number}", "auditor_id": "q1", "verdict": "correct", "sampling": sampling, **judged, **more},
    )


def work(seed: int, hours: int = 40) -> list[dict[str, Any]]:
    """A floor whose vendor b goes wrong after twenty hours: labels, and their audits two hours later."""
    rng = random.Random(seed)
    found = []
    vendors = []
    for number in range(hours * 12):
        at_ms = START_MS + number * 300_000
        vendor = rng.choice("ab")
        vendors.append(vendor)
        dims = {
            "vendor": vendor,
            "queue": rng.choice(("q1", "q2")),
            "policy": "p",
            "labeler_id": f"{vendor}{number % 5}",
        }
        label = {"label_id": f"l{number}", "values": ["x"], **dims}
        due = {"created_at": rfc3339(at_ms - 60_000), "due_at": rfc3339(at_ms + rng.choice((-1, 1)) * 30_000)}
        found.append(event("label.submitted", number, f"t{number}", at_ms, **label, **due))
        if number >= 24:
            bad = vendors[number - 24] == "b" and number > 20 * 12
            wrong = rng.random() < (0.4 if bad else 0.03)
            severity = {"severity": "critical"} if wrong and rng.random() < 0.3 else {}
            found.append(audit(number - 24, at_ms, wrong=wrong, **severity))
    return found


def run(events: list[Any], *, partitions: int = 3, flush_every: int = 0, policy: CorePolicy = POLICY) -> CoreRun:
    found = CoreRun(partitions, policy)
    found.send(events, flush_every)
    found.finish()
    return found


def readings(core: CoreRun | Floor) -> dict[tuple[str, str], dict[str, Any]]:
    """Every reading by scope and rule."""
    floor = core.floor if isinstance(core, CoreRun) else core
    found = {}
    for window in floor.all_windows():
        rows = window_rows(window, floor.watermark_ms)
        assert window_json(window, floor.watermark_ms) == {table: json_bytes(row) for table, row in rows.items()}
        for row in rows.values():
            for name, reading in row.get("evidence", {}).items():
                found[row["scope_key"], name] = reading
    return found


def texts(core: CoreRun) -> list[tuple[str, str, str, int, bool]]:
    """What the alert rules say of the floor."""
    tables: dict[tuple[str, str], dict[str, Any]] = {}
    for window in core.floor.all_windows():
        for table, row in window_rows(window, core.floor.watermark_ms).items():
            tables.setdefault((table, window.window), {})[row["scope_key"]] = row
    signals = evaluate(RULES, MemoryRowView(tables), core.floor.watermark_ms, BaselineState())
    return [(s.rule, s.scope_key, s.evidence, s.since_ms, s.firing) for s in signals]


@pytest.mark.slow
def test_the_bad_vendor_fires_and_the_good_one_does_not() -> None:
    core = run(work(1))
    found = readings(core)
    assert found["vendor=b", "vendor"]["firing"]
    assert not found["vendor=a", "vendor"]["firing"]
    since_ms = found["vendor=b", "vendor"]["since_ms"]
    assert START_MS + 17 * HOUR_MS <= since_ms <= START_MS + 24 * HOUR_MS
    said = {(rule, scope): evidence for rule, scope, evidence, _, _ in texts(core)}
    assert "since Mon 23 Nov" in said["vendor", "vendor=b"]
    assert "(bar 1,000)" in said["vendor", "vendor=b"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 4))
def test_the_readings_are_the_fold_of_the_audits_by_hand(seed: int) -> None:
    """Against the fold of panes made of the events themselves."""
    events = work(seed)
    labels = {e["subject"]: e for e in events if "label_id" in e["data"] and "labeler_id" in e["data"]}
    made: dict[tuple[str, int], int] = {}
    panes: dict[tuple[str, int], dict[int | str, int]] = {}
    for e in labels.values():
        made[_place(e)] = made.get(_place(e), 0) + 1
    for e in events:
        if e["type"] == "floorwatch.audit.completed.v1":
            label = labels[e["subject"]]
            counters = panes.setdefault(_place(label), {})
            counter = evidence_counter(label["data"]["labeler_id"], "p", 20 * NANO, technical=False)
            amount = evidence_amount(wrong=e["data"]["verdict"] == "incorrect", critical=False)
            counters[counter] = counters.get(counter, 0) + amount
    model = POLICY.detectors[1].model
    assert model is not None
    states: dict[str, FoldState] = {}
    for scope, at_ms in sorted(made):
        pane, state = accuracy_pane(panes.get((scope, at_ms), {})), states.get(scope, begin(model.bets))
        states[scope], _ = fold_pane(model, state, at_ms, pane, 1000.0, STANDS_FOR * made[scope, at_ms])
    found = readings(run(events))
    for scope, state in states.items():
        reading = found[scope, "vendor"]
        assert reading["score"] == state.score
        assert (reading["units"], reading["bad"]) == (state.since_units, state.since_bad)
        assert reading["firing"] == (state.firing is not None)


def _place(label: dict[str, Any]) -> tuple[str, int]:
    """Return the scope and the hour of a label."""
    hour_ms = int(label["time"][8:10]) * DAY_MS + int(label["time"][11:13]) * HOUR_MS
    return f"vendor={label['data']['vendor']}", hour_ms


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 6))
def test_batches_and_partitions_are_invisible(seed: int) -> None:
    events = work(seed)
    rng = random.Random(seed)
    one = run(events, partitions=1)
    other = run(events, partitions=4, flush_every=rng.randint(1, 40))
    assert readings(one) == readings(other)
    assert texts(one) == texts(other)


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 12))
def test_overturned_audits_leave_what_an_uninterrupted_run_with_the_corrected_facts_has(seed: int) -> None:
    """Appeals, withdrawals and revised audits after the alarm against the same audits judged rightly at once."""
    events = work(seed)
    rng = random.Random(seed + 100)
    after_ms = START_MS + 41 * HOUR_MS
    wrong = [e for e in events if e["data"].get("verdict") == "incorrect"]
    corrections, corrected = [], {}
    for e in rng.sample(wrong, len(wrong) * 2 // 3):
        task, audit_id = e["subject"], e["data"]["audit_id"]
        number, way = task[1:], rng.choice(("appeal", "withdrawn", "again"))
        if way == "appeal":
            decided = {"appeal_id": f"p{number}", "against": "audit", "audit_id": audit_id, "outcome": "overturned"}
            corrections.append(event("appeal.decided", number, task, after_ms, **decided))
            corrected[task] = {k: v for k, v in e["data"].items() if k not in ("error_class", "severity")}
            corrected[task]["verdict"] = "correct"
        elif way == "withdrawn":
            corrections.append(event("audit.withdrawn", number, task, after_ms, audit_id=audit_id))
            corrected[task] = None
        else:
            at_ms = START_MS + (int(number) + 24) * 300_000
            corrections.append(audit(int(number), at_ms, wrong=False, id=f"{number}-again"))
            corrected[task] = corrections[-1]["data"]
    clock = event("label.submitted", "last", "tlast", after_ms, label_id="x", values=["x"], labeler_id="z", policy="p")
    whole = CoreRun(3, POLICY)
    whole.send(events, rng.randint(1, 50))
    for partition in range(3):
        whole.flush(partition)
    assert readings(whole)  # the detectors have folded what is about to change
    whole.send([*corrections, clock], rng.randint(0, 5))
    whole.finish()
    straight = []
    for e in events:
        if e["type"] != "floorwatch.audit.completed.v1" or e["subject"] not in corrected:
            straight.append(e)
        elif corrected[e["subject"]] is not None:
            straight.append({**e, "data": corrected[e["subject"]]})
    direct = run([*straight, clock])
    before = run([*events, clock])
    assert readings(whole) == readings(direct)
    assert readings(whole) != readings(before)
    stripped = [(rule, scope, since, firing) for rule, scope, _, since, firing in texts(whole)]
    assert stripped == [(rule, scope, since, firing) for rule, scope, _, since, firing in texts(direct)]
    assert texts(whole) == texts(direct)


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 16))
def test_crashes_anywhere_change_no_evidence(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.core import test_exactness

    policy = replace(test_exactness.POLICY, detectors=POLICY.detectors, horizon_ms=60 * DAY_MS)
    monkeypatch.setattr(test_exactness, "POLICY", policy)
    records = small_log(seed)
    store = test_exactness.undisturbed(records)
    crashed, _, _ = crashing(records, seed)
    counters = test_exactness.counters_of(store)
    assert any(tier == EVIDENCE_TIER for _, tier, _ in counters)
    assert counters == test_exactness.counters_of(crashed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 4))
def test_the_lanes_leave_the_same_evidence(seed: int) -> None:
    def folded(*, fast_paths: bool) -> dict[Any, Any]:
        store = new_store(0, POLICY)
        store.ledger.fast_paths = fast_paths
        core = CoreRun(1, POLICY)
        core.stores = [store]
        core.send(work(seed))
        core.finish()
        return readings(core)

    assert folded(fast_paths=True) == folded(fast_paths=False)


@pytest.mark.slow
def test_reading_along_the_way_changes_nothing() -> None:
    """A watch keeps a few states; a new floor reads everything at once."""
    events = work(3, hours=size(80, 120))
    core = CoreRun(2, POLICY)
    for at in range(0, len(events), 37):
        core.send(events[at : at + 37])
        for partition in range(2):
            core.flush(partition)
        core.floor.take_changes()
        readings(core)
    core.finish()
    assert readings(core) == readings(run(events, partitions=2))
    watch: Watch = core.floor.scopes["vendor=b"].watches[0][1]
    assert len(watch._states) <= 64


@pytest.mark.slow
def test_more_audits_are_wanted_between_the_root_of_the_bar_and_the_bar() -> None:
    events = work(1)
    seen = set()
    core = CoreRun(1, POLICY)
    for at in range(0, len(events), 25):
        core.send(events[at : at + 25])
        core.flush(0)
        for (scope, rule), reading in readings(core).items():
            wanted = rule != "sla" and not reading["firing"] and reading["score"] > reading["bar"] ** 0.5
            assert reading["wants_audits"] == wanted
            seen.add((scope, wanted))
    assert ("vendor=b", True) in seen


@pytest.mark.slow
def test_evidence_is_only_where_a_detector_looks() -> None:
    core = run(work(1))
    scopes = {key for key, state in core.floor.scopes.items() if state.panes[EVIDENCE_TIER]}
    assert scopes == {"all", "vendor=a", "vendor=b"}
    assert all(not state.panes[EVIDENCE_TIER] for state in run(work(1), policy=CorePolicy()).floor.scopes.values())


@pytest.mark.slow
def test_windows_never_see_evidence_counters() -> None:
    for window in run(work(2)).floor.all_windows():
        assert all(type(counter) is str or counter < 10_000 for counter in window.counters)


def test_technical_errors_count_for_critical_errors_only_and_targeted_audits_for_nothing() -> None:
    events = work(1, hours=1)
    at_ms = START_MS + HOUR_MS
    events.append(audit(1, at_ms, wrong=True, error_class="technical", severity="critical"))
    events.append(audit(2, at_ms, wrong=True, sampling={"method": "targeted"}))
    core = run(events)
    [(_, counters)] = [
        (at, core.floor.scopes["all"].pane_counters(EVIDENCE_TIER, at))
        for at in core.floor.scopes["all"].panes[EVIDENCE_TIER]
    ]
    assert accuracy_pane(counters) == ()
    [batch] = critical_pane(counters)
    assert (batch.units, batch.bad) == (1, 1)


def test_packed_audits_of_one_weight_add_up() -> None:
    one, other = (evidence_counter("l", "p", weight * NANO, technical=False) for weight in (20, 4))
    counters = {
        one: 3 * evidence_amount(wrong=False, critical=False) + 2 * evidence_amount(wrong=True, critical=True),
        other: evidence_amount(wrong=True, critical=False),
        evidence_counter("m", "p", 20 * NANO, technical=False): evidence_amount(wrong=False, critical=False),
        1: 7,
        "L:l": 3,
    }
    assert accuracy_pane(counters) == (PaneClass(4 * NANO, 1, 1), PaneClass(20 * NANO, 6, 2))
    assert critical_pane(counters) == (PaneClass(4 * NANO, 1, 0), PaneClass(20 * NANO, 6, 2))


def test_panes_leave_the_evidence_a_day_at_a_time_and_before_the_ledger_lets_go_of_them() -> None:
    kept_ms = 14 * DAY_MS
    for hour in range(72):
        watermark_ms = START_MS + hour * HOUR_MS
        first_ms = first_pane_ms(watermark_ms, kept_ms)
        assert first_ms % DAY_MS == 0
        assert DAY_MS <= first_ms - (watermark_ms - kept_ms) <= 2 * DAY_MS
