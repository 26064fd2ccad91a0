"""Inputs from public bug reports: every door gives the same answer, and the numbers are right.

``tests/data/cases`` holds the inputs as they were given, each with what is right (``.expect``); the tables below hold
further members of each kind. The doors are intake, the gateway, ``check-events`` and the reader that all of them share;
``floorwatch process`` sends each line to intake by its task.
"""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from floorwatch.bounded import _chunks, _key_of
from floorwatch.cli.check_events import check_stream
from floorwatch.sdk.events import BadEvents, checked
from gateway.recorded import checked as gateway_checked
from gateway.split import Item, split
from streams.adapters.topic_names import TopicNames
from streams.agents.intake import Intake, IntakePolicy
from streams.core.records import Record
from streams.engine.log import ProducerRecord
from streams.models.acceptance import Refusal, parse_event
from tests.agents.test_intake import NO_LETTERS
from tests.core.harness import CoreRun

CASES = Path(__file__).parents[1] / "data" / "cases"
NOW_MS = 1_796_169_600_000  # 2026-12-02
HOUR_08, HOUR_23 = 1_796_025_600_000, 1_796_079_600_000

LABEL: dict[str, Any] = {
    "specversion": "1.0", "id": "e-1", "source": "s", "subject": "t-1", "type": "floorwatch.label.submitted.v1",
    "time": "2026-11-30T08:00:00Z", "data": {"label_id": "l", "labeler_id": "a", "vendor": "v"},
}  # fmt: skip


class Writer:
    def __init__(self) -> None:
        self.sent: dict[str, list[ProducerRecord]] = {}

    async def append(self, topic: str, _: int, records: Any) -> None:
        self.sent.setdefault(topic, []).extend(ProducerRecord(*record) for record in records)


class Meter:
    def dead_letter(self, *_: str) -> None: ...


def through_intake(lines: list[bytes]) -> tuple[list[bytes], list[str]]:
    """Return what goes to the log and the codes of the dead letters."""
    writer = Writer()
    intake = Intake("raw", 0, TopicNames("f.", 1), writer, NO_LETTERS, IntakePolicy(), Meter())  # type: ignore[arg-type]
    intake.fold([Record(offset, NOW_MS, None, line) for offset, line in enumerate(lines)])
    asyncio.run(intake.flush())
    dead = [json.loads(one.value or b"") for one in writer.sent.get("f.deadletters.v1", [])]
    return [one.value or b"" for one in writer.sent.get("f.events.v1", [])], [letter["code"] for letter in dead]


def at_every_door(line: bytes) -> str | None:
    """Return the code with which a line is refused, None where it is accepted: the same at every door."""
    said: dict[str, str | None] = {}
    found = parse_event(line, NOW_MS)
    said["reader"] = found.code if isinstance(found, Refusal) else None
    said["check-events"] = next(iter(check_stream(io.BytesIO(line), NOW_MS).fault_codes), None)
    said["intake"] = next(iter(through_intake([line])[1]), None)
    items = split(line, "application/x-ndjson")
    assert isinstance(items, list)
    answer = gateway_checked(items[0].raw, NOW_MS, 1_048_576, 300_000)
    said["gateway"] = answer.code if isinstance(answer, Refusal) else None
    for kind in ("application/json", "text/plain", "application/cloudevents+json"):
        single = split(line, kind)
        if isinstance(single, Refusal):
            assert single.code == said["gateway"]
        else:
            assert [item.raw for item in single] == [line]
    (sent,) = next(_chunks([line + b"\r\n"], 9))
    assert sent == line
    assert _key_of(line)
    try:
        checked([line])
        said["sdk"] = None
    except BadEvents as bad:
        said["sdk"] = bad.refusals[0][1].code
    assert len(set(said.values())) == 1, said
    return said["reader"]


def case(name: str) -> list[bytes]:
    return next(CASES.glob(f"{name}-*.jsonl")).read_bytes().splitlines()


def label(**data: Any) -> bytes:
    return json.dumps({**LABEL, "data": {**LABEL["data"], **data}}).encode()


def task(**data: Any) -> bytes:
    return json.dumps({**LABEL, "type": "floorwatch.task.created.v1", "data": data}).encode()


def shift(begin: str, end: str) -> bytes:
    data = {"shift_id": "s", "vendor": "v", "headcount": 2, "from": begin, "to": end}
    return json.dumps({**LABEL, "type": "floorwatch.shift.scheduled.v1", "data": data}).encode()


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("01", ["year_out_of_range", None]),
        ("06", ["not_json", None]),
        ("08", [None, None, None]),
        ("09", ["control_character"] * 3),
        ("10", [None, None]),
        ("18", ["shift_ends_before_start"]),
    ],
)
def test_each_given_input_has_the_right_answer_at_every_door(name: str, codes: list[str | None]) -> None:
    assert [at_every_door(line) for line in case(name)] == codes


def test_one_zero_time_is_refused_and_the_other_labels_keep_their_handle_time() -> None:
    lines = case("16")
    assert [at_every_door(line) for line in lines] == ["year_out_of_range", *[None] * (len(lines) - 1)]
    events, _ = through_intake(lines)
    row = panes(events)[("all", HOUR_08 - 0)]
    assert row["handled"] == len(lines) - 1
    assert row["handle_ms_mean"] == 60_000


