"""When the first due time is missed: by due time and in order of arrival, by hand and against queues that are followed."""

import numpy as np
import pytest
from msgspec.structs import replace

from alerts.kinds.sla_breach_predicted import evidence
from floorwatch.cli.forecast import forecast_table
from floorwatch.sims import breach_time
from floorwatch.sims.breach_time import SEVERAL, SINGLE, Followed, ToldTimes, follow
from floorwatch.sims.queue_day import QueuePanes
from streams.core import counters as c
from streams.core.forecast.breach_times import BreachTimes, _finer, _shortest_promise_ms, breach_times, open_by_creation
from streams.core.forecast.first_late import Begun, Coming, Dated, HandleTimes, first_miss_by_arrival, first_miss_by_due
from streams.core.forecast.observe import outlook, outlook_row, worked
from streams.core.forecast.supply import steady
from streams.models.timestamps import parse_rfc3339_ms

MIN = 60_000
HOUR = 60 * MIN
NOW = 100 * HOUR
QUICK = HandleTimes([(1.0, 100)])


def begun(per_hour, handle_ms=0.0):
    return Begun(NOW, steady(NOW, NOW + 30 * HOUR, per_hour), handle_ms, NOW + 25 * HOUR)


def test_without_handle_times_it_is_the_minute_at_which_more_is_due_than_can_be_done():
    due = [Dated(NOW + minute * MIN, 2) for minute in range(60, 240)]
    found = first_miss_by_due(due, (), begun(60), QUICK, NOW, NOW + 5 * HOUR)
    # From the hour on two a minute are due and one is done; the second of minute 119 is begun when that minute is half over.
    assert found == NOW + 119 * MIN
    assert first_miss_by_due(due, (), begun(130), QUICK, NOW, NOW + 5 * HOUR) is None


def test_long_handle_times_miss_a_due_time_before_that():
    due = [Dated(NOW + minute * MIN, 2) for minute in range(60, 240)]
    long = HandleTimes([(2.0 * MIN, 90), (38.0 * MIN, 10)])
    found = first_miss_by_due(due, (), begun(60, long.mean_ms), long, NOW, NOW + 5 * HOUR)
    assert NOW + 75 * MIN < found < NOW + 110 * MIN
    assert [long.longer(minutes * MIN) for minutes in (-1, 2, 3, 38, 39)] == [
        1.0,
        1.0,
        pytest.approx(0.1),
        pytest.approx(0.1),
        0.0,
    ]


def test_overdue_work_stands_in_front_and_short_promises_overtake():
    due = [Dated(NOW + minute * MIN, 1) for minute in range(200, 300)]
    alone = first_miss_by_due(due, (), begun(30), QUICK, NOW, NOW + 6 * HOUR)
    behind = first_miss_by_due([Dated(NOW, 60), *due], (), begun(30), QUICK, NOW, NOW + 6 * HOUR)
    overtaken = first_miss_by_due(due, [Coming(20, 10 * MIN)], begun(30), QUICK, NOW, NOW + 6 * HOUR)
    assert alone is None
    assert behind is not None
    assert overtaken is not None


def test_in_order_of_arrival_all_wait_alike_and_the_shortest_promise_goes_first():
    created = [Dated(NOW - minute * MIN, 2) for minute in range(30, 0, -1)]
    kinds = (40.0 * MIN, 0.5)
    found = first_miss_by_arrival(created, kinds, kinds, 120, begun(60), QUICK, NOW)
    # The second task that came a minutes from now is begun 2(a + 30) + 1.5 minutes from now and due at a + 40, half a minute given.
    assert found == NOW + 19 * MIN
    assert first_miss_by_arrival(created, kinds, kinds, 50, begun(130), QUICK, NOW) is None


def test_the_last_of_a_batch_are_begun_last():
    """A batch of 60 that is due in an hour: at one a minute it just fits, so some of its last tasks are late, not the middle ones."""
    long = HandleTimes([(2.0 * MIN, 90), (20.0 * MIN, 10)])
    batch = [Dated(NOW + 62 * MIN, 60)]
    assert first_miss_by_due(batch, (), begun(60), long, NOW, NOW + 2 * HOUR) == NOW + 62 * MIN
    assert first_miss_by_due([Dated(NOW + 90 * MIN, 60)], (), begun(60), long, NOW, NOW + 2 * HOUR) is None


