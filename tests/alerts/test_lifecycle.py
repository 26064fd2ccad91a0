"""The incident machine, move by move."""

from __future__ import annotations

import pytest
from msgspec import structs

from alerts.incident import Ack, Silence, Stamp, Tick, incident_key
from alerts.lifecycle import IncidentPolicy, policy_of, step
from streams.core.policy import DAY_MS
from tests.alerts.machine import POLICY, opened, run, signal, steps
from tests.alerts.rows import MINUTE_MS, NOW_MS, rule

ON, OFF = signal(True), signal(False)


def test_opens_after_enough_firings_in_a_row_and_tells_once() -> None:
    pending, effects = run([ON])
    assert pending is not None
    assert (pending.state, effects) == ("pending", [])
    incident, effects = run([ON, ON, ON, ON], pending)
    assert incident is not None
    assert incident.state == "open"
    assert steps(effects) == ["open"]
    (note,) = effects
    assert (note.route, note.channels) == ("leads", ("leads",))
    assert incident.key == incident_key("accuracy-low-vendor", "vendor=bpo-a", 1)
    assert incident.board_url.startswith("https://grafana.example/d/")
    assert incident.runbook_url == "https://floorwatch.example/docs/runbooks/accuracy_low.md"


def test_a_quiet_evaluation_between_starts_the_count_again() -> None:
    incident, effects = run([ON, OFF, ON])
    assert incident is not None
    assert incident.state == "pending"
    incident, effects = run([OFF, OFF], incident)
    assert incident is not None
    assert (incident.state, effects) == ("quiet", [])


def test_quiet_signal_for_nothing_makes_nothing() -> None:
    assert step(None, OFF, POLICY) is None
    assert step(None, Tick(1), POLICY) is None
    assert step(None, Ack("k", "me", 1), POLICY) is None


def test_resolves_after_enough_quiet_ones_in_a_row() -> None:
    incident, effects = run([OFF, ON, OFF], opened())
    assert incident is not None
    assert incident.state == "open"
    assert steps(effects) == []
    incident, effects = run([OFF], incident)
    assert incident is not None
    assert (incident.state, incident.resolved_ms) == ("resolved", NOW_MS)
    assert steps(effects) == ["resolved-0"]
    assert incident.evidence == "fine"
    assert incident.contributors == ON.contributors  # what it was about stays readable


def test_an_incident_stays_open_while_nothing_shows_a_recovery() -> None:
    """Less evidence than the bar is no evidence of recovery; also with the counts of quiet looks that came before."""
    holding = signal(False, holds=True)
    incident, effects = run([OFF, *[holding] * 50, OFF], opened())
    assert incident is not None
    assert (incident.state, steps(effects)) == ("open", [])
    incident, _ = run([OFF], incident)
    assert incident is not None
    assert incident.state == "resolved"


def test_holding_opens_and_reopens_nothing() -> None:
    holding = signal(False, holds=True)
    assert step(None, holding, POLICY) is None
    resolved, _ = run([OFF, OFF], opened())
    again, effects = run([holding] * 5, resolved)
    assert again is not None
    assert (again.state, steps(effects)) == ("resolved", [])


def test_reopens_within_days_as_the_same_incident() -> None:
    first, _ = run([OFF, OFF], opened())
    later = signal(True, NOW_MS + 2 * DAY_MS)
    again, effects = run([later, later], first)
    assert first is not None
    assert again is not None
    assert (again.key, again.state, again.reopened, again.opened_ms) == (first.key, "open", 1, NOW_MS)
    assert steps(effects) == ["reopened-1"]
    _, effects = run([OFF, OFF], again)
    assert steps(effects) == ["resolved-1"]


def test_after_the_reopen_window_a_new_episode_begins() -> None:
    first, _ = run([OFF, OFF], opened())
    at_edge, _ = run([signal(True, NOW_MS + 3 * DAY_MS)] * 2, first)
    assert at_edge is not None
    assert at_edge.episode == 1
    later = signal(True, NOW_MS + 3 * DAY_MS + 1)
    again, effects = run([later, later], first)
    assert first is not None
    assert again is not None
    assert (again.episode, again.reopened, again.state) == (2, 0, "open")
    assert again.key != first.key
    assert steps(effects) == ["open"]
    assert all(effect.incident.key == again.key for effect in effects)


def test_one_firing_after_resolve_does_not_reopen() -> None:
    first, _ = run([OFF, OFF], opened())
    same, effects = run([ON, OFF, ON, OFF], first)
    assert same is not None
    assert same.state == "resolved"
    assert effects == []


def test_ack_stops_escalation() -> None:
    incident = opened()
    events = [Tick(0), Ack(incident.key, "mei", 1), Tick(60 * MINUTE_MS)]
    after, effects = run(events, incident)
    assert after is not None
    assert (after.state, after.acknowledged_by) == ("acknowledged", "mei")
    assert steps(effects) == []


