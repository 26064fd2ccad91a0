"""The incident machine under arbitrary inputs, replays and crashes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from alerts.codec import decode_incident, encode_incident
from alerts.incident import Ack, Act, Incident, Silence, Stamp, Tick, incident_key
from alerts.lifecycle import step
from alerts.signals import Signal
from streams.core.policy import DAY_MS
from tests.alerts.machine import POLICY, move, run
from tests.alerts.rows import MINUTE_MS, NOW_MS

Event = Signal | Ack | Silence | Act | Tick
ACTS = ("ack", "silence", "comment", "owner", "link", "snooze", "escalate", "merge", "unmerge")
KEYS = [incident_key("accuracy-low-vendor", "vendor=bpo-a", episode) for episode in (1, 2)]


def _some(what: str) -> st.SearchStrategy[str]:
    return st.sampled_from(ACTS) if what == "act" else st.just(what)


gaps = st.sampled_from([0, MINUTE_MS, 40 * MINUTE_MS, 2 * DAY_MS, 4 * DAY_MS])
moves = st.lists(
    st.tuples(st.sampled_from(["on", "on", "off", "tick", "act"]).flatmap(_some), gaps, st.sampled_from(KEYS)),
    max_size=40,
)


def _events(script: list[tuple[str, int, str]]) -> list[Event]:
    at_ms, events = NOW_MS, list[Event]()
    for what, gap_ms, key in script:
        at_ms += gap_ms
        events.append(move(what, at_ms, key))
    return events


def _run(events: list[Event], incident: Incident | None = None, first: int = 0) -> list[Incident | None]:
    states = [incident]
    for offset, event in enumerate(events, first):
        states.append(step(states[-1], event, POLICY, stamp=Stamp(0, offset)))
    return states


def test_who_was_not_told_of_an_opening_is_not_told_of_its_end() -> None:
    """On, silenced, acknowledged meanwhile, silence over, nothing to measure any more (found by Hypothesis)."""
    key = "b402b7689d742985d66c26d1628d6503"
    moves = ("on", "silence", "on", "ack", "tick", "tick")
    times_ms = (0, 0, 0, 2_400_000, 0, 172_800_000)
    _, messages = run(_events([(move, at_ms, key) for move, at_ms in zip(moves, times_ms, strict=True)]))
    assert messages == []


@given(moves)
def test_an_incident_is_neither_lost_nor_opened_twice(script: list[tuple[str, int, str]]) -> None:
    states = [one for one in _run(_events(script)) if one is not None]
    for before, now in pairwise(states):
        assert now.episode - before.episode in (0, 1)
        assert now.key == before.key or before.state == "resolved"
        if before.live and now.live:
            assert (now.reopened, now.opened_ms) == (before.reopened, before.opened_ms)


@pytest.mark.slow
@given(moves, st.data())
def test_a_crash_and_replay_from_any_older_place_ends_the_same(
    script: list[tuple[str, int, str]], data: st.DataObject
) -> None:
    events = _events(script)
    crash = data.draw(st.integers(0, len(events)))
    back = data.draw(st.integers(0, crash))
    saved = _run(events[:crash])[-1]
    assert _run(events[back:], saved, first=back)[-1] == _run(events)[-1]


@given(moves)
def test_actions_open_and_end_no_incident(script: list[tuple[str, int, str]]) -> None:
    """With and without what people do, the incident is live at the same times; only ticks may end it."""
    told = [one for one in script if one[0] not in ACTS]
    states = iter(_run(_events(script))[1:])
    live = [next(states) for _ in script]
    gaps_ms, only = 0, list[tuple[str, int, str]]()
    for what, gap_ms, key in script:
        gaps_ms += gap_ms
        if what not in ACTS:
            only.append((what, gaps_ms, key))
            gaps_ms = 0
    assert len(only) == len(told)
    plain = _run(_events(only))[1:]
    with_acts = [state for (what, _, _), state in zip(script, live, strict=True) if what not in ACTS]
    seen = [(one is not None and one.live, one and (one.key, one.episode, one.reopened)) for one in with_acts]
    assert seen == [(one is not None and one.live, one and (one.key, one.episode, one.reopened)) for one in plain]


@settings(max_examples=100)
@given(moves, st.integers(1, 3))
def test_an_action_that_is_repeated_counts_once(script: list[tuple[str, int, str]], times: int) -> None:
    named = [
        structs.replace(event, id=f"a{place}") if isinstance(event, Act) else event
        for place, event in enumerate(_events([("on", 0, KEYS[0]), ("on", 0, KEYS[0]), *script]))
    ]
    repeated = [one for event in named for one in [event] * (1 + times * isinstance(event, Act))]
    assert _bare(_run(named)[-1]) == _bare(_run(repeated)[-1])


def _bare(incident: Incident | None) -> Incident | None:
    return None if incident is None else structs.replace(incident, stamp=None)


@given(moves)
def test_records_round_trip(script: list[tuple[str, int, str]]) -> None:
    incident, _ = run(_events(script))
    if incident is not None:
        assert decode_incident(encode_incident(incident, "title")) == incident
