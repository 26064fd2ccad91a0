"""A surge on the simulated floor, through the pure core and the shipped rule: told an hour before the queue gives way.

A queue gives way when half of what falls due in a quarter of an hour is missed. Tasks due 15 minutes after they come
cannot be foreseen an hour ahead by anybody; those due in an hour and in eight can.
"""

import pytest

from alerts.baseline import BaselineState
from alerts.evaluate import evaluate
from alerts.policy import policy_of, step
from alerts.rules_file import default_rules
from alerts.view import MemoryRowView
from floorwatch.simulate.config import FloorConfig, parse_scenario
from floorwatch.simulate.floor import simulate
from streams.core.effects import TaskView
from streams.core.facts import unpack
from streams.core.policy import HOUR_MS, MINUTE_MS, CorePolicy, Window
from streams.core.tables import window_rows
from tests.core.harness import CoreRun
from tests.forecast.test_floor import START_MS

POLICY = CorePolicy(scopes=((), ("queue",)), audit_scopes=(), windows=(Window("1h", 0, HOUR_MS),))
RULE = next(rule for rule in default_rules().rules if rule.kind == "sla_breach_predicted")
QUARTER_MS = 15 * MINUTE_MS


def watch(seed, hours, surge):
    """Run a floor minute by minute; returns (opened at, by scope key) in ms and the run."""
    scenarios = (parse_scenario(surge),) if surge else ()
    config = FloorConfig(START_MS, hours * 3600, 1.0, labelers=75, scenarios=scenarios)
    run, waiting, minute = CoreRun(1, POLICY), [], START_MS + HOUR_MS
    incidents, opened = {}, {}
    for sent in simulate(config, seed):
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
            after, _ = step(before, signal, policy_of(RULE))
            incidents[signal.scope_key] = after
            if after is not None and after.live and not (before is not None and before.live):
                opened.setdefault(signal.scope_key, watermark_ms)
    return opened, run


def gives_way_ms(run, queue):
    """Start of the first quarter of an hour of due times half of which were missed; None without one."""
    counts = {}
    for packed in run.stores[0].ledger.tasks.hot.values():
        view = TaskView(unpack(packed))
        due_ms = view.promise()[1]
        if view.created is None or view.cancelled or due_ms is None or view.created.dims[3] != queue:
            continue
        if due_ms > run.floor.watermark_ms:
            continue
        done = view.completing()
        missed = done is None or done.time_ms > due_ms
        count = counts.setdefault(due_ms // QUARTER_MS * QUARTER_MS, [0, 0])
        count[0] += missed
        count[1] += 1
    return next((at for at in sorted(counts) if counts[at][1] >= 10 and 2 * counts[at][0] >= counts[at][1]), None)


@pytest.mark.parametrize("seed", [1, 3])
def test_a_surge_is_told_an_hour_before_the_queue_gives_way(seed):
    opened, run = watch(seed, 7.5, "queue_surge@3h+6h:queue=comments,factor=6")
    breach_ms = gives_way_ms(run, "comments")
    assert breach_ms is not None
    assert opened["queue=comments"] > START_MS + 3 * HOUR_MS, "not before the surge"
    assert breach_ms - opened["queue=comments"] >= 60 * MINUTE_MS, (breach_ms - opened["queue=comments"]) / MINUTE_MS


def test_an_ordinary_shift_pages_nobody():
    opened, run = watch(3, 7, None)
    assert opened == {}
    assert gives_way_ms(run, "comments") is None
