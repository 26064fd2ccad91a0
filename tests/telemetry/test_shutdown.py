"""A process that was asked to stop, or has failed, ends in a bounded time, whatever hangs in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PLANTED = """
import asyncio, os, sys, threading, time
from contextlib import suppress
from floorwatch.output.logs import set_up_logging
import streams.worker as module
from streams.app import Worker
from streams.engine.errors import Misconfigured
from floorwatch.settings.load import load
import faust
set_up_logging("info")
module.LIMIT_S = 3.0
module._CLOSE_S = module._APP_S = module._OTHERS_S = 0.3

async def for_ever(*_, **__):
    while True:
        with suppress(asyncio.CancelledError):  # as mode does while it stops its children
            await asyncio.sleep(3600)

async def no_broker(self):
    print("SERVES", flush=True)
    await asyncio.Event().wait()

async def crash(self):
    await self.app.crash(Misconfigured("the record is too large"))

def block():
    time.sleep(3600)

Worker.connect = no_broker
{planted}
settings = load(None, {{"FLOORWATCH_METRICS__PORT": "0", "FLOORWATCH_KAFKA__BROKERS": "127.0.0.1:1"}})
sys.exit(asyncio.run(module.run_worker(settings)))
"""

FAULTS = {
    "mode swallows the cancellation": "faust.App.stop = for_ever",
    "partitions are not given back": "Worker.close = for_ever",
    "a channel does not close": "module.NotificationService.close = for_ever",
    "a background task goes on": "module.trim_forever = for_ever",
    "a connection to the metrics endpoint stays": "module.web.AppRunner.cleanup = for_ever",
    "a thread that is not a daemon": "threading.Thread(target=block).start()",
    "the default executor": "module.trim_forever = lambda: asyncio.to_thread(block)",
}

HELD_UP = """
async def held_up():
    print("SERVES", flush=True)
    time.sleep(3600)
module.trim_forever = held_up
Worker.connect = for_ever
"""


def ended(planted: str, tmp_path: Path, *, stop: bool) -> tuple[int, str, float]:
    """Run a worker with a fault in it, send it SIGTERM once it serves, and return exit code, log and seconds it took to end."""
    return run_until_told(PLANTED.format(planted=textwrap.dedent(planted)), tmp_path, stop=stop)


def run_until_told(program: str, tmp_path: Path, *, stop: bool) -> tuple[int, str, float]:
    """Run a program as ``ended`` does."""
    script = tmp_path / "planted.py"
    script.write_text(program)
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLOORWATCH_")}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**env, "PYTHONPATH": str(ROOT)},
    )
    try:
        if stop:
            assert process.stdout is not None
            assert process.stdout.readline() == "SERVES\n"
            process.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        _, log = process.communicate(timeout=120)
        return process.returncode, log, time.monotonic() - began_s
    finally:
        process.kill()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_that_hangs_ends_after_sigterm(fault: str, tmp_path: Path) -> None:
    code, log, _ = ended(FAULTS[fault], tmp_path, stop=True)
    assert code == (1 if "partitions" in fault else 0), log
    assert "did not end within" in log, log


def test_a_worker_that_has_crashed_ends_with_the_code_of_its_failure(tmp_path: Path) -> None:
    code, log, _ = ended("Worker.connect = crash\nfaust.App.stop = for_ever", tmp_path, stop=False)
    assert code == os.EX_CONFIG, log
    assert "stop Faust did not end within" in log
    assert "the worker stopped after a failure: the record is too large" in log


def test_a_worker_whose_event_loop_is_held_up_ends_and_says_where(tmp_path: Path) -> None:
    code, log, _ = ended(HELD_UP, tmp_path, stop=True)
    assert code == 1, log
    assert "the worker did not end within 3 s; it is ended now with exit code 1" in log
    assert "thread MainThread: held_up (" in log


def test_a_worker_that_is_well_ends_at_once(tmp_path: Path) -> None:
    code, log, _ = ended("", tmp_path, stop=True)
    assert code == 0, log
    assert "did not end" not in log


FOR_EVER = """
import asyncio, sys
from contextlib import suppress
async def for_ever(*_, **__):
    print("SERVES", flush=True)
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
"""

SHIPPER = """
import floorwatch.embedded.shipper as module
module._STOP_S = 2.0
module.ship = for_ever
sys.exit(module.main([f"--{name}=x" for name in ("journal", "progress", "brokers", "prefix", "epoch")] + ["--partitions=1"]))
"""

GATEWAY = """
import floorwatch.cli.gateway as module
import gateway.serve
import typer
module._STOP_S = 2.0
gateway.serve.run_gateway = for_ever
typer.run(module.gateway)
"""


@pytest.mark.parametrize(
    ("program", "code", "name"), [(SHIPPER, 0, "the shipper"), (GATEWAY, 1, "the gateway")], ids=["shipper", "gateway"]
)
def test_a_gateway_or_shipper_that_hangs_ends_after_sigterm(program: str, code: int, name: str, tmp_path: Path) -> None:
    found, log, _ = run_until_told(FOR_EVER + program, tmp_path, stop=True)
    assert found == code, log
    assert f"{name} did not end within 2 s" in log
