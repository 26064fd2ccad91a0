"""Surges on the simulated floor, through the pure core and the shipped rule: told an hour before the queue breaks.

A queue with one stated promise: before its attainment breaks. The default floor, where tasks due in 15 minutes, an hour
and eight share a queue: before it gives way, for tasks due 15 minutes after they come cannot be foreseen an hour ahead.
"""

import pytest

from alerts.baseline import BaselineState
from alerts.evaluate import evaluate
from alerts.lifecycle import policy_of, step
from alerts.rules_file import default_rules
from alerts.view import MemoryRowView
from floorwatch.simulate.config import FloorConfig, parse_scenario, parse_sla
from floorwatch.simulate.simulated_floor import simulate
from streams.core.binomial import score_limits
from streams.core.facts import unpack
from streams.core.policy import HOUR_MS, MINUTE_MS, CorePolicy, Window
from streams.core.tables import window_rows
from streams.core.task_view import TaskView
from tests.core.harness import CoreRun
from tests.forecast.test_floor import START_MS
from tests.support import seeds, size

POLICY = CorePolicy(scopes=((), ("queue",)), audit_scopes=(), windows=(Window("1h", 0, HOUR_MS),))
RULE = next(rule for rule in default_rules().rules if rule.kind == "sla_breach_predicted")
QUARTER_MS = 15 * MINUTE_MS


Z_99 = 2.576


def watch(seed, hours, surge, sla=None, **more):
    """Run a floor minute by minute; returns when alarms were up, {scope key: [[from ms, until ms or None]]}, and the run."""
    settings = {"rate": 1.0, "labelers": 75, **more}
    if surge:
        settings["scenarios"] = (parse_scenario(surge),)
    if sla:
        settings["sla"] = (parse_sla(sla),)
    run, waiting, minute = CoreRun(1, POLICY), [], START_MS + HOUR_MS
    incidents, alarms = {}, {}
    for sent in simulate(FloorConfig(START_MS, hours * 3600, **settings), seed):
        waiting.append(sent.value)
        if sent.arrival_ms < minute:
            continue
        minute += MINUTE_MS
        run.send(waiting)
        waiting = []
        run.flush(0)
        watermark_ms = run.floor.watermark_ms
        rows = [window_rows(row, watermark_ms)["sla"] for row in run.floor.all_windows()]
        view = MemoryRowView({("sla", "1h"): {row["scope_key"]: row for row in rows}})
        for signal in evaluate([RULE], view, watermark_ms, BaselineState()):
            before = incidents.get(signal.scope_key)
            after = step(before, signal, policy_of(RULE))
            incidents[signal.scope_key] = after
            was_up, is_up = (one is not None and one.live for one in (before, after))
            if is_up and not was_up:
                alarms.setdefault(signal.scope_key, []).append([watermark_ms, None])
            elif was_up and not is_up:
                alarms[signal.scope_key][-1][1] = watermark_ms
    return alarms, run


def up_since_ms(alarms, at_ms):
    """When the alarm that is up at a moment was raised; None when none is up."""
    return next((since for since, until in alarms if since <= at_ms and (until is None or until > at_ms)), None)


def outcomes(run, queue):
    """(due time, whether missed) of a queue's tasks whose due time has passed, straight from their facts."""
    for packed in run.stores[0].ledger.tasks.hot.values():
        view = TaskView(unpack(packed))
        due_ms = view.promise()[1]
        if view.created is None or view.cancelled or due_ms is None or view.created.dims[3] != queue:
            continue
        if due_ms <= run.floor.watermark_ms:
            done = view.completing()
            yield due_ms, done is None or done.time_ms > due_ms


def gives_way_ms(run, queue):
    """Start of the first quarter of an hour of due times half of which were missed; None without one."""
    counts = {}
    for due_ms, missed in outcomes(run, queue):
        count = counts.setdefault(due_ms // QUARTER_MS * QUARTER_MS, [0, 0])
        count[0] += missed
        count[1] += 1
    return next((at for at in sorted(counts) if counts[at][1] >= 10 and 2 * counts[at][0] >= counts[at][1]), None)


def attainment_breaks_ms(run, queue):
    """First minute at which the share met of the tasks due in the hour before is below 95% beyond chance (Wilson, 99%)."""
    found = sorted(outcomes(run, queue))
    for at_ms in range(START_MS + HOUR_MS, run.floor.watermark_ms + 1, MINUTE_MS):
        hour = [missed for due_ms, missed in found if at_ms - HOUR_MS <= due_ms < at_ms]
        if len(hour) >= 10 and score_limits(1 - sum(hour) / len(hour), len(hour), Z_99)[1] < 0.95:
            return at_ms
    return None


# A small floor with the load of the measured one (docs/forecast.md): people follow the rate.
PROMISE = {"sla": "4h", "rate": 0.3, "labelers": 24, "order": "due"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1 + n for n in seeds(1, 3)])
def test_a_surge_is_told_an_hour_before_attainment_of_a_stated_promise_breaks(seed):
    alarms, run = watch(seed, 12.25, "queue_surge@3h+18h:queue=comments,factor=6", **PROMISE)
    breaks_ms = attainment_breaks_ms(run, "comments")
    assert breaks_ms is not None
    since_ms = up_since_ms(alarms["queue=comments"], breaks_ms)
    assert since_ms is not None, alarms
    assert alarms["queue=comments"][0][0] > START_MS + 3 * HOUR_MS, "not before the surge"
    assert breaks_ms - since_ms >= 60 * MINUTE_MS, (breaks_ms - since_ms) / MINUTE_MS


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1 + n for n in seeds(1, 3)])
def test_the_same_floor_without_a_surge_pages_nobody(seed):
    alarms, run = watch(seed, size(6, 10), None, **PROMISE)
    assert alarms == {}
    assert attainment_breaks_ms(run, "comments") is None


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1 + 2 * n for n in seeds(1, 2)])
def test_a_surge_is_told_an_hour_before_the_queue_gives_way(seed):
    alarms, run = watch(seed, 7.5, "queue_surge@3h+6h:queue=comments,factor=6")
    breach_ms = gives_way_ms(run, "comments")
    assert breach_ms is not None
    since_ms = up_since_ms(alarms["queue=comments"], breach_ms)
    assert since_ms is not None, alarms
    assert alarms["queue=comments"][0][0] > START_MS + 3 * HOUR_MS, "not before the surge"
    assert breach_ms - since_ms >= 60 * MINUTE_MS, (breach_ms - since_ms) / MINUTE_MS


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_ordinary_shift_pages_nobody():
    alarms, run = watch(3, size(4, 7), None)
    assert alarms == {}
    assert gives_way_ms(run, "comments") is None
