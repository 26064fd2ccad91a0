"""Help and progress: what a person sees before and during a command."""

from __future__ import annotations

import io

from typer.testing import CliRunner

from floorwatch.cli import COMMANDS, GROUPS, PANELS, build
from floorwatch.cli.progress import _plain
from floorwatch.output.terminal import DataConsole


def test_every_command_stands_in_one_panel_in_their_order() -> None:
    listed = [name for names in PANELS.values() for name in names]
    assert sorted(listed) == sorted([*COMMANDS, *GROUPS])
    shown = CliRunner().invoke(build(), [], env={"COLUMNS": "100"}).output
    places = [shown.index(f"─ {panel} ─") for panel in PANELS]
    assert places == sorted(places)
    for panel, following in zip(PANELS, [*list(PANELS)[1:], None], strict=True):
        part = shown[shown.index(f"─ {panel} ─") : None if following is None else shown.index(f"─ {following} ─")]
        assert [line.split()[1] for line in part.splitlines() if line.startswith("│ ") and line[2] != " "] == list(
            PANELS[panel]
        )


def test_progress_in_a_pipe_says_how_much_is_left() -> None:
    out, now = io.StringIO(), [0.0]
    show = _plain(DataConsole(file=out, width=100), lambda: now[0])
    show("simulating", 0, None)
    for at_s, done in ((0.0, 0), (2.0, 100), (10.0, 1_000), (60.0, 4_000), (100.0, 10_000)):
        now[0] = at_s
        show("sending", done, 10_000)
    assert out.getvalue().splitlines() == [
        "simulating …",
        "sending: 0 of 10,000",
        "sending: 1,000 of 10,000, about 1 min 30 s left",
        "sending: 4,000 of 10,000, about 1 min 30 s left",
        "sending: 10,000 of 10,000",
    ]
