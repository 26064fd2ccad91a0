"""Files of events that are no gzip, or a part of one: each command says what, where and how to mend it, and leaves with 2."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import floorwatch.bounded  # noqa: F401 - what it imports asks the system for its kind when first imported, which no unit test may
from floorwatch.cli import build

RUNNER = CliRunner()
COMMANDS = (
    ("people", "--events"),
    ("scorecard", "p-1", "--events"),
    ("roster", "--events"),
    ("audits", "plan", "--events"),
    ("process", "--dump", "out"),
)


def lines() -> bytes:
    head = {"specversion": "1.0", "source": "tool/a", "type": "floorwatch.label.submitted.v1"}
    sent = (
        {
            **head,
            "id": f"e{n}",
            "subject": f"t{n}",
            "time": "2026-12-01T10:00:00Z",
            "data": {"label_id": f"l{n}", "labeler_id": "p"},
        }
        for n in range(2_000)
    )
    return b"".join(json.dumps(one).encode() + b"\n" for one in sent)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, packed = tmp_path_factory.mktemp("events"), gzip.compress(lines())
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0xFF
    contents = {
        "no gzip": b"this is no gzip file\n",
        "plain lines": lines(),
        "cut short": packed[: len(packed) // 2],
        "without its end": packed[:-5],
        "only the magic": packed[:2],
        "broken inside": bytes(broken),
    }
    found = {}
    for name, content in contents.items():
        found[name] = folder / f"{name.replace(' ', '-')}.jsonl.gz"
        found[name].write_bytes(content)
    return found


KINDS = ("no gzip", "plain lines", "cut short", "without its end", "only the magic", "broken inside")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_damaged_gzip_file_is_told_in_one_line(
    faulty: dict[str, Path], kind: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    given = [str(tmp_path) if word == "out" else word for word in words]
    done = RUNNER.invoke(build(words[0]), [*given, str(faulty[kind])])
    assert done.exit_code == 2, done.output
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"{faulty[kind]}: the gzip file is damaged: ")
    assert said.endswith("; compress it again, or fetch it again")
    if kind in ("cut short", "without its end"):
        assert "it is cut short" in said


@pytest.mark.parametrize("kind", KINDS)
def test_check_events_tells_the_same(faulty: dict[str, Path], kind: str) -> None:
    done = RUNNER.invoke(build("check-events"), ["check-events", str(faulty[kind]), "--now", "2026-12-02T00:00:00Z"])
    assert done.exit_code == 1, done.output
    assert "the gzip file is damaged: " in done.output
    assert "compress it again, or fetch it again" in done.output


def test_the_reading_of_a_long_file_is_told_on_standard_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from floorwatch.cli import facts_file

    file = tmp_path / "events.jsonl"
    file.write_bytes(lines())
    words = ["people", "--events", str(file), "--json"]
    assert not RUNNER.invoke(build("people"), words).stderr, "a short one without a word"
    monkeypatch.setattr(facts_file, "_TOLD_EVERY", 1_000)
    done = RUNNER.invoke(build("people"), words)
    assert "reading: 1,000" in done.stderr
    assert "reading" not in done.stdout


def test_gzip_is_told_by_its_first_bytes_whatever_the_name(tmp_path: Path) -> None:
    from floorwatch.cli.process import read_lines

    file = tmp_path / "events.jsonl"
    file.write_bytes(gzip.compress(lines()))
    assert b"".join(read_lines(file)) == lines()
    file.write_bytes(b"")
    assert list(read_lines(file)) == []
