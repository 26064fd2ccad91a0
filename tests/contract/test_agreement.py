"""Accepted if and only if valid by the JSON Schema and the table of rules: generated events, in both directions.

Events are made from the wire types themselves, then bent: extreme values, numbers and times in every notation, texts of
every script and control character, fields left out, doubled, unknown, of another type. Whatever comes of it, ``parse_event``
must say what the published schema and the rules say.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from streams.models.acceptance import MAX_REASON_CHARS, Refusal, _anew, accept, parse_event
from streams.models.contract_schema import bundle, event_schema, type_name
from streams.models.events import EVENT_CLASSES, Tick, decode_event, decode_log_event
from streams.models.lenient import data_class, decode_loose
from streams.models.time_rules import DEFAULT_LIMITS, broken_rule, first_broken
from tests.support import size

BY_TYPE = {type_name(cls): Draft202012Validator(event_schema(cls)) for cls in EVENT_CLASSES}
BUNDLE = Draft202012Validator(bundle())
ROOT = Path(__file__).parents[2]
Json = Any

RULE_CODES = {"year_out_of_range", *(code for code in (
    "started_after_time", "handle_time_too_long", "created_after_time", "created_out_of_range", "due_out_of_range",
    "shift_ends_before_start", "shift_too_long", "shift_out_of_range",
))}  # fmt: skip


def schema_says(event: Json) -> bool:
    """What the published schema of the event's type says, or that of all events where the type is none."""
    kind = event.get("type") if isinstance(event, dict) else None
    validator = BY_TYPE[kind] if isinstance(kind, str) and kind in BY_TYPE else BUNDLE
    valid: bool = validator.is_valid(event)
    return valid


# -- making events ---------------------------------------------------------------------------------------------------

TIME = datetime(2026, 11, 30, 8, tzinfo=UTC)
EDGES_MS = [0, 1, -1, 86_400_000, 86_400_001, -86_400_000, -86_400_001, 7 * 86_400_000, 7 * 86_400_001]
EDGES_MS += [sign * (400 * 86_400_000 + more) for sign in (1, -1) for more in (-1, 0, 1)]

ODD_TIMES = st.sampled_from([
    "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "2000-01-01T00:00:00Z",
    "2099-12-31T23:59:59.999999Z", "2100-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00",
    "2026-02-29T08:00:00Z", "2028-02-29T08:00:00Z", "2026-04-31T08:00:00Z", "2026-00-10T08:00:00Z",
    "2026-11-30T24:00:00Z", "2026-11-30T08:60:00Z", "2026-11-30T08:00:60Z", "2016-12-31T23:59:60Z",
    "2026-11-30t08:00:00z", "2026-11-30 08:00:00Z", "2026-11-30_08:00:00Z", "2026-11-30T08:00:00", "2026-11-30",
    "2026-11-30T08:00Z", "2026-11-30T08:00:00.Z", "2026-11-30T08:00:00,5Z", "2026-11-30T08:00:00+0800",
    "2026-11-30T08:00:00+08", "2026-11-30T08:00:00+24:00", "2026-11-30T08:00:00+23:59", "2026-11-30T08:00:00-00:00",
    "2026-11-30T08:00:00.9999999Z", "2026-11-30T08:00:00." + "9" * 40 + "Z", "2026-11-30T08:00:00Z\n",
    " 2026-11-30T08:00:00Z", "2026-W48-1T08:00:00Z", "20261130T080000Z", "2026-334T08:00:00Z", "1764489600",
    "２０２６-11-30T08:00:00Z", "2026-11-30T08:00:00−08:00", "",
])  # fmt: skip


@st.composite
def near_times(draw: st.DrawFn) -> str:
    """A time at an edge of a rule, in some zone, with some fraction."""
    at = TIME + timedelta(milliseconds=draw(st.sampled_from(EDGES_MS) | st.integers(-(10**11), 10**11)))
    minutes = draw(st.sampled_from([0, 0, 0, 480, -330, 1439, -1439]))
    sign = "-" if minutes < 0 else "+"
    text = (at + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S") + f".{at.microsecond // 1000:03d}"
    text += draw(st.sampled_from(["", "", "000", "9", "9999", "999999999"]))
    return text + (f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}" if minutes else "Z")


TIMES = near_times() | ODD_TIMES
NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=8) | st.sampled_from(
    ["x" * 256, "x" * 257, "語" * 256, "語" * 257, "🎈" * 256, "🎈" * 257, "e\u0301", "\u200d", "\u200f", "\ufeff"]
    + [f"a{chr(code)}b" for code in (0, 9, 10, 13, 31, 32, 126, 127, 128, 0x85, 0x9B, 0x9F, 0xA0, 0x2027, 0x2028)]
    + [f"a{chr(code)}b" for code in (0x2029, 0x202A, 0x202E, 0x202F, 0x2065, 0x2066, 0x2069, 0x206A, 0xFFFD)]
)
NUMBERS = st.sampled_from([
    "0", "-0", "-0.0", "1", "1.0", "2.0", "1e3", "1E+3", "10e-1", "1.5", "0.1", "1e-6", "9.9e-7", "1e-7", "1.0000000001",
    "1000", "1001", "1000.0", "1000.5", "1e400", "-1e400", "1e308", "1.8e308", "1e-400", "2592000000", "2592000000.0",
    "2592000001", "9007199254740993", "1e6", "1000001", "-1", "-1.0", "9" * 30, "9" * 400, "true", "null", '"1"', "[]",
])  # fmt: skip
"""As they are written: how a number is spelt is what readers differ in."""


class Spelt(str):
    """A number as written."""

    __slots__ = ()


SPELT = NUMBERS.map(Spelt)
ANY = st.recursive(
    st.none() | st.booleans() | SPELT | NAMES | TIMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


def written(value: Json) -> str:
    """Return JSON text, numbers as spelt."""
    if isinstance(value, Spelt):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(key))}:{written(held)}" for key, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)


