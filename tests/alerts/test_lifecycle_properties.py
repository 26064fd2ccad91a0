"""The incident machine under arbitrary inputs, replays and crashes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.codec import decode_incident, encode_incident
from alerts.incident import Ack, Effect, Incident, Notify, Publish, Silence, Stamp, Tick, incident_key
from alerts.lifecycle import step
from alerts.signals import Signal
from streams.core.policy import DAY_MS
from tests.alerts.machine import POLICY, move
from tests.alerts.rows import MINUTE_MS, NOW_MS

Event = Signal | Ack | Silence | Tick
KEYS = [incident_key("accuracy-low-vendor", "vendor=bpo-a", episode) for episode in (1, 2)]

gaps = st.sampled_from([0, MINUTE_MS, 40 * MINUTE_MS, 2 * DAY_MS, 4 * DAY_MS])
moves = st.lists(
    st.tuples(st.sampled_from(["on", "on", "on", "off", "off", "ack", "silence", "tick"]), gaps, st.sampled_from(KEYS)),
    max_size=40,
)


def _events(script: list[tuple[str, int, str]]) -> list[Event]:
    at_ms, events = NOW_MS, list[Event]()
    for what, gap_ms, key in script:
        at_ms += gap_ms
        events.append(move(what, at_ms, key))
    return events


def _run(events: list[Event], incident: Incident | None = None, first: int = 0) -> tuple[Incident | None, list[Effect]]:
    effects: list[Effect] = []
    for offset, event in enumerate(events, first):
        incident, more = step(incident, event, POLICY, stamp=Stamp(0, offset))
        effects += more
    return incident, effects


def _notes(effects: list[Effect]) -> list[str]:
    return [effect.id for effect in effects if isinstance(effect, Notify)]


def test_who_was_not_told_of_an_opening_is_not_told_of_its_end() -> None:
    """On, silenced, acknowledged meanwhile, silence over, nothing to measure any more (found by Hypothesis)."""
    key = "b402b7689d742985d66c26d1628d6503"
    moves = ("on", "silence", "on", "ack", "tick", "tick")
    times_ms = (0, 0, 0, 2_400_000, 0, 172_800_000)
    _, effects = _run(_events([(move, at_ms, key) for move, at_ms in zip(moves, times_ms, strict=True)]))
    assert _notes(effects) == []


@pytest.mark.slow
@given(moves)
def test_nothing_is_told_twice_and_every_resolve_follows_its_opening(script: list[tuple[str, int, str]]) -> None:
    _, effects = _run(_events(script))
    ids = _notes(effects)
    assert len(ids) == len(set(ids))
    live: set[str] = set()
    for name in ids:
        key, what = name.split(":")
        if what.startswith(("open", "reopened")):
            assert not live, "an incident was opened while one is open"
            live.add(key)
        elif what.startswith("resolved"):
            assert key in live
            live.remove(key)
        else:
            assert key in live


@given(moves)
def test_published_states_never_open_twice(script: list[tuple[str, int, str]]) -> None:
    _, effects = _run(_events(script))
    was: dict[str, Incident] = {}
    for effect in effects:
        if isinstance(effect, Publish):
            now, before = effect.incident, was.get(effect.incident.key)
            assert now.state not in ("pending", "quiet")
            if before is not None and before.live and now.live:
                assert (now.reopened, now.opened_ms) == (before.reopened, before.opened_ms)
            was[now.key] = now
    assert sum(incident.live for incident in was.values()) <= 1


@pytest.mark.slow
@given(moves, st.data())
def test_a_crash_and_replay_from_any_older_place_ends_the_same(
    script: list[tuple[str, int, str]], data: st.DataObject
) -> None:
    events = _events(script)
    whole, effects = _run(events)
    crash = data.draw(st.integers(0, len(events)))
    back = data.draw(st.integers(0, crash))
    saved, before = _run(events[:crash])
    again, after = _run(events[back:], saved, first=back)
    assert again == whole
    assert before + after == effects  # what was applied is not told again


@pytest.mark.slow
@given(moves, st.data())
def test_a_crash_before_the_state_was_saved_tells_the_same_ids(
    script: list[tuple[str, int, str]], data: st.DataObject
) -> None:
    events = _events(script)
    _, effects = _run(events)
    saved_at = data.draw(st.integers(0, len(events)))
    crash = data.draw(st.integers(saved_at, len(events)))
    saved, before = _run(events[:saved_at])
    _, lost = _run(events[saved_at:crash], saved, first=saved_at)
    _, after = _run(events[saved_at:], saved, first=saved_at)
    told = _notes(before) + _notes(lost) + _notes(after)
    assert list(dict.fromkeys(told)) == _notes(effects)


@given(moves)
def test_no_change_is_the_same_object_and_no_effects(script: list[tuple[str, int, str]]) -> None:
    incident: Incident | None = None
    for event in _events(script):
        after, effects = step(incident, event, POLICY)
        if after is incident:
            assert effects == []
        incident = after


@given(moves)
def test_records_round_trip(script: list[tuple[str, int, str]]) -> None:
    incident, _ = _run(_events(script))
    if incident is not None:
        assert decode_incident(encode_incident(incident, "title")) == incident
