"""The whole stack on the embedded broker: simulated floors equal the oracle, and a file's dump equals a recount."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from floorwatch.simulate.compare import COMPARED, differences, report, row_count, rows_of_dump
from floorwatch.simulate.oracle import Oracle
from floorwatch.simulate.runs import simulated_log
from tests.oracle.case_events import label
from tests.support import seeds, size

pytestmark = pytest.mark.servers


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "floorwatch", *arguments], capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("seed", [7 + 4 * n for n in seeds(1, 2)])
def test_verify_finds_no_difference(seed: int) -> None:
    done = run("verify", "--seed", str(seed), "--days", size("1", "2"), "--rate", "0.03")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("0 differences in ")
    assert int(done.stdout.split()[3]) > 1000


def test_process_dumps_what_the_file_says_and_keeps_what_it_refuses(tmp_path: Path) -> None:
    lines = simulated_log(5, days=0.5, rate=size(0.1, 0.2))
    bad = [b"{oops", json.dumps({**label("l", 5), "type": "floorwatch.nonsense.v1"}).encode(), b'"\xff"']
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join([*lines[:500], *bad, *lines[500:]]) + b"\n\n")
    done = run("process", str(events), "--dump", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    oracle = Oracle.from_events(lines)
    dumped = {table: rows_of_dump(_read(tmp_path / "out" / f"{table}.jsonl")) for table in COMPARED}
    fields = {
        "accuracy": ("labels", "audited", "correct", "weight_sum", "weight_correct"),
        "throughput": ("labels", "handle_ms_sum"),
        "sla": ("due", "met", "missed", "cancelled"),
    }
    found = differences(oracle.panes(3600), dumped, fields)
    assert not found, report(found, row_count(dumped))
    dead = _read(tmp_path / "out" / "deadletters.jsonl")
    codes = sorted(letter["code"] for letter in dead)
    assert codes.count("not_json") == 1
    assert codes.count("unknown_type") == 1
    assert codes.count("not_utf8") == 1
    assert codes.count("conflicting_duplicate") == oracle.conflicts
    assert len(codes) == 3 + oracle.conflicts + oracle.refused


def _read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    done = run("process", str(tmp_path / "no.jsonl"), "--dump", str(tmp_path))
    assert done.returncode == 2
    assert "no such file" in done.stderr


def test_lines_that_no_record_holds_are_told_and_the_rest_is_counted(tmp_path: Path) -> None:
    """One longer than any record, one that is refused by its size at intake, and one whose key would not fit."""
    good = [json.dumps(label(f"l{n}", n, task=f"t{n}", vendor="v")).encode() for n in range(3)]
    long, large = b'{"id":"' + b"x" * 20_000_000 + b'"}', b'{"id":"' + b"x" * 8_300_000 + b'"}'
    keyed = json.dumps({**label("l9", 1), "subject": "s" * 5_000_000}).encode()
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join([good[0], long, good[1], large, keyed, good[2]]))
    done = run("process", str(file), "--dump", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    dead = _read(tmp_path / "out" / "deadletters.jsonl")
    assert [(letter["line"], letter["code"]) for letter in dead] == [(line, "too_large") for line in (2, 4, 5)]
    (row,) = (row for row in _read(tmp_path / "out" / "throughput.jsonl") if row["scope_key"] == "vendor=v")
    assert row["labels"] == 3


def _disordered(seed: int) -> list[dict[str, object]]:
    """A file with leaps back beyond the correction horizon: labels only, so that a recount without the late ones is exact."""
    rng, minutes, events = random.Random(seed), -200.0 * 1440, []
    for number in range(size(250, 400)):
        minutes += rng.choice((0.1, 5, 90, 900))
        at = minutes - rng.choice((0, 0, 0, 30, 3_000, 13 * 1440, 15 * 1440, 40 * 1440))
        events.append(label(f"l{number}", at, task=f"t{number}", vendor=rng.choice("ab")))
    return events


def test_a_file_s_numbers_do_not_depend_on_partitions_and_late_events_are_told(tmp_path: Path) -> None:
    lines = [json.dumps(event).encode() for event in _disordered(3)]
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(lines))
    dumps = []
    for partitions in ("1", "4"):
        out = tmp_path / partitions
        done = run("process", str(events), "--dump", str(out), "--partitions", partitions)
        assert done.returncode == 0, done.stdout + done.stderr
        dumps.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert dumps[0] == dumps[1]
    late = {letter["line"] for letter in _read(tmp_path / "1" / "late.jsonl")}
    assert late == set(_late_by_hand(lines))
    assert f"{len(late)} events were late" in done.stderr
    oracle = Oracle.from_events([line for number, line in enumerate(lines, 1) if number not in late])
    dumped = {table: rows_of_dump(_read(tmp_path / "1" / f"{table}.jsonl")) for table in COMPARED}
    found = differences(oracle.panes(3600), dumped, COMPARED)
    assert not found, report(found, row_count(dumped))


def _late_by_hand(lines: list[bytes]) -> Iterator[int]:
    """Labels of hours that ended more than 14 days before the greatest time so far in the file."""
    watermark = None
    for number, line in enumerate(lines, 1):
        at = datetime.fromisoformat(json.loads(line)["time"])
        if watermark is not None and at < (watermark - timedelta(days=14)).replace(minute=0, second=0, microsecond=0):
            yield number
        watermark = at if watermark is None else max(watermark, at)


def test_case_07_says_what_was_late(tmp_path: Path) -> None:
    """One label of 30 November, then five of 10 November."""
    minutes = [0, *[-20 * 24 * 60] * 5]
    events = tmp_path / "events.jsonl"
    lines = [label(f"l{n}", at, task=f"o{n}", vendor="late") for n, at in enumerate(minutes)]
    events.write_text("\n".join(map(json.dumps, lines)))
    done = run("process", str(events), "--dump", str(tmp_path / "out"), "--partitions", "4")
    assert "6 events, 0 refused, 5 late" in done.stdout, done.stdout + done.stderr
    assert [letter["line"] for letter in _read(tmp_path / "out" / "late.jsonl")] == [2, 3, 4, 5, 6]