def panes(events: list[bytes]) -> dict[tuple[str, Any], dict[str, Any]]:
    run = CoreRun()
    run.send(events)
    run.finish()
    return run.panes()["throughput"]


def test_times_are_cut_and_never_rounded_up() -> None:
    events, dead = through_intake(case("08"))
    assert not dead
    labels = {start_ms: row["labels"] for (key, start_ms), row in panes(events).items() if key == "all"}
    assert labels == {HOUR_08: 2, HOUR_23: 1}


TIMES_CUT = [
    ("2026-11-30T08:59:59.9999999Z", "2026-11-30T08:59:59.999Z"),
    ("2026-11-30T08:59:59.99999951Z", "2026-11-30T08:59:59.999Z"),
    ("2026-10-31T23:59:59.9999999999+08:00", "2026-10-31T23:59:59.999+08:00"),
    ("2026-11-30t08:59:59.9999999z", "2026-11-30t08:59:59.999z"),
    ("2026-11-30T08:59:59.1234567-03:30", "2026-11-30T08:59:59.123-03:30"),
]


@pytest.mark.parametrize(("sent", "kept"), TIMES_CUT)
def test_every_time_of_an_event_is_cut(sent: str, kept: str) -> None:
    raw = json.dumps({**LABEL, "time": sent, "data": {**LABEL["data"], "started_at": sent, "due_at": sent}}).encode()
    assert at_every_door(raw) is None
    (event,), _ = through_intake([raw])
    read = json.loads(event)
    assert (read["time"], read["data"]["started_at"], read["data"]["due_at"]) == (kept, kept, kept)


def test_digits_written_as_escapes_are_cut_too() -> None:
    raw = json.dumps({**LABEL, "time": "T!"}).encode().replace(b"T!", rb"2026-11-30T08:59:59.\u0039999999Z")
    (event,), _ = through_intake([raw])
    assert json.loads(event)["time"] == "2026-11-30T08:59:59.999Z"


