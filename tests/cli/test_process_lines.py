"""Lines of ``floorwatch process``: every refused or late event is told by its place in the file."""

from __future__ import annotations

from array import array

from floorwatch.cli.process import as_of_the_end, has_facts, numbered, with_lines


def _letter(stage: str, offset: int, code: str, reason: str = "") -> dict[str, object]:
    place = {"at": "2026-11-30T08:00:00Z", "source_topic": "x", "partition": 0, "offset": offset}
    return {**place, "stage": stage, "code": code, "reason": reason, "value": "{}"}


def test_lines_are_counted_with_the_blank_ones() -> None:
    numbers = array("q")
    assert list(numbered([b"\n", b"{}\n", b"  \n", b"[]\n"], numbers)) == [b"{}\n", b"[]\n"]
    assert list(numbers) == [2, 4]


def test_places_on_the_log_are_places_in_the_file() -> None:
    """Lines 1, 3, 4, 5 hold something; intake refuses that of line 3, so the log of events holds 1, 4, 5."""
    numbers = array("q", [1, 3, 4, 5])
    conflict = "conflicting duplicate: event id 'a' was already folded at offset 1 with other content"
    dead = [_letter("ledger", 2, "conflicting_duplicate", conflict), _letter("intake", 1, "not_json")]
    refused, late = with_lines(dead, [_letter("ledger", 1, "late")], numbers)
    assert [(letter["line"], letter["code"]) for letter in refused] == [(3, "not_json"), (5, "conflicting_duplicate")]
    assert "folded from line 4 with" in refused[1]["reason"]
    assert [letter["line"] for letter in late] == [4]
    assert not {"at", "offset", "partition", "source_topic"} & late[0].keys()


def test_any_count_is_a_fact() -> None:
    row = {"window": "pane", "pane_s": 3600, "revision": 2, "closed": True, "labels": 0, "wrong": {"technical": 0}}
    assert not has_facts(row)
    assert has_facts({**row, "appeals_opened": 1})
    assert has_facts({**row, "wrong": {"technical": 1}})
    assert has_facts({**row, "weight_sum": 0.5})


def test_rows_are_as_of_the_end_of_the_file() -> None:
    row = {"start": "2026-11-30T08:00:00Z", "end": "2026-11-30T09:00:00Z", "closed": False, "labels": 30}
    row |= {"watermark": "2026-11-30T08:10:00Z", "labels_per_hour": 180.0}
    half_past_ms = 1_796_027_400_000
    now = as_of_the_end(row, half_past_ms)
    assert (now["watermark"], now["closed"], now["labels_per_hour"]) == ("2026-11-30T08:30:00Z", False, 60.0)
    now = as_of_the_end(row, half_past_ms + 3_600_000)
    assert (now["closed"], now["labels_per_hour"]) == (True, 30.0)