def test_the_shorter_promise_is_where_fewer_tasks_begin_to_be_due():
    panes = QueuePanes()
    for minute in range(240):
        for _ in range(3 if minute < 45 else 2):
            panes.add(NOW + minute * MIN, (c.DUE, 1), *(((c.MET, 1),) if minute < 20 else ()))
    assert _shortest_promise_ms(panes.tally, NOW, NOW + 240 * MIN) == 45 * MIN
    even = QueuePanes()
    for minute in range(240):
        even.add(NOW + minute * MIN, (c.DUE, 1))
    assert _shortest_promise_ms(even.tally, NOW, NOW + 240 * MIN) is None


def test_open_tasks_of_long_ago_are_spread_over_their_pane():
    panes = ({NOW - 10 * MIN: 3}, {NOW - 10 * MIN: 3, NOW - 3 * HOUR: 30}, {NOW - 3 * HOUR: 33, NOW - 50 * HOUR: 4})
    found = open_by_creation(panes, NOW)
    assert sum(one.tasks for one in found) == 37
    assert found[-1] == (NOW - 10 * MIN, 3)
    assert [one.tasks for one in found if NOW - 3 * HOUR <= one.at_ms < NOW - 2 * HOUR] == [2] * 15
    assert [one.at_ms for one in found[:4]] == [NOW - 50 * HOUR + quarter * 15 * MIN for quarter in range(4)]


def test_a_queue_without_anything_tells_nothing():
    empty = QueuePanes().tally
    assert breach_times(empty, 0, steady(NOW, NOW + HOUR, 10), [], QUICK, NOW) == BreachTimes(None, None)


def worked_as_they_came(timed=1, labels=1):
    """Two promises, half an hour and four hours, taken as they came: 1.5 a minute come, one is done, the oldest waits 20 minutes.

    The labels of one in ``timed`` tasks have a start, of none where it is 0; each task has so many ``labels``.
    """
    panes = QueuePanes()
    for number in range(180):
        created_ms = NOW - 120 * MIN + number * 40_000
        due_ms = created_ms + (30 if number % 3 == 0 else 240) * MIN
        panes.add(due_ms, (c.DUE, 1))
        done_ms = NOW - 80 * MIN + (number - 60) * MIN if number >= 60 else created_ms + MIN
        if done_ms >= NOW:
            panes.add(created_ms, (c.OPEN, 1))
            continue
        panes.add(due_ms, (c.MET, 1))
        done = ((c.COMPLETED, 1), (c.TURNED, 1), (c.TURN_MS, max(MIN, done_ms - created_ms)), (c.LABELS, labels))
        panes.add(done_ms, *done)
        if timed and number % timed == 0:
            times = ((c.HANDLED, labels), (c.HANDLE_MS, labels * MIN), (c.HANDLE_HISTOGRAM + c.bucket(MIN), labels))
            panes.add(done_ms, *times)
    return panes


@pytest.mark.parametrize(("timed", "labels"), [(2, 1), (2, 3), (5, 1), (40, 1)])
def test_labels_without_a_start_do_not_slow_the_pace(timed, labels):
    def found(timed, labels):
        tally = (panes := worked_as_they_came(timed, labels)).tally
        return outlook(tally, NOW, NOW - 20 * MIN, panes.handled(NOW))

    every, some = found(1, labels), found(timed, labels)
    assert every.by_arrival_ms is not None
    assert some.tasks_per_hour == every.tasks_per_hour
    assert some.by_due_ms == every.by_due_ms
    assert some.by_arrival_ms == pytest.approx(every.by_arrival_ms, abs=MIN)


def test_the_pace_of_late_is_the_same_with_and_without_starts():
    handle = HandleTimes([(float(MIN), 60)])

    def factor(timed, labels):
        tally = worked_as_they_came(timed, labels).tally
        return _finer(tally, worked(tally, NOW, NOW - 20 * MIN), handle, NOW)

    assert factor(1, 1) == pytest.approx(1.0, abs=0.02)
    assert factor(2, 1) == factor(40, 1) == factor(2, 3) == pytest.approx(factor(1, 1))
    assert factor(0, 1) == 1.0  # no label of the day has a start


def test_a_row_tells_both_orders_apart():
    panes = worked_as_they_came()
    oldest_ms = min(at for at, n in panes.tally.open_created[0].items() if n)
    row = outlook_row(outlook(panes.tally, NOW, oldest_ms, panes.handled(NOW)))
    by_arrival_ms = parse_rfc3339_ms(row["breach_at_by_arrival"])
    assert NOW <= by_arrival_ms <= NOW + 40 * MIN
    assert row["breach_at"] is None or parse_rfc3339_ms(row["breach_at"]) > by_arrival_ms