GOOD: dict[str, st.SearchStrategy[Json]] = {
    "verdict": st.sampled_from(["correct", "incorrect"]),
    "error_class": st.sampled_from(["false_positive", "technical"]),
    "severity": st.sampled_from(["critical", "minor"]),
    "outcome": st.sampled_from(["upheld", "overturned"]),
    "against": st.sampled_from(["label", "audit"]),
    "values": st.lists(st.sampled_from(["a", "b"]), max_size=3),
    "labeler_ids": st.lists(st.sampled_from(["a", "b"]), max_size=3),
    "blind": st.booleans(),
    "gold": st.booleans(),
    "required_labels": st.sampled_from(["1", "2", "2.0", "1e3"]).map(Spelt),
    "active_ms": st.sampled_from(["0", "1000", "1000.0", "1e3", "2592000000"]).map(Spelt),
    "headcount": st.sampled_from(["0", "2", "1e6"]).map(Spelt),
    "prediction": st.fixed_dictionaries({}, optional={
        "values": st.just(["a"]), "score": st.sampled_from(["1", "0.5", "1e400"]).map(Spelt), "model": st.just("m"),
    }),
    "sampling": st.fixed_dictionaries({}, optional={
        "method": st.just("m"), "probability": st.sampled_from(["1", "0.05", "1e-6", "1e-7"]).map(Spelt),
    }),
    "due_at": near_times(), "started_at": near_times(), "created_at": near_times(), "from": near_times(),
    "to": near_times(), "reason": st.sampled_from(["why", "two\nlines", "x" * 300]),
}  # fmt: skip
BENT = {
    "values": st.lists(NAMES, max_size=3) | st.just(["v"] * 64) | st.just(["v"] * 65) | st.none(),
    "labeler_ids": st.lists(NAMES, max_size=3) | st.just(["v"] * 65),
    "active_ms": SPELT, "required_labels": SPELT, "headcount": SPELT,
    "prediction": st.dictionaries(st.sampled_from(["values", "score", "model", "x"]), ANY, max_size=3),
    "sampling": st.dictionaries(st.sampled_from(["method", "probability", "x"]), SPELT | NAMES, max_size=3),
    **dict.fromkeys(("due_at", "started_at", "created_at", "from", "to"), TIMES | st.none()),
}  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> Json:
    """An event that is good, or good but for a few things."""
    cls = draw(st.sampled_from(EVENT_CLASSES))
    data: dict[str, Json] = {}
    for field in msgspec.structs.fields(data_class(cls)):
        name = field.encode_name
        if field.required or draw(st.booleans()):
            data[name] = draw(GOOD.get(name, st.sampled_from(["n-1", "n-2"])))
    if "started_at" in data and draw(st.booleans()):
        data["started_at"] = "2026-11-30T07:59:59.5Z"
    event: dict[str, Json] = {
        "specversion": "1.0", "id": "e-1", "source": "s", "subject": "t-1", "type": type_name(cls),
        "time": draw(st.just("2026-11-30T08:00:00Z") | near_times()), "data": data,
    }  # fmt: skip
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        target = draw(st.sampled_from([event, data]))
        if event.get("data") is not data:
            target = event
        name = draw(st.sampled_from([*target, "datacontenttype", "due_at", "started_at", "x", "traceparent"]))
        how = draw(st.sampled_from(["bent", "any", "gone"]))
        if how == "gone":
            target.pop(name, None)
        else:
            target[name] = draw(BENT.get(name, TIMES if name == "time" else NAMES) if how == "bent" else ANY)
    return event


# -- the property ----------------------------------------------------------------------------------------------------


def deep(levels: int) -> dict[str, Json]:
    inner: Json = []
    for _ in range(levels - 3):
        inner = [inner]
    return {**LABEL, "data": {**LABEL["data"], "x": inner}}