def test_escalates_tier_by_tier_and_each_tier_once() -> None:
    minutes = [0, 9, 10, 11, 29, 30, 31, 90]
    after, effects = run([Tick(minute * MINUTE_MS) for minute in minutes], opened())
    assert after is not None
    assert (after.state, after.tier) == ("escalated", 2)
    assert [(note.step, note.route) for note in effects] == [
        ("escalated-0-1", "second-line"),
        ("escalated-0-2", "manager"),
    ]
    after, effects = run([OFF, OFF], after)
    assert steps(effects) == ["resolved-0"]


def test_a_long_pause_escalates_through_every_tier() -> None:
    _, (note,) = run([Tick(0), Tick(DAY_MS)], opened())
    assert (note.step, note.channels) == ("escalated-0-2", ("second-line", "manager"))


def test_ack_or_silence_of_another_episode_is_ignored() -> None:
    incident = opened()
    assert step(incident, Ack("other", "mei", 1), POLICY) is incident
    assert step(incident, Silence("other", "mei", 1, 2), POLICY) is incident


def test_silence_holds_messages_until_it_ends() -> None:
    incident = opened()
    after, effects = run([Tick(0), Silence(incident.key, "mei", 0, 20 * MINUTE_MS), Tick(15 * MINUTE_MS)], incident)
    assert steps(effects) == []
    after, effects = run([Tick(20 * MINUTE_MS)], after)
    assert steps(effects) == ["escalated-0-1"]
    quiet, _ = run([Silence(incident.key, "mei", 0, 20 * MINUTE_MS)], incident)
    _, effects = run([OFF, OFF], quiet)
    assert steps(effects) == []


def test_a_resolve_swallowed_by_a_silence_is_told_when_it_ends_and_not_opened_twice() -> None:
    incident = opened()
    quiet, effects = run([Silence(incident.key, "mei", 0, 20 * MINUTE_MS), OFF, OFF], incident)
    assert steps(effects) == []
    _, effects = run([Tick(20 * MINUTE_MS), Tick(21 * MINUTE_MS)], quiet)
    assert steps(effects) == ["resolved-0"]
    _, effects = run([ON, ON, Tick(20 * MINUTE_MS), OFF, OFF], quiet)
    assert steps(effects) == ["resolved-1"]


def test_incident_that_hears_nothing_any_more_resolves() -> None:
    incident = opened()
    edge = Tick(1, watermark_ms=NOW_MS + POLICY.stale_after_ms)
    after, effects = run([edge], incident)
    assert after is not None
    assert after.state == "open"
    after, effects = run([Tick(2, watermark_ms=NOW_MS + POLICY.stale_after_ms + 1)], after)
    assert after is not None
    assert after.state == "resolved"
    assert steps(effects) == ["resolved-0"]


def test_replayed_signal_is_a_no_op() -> None:
    first = step(None, ON, POLICY, stamp=Stamp(0, 7))
    assert first is not None
    assert step(first, ON, POLICY, stamp=Stamp(0, 7)) is first
    assert step(first, ON, POLICY, stamp=Stamp(0, 6)) is first
    second = step(first, ON, POLICY, stamp=Stamp(0, 8))
    assert second is not None
    assert (second.state, second.stamp) == ("open", Stamp(0, 8))


def test_new_episode_keeps_the_stamp() -> None:
    first, _ = run([OFF, OFF], opened())
    assert first is not None
    held = structs.replace(first, stamp=Stamp(0, 50))
    later = signal(True, NOW_MS + 9 * DAY_MS)
    assert step(held, later, POLICY, stamp=Stamp(0, 50)) is held
    new = step(held, later, POLICY, stamp=Stamp(0, 51))
    assert new is not None
    assert (new.episode, new.stamp) == (2, Stamp(0, 51))


def test_policy_of_a_rule() -> None:
    the_rule = rule("accuracy_low", severity="page", route="bpo", **{"for": 3}, resolve_for=4, window="8h")
    made = policy_of(the_rule, IncidentPolicy(board_base_url="https://b.example"))
    assert (made.severity, made.open_after, made.resolve_after) == ("page", 3, 4)
    assert (made.stale_after_ms, made.board_base_url) == (16 * 3_600_000, "https://b.example")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (MINUTE_MS * -19, 0),  # the hour of a pane whose minutes are gone
        (MINUTE_MS * -4, 0),  # its quarter
        (MINUTE_MS * -3, -3),  # an audit that came late
        (MINUTE_MS * -79, -79),  # a corrected audit
        (MINUTE_MS * 41, 41),  # the change began anew
    ],
)
def test_a_date_keeps_its_minute_when_panes_are_forgotten(said: int, kept: int) -> None:
    at_ms = NOW_MS - NOW_MS % 3_600_000 + 19 * MINUTE_MS
    first = {"since_ms": at_ms, "dated": True}
    incident, _ = run([signal(True, NOW_MS, **first), signal(True, NOW_MS, **first)])
    assert incident is not None
    incident, _ = run([signal(True, NOW_MS + MINUTE_MS, since_ms=at_ms + said, dated=True)], incident)
    assert incident is not None
    assert (incident.since_ms - at_ms) // MINUTE_MS == kept
