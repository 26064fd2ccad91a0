"""The whole stack on the embedded broker: simulated floors equal the oracle, and a file's dump equals a recount."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from floorwatch.cli.verify import COMPARED
from floorwatch.simulate.compare import differences, report, row_count, rows_of_dump
from floorwatch.simulate.oracle import Oracle
from floorwatch.simulate.runs import simulated_log
from tests.oracle.case_events import label

pytestmark = pytest.mark.servers


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "floorwatch", *arguments], capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("seed", [7, 11])
def test_verify_finds_no_difference(seed: int) -> None:
    done = run("verify", "--seed", str(seed), "--days", "2", "--rate", "0.03")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("0 differences in ")
    assert int(done.stdout.split()[3]) > 1000


def test_process_dumps_what_the_file_says_and_keeps_what_it_refuses(tmp_path: Path) -> None:
    lines = simulated_log(5, days=0.5, rate=0.2)
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
