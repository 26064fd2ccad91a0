"""Explanations of bad events: every kind has its code, its place and something to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.models.acceptance import Refusal, parse_event
from streams.models.events import EVENT_CLASSES
from tests.gateway.harness import NOW_MS, label


def raw(**changes: Any) -> bytes:
    return json.dumps(label(**changes)).encode()


def with_data(**fields: Any) -> bytes:
    event = label()
    event["data"].update(fields)
    return json.dumps(event).encode()


def audit(**fields: Any) -> bytes:
    data = {"audit_id": "a", "verdict": "correct", **fields}
    return raw(type="floorwatch.audit.completed.v1", data=data)


def without(name: str, within: str | None = None) -> bytes:
    event = label()
    del (event[within] if within else event)[name]
    return json.dumps(event).encode()


BOMB = b"[" * 400_000
CASES: dict[str, tuple[bytes, str, str | None, str]] = {
    "not JSON": (b"{oops", "not_json", None, "line 1 column 2"),
    "not JSON on a later line": (b'{"a": 1,\n  oops}', "not_json", None, "line 2 column 3"),
    "NaN": (raw().replace(b'"ana"', b"NaN"), "not_json", None, "line 1 column"),
    "lone surrogate": (raw(subject="\ud800"), "not_json", None, "surrogate"),
    "empty": (b" \n", "not_json", None, "empty"),
    "two events": (raw() + b"\n" + raw(), "not_json", None, "line 2 column 1"),
    "byte order mark": (b"\xef\xbb\xbf" + raw(), "not_json", None, "byte order mark"),
    "not UTF-8": (raw().replace(b"ana", b"\xff"), "not_utf8", None, "byte "),
    "not UTF-8 where nobody looks": (raw(x="AB").replace(b"AB", b"\xff"), "not_utf8", None, "byte "),
    "UTF-16": (json.dumps(label()).encode("utf-16"), "not_utf8", None, "UTF-8"),
    "raw NUL": (raw().replace(b"ana", b"a\x00a"), "not_json", None, "control character 0"),
    "escaped NUL": (raw(subject="t\x00"), "control_character", "$.subject", "control"),
    "line break in a value": (with_data(values=["a", "b\n"]), "control_character", "$.data.values[1]", "control"),
    "nesting bomb": (BOMB, "not_json", None, "nested too deeply"),
    "nesting bomb in a field": (raw()[:-1] + b', "x": ' + BOMB + b"}", "not_json", None, "nested too deeply"),
    "too large": (with_data(x="y" * 2_000_000), "too_large", None, "2000"),
    "an array": (b"[]", "wrong_type", "$", "an array"),
    "text": (b'"event"', "wrong_type", "$", "a string"),
    "no type": (without("type"), "missing_field", "$.type", "no type"),
    "type is a number": (raw(type=3), "wrong_type", "$.type", "str"),
    "misspelt type": (raw(type="floorwatch.label.submited.v1"), "unknown_type", "$.type", "unknown"),
    "no task": (without("subject"), "missing_field", "$.subject", "missing"),
    "no id": (without("id"), "missing_field", "$.id", "missing"),
    "no data": (without("data"), "missing_field", "$.data", "missing"),
    "no label_id": (without("label_id", "data"), "missing_field", "$.data.label_id", "missing"),
    "wrong type": (with_data(label_id=5), "wrong_type", "$.data.label_id", "got `int`"),
    "wrong type in a list": (with_data(values=["a", 5]), "wrong_type", "$.data.values[1]", "got `int`"),
    "null where text is needed": (with_data(labeler_id=None), "wrong_type", "$.data.labeler_id", "got `null`"),
    "empty id": (raw(id=""), "wrong_value", "$.id", "length"),
    "long id": (raw(id="x" * 257), "wrong_value", "$.id", "length"),
    "old CloudEvents": (raw(specversion="0.3"), "wrong_value", "$.specversion", "0.3"),
    "time without a zone": (raw(time="2026-11-23T10:00:00"), "wrong_time", "$.time", "timezone"),
    "no time at all": (raw(time="yesterday"), "wrong_time", "$.time", "RFC3339"),
    "started_at is not a time": (with_data(started_at="x"), "wrong_time", "$.data.started_at", "RFC3339"),
    "from the future": (raw(time="2026-11-23T12:05:01Z"), "future_time", "$.time", "300 s"),
    "starts after its end": (
        with_data(started_at="2026-11-23T10:00:01Z"),
        "started_after_time",
        "$.data.started_at",
        "after its own time",
    ),
    "misspelt verdict": (audit(verdict="corect"), "wrong_value", "$.data.verdict", "corect"),
    "probability 0": (audit(sampling={"probability": 0}), "wrong_value", "$.data.sampling.probability", "float"),
    "probability over 1": (audit(sampling={"probability": 5}), "wrong_value", "$.data.sampling.probability", "float"),
    "no labels required": (
        raw(type="floorwatch.task.created.v1", data={"required_labels": 0}),
        "wrong_value",
        "$.data.required_labels",
        "int",
    ),
    "appeal against an audit without one": (
        raw(type="floorwatch.appeal.opened.v1", data={"appeal_id": "p", "against": "audit", "label_id": "l"}),
        "missing_field",
        "$.data.audit_id",
        "audit_id",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fault_has_its_code_its_field_a_reason_and_a_hint(name: str) -> None:
    sent, code, field, said = CASES[name]
    found = parse_event(sent, NOW_MS)
    assert isinstance(found, Refusal)
    assert (found.code, found.field) == (code, field), found
    assert said in found.reason
    assert found.hint
    json.dumps(found.reason + found.hint).encode()


def test_hints_name_what_was_probably_meant() -> None:
    assert "'floorwatch.label.submitted.v1'" in parse_event(raw(type="floorwatch.label.submited.v1"), None).hint
    assert "'correct'" in parse_event(audit(verdict="corect"), None).hint
    assert "leave it out for targeted audits" in parse_event(audit(sampling={"probability": 0}), None).hint


def test_the_clock_is_only_asked_when_there_is_one_and_old_times_are_fine() -> None:
    assert not isinstance(parse_event(raw(time="2099-01-01T00:00:00Z"), None), Refusal)
    assert not isinstance(parse_event(raw(time="2026-11-23T12:04:59Z"), NOW_MS), Refusal)
    assert not isinstance(parse_event(raw(time="2000-01-01T00:00:00Z"), NOW_MS), Refusal)


@pytest.mark.parametrize(
    "sent",
    [
        raw(unknown={"text": "a\nb\x00"}),
        with_data(unknown=[1, "\t"]),
        raw()[:-1] + b', "subject": "t-2"}',
        json.dumps(label(), indent=2).encode(),
        raw(subject="日本語 ✓"),
        raw(type="floorwatch.label.withdrawn.v1", data={"label_id": "l", "reason": "two\nlines"}),
    ],
    ids=["unknown field", "unknown data", "key twice", "pretty", "not ASCII", "reason"],
)
def test_what_the_contract_does_not_forbid_is_accepted(sent: bytes) -> None:
    assert isinstance(parse_event(sent, NOW_MS), EVENT_CLASSES)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(st.binary(max_size=200))
@example(b"\x00")
@example(b"{" * 100_000)
@example(b'{"type":"floorwatch.label.submitted.v1","data":{"label_id":"\\ud800"}}')
def test_any_bytes_are_answered(sent: bytes) -> None:
    assert isinstance(parse_event(sent, NOW_MS), (Refusal, *EVENT_CLASSES))


@pytest.mark.slow
@given(st.data())
def test_any_change_of_a_good_event_is_answered(data: st.DataObject) -> None:
    event = label(started_at=None)
    for _ in range(data.draw(st.integers(1, 3))):
        target = data.draw(st.sampled_from([event, event["data"]]))
        if isinstance(target, dict):
            names = [*target, "started_at", "prediction", "due_at", "x"]
            target[data.draw(st.sampled_from(names))] = data.draw(VALUES)
        if not isinstance(event.get("data"), dict):
            break
    sent = bytearray(json.dumps(event).encode("utf-8", "surrogatepass"))
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(sent) - 1))
        sent[place : place + 1] = data.draw(st.binary(max_size=3))
    found = parse_event(bytes(sent), NOW_MS)
    assert isinstance(found, (Refusal, *EVENT_CLASSES))
    if isinstance(found, Refusal):
        assert found.reason
        assert found.hint
