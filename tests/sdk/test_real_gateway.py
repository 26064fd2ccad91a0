"""Against a real gateway and a real broker: the examples run, and no kill -9 loses what ``send`` has taken or counts it twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from floorwatch.embedded.child_process import free_port
from floorwatch.sdk import Emitter
from streams.adapters.admin import create_topics
from streams.models.topics import topic_specs
from tests.embedded.tansu import read_topic, running_broker
from tests.gateway.test_process import Process, gateway
from tests.sdk.scripted_gateway import GONE, Reply, accepted, scripted
from tests.waits import until, until_plain

pytestmark = [pytest.mark.servers, pytest.mark.fixed_clock]  # the emitter's thread waits with deadlines

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "sdk/examples"
TASKS = 5

TOOL = f"""
import sys
from floorwatch_sdk import Emitter, EmitterSettings, LabelSubmittedData, event
url, spool, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
settings = EmitterSettings(linger_s=0.0, batch_events=20, retry_first_s=0.05, retry_most_s=0.1)
fw = Emitter(url, spool=spool, settings=settings)
for number in range(first, first + 100_000):
    label = LabelSubmittedData(label_id=f"l-{{number}}", labeler_id="ana", values=["hate"])
    one = event(label, task_id=f"t-{{number % {TASKS}}}", source="tool")
    fw.send(one)
    print(one.id, flush=True)
