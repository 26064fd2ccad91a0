"""Dead letters: nothing that may be content is kept, what is needed to mend and send again is, and each can be written."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from gateway.recorded import dead_letter as hook_letter
from gateway.webhooks import WebhookProblem
from streams.adapters.topic_names import TopicNames
from streams.agents.dead_letters import dead_letter
from streams.agents.intake import Intake, IntakePolicy
from streams.agents.ledger import LedgerStage
from streams.core.dead_letters import MAX_REMOVED, kept_ids, kept_of
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.engine.log import ProducerRecord
from streams.models.acceptance import Refusal, accept, parse_event
from streams.models.contract_schema import components
from streams.models.outputs import DeadLetter
from tests.agents.test_intake import NO_LETTERS
from tests.support import size

NOW_MS = 1_796_169_600_000
SECRET = "the moderated post says this "
LONG = SECRET * 20
SCHEMA = Draft202012Validator(
    {"$ref": "#/$defs/DeadLetter", "$defs": components((DeadLetter,), "#/$defs/{name}")}, format_checker=FormatChecker()
)

LABEL: dict[str, Any] = {
    "specversion": "1.0", "id": "e-1", "source": "s", "subject": "t-1", "type": "floorwatch.label.submitted.v1",
    "time": "2026-11-30T08:00:00Z", "data": {"label_id": "l", "labeler_id": "a", "values": ["hate"]},
}  # fmt: skip


def event(data: dict[str, Any] | None = None, **changes: Any) -> bytes:
    return json.dumps({**LABEL, "data": {**LABEL["data"], **(data or {})}, **changes}).encode()


class Writer:
    def __init__(self) -> None:
        self.sent: dict[str, list[ProducerRecord]] = {}

    async def append(self, topic: str, _: int, records: Any) -> None:
        self.sent.setdefault(topic, []).extend(ProducerRecord(*record) for record in records)


class Meter:
    def __getattr__(self, _: str) -> Any:
        return lambda *_, **__: None


def refused(raw: bytes, timestamp_ms: int = NOW_MS) -> dict[str, Any]:
    """Return the dead letter that intake writes of bytes."""
    writer = Writer()
    intake = Intake("raw", 2, TopicNames("f.", 4), writer, NO_LETTERS, IntakePolicy(), Meter())  # type: ignore[arg-type]
    intake.fold([Record(7, timestamp_ms, None, raw)])
    asyncio.run(intake.flush())
    assert "f.events.v1" not in writer.sent
    (one,) = writer.sent["f.deadletters.v1"]
    assert one.key == b"raw|2|7"
    letter = json.loads(one.value or b"")
    assert_as_the_contract_says(letter)
    return dict(letter)


def assert_as_the_contract_says(letter: dict[str, Any]) -> None:
    SCHEMA.validate(letter)
    assert set(letter) == set(DeadLetter.__struct_fields__)


BAD: dict[str, tuple[bytes, str]] = {
    "content in fields the contract does not have": (
        event({"labeler_id": 5, "text": SECRET, "meta": {"post": [SECRET]}}, comment=SECRET), "wrong_type"),
    "content under names that are content": (event({"labeler_id": 5, SECRET: 1}), "wrong_type"),
    "content for a value": (event({"values": ["hate", LONG]}), "wrong_value"),
    "content for a label id": (event({"label_id": LONG}), "wrong_value"),
    "an object for a queue": (event({"queue": {"name": SECRET}}), "wrong_type"),
    "a list of objects for values": (event({"values": [{"text": SECRET}]}), "wrong_type"),
    "a text for data": (event().replace(json.dumps(LABEL["data"]).encode(), json.dumps(LONG).encode()), "wrong_type"),
    "content beside a prediction": (event({"prediction": {"score": "x", "why": SECRET}}), "wrong_type"),
    "another type's event": (event({"text": SECRET}, type="acme.post.created"), "unknown_type"),
    "a long type": (event({}, type=LONG), "unknown_type"),
    "a long wrong choice": (
        event({"audit_id": "a", "verdict": LONG}, type="floorwatch.audit.completed.v1"), "wrong_value"),
    "too large": (event({"text": SECRET * 60_000}), "too_large"),
    "much too large": (event({"text": SECRET * 120_000}), "too_large"),
    "cut off": (event({"text": SECRET * 9})[:-40], "not_json"),
    "no JSON at all": (f'id: "e-1" {SECRET}'.encode(), "not_json"),
    "nested": (event({"text": SECRET})[:-2] + b',"x":' + b"[" * 5000, "not_json"),
    "not UTF-8": (event({"text": SECRET}).replace(b"post", b"\xff\xfe"), "not_utf8"),
    "UTF-16": (event({"text": SECRET}).decode().encode("utf-16"), "not_utf8"),
    "dated ahead": (event({"text": SECRET}, time="2027-01-01T00:00:00Z"), "future_time"),
    "breaks a rule": (event({"text": SECRET, "due_at": "9999-12-31T00:00:00Z"}), "year_out_of_range"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_no_content_is_kept_and_the_event_can_be_found(name: str) -> None:
    raw, code = BAD[name]
    letter = refused(raw)
    assert letter["code"] == code
    assert SECRET not in json.dumps(letter)
    assert SECRET.encode("utf-16-le").decode("latin-1") not in letter["value"]
    assert len(json.dumps(letter)) < 4000
    assert letter["value_bytes"] == len(raw)
    assert (letter["source_topic"], letter["partition"], letter["offset"]) == ("raw", 2, 7)
    kept = json.loads(letter["value"])
    if name not in ("no JSON at all", "UTF-16"):
        assert (kept["id"], kept["source"], kept["subject"]) == ("e-1", "s", "t-1")
    told = {one["field"]: one["bytes"] for one in letter["removed"]}
    if name.startswith("content in fields"):
        assert told == {
            "$.comment": len(SECRET) + 2, "$.data.text": len(SECRET) + 2, "$.data.meta": len(SECRET) + 14,
        }  # fmt: skip
        assert kept["data"] == {**LABEL["data"], "labeler_id": 5}
    if name == "content under names that are content":
        assert told == {"$.data.?": 1}
    if name == "content for a value":
        assert told == {"$.data.values[1]": len(LONG) + 2}
        assert kept["data"]["values"] == ["hate"]


def test_what_is_kept_can_be_mended_and_sent_again() -> None:
    for changes, mend in (
        ({"labeler_id": 5, "text": LONG}, {"labeler_id": "a"}),
        ({"queue": "a\x9b", "text": LONG, "prediction": {"score": 0.5, "x": 1}}, {"queue": "a"}),
        ({"started_at": "0001-01-01T00:00:00Z", "x": [[[LONG]]]}, {"started_at": None}),
    ):
        raw = event(changes)
        kept = json.loads(refused(raw)["value"])
        again = accept(json.dumps({**kept, "data": {**kept["data"], **mend}}).encode(), NOW_MS)
        meant = accept(event({**changes, **mend}), NOW_MS)
        assert not isinstance(again, Refusal)
        assert not isinstance(meant, Refusal)
        assert again[0] == meant[0]


@pytest.mark.parametrize("timestamp_ms", [2**61, 2**63 - 1, -1, -(2**62), 253_402_300_800_000, 0])
def test_a_letter_can_be_written_whatever_the_record_s_time(timestamp_ms: int) -> None:
    assert refused(b"{oops", timestamp_ms)["code"] == "not_json"


def test_many_removed_fields_are_summed_up() -> None:
    letter = refused(event({"labeler_id": 5, **{f"x{n}": "abc" for n in range(1000)}}))
    assert len(letter["removed"]) == MAX_REMOVED + 1
    assert letter["removed"][-1] == {"field": "…", "bytes": (1000 - MAX_REMOVED) * 5}


def test_the_gateway_s_and_the_ledger_s_letters_are_as_the_contract_says() -> None:
    problem = WebhookProblem(
        "unknown_annotation", "$.annotation.id", "no such annotation", {"id": "x" * 300, "task": 5}
    )
    _, value = hook_letter(problem, "label-studio/kul", 2**61)
    letter = json.loads(value)
    assert_as_the_contract_says(letter)
    assert letter["hint"]
    assert json.loads(letter["value"]) == {"task": 5}
    writer = Writer()
    reader: Any = None
    stage = LedgerStage(0, CorePolicy(), TopicNames("f.", 1), writer, reader, Meter())  # type: ignore[arg-type]
    old = event({"text": SECRET})
    values = [
        b"{oops",
        old,
        event({"labeler_id": "b", "text": SECRET}),
        event({}, id="late", time="2026-01-01T00:00:00Z"),
    ]
    stage.fold([Record(offset, 2**61, None, one) for offset, one in enumerate(values)])
    asyncio.run(stage.flush())
    letters = [
        json.loads(one.value or b"") for topic in ("deadletters", "late") for one in writer.sent[f"f.{topic}.v1"]
    ]
    assert [one["code"] for one in letters] == ["not_an_event", "conflicting_duplicate", "late"]
    for one in letters:
        assert_as_the_contract_says(one)
        assert SECRET not in json.dumps(one)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=400) | st.just(LONG),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=size(60, 500), deadline=None)
@given(
    st.dictionaries(st.sampled_from([*LABEL, "x"]), ODD, max_size=3),
    st.dictionaries(st.text(max_size=9), ODD, max_size=3),
)
def test_any_event_gives_a_letter_without_the_content(envelope: dict[str, Any], data: dict[str, Any]) -> None:
    body = {**LABEL, "data": {**LABEL["data"], **data, "text": LONG}, **envelope}
    raw = json.dumps(body).encode()
    kept = kept_of(raw)
    assert LONG not in kept.value
    assert isinstance(json.loads(kept.value), dict)
    found = parse_event(raw, None)
    if isinstance(found, Refusal):
        out = dead_letter("intake", "raw", 0, Record(0, NOW_MS, None, raw), found)
        SCHEMA.validate(json.loads(out.value or b""))


@settings(max_examples=size(80, 500), deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_letter(raw: bytes) -> None:
    SCHEMA.validate(
        json.loads(
            dead_letter("intake", "raw", 0, Record(0, -5, None, raw), Refusal("c", None, "\ud800", "")).value or b""
        )
    )


def test_ids_are_kept_as_they_are() -> None:
    assert json.loads(kept_ids({"id": 5, "task": "t", "none": None}).value) == {"id": 5, "task": "t", "none": None}
