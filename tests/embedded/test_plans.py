"""``floorwatch maintenance`` on a running stack: planned, in force, shown, removed, and told of afterwards."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.embedded.test_acts import RULES, command, shown, until_shown, wrong_labels
from tests.embedded.test_corrections import Floor, stack
from tests.waits import until

pytestmark = pytest.mark.servers

HATE = ("--match", "queue=hate")


async def story(here: Floor) -> None:
    early = await command(
        here, "maintenance", "add", *HATE, "--for", "2h", "--id", "move", "--by", "mei", "--note", "new tool"
    )
    assert early.returncode == 0, early.stderr
    assert early.stdout.startswith("maintenance move (queue=hate) is on, until ")
    assert early.stdout.endswith("; 0 open incidents fit it now\n")
    await here.send(wrong_labels())
    assert (await here.upto(60)).incidents
    await until_shown(here, '"maintenance"')
    found = await shown(here)
    assert (found["state"], found["told"], [one["by"] for one in found["held"]]) == ("open", [], ["move"])
    listed = await command(here, "incidents")
    assert "nobody yet: held by maintenance move until " in listed.stdout
    (window,) = (
        json.loads(line) for line in (await command(here, "maintenance", "list", "--json")).stdout.splitlines()
    )
    assert (window["id"], window["state"], window["by"], window["note"]) == ("move", "on", "mei", "new tool")
    again = await command(here, "maintenance", "add", *HATE, "--for", "3h", "--id", "move", "--by", "ann")
    assert again.stdout.endswith("; 1 open incident fits it now\n"), again.stderr
    await _refusals(here)
    await _without_a_worker(here)
    assert (await shown(here))["told"] == []
    gone = await command(here, "maintenance", "remove", "move", "--by", "mei")
    assert gone.stdout == "removed by mei: maintenance move (queue=hate); what it held back is told now\n", gone.stderr

    async def told() -> bool:
        return bool((await shown(here))["told"])

    await until(told, "somebody is told", progress=lambda: shown(here), process=here.run.worker)
    assert (await command(here, "maintenance", "remove", "move")).stdout == "maintenance move is removed already\n"
    assert "later" in (await command(here, "maintenance", "list")).stdout
    assert "removed" in (await command(here, "maintenance", "list", "--all")).stdout


async def _without_a_worker(here: Floor) -> None:
    """A window that nobody is there to take counts once somebody is; what was planned before is still known."""
    here.run.worker.kill()
    here.run.worker.wait()
    late = await command(
        here, "maintenance", "add", "--match", "queue=ads", "--for", "1h", "--id", "later", "--wait", "0.5"
    )
    assert late.returncode == 1
    assert "Accepted" in late.stderr
    assert "no worker knows it after 0.5 s" in late.stderr
    here.run.worker = here.run.servers.start_worker("again", **here.settings)

    async def known() -> bool:
        return await here.redis.hexists("floorwatch:plans", "maintenance/later")

    await until(known, "the window in force", process=here.run.worker)
    assert await here.redis.hexists("floorwatch:plans", "maintenance/move")


async def _refusals(here: Floor) -> None:
    add: tuple[str, ...] = ("maintenance", "add", *HATE)
    cases: list[tuple[tuple[str, ...], str]] = [
        (
            ("maintenance", "add", "--match", "que=hate", "--for", "1h"),
            "--match: no incident has a que; did you mean queue?",
        ),
        (add, "say when it ends with --to, or how long it is with --for"),
        ((*add, "--to", "now", "--for", "1h"), "one of them"),
        ((*add, "--from", "soon", "--for", "1h"), "--from: 'soon' is not a time"),
        ((*add, "--from", "2026-02-30T10:00", "--for", "1h"), "there is no such time"),
        ((*add, "--from", "2020-01-01T00:00", "--to", "2020-01-02T00:00"), "is over; it is "),
        ((*add, "--for", "2h", "--by", "\x1b"), "--by: "),
        (("maintenance", "remove", "mov"), "there is no maintenance window mov; did you mean move?"),
    ]
    for arguments, said in cases:
        refused = await command(here, *arguments)
        assert (refused.returncode, said in refused.stderr) == (2, True), (arguments, refused.stderr)
    useless = await command(here, "maintenance", "add", "--match", "vendor=a", "--for", "1h", "--id", "useless")
    assert useless.returncode == 0
    assert "warning: no rule in force has an incident that fits vendor=a" in useless.stderr


@pytest.mark.slow
def test_a_window_holds_back_what_it_fits_and_its_end_lets_it_go(tmp_path: Path) -> None:
    async def go() -> None:
        rules: list[dict[str, Any]] = [{**RULES[0], "escalate": []}]
        async with stack(tmp_path, rules) as here:
            await story(here)

    asyncio.run(go())
