"""A damaged journal costs the records whose check fails and no other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from floorwatch.embedded.frames import MAGIC
from floorwatch.embedded.journal_segments import (
    START,
    drop_older_than,
    has_writer,
    parts_aside,
    read_from,
    segment_numbers,
    segment_path,
    set_aside,
)
from tests.embedded.journal_files import FRAME, damages, flip, read_all, records, write


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("of", [0, 3, 9], ids=["first", "middle", "last"])
def test_one_flipped_bit_anywhere_costs_its_record_and_no_other(tmp_path: Path, of: int, bit: int) -> None:
    """Each byte of a record in turn: length, check, time, lengths within, topic, key, value."""
    write(tmp_path, records(10))
    path = segment_path(tmp_path / "w", 1)
    whole = path.read_bytes()
    begin = len(MAGIC) + of * FRAME
    for at in range(begin, begin + FRAME):
        path.write_bytes(whole)
        content = flip(path, at, bit)
        write(tmp_path, records(1, 10))  # the writer starts again, and begins another segment
        assert path.read_bytes() == content, f"byte {at}: the damaged segment was changed"
        assert read_all(tmp_path / "w") == [*records(of), *records(10 - of, of + 1)], f"byte {at}"
        found = damages(tmp_path / "w")
        assert [(one.path, one.offset, len(one.content), one.acknowledged) for one in found] == [
            (path, begin, FRAME, True)
        ], f"byte {at}"
        segment_path(tmp_path / "w", 2).unlink()


@pytest.mark.parametrize("at", range(len(MAGIC)))
def test_a_damaged_head_costs_no_record(tmp_path: Path, at: int) -> None:
    write(tmp_path, records(10))
    flip(segment_path(tmp_path / "w", 1), at)
    write(tmp_path, records(5, 10))
    assert read_all(tmp_path / "w") == records(15)


def test_damage_within_a_segment_that_is_being_written_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, records(10))
    flip(segment_path(tmp_path / "w", 1), len(MAGIC) + 4 * FRAME + 25)
    assert read_all(tmp_path / "w") == [*records(4), *records(5, 5)]
    assert [one.said for one in damages(tmp_path / "w")] == ["a record fails its check"]


def test_several_damaged_parts_are_each_set_aside_once_and_go_with_their_segment(tmp_path: Path) -> None:
    clock = iter(range(1000, 3000))
    write(tmp_path, records(30), segment_bytes=600, now_ms=lambda: next(clock))
    write(tmp_path, records(10, 30), segment_bytes=600, now_ms=lambda: next(clock) + 100_000)
    path = segment_path(tmp_path / "w", 1)
    whole = path.read_bytes()
    for of in (0, 1, 5):
        flip(path, len(MAGIC) + of * FRAME + 24)
    found = damages(tmp_path / "w")
    assert [one.offset for one in found] == [len(MAGIC), len(MAGIC) + 5 * FRAME]
    for one in [*found, *found]:
        set_aside(one)
    kept = parts_aside(tmp_path)
    assert [len(part.read_bytes()) for part in kept] == [2 * FRAME, FRAME]
    assert all(part.stat().st_mode & 0o777 == 0o600 for part in kept)
    assert whole != path.read_bytes()
    assert segment_numbers(tmp_path / "w") == [1, 2]
    assert drop_older_than(tmp_path / "w", 200_000) == 1
    assert parts_aside(tmp_path) == []


@pytest.mark.parametrize("lost", [1, 20, FRAME + 7, 5 * FRAME])
def test_a_finished_segment_cut_short_is_damage(tmp_path: Path, lost: int) -> None:
    write(tmp_path, records(10))
    write(tmp_path, records(5, 10))
    path = segment_path(tmp_path / "w", 1)
    os.truncate(path, path.stat().st_size - lost)
    gone = -(-lost // FRAME)
    assert read_all(tmp_path / "w") == [*records(10 - gone), *records(5, 10)]
    cut_within = bool(lost % FRAME)
    assert [one.acknowledged for one in damages(tmp_path / "w")] == [True] * cut_within


def test_a_segment_cut_short_behind_a_reader_is_told(tmp_path: Path) -> None:
    write(tmp_path, records(10))
    path = segment_path(tmp_path / "w", 1)
    read = read_from(tmp_path / "w", START, 10_000).position
    os.truncate(path, len(MAGIC) + 4 * FRAME)
    chunk = read_from(tmp_path / "w", read, 10_000)
    assert chunk.damage is not None
    assert chunk.damage.acknowledged
    assert f"ends {6 * FRAME} bytes before" in chunk.damage.said
    write(tmp_path, records(2, 20))
    assert read_from(tmp_path / "w", chunk.position, 10_000).records[0].key == b"task-20"


@pytest.mark.parametrize(
    ("end", "acknowledged"),
    [
        (lambda whole: whole[: -FRAME + 3], False),
        (lambda whole: whole[:-1], False),
        (lambda whole: whole[:-30] + bytes(30), False),
        (lambda whole: whole[:-1] + b"!", True),
        (lambda whole: whole[:-FRAME] + b"\xff" + whole[-FRAME + 1 :], True),
    ],
    ids=["torn in the length", "torn in the value", "zeros of a power cut", "bad value", "bad length"],
)
def test_a_torn_end_is_told_from_damage_and_both_are_passed_over_when_nobody_writes(
    tmp_path: Path, end: Callable[[bytes], bytes], acknowledged: bool
) -> None:
    write(tmp_path, records(10))
    path = segment_path(tmp_path / "w", 1)
    path.write_bytes(end(path.read_bytes()))
    assert damages(tmp_path / "w") == [], "somebody may be writing: wait"
    assert not has_writer(tmp_path / "w")
    assert [one.acknowledged for one in damages(tmp_path / "w", no_writer=True)] == [acknowledged]
    position = START
    for _ in range(3):
        position = read_from(tmp_path / "w", position, 10_000, no_writer=True).position
    write(tmp_path, records(3, 10))
    read = read_from(tmp_path / "w", position, 10_000).records
    assert [record.key for record in read] == [b"task-10", b"task-11", b"task-12"], "records written later were missed"
