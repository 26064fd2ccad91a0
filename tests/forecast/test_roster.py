"""Forecasts by the roster: shifts that name a queue say who will work, which the last hour cannot."""

from datetime import UTC, datetime

import pytest

from floorwatch.analysis.forecast.moves import QueueLoad, what_if
from floorwatch.analysis.forecast.queue_loads import load_of
from streams.core.forecast.planned import HourWork, planned
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS, CorePolicy
from streams.core.tables import window_rows
from streams.core.time_text import rfc3339
from streams.models.timestamps import parse_rfc3339_ms
from tests.core.harness import CoreRun, tick

DAY_ONE_MS = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000)
NOW_MS = DAY_ONE_MS + DAY_MS + 13 * HOUR_MS + 30 * MINUTE_MS
DUE_MS = NOW_MS + 150 * MINUTE_MS
POLICY = CorePolicy(scopes=((), ("queue",)))
HANDLE_MS = 6 * MINUTE_MS


def event(kind, subject, at_ms, name, data):
    return {
        "specversion": "1.0",
        "id": name,
        "source": "test",
        "type": f"floorwatch.{kind}.v1",
        "subject": subject,
        "time": rfc3339(at_ms),
        "data": data,
    }


def shift(name, from_ms, to_ms, heads, *, sent_ms=DAY_ONE_MS, version=0):
    data = {"shift_id": name, "queue": "hate", "headcount": heads, "from": rfc3339(from_ms), "to": rfc3339(to_ms)}
    return event("shift.scheduled", f"roster/{name}", sent_ms, f"{name}-{version}", data)


def worked(heads, from_ms, to_ms):
    """People who label one task every six minutes; each had waited for an hour."""
    found = []
    for at_ms in range(from_ms, to_ms, HANDLE_MS):
        for head in range(heads):
            task = f"t-{at_ms}-{head}"
            created = {"queue": "hate", "due_at": rfc3339(at_ms + 8 * HOUR_MS)}
            began_ms = at_ms + head * HANDLE_MS // heads
            done_ms = began_ms + HANDLE_MS
            label = {
                "label_id": f"l-{task}",
                "labeler_id": f"w{head}",
                "queue": "hate",
                "started_at": rfc3339(began_ms),
            }
            found.append(event("task.created", task, at_ms - HOUR_MS, f"c-{task}", created))
            found.append(event("label.submitted", task, done_ms, f"e-{task}", {**label, "values": ["safe"]}))
    return found


def waiting(tasks, due_ms=DUE_MS):
    data = {"queue": "hate", "due_at": rfc3339(due_ms)}
    return [event("task.created", f"o-{n}", NOW_MS - 20 * MINUTE_MS, f"o-{n}", data) for n in range(tasks)]


def day(number, name="d", heads=4, from_h=6, to_h=22):
    start_ms = DAY_ONE_MS + number * DAY_MS
    return shift(f"{name}{number}", start_ms + from_h * HOUR_MS, start_ms + to_h * HOUR_MS, heads)


WORK = [
    *worked(4, DAY_ONE_MS + 6 * HOUR_MS, DAY_ONE_MS + 22 * HOUR_MS),
    *worked(4, DAY_ONE_MS + 30 * HOUR_MS, NOW_MS - HANDLE_MS),
]
"""Four people all of the first day and until now on the second, without a pause: 40 tasks an hour."""

EARLY, LATE = day(1, "early", 4, 6, 14), day(1, "late", 1, 14, 22)
LATE_AGAIN = shift(
    "late1", DAY_ONE_MS + 38 * HOUR_MS, DAY_ONE_MS + 46 * HOUR_MS, 4, sent_ms=NOW_MS - HOUR_MS, version=1
)


SLOW_MS = DAY_ONE_MS + 20 * HOUR_MS
SLOW = [
    event("task.created", "slow", SLOW_MS, "c-slow", {"queue": "hate"}),
    event(
        "label.submitted", "slow", SLOW_MS + HOUR_MS, "e-slow",
        {"label_id": "slow", "labeler_id": "w9", "queue": "hate", "started_at": rfc3339(SLOW_MS), "values": ["safe"]},
    ),
]  # fmt: skip
"""A label of yesterday that took an hour: it changes what one person is thought to complete."""


def run(*parts, partitions=1, flush_every=0, now_ms=NOW_MS):
    found = CoreRun(partitions, POLICY)
    found.send([one for part in parts for one in part], flush_every)
    for partition in range(partitions):
        found.send([tick(now_ms)])
        found.flush(partition)
    return found


def row_of(found):
    rows = [window_rows(row, found.floor.watermark_ms).get("sla") for row in found.floor.all_windows()]
    (row,) = [row for row in rows if row is not None and row["forecast"] is not None]
    return row