"""
"""A tool that says of each event that it was promised, until it is killed."""


@dataclass
class Floor:
    """A broker, and where a gateway listens or will listen."""

    url: str
    log: Path
    bootstrap: str
    arguments: list[str]

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[Process]:
        async with gateway(self.log, {"FLOORWATCH_KAFKA__TOPIC_PREFIX": "f."}, *self.arguments) as process:
            await process.wait_ready()
            yield process

    async def events(self) -> list[dict[str, Any]]:
        """All events on the raw topic, in order within a task."""
        found = await read_topic(self.bootstrap, "f.raw.v1", 4, 0)
        return [json.loads(record.value or b"") for record in found]


@asynccontextmanager
async def floor(folder: Path) -> AsyncIterator[Floor]:
    port = free_port()
    async with running_broker(folder) as (_, bootstrap):
        await create_topics({"bootstrap_servers": bootstrap}, topic_specs("f.", 4))
        # The last --port counts.
        arguments = ["--brokers", bootstrap, "--port", str(port), "--redis", "redis://127.0.0.1:9"]
        yield Floor(f"http://127.0.0.1:{port}", folder / "gateway.log", bootstrap, arguments)


async def run(wheel: Path, *command: str | Path) -> str:
    """Run a program that has the SDK from its wheel; return what it printed."""
    env = {**os.environ, "PYTHONPATH": str(wheel)}
    child = await asyncio.create_subprocess_exec(sys.executable, *command, env=env, stdout=-1, stderr=-1)
    out, err = await child.communicate()
    assert (child.returncode, err.decode()) == (0, "")
    return out.decode()


def test_the_examples_run(wheel: Path, tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path) as given, given.gateway():
            said = await run(wheel, EXAMPLES / "send.py", given.url, tmp_path / "one")
            assert said == "3 delivered\n"
            said = await run(wheel, EXAMPLES / "send_async.py", given.url, tmp_path / "two")
            assert said == "100 delivered, 0 refused\n"
            said = await run(wheel, EXAMPLES / "labeller.py", given.url, tmp_path / "three")
            assert said.endswith("\n7 delivered\n")
            assert len(await given.events()) == 110

    asyncio.run(main())


def test_the_examples_are_short_and_typed(wheel: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert names == ["labeller.py", "send.py", "send_async.py"]
    assert max(len((EXAMPLES / name).read_text().splitlines()) for name in names) <= 30
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path)
    # As of an installed package, what is inside is not judged, only how it is used.
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\n[mypy-floorwatch_sdk.*]\nignore_errors = True\n")
    command = [sys.executable, "-m", "mypy", "--config-file=mypy.ini", "--cache-dir", str(tmp_path / "cache")]
    env = {**os.environ, "MYPYPATH": str(tmp_path)}
    done = subprocess.run(
        [*command, *(str(EXAMPLES / name) for name in names)],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@asynccontextmanager
async def tool(wheel: Path, url: str, spool: Path, first: int) -> AsyncIterator[asyncio.subprocess.Process]:
    env = {**os.environ, "PYTHONPATH": str(wheel)}
    arguments = ["-c", TOOL, url, str(spool), str(first)]
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=env, stdout=-1, stderr=-1)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def promised(child: asyncio.subprocess.Process, count: int) -> list[str]:
    """Read what the tool was promised, kill -9 it amid sending, and return all of it."""
    assert child.stdout is not None
    lines = [await child.stdout.readline() for _ in range(count)]
    child.send_signal(signal.SIGKILL)
    lines += (await child.stdout.read()).splitlines(keepends=True)
    return [line.decode().strip() for line in lines if line.endswith(b"\n")]


@pytest.mark.slow
def test_kill_9_of_tool_and_gateway_loses_nothing_and_counts_nothing_twice(wheel: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool"

    async def main() -> tuple[list[str], list[dict[str, Any]]]:
        known: list[str] = []
        async with floor(tmp_path) as given:
            for round_number, count in enumerate((150, 40, 1, 220)):
                async with given.gateway() as process, tool(wheel, given.url, spool, 100_000 * round_number) as child:
                    known += await promised(child, count)
                    await process.end(signal.SIGKILL)
                # And with no gateway at all.
                async with tool(wheel, given.url, spool, 100_000 * round_number + 50_000) as child:
                    known += await promised(child, count)
            fw = Emitter(given.url, spool=spool, settings=GONE)
            assert fw.status().waiting >= 40
            async with given.gateway():
                await until(lambda: fw.status().waiting == 0, "the spool to drain", progress=fw.status)
                assert (fw.status().refused, fw.status().damage) == (0, ())
                fw.close()
                return known, await given.events()

    known, events = asyncio.run(main())
    once = {one["id"]: one for one in events}
    assert len(set(known)) == len(known) > 800
    assert set(known) <= set(once)
    assert len(once) <= len(known) + 8, "at a kill, one event may be kept of which the tool was not told"
    labels = [one["data"]["label_id"] for one in once.values()]
    assert len(set(labels)) == len(labels)
    for task in range(TASKS):
        mine = [int(one["data"]["label_id"][2:]) for one in once.values() if one["subject"] == f"t-{task}"]
        assert mine == sorted(mine)
    assert counted(tmp_path, events) == len(labels)


def counted(folder: Path, events: list[dict[str, Any]]) -> int:
    """Return how many labels Floorwatch counts in what the gateway took, repetitions among it."""
    (folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    command = [
        sys.executable,
        "-m",
        "floorwatch",
        "process",
        str(folder / "events.jsonl"),
        "--dump",
        str(folder / "out"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (folder / "out/throughput.jsonl").read_text().splitlines()]
    return sum(int(row["labels"]) for row in rows if row["scope"] == {})


def test_an_event_whose_answer_never_came_is_sent_again_as_it_was(wheel: Path, tmp_path: Path) -> None:
    """The moment at which an event could count twice: the gateway has it, and the tool dies before it knows."""
    killed: list[int] = []

    def kill_first(events: list[dict[str, Any]]) -> Reply:
        if len(killed) == 1:
            os.kill(killed[0], signal.SIGKILL)
            killed.append(0)
        return accepted(events)

    with scripted() as server:
        env = {**os.environ, "PYTHONPATH": str(wheel)}
        program = TOOL.replace("100_000", "1") + "import time; time.sleep(600)\n"
        command = [sys.executable, "-c", program, server.url, str(tmp_path), "1"]
        held: list[Reply] = []

        def answer(events: list[dict[str, Any]]) -> Reply:
            until_plain(lambda: bool(killed), "the test to know the tool")
            held.append(kill_first(events))
            return held[-1]

        server.answering = answer
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as child:
            killed.append(child.pid)
            assert child.stdout is not None
            known = child.stdout.readline().decode().strip()
            assert child.wait() == -signal.SIGKILL
        server.answering = accepted
        with Emitter(server.url, spool=tmp_path) as fw:
            fw.flush(60)
        first, second = server.asked
        assert first.events == second.events
        assert [one["id"] for one in second.events] == [known]
