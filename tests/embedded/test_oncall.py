"""``floorwatch oncall`` on a running stack: who takes a schedule by command, or by a calendar, is told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.embedded.test_acts import RULES, command, shown, wrong_labels
from tests.embedded.test_corrections import Floor, stack
from tests.waits import until

pytestmark = pytest.mark.servers

LAYER = {"people": ["mei"], "start": "2026-01-01T09:00", "turn": "1w"}
SETTINGS = {
    "ALERTS__CHANNELS": json.dumps({"console": {"type": "console"}}),
    "ALERTS__ROUTES": json.dumps({"default": ["schedule:kul"]}),
    "ALERTS__PEOPLE": json.dumps(
        {"mei": {"name": "Mei Tan", "channels": ["console"]}, "arif": {"channels": ["console"]}}
    ),
    "ALERTS__SCHEDULES": json.dumps(
        {
            "kul": {"zone": "Asia/Kuala_Lumpur", "layers": [LAYER]},
            "pen": {"zone": "Asia/Kuala_Lumpur", "ical": "pen-rota"},
        }
    ),
}
ICS = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:1
DTSTART:20260101T000000Z
DTEND:20260102T000000Z
RRULE:FREQ=DAILY
SUMMARY:Mei Tan
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART:20260230T000000Z
SUMMARY:arif
END:VEVENT
END:VCALENDAR
"""


async def story(here: Floor, folder: Path) -> None:
    taken = await command(
        here, "oncall", "override", "kul", "--person", "arif", "--for", "2h", "--id", "swap", "--by", "mei"
    )
    assert taken.returncode == 0, taken.stderr
    assert taken.stdout.startswith("override swap of schedule kul: arif is on duty now, until ")
    seen = (await command(here, "oncall", "now")).stdout.splitlines()
    assert seen[0].startswith("kul: arif until ")
    assert seen[0].endswith("(override swap by mei)")
    assert seen[1].startswith("  then mei")
    assert seen[2] == "pen: NOBODY (gap)"
    await here.send(wrong_labels())
    assert (await here.upto(60)).incidents

    async def told() -> bool:
        return bool((await shown(here))["told"])

    await until(told, "somebody is told", progress=lambda: shown(here), process=here.run.worker)
    (entry,) = (await shown(here))["told"]
    assert (entry["receiver"], entry["channels"], entry["why"]) == (
        "person:arif",
        ["console"],
        "schedule kul, override swap by mei",
    )
    await _calendar(here, folder)
    gone = await command(here, "oncall", "override", "--remove", "swap", "--by", "mei")
    assert gone.stdout.splitlines()[0] == "removed by mei: override swap of schedule kul", gone.stderr
    assert gone.stdout.splitlines()[1] == "kul: mei (layer 1)"
    again = await command(here, "oncall", "override", "--remove", "swap")
    assert again.stdout == "override swap is removed already\n"


async def _calendar(here: Floor, folder: Path) -> None:
    (folder / "pen.ics").write_text(ICS)
    done = await command(here, "oncall", "import", "pen-rota", str(folder / "pen.ics"))
    assert done.returncode == 0, done.stderr
    assert "pen.ics: line 12: " in done.stderr  # the event with a fault is told, and left out
    assert done.stdout.splitlines()[0] == "pen-rota is in force: schedule pen"
    assert done.stdout.splitlines()[1] == "pen: mei (calendar pen-rota)"
    again = await command(here, "oncall", "import", "pen-rota", str(folder / "pen.ics"))
    assert again.stdout == "pen-rota is known as it is; nothing was written\n"
    written = await command(here, "oncall", "export", "pen")
    assert written.stdout.startswith("BEGIN:VCALENDAR")
    assert "SUMMARY:mei" in written.stdout


@pytest.mark.slow
def test_who_takes_a_schedule_is_told(tmp_path: Path) -> None:
    async def go() -> None:
        rules: list[dict[str, Any]] = [{**RULES[0], "escalate": []}]
        async with stack(tmp_path, rules, **SETTINGS) as here:
            await story(here, tmp_path)

    asyncio.run(go())