def short_of_work():
    """Promises of one hour and of two, taken as they came: 100 an hour are done, fewer come, and 60 are open."""
    panes = QueuePanes()
    done = 200
    for number in range(done + 60):
        done_ms = NOW - (done - number) * 36_000
        created_ms = NOW - 37 * MIN + (number - done) * 36_000 if number < done else NOW - (done + 60 - number) * 36_000
        due_ms = created_ms + (1 if number % 2 else 2) * HOUR
        panes.add(due_ms, (c.DUE, 1))
        if number >= done:
            panes.add(created_ms, (c.OPEN, 1))
            continue
        panes.add(due_ms, (c.MET, 1))
        found = ((c.COMPLETED, 1), (c.TURNED, 1), (c.TURN_MS, done_ms - created_ms), (c.LABELS, 1))
        panes.add(done_ms, *found, (c.HANDLED, 1), (c.HANDLE_MS, MIN), (c.HANDLE_HISTOGRAM + c.bucket(MIN), 1))
    return panes


def test_work_that_fits_misses_nothing_in_either_order_of_work():
    panes = short_of_work()
    found = outlook(panes.tally, NOW, NOW - 36 * MIN, panes.handled(NOW))
    assert found.prediction is not None
    assert not found.prediction.breach
    assert (found.by_due_ms, found.by_arrival_ms) == (None, None)


def test_what_is_due_after_the_pace_is_known_is_not_judged():
    created = [Dated(NOW - minute * MIN, 1) for minute in range(60, 0, -1)]
    known = Begun(NOW, steady(NOW, NOW + 3 * HOUR, 100), 0.0, NOW + 3 * HOUR)
    assert first_miss_by_arrival(created, (HOUR, 0.5), (HOUR, 0.5), 94, known, QUICK, NOW) is None


@pytest.mark.parametrize(
    ("by_due", "by_arrival", "said"),
    [
        (None, None, "every due time can be met, with 3 tasks to spare"),
        (
            None,
            "2026-12-01T10:00:00Z",
            "if the earliest due is taken first, with 3 tasks to spare; in order of arrival due times will be missed from",
        ),
        (
            "2026-12-01T10:00:00Z",
            "2026-12-01T09:00:00Z",
            "if the earliest due is taken first, from Tue 1 Dec 09:00 UTC on in order of arrival",
        ),
        ("2026-12-01T10:00:00Z", "2026-12-01T10:00:00Z", "due times will be missed from Tue 1 Dec 10:00 UTC on"),
    ],
)
def test_the_alert_says_when_by_the_order_of_work(by_due, by_arrival, said):
    forecast = {"open_by_due": [], "overdue": 0, "tasks_per_hour": 20.0, "basis": "recent rate", "spare": 3.0}
    forecast |= {"breach_at": by_due, "breach_at_by_arrival": by_arrival, "shortfall": 0.0, "shortfall_at": None}
    assert said in evidence({"forecast": forecast})


@pytest.mark.parametrize(
    ("low", "high", "said", "shown"),
    [
        (None, None, "missed from Tue 1 Dec 10:00 UTC on", "12-01 10:00"),
        (
            "09:30",
            "11:10",
            "missed from some time between Tue 1 Dec 09:30 UTC and Tue 1 Dec 11:10 UTC on",
            "12-01 09:30 to 11:10",
        ),
        ("09:30", None, "missed from Tue 1 Dec 09:30 UTC on or from some time later", "12-01 09:30 or later"),
        ("10:00", "10:00", "missed from Tue 1 Dec 10:00 UTC on", "12-01 10:00"),
    ],
)
def test_where_few_tasks_are_done_the_alert_and_the_table_tell_a_range(low, high, said, shown):
    forecast = {"open_by_due": [], "overdue": 0, "tasks_per_hour": 20.0, "basis": "recent rate", "spare": -3.0}
    at = "2026-12-01T10:00:00Z"
    low_at, high_at = (None if one is None else f"2026-12-01T{one}:00Z" for one in (low, high))
    forecast |= {"breach_at": at, "breach_at_by_arrival": at, "shortfall": 0.0, "shortfall_at": None}
    forecast |= {"breach_at_low": low_at, "breach_at_high": high_at}
    assert said in evidence({"forecast": forecast})
    row = {"scope": {"queue": "q"}, "watermark": at, "forecast": forecast}
    assert [str(next(iter(column.cells))) for column in forecast_table([row]).columns].count(shown) == 2


