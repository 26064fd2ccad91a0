"""Every command that shows names, with every nasty name: it shows, and does nothing else."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from floorwatch.cli import build
from floorwatch.output.terminal import DataConsole
from streams.core.formatting import printable
from tests.fuzz.renderers import RENDERERS, World
from tests.nasty import NASTY, WHAT
from tests.support import size

_RUNNER = CliRunner()
_OWN_STYLE = re.compile(r"\x1b\[[0-9;]*m")
WORST = (
    "[/red]",
    "\x1b]0;owned\x07\x1b]8;;https://evil.example\x1b\\x",
    "x\n2026-01-01 INFO all is well",
    "abc\u202egpj.exe",
    "\u3164",
)
"""The first two are tried in the unit tier, all others in the slow one: each takes a second for all commands."""
EACH = [
    pytest.param(name, id=what, marks=() if name in WORST[:2] else pytest.mark.slow)
    for name, what in zip(NASTY, WHAT, strict=True)
]
SOME = [one for at, one in enumerate(EACH) if at % size(3, 1) == 0 or NASTY[at] in WORST]
SHORT = tuple(name for name in NASTY if len(name) < 100)


def events(name: str) -> list[bytes]:
    """The life of two tasks in which everything that has a name has this one."""
    dims = dict.fromkeys(("queue", "vendor", "site", "team", "policy", "market"), name)
    common = {"specversion": "1.0", "source": "nasty"}
    found = []
    for number, task in enumerate((name, f"t-{name}")):
        at = f"2026-11-30T08:{10 + number:02}:00Z"
        label = {"label_id": name, "labeler_id": name, "values": [name], "started_at": "2026-11-30T08:09:00Z", **dims}
        audit = {"audit_id": name, "label_id": name, "auditor_id": name, "verdict": "incorrect", "values": [f"{name}!"]}
        for kind, data, time in (
            ("task.created", {"due_at": "2026-11-30T09:00:00Z", **dims}, "2026-11-30T08:00:00Z"),
            ("label.submitted", label, at),
            ("audit.completed", audit, "2026-11-30T08:30:00Z"),
        ):
            one = {**common, "id": f"{kind}{number}", "type": f"floorwatch.{kind}.v1", "subject": task, "time": time}
            found.append(json.dumps({**one, "data": data}).encode())
    return found


@cache
def world(name: str) -> World:
    """The floor of these events, as the log and the read model have it: an older release may have let them in. Its file is gone."""
    with TemporaryDirectory() as folder:
        return World(events(name), Path(folder))


def harmless(text: str) -> None:
    """Hold that a text only shows: no control characters but line breaks, nothing that hides or turns the line."""
    for char in _OWN_STYLE.sub("", text):
        assert char in "\n " or unicodedata.category(char) not in {"Cc", "Cf", "Zl", "Zp", "Cs"}, (
            f"{char!r} in {text!r}"
        )


def shown_by(*blocks: Any, width: int = 400) -> str:
    """What a window of this width gets."""
    console = DataConsole(width=width, force_terminal=True, color_system="truecolor", file=io.StringIO())
    for block in blocks:
        console.print(block)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SOME)
def test_every_renderer_takes_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: World = world(name)
    said: list[str] = []
    import tests.fuzz.renderers as own

    printed, captured = own._print, own._said
    monkeypatch.setattr(own, "_print", lambda *blocks: said.append(printed(*blocks)) or said[-1])
    monkeypatch.setattr(own, "_said", lambda work: said.append(captured(work)) or said[-1])
    for what, renderer in RENDERERS.items():
        if what not in ("check-events, people, roster", "metrics"):
            renderer(made)
    assert len(said) > 20
    for text in said:
        harmless(text)


@pytest.mark.parametrize("name", SHORT, ids=[what for what, name in zip(WHAT, NASTY, strict=True) if name in SHORT])
def test_tables_show_it_whole(name: str) -> None:
    from floorwatch.cli.forecast import due_table, forecast_table
    from floorwatch.cli.table_text import rich_table

    made = world(name)
    row = next(row for row in made.rows["accuracy", "24h"].values() if set(row["scope"]) == {"queue"})
    queue = next(row for row in made.rows["sla", "1h"].values() if set(row["scope"]) == {"queue"} and row["forecast"])
    want = printable(name)
    for table in (rich_table("accuracy", [row], "24h"), forecast_table([queue]), due_table(queue)):
        text = shown_by(table)
        harmless(text)
        assert "".join(want.split()) in "".join(text.split())  # a title is as wide as its table: long ones go on below
    plain = DataConsole(width=400, file=io.StringIO())
    plain.print(rich_table("accuracy", [row], "24h"))
    lines = plain.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len({cell_len(line) for line in lines[1:]}) == 1, "columns line up"


@pytest.mark.parametrize("name", SOME)
def test_commands_on_files(name: str, tmp_path: Path) -> None:
    """check-events, people, scorecard, roster: a file may hold anything, good events or not."""
    file = tmp_path / "events.jsonl"
    odd = {"specversion": "1.0", "id": name, "source": name, "type": name, "subject": name, "time": name, "data": {}}
    file.write_bytes(
        b"\n".join([*events(name), *events("good"), json.dumps(odd).encode(), b'{"' + name.encode()]) + b"\n"
    )
    for words in (
        ["check-events", str(file)],
        ["check-events", str(file), "--json"],
        ["people", "--events", str(file), "--window", "30d"],
        ["people", "--events", str(file), "--window", "30d", "--json"],
        ["scorecard", "--events", str(file), "--", name],
        ["roster", "--events", str(file), "--by", "site", "--hours"],
        ["roster", "--events", str(file), "--by", "team", "--json"],
        ["check-events", name],
        ["table", "accuracy", "--by", name],
        ["table", "accuracy", "--window", name],
        ["why", "accuracy", "--scope", name],
        ["config", "check", name],
        ["people", "--events", name],
    ):
        done = _RUNNER.invoke(build(words[0]), words)
        assert done.exception is None or isinstance(done.exception, SystemExit), words
        harmless(done.stdout)
        harmless(done.stderr)


def test_the_worst_are_of_the_fixture() -> None:
    assert set(WORST) <= set(NASTY)


@pytest.mark.slow
def test_case_02() -> None:
    """The three queues are shown as they are called."""
    from floorwatch.cli.table_text import rich_table

    file = Path(__file__).parents[1] / "data/cases/02-markup-names.jsonl"
    with TemporaryDirectory() as folder:
        made = World(file.read_bytes().splitlines(), Path(folder))
        rows = [row for row in made.rows["accuracy", "24h"].values() if set(row["scope"]) == {"queue"}]
        text = shown_by(rich_table("accuracy", rows, "24h"))
        for queue in ("[bold]x", "x", "[/red]"):
            assert f"│ {queue} " in text
        for renderer in RENDERERS.values():
            renderer(made)


def test_long_names_go_on_in_the_next_line() -> None:
    """A name of 256 characters in 80 columns is not cut: two such names must be told apart."""
    from floorwatch.cli.table_text import rich_table

    name = "L" * 255 + "é"
    made = world(name)
    row = next(row for row in made.rows["accuracy", "24h"].values() if set(row["scope"]) == {"queue"})
    text = shown_by(rich_table("accuracy", [row], "24h"), width=80)
    assert sum(text.count(char) for char in "Lé") >= 256
    assert all(cell_len(_OWN_STYLE.sub("", line)) <= 80 for line in text.splitlines())


def test_read_back() -> None:
    """JSON keeps the value of every name; CSV keeps all that a spreadsheet and a terminal can take."""
    from floorwatch.cli.table_text import print_plain

    rows = [{"scope_key": name, "labels": 3, "late": True} for name in NASTY]
    out = said(lambda: print_plain(rows, "json"))
    harmless(out)
    assert [json.loads(line)["scope_key"] for line in out.splitlines()] == list(NASTY)
    out = said(lambda: print_plain(rows, "csv"))
    harmless(out)
    read = list(csv.DictReader(io.StringIO(out)))
    assert len(read) == len(NASTY)
    assert {(row["labels"], row["late"]) for row in read} == {("3", "true")}


def said(work: Callable[[], None]) -> str:
    """What a piece of work prints."""
    import contextlib

    with contextlib.redirect_stdout(io.StringIO()) as out:
        work()
    return out.getvalue()
