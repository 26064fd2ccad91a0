"""``floorwatch ack`` and ``silence`` on a running stack: an alert escalates, is taken, is silenced, and its scope ends."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alerts.codec import decode_input
from alerts.lifecycle import UNHEARD
from floorwatch.bounded import PREFIX
from streams.models import topics
from tests.embedded.test_corrections import Floor, stack
from tests.oracle.case_events import event
from tests.waits import until

pytestmark = pytest.mark.servers

RULES = [
    {"name": "queue", "kind": "accuracy_low", "method": "interval", "scope": {"by": "queue"}, "window": "1h",
     "severity": "page", "for": 1, "resolve_for": 2, "escalate": [{"after": "2s", "route": "default"}]},
]  # fmt: skip


def wrong_labels() -> list[dict[str, Any]]:
    """A minute each: sixty labels of one queue, all found wrong."""
    found = []
    for n in range(60):
        task, body = f"t-{n}", {"label_id": f"l-{n}", "values": ["ok"], "queue": "hate", "labeler_id": "kul-017"}
        verdict = {"verdict": "incorrect", "error_class": "false_negative", "severity": "major"}
        sampling = {"method": "random", "probability": 1.0}
        audit = {"audit_id": f"a-{n}", "label_id": f"l-{n}", **verdict, "sampling": sampling}
        found += [event("label.submitted", n, body, task=task), event("audit.completed", n + 0.5, audit, task=task)]
    return found


async def command(here: Floor, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**here.run.servers.environment(**here.settings), "COLUMNS": "300"}
    line = [sys.executable, "-m", "floorwatch", *arguments]
    return await asyncio.to_thread(subprocess.run, line, env=env, capture_output=True, text=True, check=False)


async def shown(here: Floor) -> dict[str, Any]:
    (value,) = await here.redis.hvals("floorwatch:incidents")
    found: dict[str, Any] = json.loads(value)
    return found


async def until_shown(here: Floor, what: str) -> None:
    async def found() -> bool:
        return what in json.dumps(await shown(here))

    await until(found, f"{what} in the incident", progress=lambda: shown(here), process=here.run.worker)


async def story(here: Floor) -> None:
    await here.send(wrong_labels())
    (incident,) = (await here.upto(60)).incidents.values()
    key = incident["key"][:6]
    await until_shown(here, '"escalated"')
    taken = await command(here, "ack", key, "--by", "mei", "--note", "on it")
    assert (taken.returncode, taken.stderr) == (0, "")
    assert taken.stdout.startswith("acknowledged by mei: Accuracy below target: queue hate (")
    told = await command(here, "silence", key, "--for", "2h", "--by", "mei")
    assert told.returncode == 0, told.stderr
    assert (await command(here, "incidents")).stdout.count("acknowledged by mei, tier 1, silenced until") == 1
    await _without_a_worker(here, key)
    await _refusals(here, key)
    assert (await here.upto(4 * 60 + 5)).incidents
    await until_shown(here, '"resolved"')
    found = await shown(here)
    assert [(act["what"], act["by"], act["note"]) for act in found["acts"]] == [
        ("ack", "mei", "on it"),
        ("silence", "mei", ""),
        ("ack", "lee", ""),
    ]
    assert found["evidence"] == UNHEARD
    over = await command(here, "ack", key, "--by", "mei")
    assert (over.returncode, "resolved since" in over.stderr) == (2, True)
    log = here.run.servers.log_tail("worker", 10_000) + here.run.servers.log_tail("again", 10_000)
    assert log.count("\nhate: accuracy") == log.count("Escalated: hate: accuracy") == 1
    assert "Resolved: " not in log  # silenced
    await _trail(here)


async def _without_a_worker(here: Floor, key: str) -> None:
    """An act that nobody is there to fold counts when somebody is."""
    here.run.worker.kill()
    here.run.worker.wait()
    late = await command(here, "ack", key, "--by", "lee", "--wait", "0.5")
    assert late.returncode == 1
    assert "Accepted" in late.stderr
    assert "is one running" in late.stderr
    assert "lee" not in json.dumps(await shown(here))
    here.run.worker = here.run.servers.start_worker("again", **here.settings)
    await until_shown(here, '"acknowledged_by": "lee"')


async def _refusals(here: Floor, key: str) -> None:
    for arguments, said in [
        (("ack", "000000", "--by", "mei"), "no incident begins with 000000"),
        (("ack", key[:5], "--by", "mei"), "at least 6 digits"),
        (("ack", key, "--by", " "), "--by: write who you are"),
        (("ack", key, "--by", "a\x1b[2Jb"), "U+001B (a control character)"),
        (("silence", key, "--by", "x" * 201, "--for", "2h"), "201 characters are too many"),
        (("silence", key, "--by", "mei", "--for", "59s"), "between 1m and 30d"),
        (("silence", key, "--by", "mei", "--for", "soon"), "is not a duration"),
    ]:
        refused = await command(here, *arguments)
        assert refused.returncode == 2, arguments
        assert said in refused.stderr


async def _trail(here: Floor) -> None:
    """What was done is on the log itself, in its order."""
    kinds: list[str] = []
    async for records in here.run.reader.read(PREFIX + topics.SIGNALS, 0):
        kinds += [type(decode_input(value)).__name__ for _, _, value in records if value is not None]
    assert [kind for kind in kinds if kind in ("Ack", "Silence")] == ["Ack", "Silence", "Ack"]


@pytest.mark.slow
def test_an_alert_of_a_running_stack_escalates_is_taken_silenced_and_ends_with_its_scope(tmp_path: Path) -> None:
    async def go() -> None:
        async with stack(tmp_path, RULES) as here:
            await story(here)

    asyncio.run(go())