def slow_queue(per_hour):
    """Tasks of two hours' promise: so many an hour are done by 10-minute and longer work, half as many more come."""
    panes = QueuePanes()
    gap_ms = HOUR // per_hour
    for number in range(3 * per_hour):
        done_ms, handle_ms = NOW - (number + 1) * gap_ms, (5 + 10 * (number % 3)) * MIN
        panes.add(done_ms, (c.COMPLETED, 1), (c.TURNED, 1), (c.TURN_MS, 80 * MIN), (c.LABELS, 1))
        panes.add(done_ms, (c.HANDLED, 1), (c.HANDLE_MS, handle_ms), (c.HANDLE_HISTOGRAM + c.bucket(handle_ms), 1))
        panes.add(done_ms - 80 * MIN + 2 * HOUR, (c.DUE, 1), (c.MET, 1))
    for number in range(per_hour * 2):
        created_ms = NOW - number * gap_ms * 2 // 3
        panes.add(created_ms, (c.OPEN, 1))
        panes.add(created_ms + 2 * HOUR, (c.DUE, 1))
    return panes


def test_a_range_is_told_where_few_tasks_are_done_and_holds_the_time():
    few, many = (slow_queue(per_hour) for per_hour in (20, 80))
    found = outlook(few.tally, NOW, NOW - 80 * MIN, few.handled(NOW))
    assert found.low_ms is not None
    assert found.low_ms < found.by_due_ms
    assert found.high_ms is None or found.by_due_ms < found.high_ms
    row = outlook_row(found)
    assert parse_rfc3339_ms(row["breach_at_low"]) == found.low_ms
    row = outlook_row(
        replace(found, by_due_ms=None, low_ms=NOW + 50 * HOUR)
    )  # only the test tells a time: not after it
    assert row["breach_at_low"] == row["breach_at"]
    fits = replace(found.prediction, breach_at_ms=None)
    row = outlook_row(replace(found, by_due_ms=None, prediction=fits))
    assert (row["breach_at"], row["breach_at_low"], row["breach_at_high"]) == (None, None, None)
    found = outlook(many.tally, NOW, NOW - 80 * MIN, many.handled(NOW))
    assert found.by_due_ms is not None
    assert (found.low_ms, found.high_ms) == (None, None)


def test_of_a_run_the_ranges_near_the_miss_are_held_against_it():
    told = [
        ToldTimes(60 * MIN, 90 * MIN, None, 80 * MIN, 95 * MIN),
        ToldTimes(70 * MIN, 90 * MIN, None, 80 * MIN, 120 * MIN),
        ToldTimes(80 * MIN, 90 * MIN, None, 90 * MIN, None),
        ToldTimes(85 * MIN, 90 * MIN, None, 110 * MIN, None),
        ToldTimes(86 * MIN, 90 * MIN, None),
    ]
    assert Followed(60 * MIN, told, None, 100 * MIN).ranges() == [False, True, True, False]
    assert Followed(20 * MIN, told, None, 100 * MIN).ranges() == [True, False]


@pytest.mark.slow
def test_the_time_told_is_that_of_the_first_miss():
    """Two hours of promise, handle times of ten minutes: the test on open work alone told it 12 minutes late."""
    runs = [follow([3, at], SINGLE[1], "due", paged=False) for at in range(8)]
    means = [float(np.mean(errors)) for one in runs if (errors := one.errors_min("due"))]
    assert len(means) == 8
    assert abs(np.mean(means)) <= 6, means


@pytest.mark.slow
@pytest.mark.parametrize("order", ["due", "arrival"])
def test_with_two_promises_each_order_has_its_own_time(order):
    runs = [follow([4, at], SEVERAL[0], order, paged=False) for at in range(8)]
    means = [float(np.mean(errors)) for one in runs if (errors := one.errors_min(order))]
    assert len(means) >= 6
    assert abs(np.mean(means)) <= 12, means


def test_a_line_of_the_report_says_the_bias():
    line = breach_time._bias("x", [[1.0, 3.0], [4.0], []])
    assert (line.measured, line.row) == (3.0, 15)
    assert "+3.0 min of 2" in line.name
    assert not breach_time._bias("x", []).ok
    assert breach_time._student(5) == pytest.approx(4.03, abs=0.03)
    assert breach_time._student(39) == pytest.approx(2.708, abs=0.002)
