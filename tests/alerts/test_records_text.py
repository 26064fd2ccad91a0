"""Incident JSON, signal JSON and the text people read."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from alerts.codec import decode_incident, decode_input, encode_input, incident_record
from alerts.incident import Incident
from alerts.message.texts import plain
from alerts.outgoing import decode_notification, encode_notification, notification
from alerts.scopes import is_parent, scope_key
from alerts.signal_filter import SignalFilterState, filter_signals
from alerts.text import Links, title_of
from streams.core.formatting import duration, interval, percent
from tests.alerts.machine import opened, run, signal
from tests.alerts.message.told import message_on, told
from tests.alerts.rows import MINUTE_MS, NOW_MS, rule

GOLDEN = Path(__file__).parent / "golden"
LINKS = Links("https://fw.example/l/ack", "https://fw.example/l/silence", "https://fw.example/l/useful")


def _resolved() -> Incident:
    quiet = signal(False, NOW_MS + 95 * MINUTE_MS)
    incident, _ = run([quiet, quiet], opened())
    if incident is None:
        raise RuntimeError("the incident should be resolved")
    return incident


def _escalated() -> Incident:
    return structs.replace(opened(), state="escalated", tier=1, updated_ms=NOW_MS + 12 * MINUTE_MS)


def _taken_and_over() -> Incident:
    return structs.replace(_resolved(), acknowledged_by="mei")


CASES = {
    "open": (opened, "open", LINKS),
    "escalated": (_escalated, "escalated-0-1", LINKS),
    "resolved": (_resolved, "resolved-0", LINKS),
    "taken_and_over": (_taken_and_over, "resolved-0", LINKS),
    "person_without_links": (
        lambda: structs.replace(
            opened(),
            scope={"labeler": "kul-017"},
            contributors=(),
            examples=(),
            board_url="",
            runbook_url="",
            reopened=1,
        ),
        "reopened-1",
        None,
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_text_is_golden(name: str) -> None:
    make, step_name, links = CASES[name]
    message = message_on(make(), step_name, links=links)
    shown = "\n".join((plain(message), *message.details, ""))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("FLOORWATCH_UPDATE_GOLDEN") == "1":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), (
        "set FLOORWATCH_UPDATE_GOLDEN=1 to write it anew, then read the diff"
    )


def test_text_is_the_same_each_time() -> None:
    assert message_on(opened(), links=LINKS) == message_on(opened(), links=LINKS)


def test_ids_cannot_steer_a_terminal() -> None:
    evil = structs.replace(opened(), scope={"queue": "a\x1b[2J\nb"}, examples=("t\r1",), evidence="x\x00y")
    text = told(evil)
    assert "\n" not in text.title
    assert not any(char in text.title + text.body for char in "\x1b\r\x00")


def test_record_has_the_agreed_fields() -> None:
    record = incident_record(opened(), title_of(opened()))
    agreed = (
        "key rule kind severity scope scope_key episode state opened_at updated_at resolved_at title evidence "
        "contributors examples board_url runbook_url since value target window stamp"
    )
    assert set(agreed.split()) <= set(record)
    assert record["title"] == "Accuracy below target: vendor bpo-a"
    assert record["opened_at"] == "2026-11-23T10:02:00.000Z"
    assert record["resolved_at"] is None
    assert record["contributors"][0]["dimension"] == "queue"


def test_broken_records_are_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_incident(b"{")
    with pytest.raises(msgspec.ValidationError):
        decode_incident(b"{}")
    with pytest.raises(msgspec.DecodeError):
        decode_input(b"[]")


def test_signal_round_trips() -> None:
    assert decode_input(encode_input(signal(True))) == signal(True)


def test_notification_round_trips_and_carries_the_record() -> None:
    _, (effect,) = run([signal(True)] * 2)
    note = notification(effect, LINKS)
    assert decode_notification(encode_notification(note)) == note
    assert note.incident["key"] == effect.incident.key
    assert note.title == "bpo-a: accuracy 88.1% (target 95%), 61 of 512 wrong, since 09:03 UTC"


def test_gate_passes_firing_and_just_enough_quiet_signals() -> None:
    rules = [rule("accuracy_low", resolve_for=2).model_copy(update={"name": "accuracy-low-vendor"})]
    state, passed = SignalFilterState(), []
    for firing in (False, False, False, True, True, False, False, False, True):
        sent, state = filter_signals(state, [signal(firing)], rules)
        passed.append(bool(sent))
    assert passed == [True, True, False, True, True, True, True, False, True]


def test_scope_keys_follow_the_core() -> None:
    assert scope_key({"policy": "P3", "queue": "hate"}) == "queue=hate,policy=P3"
    assert scope_key({"queue": "a,b=c"}) == "queue=a%2Cb%3Dc"
    assert scope_key({}) == "all"
    with pytest.raises(ValueError, match="'squad' is not a dimension"):
        scope_key({"squad": "x"})


def test_parents_are_strictly_wider() -> None:
    cell = {"vendor": "a", "queue": "q"}
    assert is_parent({}, cell)
    assert is_parent({"vendor": "a"}, cell)
    assert not is_parent({"vendor": "b"}, cell)
    assert not is_parent(cell, cell)
    assert not is_parent({}, {})


def test_words() -> None:
    assert [percent(ratio) for ratio in (0.95, 0.8808, 0, 1)] == ["95%", "88.1%", "0%", "100%"]
    assert interval(0.9, 0.94996, 0.95) == "90.000–94.996%"
    assert [duration(s) for s in (0, 40, 3600, 7500, 90_061)] == ["0 s", "40 s", "1 h", "2 h 5 min", "1 d 1 h"]
