"""The processor-demand test against its definition, and capacity against a sum over minutes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.forecast.demand import Arrivals, OpenDue, bucketed, predict
from streams.core.forecast.supply import RecentWork, Stretch, Supply, efficiency, recent_tasks_per_hour, steady

MIN = 60_000
HOUR = 60 * MIN

stretches = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 20), st.integers(0, 60)).map(
        lambda t: Stretch(t[0] * 5 * MIN, (t[0] + t[1]) * 5 * MIN, float(t[2]))
    ),
    max_size=6,
)
demands = st.dictionaries(st.integers(-3, 50), st.integers(1, 30), max_size=10).map(
    lambda d: [OpenDue(step * 5 * MIN, d[step]) for step in sorted(d)]
)


def capacity(given_stretches, from_ms, to_ms):
    """Minute by minute, as slowly as it can be said."""
    return sum(
        stretch.tasks_per_hour / 60
        for stretch in given_stretches
        for minute in range(from_ms // MIN, to_ms // MIN)
        if stretch.from_ms <= minute * MIN < stretch.to_ms
    )


@given(stretches, st.integers(0, 60), st.lists(st.integers(0, 70), min_size=1, max_size=6))
def test_capacity_is_the_sum_over_minutes(given_stretches, now_step, steps):
    now_ms, moments = now_step * MIN, [step * 5 * MIN for step in sorted(steps)]
    found = Supply(given_stretches).tasks_until(now_ms, moments)
    wanted = [capacity(given_stretches, now_ms, moment) for moment in moments]
    assert found == pytest.approx(wanted, abs=1e-6)


@given(demands, stretches, st.integers(0, 20))
def test_breach_and_shortfall_are_what_they_are_defined_as(demand, given_stretches, now_step):
    now_ms = now_step * 5 * MIN
    found = predict(now_ms, demand, Supply(given_stretches))
    missing = {
        d.due_ms: sum(o.tasks for o in demand if o.due_ms <= d.due_ms) - capacity(given_stretches, now_ms, d.due_ms)
        for d in demand
        if d.due_ms > now_ms
    }
    late = [due_ms for due_ms, tasks in missing.items() if tasks > 1e-6]
    assert found.breach_at_ms == min(late, default=None)
    assert found.shortfall == pytest.approx(max([0.0, *missing.values()]), abs=1e-6)
    assert found.open_tasks == sum(o.tasks for o in demand)
    assert found.overdue == sum(o.tasks for o in demand if o.due_ms <= now_ms)
    if missing:
        assert found.spare == pytest.approx(-max(missing.values()), abs=1e-6)


def test_a_night_without_people_is_seen_ahead():
    #   now 20:00      22:00           06:00
    #   |-- 10/h --------|    nobody     |-- 10/h --
    #              15 due 21:00   10 due 02:00
    supply = Supply([Stretch(0, 2 * HOUR, 10.0), Stretch(10 * HOUR, 18 * HOUR, 10.0)])
    demand = [OpenDue(HOUR, 8), OpenDue(6 * HOUR, 15)]
    found = predict(0, demand, supply)
    assert (found.breach_at_ms, found.shortfall, found.shortfall_at_ms) == (6 * HOUR, 3.0, 6 * HOUR)
    assert predict(0, demand, steady(0, 24 * HOUR, 10.0)).breach_at_ms is None


def test_overdue_tasks_are_work_too():
    demand = [OpenDue(-HOUR, 5), OpenDue(HOUR, 6)]
    assert predict(0, demand, steady(0, HOUR, 10.0)).breach_at_ms == HOUR
    assert predict(0, demand[1:], steady(0, HOUR, 10.0)).breach_at_ms is None


def test_arrivals_that_go_on_are_met_by_nobody():
    # 10 an hour come, due 2 h later; 8 an hour are done. 2·(d-2h)·... : N(d) = 10(d-2), S(d) = 8d -> late at d = 10 h.
    supply = steady(0, 24 * HOUR, 8.0)
    arrivals = [Arrivals(2 * HOUR, 10.0)]
    assert predict(0, [], supply).breach_at_ms is None
    found = predict(0, [], supply, arrivals=arrivals, arrivals_until_ms=24 * HOUR)
    assert found.breach_at_ms == 10 * HOUR + 5 * MIN
    assert predict(0, [], supply, arrivals=arrivals, arrivals_until_ms=9 * HOUR).breach_at_ms is None


def test_nothing_open_has_nothing_to_miss():
    found = predict(0, [], steady(0, HOUR, 0.0))
    assert (found.breach, found.shortfall, found.spare) == (False, 0.0, None)


def test_demand_out_of_order_is_refused():
    with pytest.raises(ValueError, match="not ascending"):
        predict(0, [OpenDue(2, 1), OpenDue(1, 1)], steady(0, 1, 1.0))


def test_buckets_count_every_task_once():
    due = [(1, 1), (5 * MIN, 1), (5 * MIN + 1, 2), (-1, 3), (10 * MIN, 0)]
    assert bucketed(due) == [OpenDue(0, 3), OpenDue(5 * MIN, 2), OpenDue(10 * MIN, 2)]


def test_a_stretch_backwards_is_refused():
    with pytest.raises(ValueError, match="ends after it begins"):
        Supply([Stretch(2, 1, 1.0)])
    with pytest.raises(ValueError, match="0 or more"):
        Supply([Stretch(1, 2, -1.0)])


def worked(completed, rostered=10.0, *, backlogged=True):
    return RecentWork(0, 5 * MIN, completed, rostered, backlogged)


def test_efficiency_is_measured_while_work_waits_and_clipped():
    assert efficiency([worked(8), worked(6)]) == 0.7
    assert efficiency([worked(8), worked(0, backlogged=False)]) == 0.8
    assert efficiency([worked(20)]) == 1.1
    assert efficiency([worked(0)]) == 0.2
    assert efficiency([worked(3, backlogged=False)]) == 1.0
    assert efficiency([worked(3, backlogged=False)], known=0.6) == 0.6
    assert efficiency([worked(3, rostered=0.0)], known=0.6) == 0.6


def test_the_recent_rate_is_that_of_people_not_of_arrivals():
    assert recent_tasks_per_hour([worked(10), worked(1, backlogged=False)]) == 120.0
    assert recent_tasks_per_hour([worked(1, backlogged=False)]) == 12.0
    assert recent_tasks_per_hour([worked(1, backlogged=False)], known=100.0) == 100.0
    assert recent_tasks_per_hour([], known=100.0) == 100.0
    assert recent_tasks_per_hour([]) is None