MORE: dict[str, tuple[bytes, str | None]] = {
    # 01, 16: times that no tool means
    "due at an offset that lands in year 10000": (task(due_at="9999-12-31T23:59:59-14:00"), "year_out_of_range"),
    "a label's due time of year 9999": (label(due_at="9999-12-31T00:00:00Z"), "year_out_of_range"),
    "created at Go's zero time": (label(created_at="0001-01-01T00:00:00Z"), "year_out_of_range"),
    "started at Unix's zero time": (label(started_at="1970-01-01T00:00:00Z"), "year_out_of_range"),
    "an event of Unix's zero time": (json.dumps({**LABEL, "time": "1970-01-01T00:00:00Z"}).encode(), "year_out_of_range"),
    "a shift until Excel's last day": (shift("2026-11-30T09:00:00Z", "9999-12-31T00:00:00Z"), "year_out_of_range"),
    "due in 400 days": (task(due_at="2028-01-04T08:00:00Z"), None),
    "due in 400 days and a millisecond": (task(due_at="2028-01-04T08:00:00.001Z"), "due_out_of_range"),
    "due 400 days ago": (task(due_at="2025-10-26T08:00:00Z"), None),
    "due in 2062": (label(due_at="2062-01-01T00:00:00Z"), "due_out_of_range"),
    "due before SQL Server's first day": (task(due_at="2000-01-01T00:00:00Z"), "due_out_of_range"),
    "created in 2000": (label(created_at="2000-01-01T00:00:00Z"), "created_out_of_range"),
    "created after the label": (label(created_at="2026-11-30T08:00:00.001Z"), "created_after_time"),
    "a day of handle time": (label(started_at="2026-11-29T08:00:00Z"), None),
    "more than a day of handle time": (label(started_at="2026-11-29T07:59:59.999Z"), "handle_time_too_long"),
    "started a millisecond late": (label(started_at="2026-11-30T08:00:00.001Z"), "started_after_time"),
    # 18: shifts
    "a shift of no length": (shift("2026-11-30T09:00:00Z", "2026-11-30T09:00:00Z"), "shift_ends_before_start"),
    "a night shift on one date": (shift("2026-11-30T22:00:00Z", "2026-11-30T06:00:00Z"), "shift_ends_before_start"),
    "a shift that ends before it starts in its zone only": (
        shift("2026-11-30T22:00:00+08:00", "2026-11-30T16:00:00+01:00"), None),
    "a week's shift": (shift("2026-11-30T09:00:00Z", "2026-12-07T09:00:00Z"), None),
    "a month's shift": (shift("2026-11-01T09:00:00Z", "2026-12-01T09:00:00Z"), "shift_too_long"),
    "a shift in two years": (shift("2028-11-30T09:00:00Z", "2028-11-30T17:00:00Z"), "shift_out_of_range"),
    # 06: what readers of JSON differ in
    "nested 65 deep": (label(x=json.loads("[" * 63 + "]" * 63)), "not_json"),
    "nested 64 deep": (label(x=json.loads("[" * 62 + "]" * 62)), None),
    "brackets that never close": (label()[:-2] + b',"x":' + b"[" * 70_000, "not_json"),
    "objects 5,000 deep": (label()[:-2] + b',"x":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}}", "not_json"),
    "the whole line is nested": (b"[" * 5000 + b"]" * 5000, "not_json"),
    "NaN in a field nobody reads": (label()[:-2] + b',"x":NaN}}', "not_json"),
    "Infinity": (label()[:-2] + b',"active_ms":Infinity}}', "not_json"),
    "a lone surrogate": (label(labeler_id="\ud800"), "not_json"),
    "a lone surrogate where nobody reads": (label(x="\udc00"), "not_json"),
    "a surrogate encoded as UTF-8": (label(labeler_id="AB").replace(b"AB", b"\xed\xa0\x80"), "not_utf8"),
    "a byte order mark": (b"\xef\xbb\xbf" + label(), "not_json"),
    "not UTF-8": (label(x="AB").replace(b"AB", b"\xff\xfe"), "not_utf8"),
    "an overlong form": (label(labeler_id="AB").replace(b"AB", b"\xc0\x80"), "not_utf8"),
    "a form feed after it": (label() + b"\x0c", "not_json"),
    "a key twice": (label()[:-2] + b',"labeler_id":"b"}}', None),
    "the type twice": (label()[:-1] + b',"type":"floorwatch.task.claimed.v1"}', "wrong_value"),
    "a number of 5,000 digits": (label()[:-2] + b',"active_ms":' + b"9" * 5000 + b"}}", "not_json"),
    "a number of 5,000 digits where nobody reads": (label()[:-2] + b',"x":' + b"9" * 5000 + b"}}", None),
    "a score of 1e400": (label()[:-2] + b',"prediction":{"score":1e400}}}', "wrong_value"),
    "cut off": (label()[:-21], "not_json"),
    "two in one": (label() + label(), "not_json"),
    # 09: characters
    "DEL": (label(queue="a\x7fb"), "control_character"),
    "DEL as it is": (label(queue="a?b").replace(b"?", b"\x7f"), "control_character"),
    "C1 as it is": (label(queue="a?b").replace(b"?", "\x9b".encode()), "control_character"),
    "C1 next line in an id": (json.dumps({**LABEL, "id": "a\x85"}).encode(), "control_character"),
    "a line separator": (label(queue="a\u2028b"), "control_character"),
    "a right-to-left override": (label(labeler_id="\u202egnp"), "control_character"),
    "an isolate as it is": (label(team="a?b").replace(b"?", "\u2066".encode()), "control_character"),
    "in a list": (label(values=["ok", "a\x80"]), "control_character"),
    "in what a model said": (label(prediction={"values": ["\x7f"]}), "control_character"),
    "no-break space": (label(queue="a\xa0b"), None),
    "joiners": (label(queue="\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"), None),
    "marks of direction": (label(queue="abc\u200f"), None),
    "C1 in a field nobody reads": (label(x="\x85"), None),
    "DEL in a reason": (json.dumps({**LABEL, "type": "floorwatch.task.cancelled.v1", "data": {"reason": "\x7f"}}).encode(),
                        None),
    # 10: whole numbers
    "1e3 ms": (label()[:-2] + b',"active_ms":1e3}}', None),
    "minus nothing": (label()[:-2] + b',"active_ms":-0.0}}', None),
    "half a millisecond": (label(active_ms=0.5), "wrong_type"),
    "2.0 people": (shift("2026-11-30T09:00:00Z", "2026-11-30T17:00:00Z").replace(b": 2,", b": 2.0,"), None),
    "0.0 labels": (task(required_labels=0.0), "wrong_value"),
    "1e3 labels": (task(required_labels=1e3), None),
    "1001.0 labels": (task(required_labels=1001.0), "wrong_value"),
    "true labels": (task(required_labels=True), "wrong_type"),
}  # fmt: skip


@pytest.mark.parametrize("name", MORE)
def test_further_members_of_each_kind_have_the_same_answer_at_every_door(name: str) -> None:
    line, code = MORE[name]
    assert at_every_door(line) == code, parse_event(line, NOW_MS)


def test_whole_numbers_are_written_as_such_on_the_log() -> None:
    events, dead = through_intake(case("10"))
    assert not dead
    assert json.loads(events[0])["data"]["active_ms"] == 1000
    assert b"1000.0" not in events[0]
    assert b"2.0" not in events[1]


def test_a_deep_event_does_not_stop_the_others_of_a_request() -> None:
    deep, good = case("06")
    items = split(deep + b"\n" + good, "application/x-ndjson")
    assert isinstance(items, list)
    answers = [gateway_checked(item.raw, NOW_MS, 1_048_576, 300_000) for item in items]
    assert isinstance(answers[0], Refusal)
    assert not isinstance(answers[1], Refusal)
    whole = split(b"[" + deep + b"," + good + b"]", "application/json")
    assert isinstance(whole, Refusal | list)
    assert not isinstance(whole, list) or all(isinstance(item, Item) for item in whole)
