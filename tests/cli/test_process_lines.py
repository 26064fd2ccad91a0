"""Lines of ``floorwatch process``: every refused or late event is told by its place in the file."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from array import array
from pathlib import Path

import pytest

from floorwatch.bounded import _chunks, _key_of
from floorwatch.cli.facts_file import read_facts
from floorwatch.cli.process import (
    LONGEST_BYTES,
    as_of_the_end,
    file_lines,
    has_facts,
    numbered,
    read_lines,
    with_lines,
)


def _letter(stage: str, offset: int, code: str, reason: str = "") -> dict[str, object]:
    place = {"at": "2026-11-30T08:00:00Z", "source_topic": "x", "partition": 0, "offset": offset}
    return {**place, "stage": stage, "code": code, "reason": reason, "value": "{}"}


def test_lines_are_counted_with_the_blank_ones() -> None:
    numbers = array("q")
    assert list(numbered([b"\n", b"{}\n", b"  \n", b"[]\n"], numbers, [])) == [b"{}\n", b"[]\n"]
    assert list(numbers) == [2, 4]


@pytest.mark.slow
def test_a_line_longer_than_any_event_is_a_dead_letter_by_its_number(tmp_path: Path) -> None:
    """And of its text no more than the longest event is ever in memory."""
    good, longest = b'{"id":"good"}', b" " * (LONGEST_BYTES - 2) + b"{}"
    file = tmp_path / "events.jsonl.gz"
    with gzip.open(file, "wb", compresslevel=1) as out:
        out.write(good + b"\r\n" + b'{"id":"long","subject":"t-9","x":"')
        for _ in range(40):
            out.write(b"x" * 1_048_576)
        out.write(b'"}\r\n\n' + longest + b"\n" + b"y" * (LONGEST_BYTES + 1))
    numbers, too_long = array("q"), []
    tracemalloc.start()
    sizes = [len(line) for line in numbered(file_lines(file), numbers, too_long)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * LONGEST_BYTES
    assert sizes == [len(good) + 2, LONGEST_BYTES + 1]
    assert list(numbers) == [1, 4]
    assert [(letter["line"], letter["code"], letter["value_bytes"]) for letter in too_long] == [
        (2, "too_large", 40 * 1_048_576 + 36),
        (5, "too_large", LONGEST_BYTES + 1),
    ]
    assert json.loads(too_long[0]["value"]) == {"id": "long", "subject": "t-9"}
    refused, _ = with_lines([_letter("intake", 1, "not_json")], [], numbers, too_long)
    assert [letter["line"] for letter in refused] == [2, 4, 5]
    assert set(refused[0]) - set(refused[1]) <= {"field", "hint", "removed", "value_bytes", "value_encoding"}
    # The commands that read facts see a line that is still too long for an event, and go on.
    log = read_facts(read_lines(file))
    assert (log.events, log.refused) == (0, 4)


def test_chunks_are_bounded_by_bytes_and_keys_by_the_length_of_an_id() -> None:
    chunks = list(_chunks((b"x" * 7_000_000 for _ in range(12)), 20_000))
    assert max(len(chunk) for chunk in chunks) == 5
    assert sum(len(chunk) for chunk in chunks) == 12
    assert _key_of(b'{"subject":"t-1"}') == b"t-1"
    assert _key_of(b'{"subject":"' + b"s" * 6_000_000 + b'"}').startswith(b"unreadable-")


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
