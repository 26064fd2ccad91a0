"""Dead letters as people look at them: read, chosen, grouped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from floorwatch.analysis.dead_letters import UNREADABLE_LETTER, LetterBox, LetterFilter, letter_of
from gateway.recorded import dead_letter as webhook_letter
from gateway.webhooks import WebhookProblem
from streams.agents.dead_letters import dead_letter
from streams.core.records import Record
from streams.models.refusal import Refusal

AT_MS = 1_795_424_400_000


def of_event(offset: int, code: str = "unknown_type", source: str = "app/a", **more: Any) -> tuple[bytes, bytes]:
    event = json.dumps({"id": "e1", "source": source, "text": "secret words", **more}).encode()
    refusal = Refusal(code, "$.type", f"type of {offset} is not known", "send another")
    letter = dead_letter("intake", "fw.raw.v1", 0, Record(offset, AT_MS + offset, b"k", event), refusal)
    return letter.key, letter.value


def of_webhook(number: int) -> tuple[bytes, bytes]:
    problem = WebhookProblem("no_assignee", "$.job.assignee", f"job {number} has nobody", {"id": number, "action": "x"})
    return webhook_letter(problem, "cvat/roads", AT_MS + number)


def box(letters: list[tuple[bytes, bytes]], most: int = 10, **wanted: Any) -> LetterBox:
    found = LetterBox(LetterFilter(**wanted), most)
    for one in letters:
        found.take(*one)
    return found


LETTERS = [of_event(1), of_event(3, source="app/b"), of_event(2), of_webhook(4), of_event(5, "too_large")]


def test_letters_of_events_and_webhooks_say_where_they_are_from() -> None:
    one = letter_of(*of_event(7))
    assert (one.stage, one.code, one.source, one.place, one.at_ms) == (
        "intake",
        "unknown_type",
        "app/a",
        ("fw.raw.v1", 0, 7),
        AT_MS + 7,
    )
    assert "secret" not in one.value
    assert one.removed == (("$.text", 14),)
    hook = letter_of(*of_webhook(7))
    assert (hook.stage, hook.source, hook.place) == ("gateway", "cvat/roads", None)
    assert json.loads(json.dumps(hook.as_json()))["value"] == '{"id":7,"action":"x"}'


def test_letters_are_grouped_by_reason_most_first_with_the_newest_as_example() -> None:
    found = box(LETTERS)
    said = [one.as_json() for one in found.by_number()]
    assert [(one["code"], one["letters"], one["sources"]) for one in said] == [
        ("unknown_type", 3, {"app/a": 2, "app/b": 1}),
        ("no_assignee", 1, {"cvat/roads": 1}),
        ("too_large", 1, {"app/a": 1}),
    ]
    assert said[0]["reason"] == "type of 3 is not known"
    assert (said[0]["first"], said[0]["last"]) == ("2026-11-23T09:00:00.001Z", "2026-11-23T09:00:00.003Z")
    assert found.letters == 5


def test_a_letter_that_a_replay_wrote_again_counts_once() -> None:
    found = box([*LETTERS, *LETTERS])
    assert found.letters == 5
    assert len(found.newest()) == 5


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 5),
        ({"code": "unknown_type"}, 3),
        ({"stage": "gateway"}, 1),
        ({"source": "app/a"}, 3),
        ({"source": "app/*"}, 4),
        ({"source": "app"}, 0),
        ({"since_ms": AT_MS + 3}, 3),
        ({"key": "fw.raw.v1|0|"}, 4),
        ({"key": "gateway|"}, 1),
        ({"code": "unknown_type", "source": "app/b"}, 1),
    ],
)
def test_letters_are_chosen(wanted: dict[str, Any], count: int) -> None:
    assert box(LETTERS, **wanted).letters == count


def test_the_newest_are_kept_whole_and_no_more_than_asked() -> None:
    found = box(LETTERS, 2)
    assert [one.at_ms - AT_MS for one in found.newest()] == [5, 4]
    assert found.letters == 5


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'{"at": 5}', b'{"removed": 3}', b"[" * 5000])
def test_what_is_no_letter_is_shown_as_such(raw: bytes) -> None:
    one = letter_of(b"\xff key", raw)
    assert one.code == UNREADABLE_LETTER
    assert box([(b"k", raw)]).letters == 1


def test_letters_of_other_versions_are_read_with_what_they_have() -> None:
    one = letter_of(b"k", b'{"code": "x", "new": {"a": 1}, "at": "soon", "value": "{\\"source\\": 5}"}')
    assert (one.code, one.at_ms, one.source, one.place) == ("x", -1, "", None)
    assert one.as_json()["at"] is None
    assert box([(b"k", b"{}")]).by_number()[0].as_json()["first"] is None
