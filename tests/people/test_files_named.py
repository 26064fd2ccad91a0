"""Files that the commands on people read: whatever is named, one sentence says what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer

from config import files
from floorwatch.cli.people_options import read_coaching, read_tenure

LINES = {
    "deep": "[" * 100_000,
    "deep object": '{"a":' * 100_000,
    "long number": '{"labeler_id": "a", "labels": ' + "9" * 5000 + ', "since": "2026-01-05T00:00:00Z"}',
    "no JSON": "{",
    "a list": "[]",
}


@pytest.mark.parametrize("read", [read_coaching, read_tenure], ids=["coaching", "tenure"])
@pytest.mark.parametrize("name", LINES)
def test_a_line_at_fault_is_named(read: object, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text("\n" + LINES[name] + "\n")
    with pytest.raises(typer.Exit):
        read(path)  # type: ignore[operator]
    said = capsys.readouterr().err
    assert f"{path}:2: " in said
    assert len(said) < 500


@pytest.mark.parametrize("read", [read_coaching, read_tenure], ids=["coaching", "tenure"])
def test_what_is_no_small_file_is_refused(
    read: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "PIPE_WAIT_S", 0.05)
    pipe, large, binary = tmp_path / "pipe", tmp_path / "large", tmp_path / "binary"
    os.mkfifo(pipe)
    with large.open("wb") as out:
        out.truncate(1 << 40)
    binary.write_bytes(b"\xff\xfe")
    said = {
        Path("/dev/zero"): "larger than 64 MiB",
        tmp_path: "it is a folder",
        pipe: "nothing came",
        large: "larger than 64 MiB",
        binary: "is not UTF-8 text",
        tmp_path / "none": "no such file",
    }
    for path, words in said.items():
        with pytest.raises(typer.Exit):
            read(path)  # type: ignore[operator]
        assert words in capsys.readouterr().err
