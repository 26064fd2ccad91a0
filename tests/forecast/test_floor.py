"""The forecast of the floor's rows: open work as the facts say it, and the surge seen ahead."""

from datetime import UTC, datetime

import pytest

from floorwatch.simulate.config import FloorConfig, parse_scenario
from floorwatch.simulate.simulated_floor import simulate
from streams.core.facts import unpack
from streams.core.forecast.observe import QueueTally, open_by_due
from streams.core.policy import MINUTE_MS, CorePolicy
from streams.core.tables import window_rows
from streams.core.task_view import TaskView
from tests.core.harness import CoreRun, tick

START_MS = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000)
POLICY = CorePolicy(scopes=((), ("queue",)))
HOUR_MS = 3_600_000


def floor(seed, hours, *scenarios, rate=1.0, labelers=150):
    found = tuple(parse_scenario(text) for text in scenarios)
    return simulate(FloorConfig(START_MS, hours * 3600, rate, labelers=labelers, scenarios=found), seed)


def forecasts(run):
    """The forecast of each queue's row, as the table shows it."""
    found = {}
    for row in run.floor.all_windows():
        sla = window_rows(row, run.floor.watermark_ms).get("sla")
        if sla is not None and sla["forecast"] is not None:
            assert (row.window, tuple(sla["scope"])) == ("1h", ("queue",))
            found[sla["scope"]["queue"]] = sla["forecast"]
    return found


def open_by_the_facts(run, queue):
    """(due time, open) of a queue's tasks, straight from their facts."""
    found = []
    for store in run.stores:
        for packed in store.ledger.tasks.hot.values():
            view = TaskView(unpack(packed))
            due_ms = view.promise()[1]
            if view.created is None or view.cancelled or due_ms is None or view.created.dims[3] != queue:
                continue
            if view.completing() is None:
                found.append(due_ms)
    return sorted(found)


@pytest.fixture(scope="module")
def half_way():
    """A floor in the middle of its work, in two partitions and uneven flushes."""
    run = CoreRun(2, POLICY)
    run.send([sent.value for sent in floor(4, 5, rate=0.5)], flush_every=173)
    for partition in range(2):
        run.flush(partition)
    return run


@pytest.mark.slow
def test_open_work_is_what_the_facts_say(half_way):
    watermark_ms = half_way.floor.watermark_ms
    half_way.floor.absorb()
    seen = 0
    for key, state in half_way.floor.scopes.items():
        if state.queue is None:
            assert key == "all" or state.audits_only
            continue
        due = open_by_the_facts(half_way, state.scope["queue"])
        buckets = open_by_due(state.queue, watermark_ms)
        assert sum(bucket.tasks for bucket in buckets) == len(due), key
        together = 0
        for bucket in buckets:
            together += bucket.tasks
            if bucket.due_ms <= watermark_ms + 3 * HOUR_MS:
                # By the minute, as panes tell it; a bucket holds what falls due up to and with its end.
                by_then = [at for at in due if at // MINUTE_MS * MINUTE_MS <= bucket.due_ms]
                assert together == len(by_then), (key, bucket)
                seen += 1
    assert seen > 50


@pytest.mark.slow
def test_the_running_sums_are_a_fresh_sum(half_way):
    half_way.floor.absorb()
    for state in half_way.floor.scopes.values():
        if state.queue is None:
            continue
        fresh = QueueTally()
        for tier in range(3):
            for pane_ms in state.panes[tier]:
                fresh.note(tier, pane_ms, state.pane_counters(tier, pane_ms), {})
        for name in QueueTally.__slots__:
            assert getattr(fresh, name) == getattr(state.queue, name), name


@pytest.mark.slow
def test_nothing_past_its_due_time_is_taken_for_open_work_ahead(half_way):
    half_way.floor.absorb()
    size_ms = (MINUTE_MS, 15 * MINUTE_MS, HOUR_MS)
    for state in half_way.floor.scopes.values():
        for tier, counts in enumerate(state.queue.open_due if state.queue is not None else ()):
            assert [at for at in counts if at + size_ms[tier] <= half_way.floor.watermark_ms] == []


@pytest.mark.slow
def test_how_the_log_was_cut_is_invisible(half_way):
    once = CoreRun(2, POLICY)
    once.send([sent.value for sent in floor(4, 5, rate=0.5)])
    for partition in range(2):
        once.flush(partition)
    assert forecasts(once) == forecasts(half_way)
    assert len(forecasts(once)) == 20


def test_a_task_due_at_the_full_hour_is_due_then():
    tally = QueueTally()
    from streams.core import counters as c

    tally.note(0, 12 * HOUR_MS, {c.DUE: 1}, {})
    assert [bucket.due_ms for bucket in open_by_due(tally, 11 * HOUR_MS)] == [12 * HOUR_MS]
    assert open_by_due(tally, 12 * HOUR_MS + 1)[0].due_ms == 12 * HOUR_MS + 5 * MINUTE_MS


@pytest.mark.slow
def test_what_was_published_last_is_the_present_even_when_only_time_moves():
    run = CoreRun(1, POLICY)
    published = {}
    events = [sent.value for sent in floor(4, 1.5, rate=0.3)]
    silence = [tick(START_MS + round(1.5 * HOUR_MS) + step * 7 * MINUTE_MS) for step in range(1, 45)]
    cuts = [events[at : at + 97] for at in range(0, len(events), 97)] + [[one] for one in silence]
    for number, part in enumerate(cuts):
        run.send(part)
        run.flush(0)
        for row in run.floor.take_changes()[0]:
            sla = window_rows(row, run.floor.watermark_ms).get("sla")
            if sla is not None and sla["forecast"] is not None:
                published[sla["scope"]["queue"]] = sla["forecast"]
        if number % 5 == 0 or number > len(cuts) - 30:
            assert published == forecasts(run), number
    assert any(found["overdue"] for found in published.values())