def forecast(*parts, **more):
    return row_of(run(*parts, **more))["forecast"]


def test_the_roster_sees_a_shift_end_that_the_recent_rate_cannot():
    without = forecast(WORK, waiting(50))
    assert (without["basis"], without["breach_at"], without["tasks_per_hour"]) == ("recent rate", None, 40.0)
    assert without["pace_ahead"] == [[rfc3339(NOW_MS), 40.0]]
    # 4 people for half an hour, then 1 for two: 20 + 20 of the 50.
    by_roster = forecast([day(0), EARLY, LATE], WORK, waiting(50))
    assert by_roster["basis"] == "roster"
    assert (by_roster["breach_at"], by_roster["shortfall"], by_roster["tasks_per_hour"]) == (
        rfc3339(DUE_MS),
        10.0,
        25.0,
    )
    assert by_roster["pace_ahead"] == [[rfc3339(NOW_MS), 40.0], [rfc3339(NOW_MS + 30 * MINUTE_MS), 10.0]]


@pytest.mark.slow
def test_a_shift_sent_again_changes_the_forecast_to_what_it_would_have_been():
    again = forecast([day(0), EARLY, LATE], WORK, waiting(50), [LATE_AGAIN], flush_every=7)
    assert again["breach_at"] is None
    assert again == forecast([day(0), EARLY, day(1, "late", 4, 14, 22)], WORK, waiting(50))


def test_a_roster_is_scaled_by_what_the_last_hour_made_of_it():
    # 8 are scheduled, 4 come: half of the plan now and by 14:00, and half of the two who are planned then.
    plan = [day(0), day(1, "early", 8, 6, 14), day(1, "late", 2, 14, 22)]
    found = forecast(plan, WORK, waiting(50))
    assert (found["basis"], found["tasks_per_hour"], found["shortfall"]) == ("roster", 25.0, 10.0)


def test_a_roster_that_does_not_account_for_the_work_is_not_gone_by():
    found = forecast([day(0, heads=3), day(1, heads=3)], WORK, waiting(50))
    assert (found["basis"], found["tasks_per_hour"]) == ("recent rate", 40.0)


def test_people_who_work_though_nobody_is_scheduled_go_by_the_recent_rate():
    found = forecast([day(0), day(1, to_h=12), day(2)], WORK, waiting(50))
    assert (found["basis"], found["tasks_per_hour"]) == ("recent rate", 40.0)


def test_a_queue_without_open_work_has_no_forecast_at_night():
    night_ms = DAY_ONE_MS + DAY_MS + 270 * MINUTE_MS
    found = forecast([day(0), day(1)], WORK[: 2 * 4 * 160], now_ms=night_ms)
    assert (found["basis"], found["tasks_per_hour"], found["pace_ahead"]) == ("unknown", None, [])


def test_at_night_the_next_shift_is_known():
    night_ms = DAY_ONE_MS + DAY_MS + 270 * MINUTE_MS
    task = event(
        "task.created", "n", night_ms - HOUR_MS, "n", {"queue": "hate", "due_at": rfc3339(night_ms + 150 * MINUTE_MS)}
    )
    found = forecast([day(0), day(1)], WORK[: 2 * 4 * 160], [task], now_ms=night_ms)
    assert (found["basis"], found["tasks_per_hour"], found["breach_at"], found["spare"]) == ("roster", 0.0, None, 39.0)
    assert found["pace_ahead"] == [[rfc3339(night_ms), 0.0], [rfc3339(night_ms + 90 * MINUTE_MS), 40.0]]


def test_what_if_starts_from_the_same_forecast():
    found = run([day(0), EARLY, LATE], WORK, waiting(50))
    row = row_of(found)
    load = load_of(row, {"handled": 40, "handle_ms_sum": 40 * HANDLE_MS, "labels": 40, "active_labelers": 4})
    other = QueueLoad("other", [], load.supply, 10.0, 5)
    move = what_if(NOW_MS, other, load, 1, until_ms=NOW_MS + 8 * HOUR_MS)
    assert move.before[1].breach_at_ms == parse_rfc3339_ms(row["forecast"]["breach_at"])
    assert (move.before[1].shortfall, move.after[1].breach) == (10.0, False)