LABEL: dict[str, Json] = {
    "specversion": "1.0", "id": "e-1", "source": "s", "subject": "t-1", "type": "floorwatch.label.submitted.v1",
    "time": "2026-11-30T08:00:00Z", "data": {"label_id": "l", "labeler_id": "a"},
}  # fmt: skip


@pytest.mark.slow
@settings(max_examples=size(200, 2000), deadline=None, suppress_health_check=list(HealthCheck))
@given(events())
@example({**LABEL, "time": "2026-11-30 08:00:00+0800"})
@example({**LABEL, "datacontenttype": "x" * 257})
@example({**LABEL, "data": {**LABEL["data"], "values": ["a\n"]}})
@example({**LABEL, "type": "floorwatch.task.cancelled.v1", "data": {"reason": "\x85" * 300}})
def test_accepted_if_and_only_if_valid_by_schema_and_rules(event: Json) -> None:
    raw = written(event).encode()
    found = accept(raw, None)
    valid = schema_says(json.loads(raw))
    if isinstance(found, Refusal):
        assert not valid or found.code in RULE_CODES, (found, raw)
        assert found.reason
        assert found.hint
        return
    assert valid, raw
    taken, value = found
    # The log's decoder reads what was accepted, the schema holds for it too, and reading it again changes nothing.
    again = decode_log_event(value)
    assert schema_says(json.loads(value))
    assert accept(value, None) == (taken, value)
    assert parse_event(raw, None) == again == decode_event(value)
    assert first_broken(again, DEFAULT_LIMITS) is None
    known = json.loads(value)
    assert set(known) <= {"specversion", "id", "source", "subject", "type", "time", "data", "datacontenttype"}
    assert len(known.get("data", {}).get("reason") or "") <= MAX_REASON_CHARS


@pytest.mark.slow
@settings(max_examples=size(150, 1000), deadline=None)
@given(events())
def test_what_the_schema_allows_and_the_rules_forbid_is_told_by_the_rules(event: Json) -> None:
    raw = written(event).encode()
    if not schema_says(json.loads(raw)):
        return
    read = decode_event(_anew(raw))
    broken = first_broken(read, DEFAULT_LIMITS)
    assert broken_rule(read) == broken
    found = parse_event(raw, None)
    assert found == broken if broken is not None else not isinstance(found, Refusal)


@pytest.mark.parametrize("levels", [4, 63, 64, 65, 66, 500, 5000])
def test_nesting_is_measured_alike_whoever_asks(levels: int) -> None:
    raw = json.dumps(LABEL)[:-2].encode() + b', "x": ' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}}"

    def asked_at(depth: int) -> Any:
        return parse_event(raw, None) if depth == 0 else asked_at(depth - 1)

    answers = [asked_at(depth) for depth in (0, 200, 600)]
    assert answers[0] == answers[1] == answers[2]
    refused = isinstance(answers[0], Refusal)
    assert refused == (levels > 64)
    if refused:
        assert answers[0].code == "not_json"


def test_brackets_in_texts_are_no_nesting() -> None:
    event = {**LABEL, "data": {**LABEL["data"], "values": ["[" * 200, '\\"{{{' * 20], "x": "{" * 500}}
    assert not isinstance(parse_event(json.dumps(event).encode(), None), Refusal)


def test_the_loose_reading_keeps_every_field() -> None:
    for line in (ROOT / "contract" / "examples.jsonl").read_bytes().splitlines():
        assert decode_event(msgspec.json.encode(decode_loose(line))) == decode_event(line)


OLD = {
    "fields the contract does not have": {
        **LABEL,
        "traceparent": "00-a",
        "data": {**LABEL["data"], "text": {"a": [1]}},
    },
    "a due time that breaks a rule": {
        **LABEL,
        "data": {**LABEL["data"], "due_at": "9999-12-31T23:59:59-14:00", "x": 1},
    },
    "a control character": {**LABEL, "data": {**LABEL["data"], "queue": "a\x9b", "x": 1}},
    "the log's clock": {**LABEL, "type": "floorwatch.clock.tick.v1", "data": {"reason": "idle", "x": 1}},
}


@pytest.mark.parametrize("name", OLD)
def test_the_log_s_decoder_takes_what_earlier_versions_wrote(name: str) -> None:
    raw = json.dumps(OLD[name]).encode()
    event = decode_log_event(raw)
    assert (event.id, event.subject) == ("e-1", "t-1")
    assert type(event) in (*EVENT_CLASSES, Tick)
    assert b"text" not in msgspec.json.encode(event)
    with pytest.raises(msgspec.ValidationError):
        decode_event(raw)
    broken = raw.replace(b'"e-1"', b"1")
    with pytest.raises(msgspec.ValidationError):
        decode_log_event(broken)
