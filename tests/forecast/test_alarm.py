"""Two evaluations in a row raise the alarm, six end it."""

from hypothesis import given
from hypothesis import strategies as st

from streams.core.forecast.alarm import BreachAlarm, advance
from streams.core.forecast.demand import BreachPrediction


def said(now_ms, breach):
    return BreachPrediction(now_ms, now_ms + 1 if breach else None, 0.0, None, 0, 0, None)


def states(pattern):
    alarm, found = BreachAlarm(), ""
    for now_ms, sign in enumerate(pattern):
        alarm = advance(alarm, said(now_ms, sign == "!"))
        found += "F" if alarm.firing else "."
    return found


def test_the_time_line():
    assert states("!.!.!.!") == "......."
    assert states("!!") == ".F"
    assert states("!!.....!......") == ".FFFFFFFFFFFF."
    assert states("!!......!") == ".FFFFFF.."


def test_since_is_the_first_of_the_streak():
    alarm = BreachAlarm()
    for now_ms, breach in ((10, True), (15, False), (20, True), (25, True), (30, False), (35, True)):
        alarm = advance(alarm, said(now_ms, breach))
    assert (alarm.firing, alarm.since_ms) == (True, 20)


@given(st.lists(st.booleans(), max_size=40))
def test_it_is_what_a_look_back_says(pattern):
    firing = False
    alarm = BreachAlarm()
    changed = -1
    for now_ms, breach in enumerate(pattern):
        alarm = advance(alarm, said(now_ms, breach))
        need = 6 if firing else 2
        last = pattern[max(changed + 1, now_ms - need + 1) : now_ms + 1]
        if len(last) == need and all(one != firing for one in last):
            firing, changed = not firing, now_ms
        assert alarm.firing == firing


def test_an_evaluation_seen_again_changes_nothing():
    once = advance(BreachAlarm(), said(5, True))
    assert advance(once, said(5, True)) is once
    assert advance(once, said(4, False)) is once