@pytest.mark.slow
def test_what_was_published_last_is_the_present_with_a_roster_too():
    found, published = CoreRun(1, POLICY), {}
    events = [day(0), EARLY, LATE, *WORK, *waiting(50)]
    silence = [tick(NOW_MS + step * 7 * MINUTE_MS) for step in range(1, 240)]
    cuts = [events[at : at + 97] for at in range(0, len(events), 97)] + [[LATE_AGAIN]] + [[one] for one in silence]
    bases = set()
    for number, part in enumerate(cuts):
        found.send(part)
        found.flush(0)
        for row in found.floor.take_changes()[0]:
            sla = window_rows(row, found.floor.watermark_ms).get("sla")
            if sla is not None and sla["forecast"] is not None:
                published = sla["forecast"]
        if number % 5 == 0 or part == [LATE_AGAIN] or number > len(cuts) - 30:
            assert published == row_of(found)["forecast"], number
            bases.add(published["basis"])
    assert bases == {"recent rate", "roster"}


def test_work_of_yesterday_that_comes_late_is_published_in_the_forecast_of_tonight():
    night_ms = DAY_ONE_MS + DAY_MS + 270 * MINUTE_MS
    task = event("task.created", "n", night_ms, "n", {"queue": "hate", "due_at": rfc3339(night_ms + 8 * HOUR_MS)})
    found = run([day(0), day(1)], WORK[: 2 * 4 * 160], [task], now_ms=night_ms)
    before = row_of(found)["forecast"]
    found.floor.take_changes()
    found.send(SLOW)
    found.flush(0)
    rows = [window_rows(row, found.floor.watermark_ms).get("sla") for row in found.floor.take_changes()[0]]
    (after,) = [row["forecast"] for row in rows if row is not None and row["forecast"] is not None]
    assert after == row_of(found)["forecast"]
    assert after["pace_ahead"][1][1] < before["pace_ahead"][1][1] == 40.0


HOURS = {DAY_ONE_MS + hour * HOUR_MS: HourWork(40, 40, 40, 40 * HANDLE_MS) for hour in range(24)}


def quarters(from_h, to_h, heads=4):
    return {DAY_ONE_MS + n * QUARTER_MS: heads * QUARTER_MS for n in range(from_h * 4, to_h * 4)}


@pytest.mark.parametrize(
    ("scheduled", "until_h", "tasks"),
    [
        (quarters(0, 48), 44, 20 * 40),  # known
        (quarters(0, 30), 44, 20 * 40),  # ended at 6: the 24 hours before are repeated, all of them with four people
        (quarters(0, 24) | quarters(24, 30, 2), 54, 6 * 20 + 18 * 40 + 6 * 20),  # and again, as often as it takes
        (quarters(0, 1) | quarters(20, 30), 50, 12 * 40),  # the night of the day before is one, too
    ],
)
def test_after_the_last_shift_its_day_is_repeated(scheduled, until_h, tasks):
    now_ms = DAY_ONE_MS + DAY_MS
    hours = {at: work for at, work in HOURS.items() if scheduled.get(at)}
    supply = planned(scheduled, hours, now_ms, now_ms + 40 * HOUR_MS)
    assert supply.tasks_until(now_ms, [DAY_ONE_MS + until_h * HOUR_MS]) == [pytest.approx(tasks)]


@pytest.mark.parametrize(
    ("scheduled", "hours"),
    [
        ({}, HOURS),
        (quarters(8, 30), HOURS),  # would be repeated, but is younger than a day
        (quarters(0, 48), {}),  # nobody's pace is known
        (quarters(0, 48), {at: HourWork(40, 40, 0, 0) for at in HOURS}),
        (quarters(0, 48, 3), HOURS),  # 96 hours of work in 72 scheduled ones
    ],
)
def test_a_roster_that_cannot_say_what_will_be_done_is_none(scheduled, hours):
    now_ms = DAY_ONE_MS + DAY_MS
    assert planned(scheduled, hours, now_ms, now_ms + 20 * HOUR_MS) is None


def test_a_roster_nobody_sends_any_more_is_forgotten_after_a_day():
    end_ms = DAY_ONE_MS + DAY_MS
    hours = HOURS | {at + DAY_MS: HourWork(4, 4, 4, 4 * HANDLE_MS) for at in HOURS}
    assert planned(quarters(0, 24), hours, end_ms + HOUR_MS, end_ms + 3 * HOUR_MS) is not None
    assert planned(quarters(0, 24), hours, end_ms + DAY_MS, end_ms + DAY_MS + 3 * HOUR_MS) is None


def test_labels_without_a_start_took_as_long_as_the_others():
    timed = {at: HourWork(40, 40, 20, 20 * HANDLE_MS) for at in HOURS}
    now_ms = DAY_ONE_MS + DAY_MS
    one, other = (planned(quarters(0, 48), hours, now_ms, now_ms + HOUR_MS) for hours in (timed, HOURS))
    assert one.stretches == other.stretches
