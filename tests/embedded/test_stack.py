"""The supervisor with real broker, Valkey and shipper, and stand-ins for gateway and worker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import aiohttp
import pytest
from redis.exceptions import RedisError

from floorwatch.embedded.child_process import StartError
from floorwatch.embedded.stack_plan import StackPlan
from floorwatch.embedded.state import AlreadyRunning, environment_of
from floorwatch.embedded.status import Status
from floorwatch.embedded.supervisor import Stack
from floorwatch.sdk.stacks import find_stack, is_alive, mark_of, read_state
from tests.redis_clients import async_client
from tests.waits import until, until_plain

pytestmark = pytest.mark.servers

STUB = str(Path(__file__).parent / "stub.py")
KEY = "floorwatch:rows:stub"


def plan_of(var: Path, **changes) -> StackPlan:
    root = str(Path(__file__).parents[2])
    settings = {
        "worker_argv": (sys.executable, STUB, "worker"),
        "gateway_argv": (sys.executable, STUB, "gateway"),
        "extra_env": {"PYTHONPATH": root},
    }
    return StackPlan(var, **{**settings, **changes})


class Sender:
    """Posts numbered values until each is accepted, whatever is being killed; knows what must have been counted."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.accepted: dict[str, int] = defaultdict(int)
        self.retries = 0

    async def run(self) -> None:
        number = 0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while True:
                key = f"task-{number % 5}"
                try:
                    async with session.post(f"{self.url}/{key}", data=str(number)) as answer:
                        if answer.status == 503:  # the disk is full
                            answer.raise_for_status()
                        assert answer.status == 202
                except (aiohttp.ClientError, TimeoutError):
                    self.retries += 1
                    await asyncio.sleep(0.02)
                    continue
                self.accepted[key] += 1
                number += 1


async def counted(stack: Stack) -> dict[str, int]:
    redis = async_client(stack.urls["redis"], password=stack.redis_password)
    try:
        return json.loads(await redis.get(KEY) or b"{}")
    except RedisError:
        return {}
    finally:
        await redis.aclose()


def children_of(stack: Stack) -> dict[str, int]:
    state = read_state(stack.plan.var)
    assert state is not None
    return {name: mark.pid for name, mark in state.children.items()}


def gone(pid: int) -> bool:
    return not mark_of(pid).started


def test_each_process_killed_in_turn_and_the_counts_are_exact(tmp_path: Path) -> None:
    async def run() -> list[Status]:
        told: list[Status] = []
        async with Stack(plan_of(tmp_path), told.append) as stack:
            sender = Sender(stack.urls["gateway"])
            sending = asyncio.create_task(sender.run())
            for victim in ("worker-1", "valkey", "gateway", "shipper", "broker", "broker"):
                goal = sum(sender.accepted.values()) + 50
                await until(lambda goal=goal: _reached(sender, goal), f"{goal} accepted before {victim} is killed")
                old = children_of(stack)[victim]
                os.kill(old, signal.SIGKILL)
                await until(lambda old=old, victim=victim: _replaced(stack, victim, old), f"{victim} replaced")
                if victim == "broker":
                    # A broker killed again while it is being replaced is told differently: see the next test.
                    await until(lambda: _recovered(told), "the stack whole again after the broker")
            goal = sum(sender.accepted.values()) + 50
            await until(lambda: _reached(sender, goal), "more accepted after the last kill")
            sending.cancel()
            await _exact(stack, sender)
            return told

    told = asyncio.run(run())
    ended = [status.name for status in told if status.phase == "ended"]
    assert ended == ["worker-1", "valkey", "gateway", "shipper", "broker", "broker"]


async def _reached(sender: Sender, goal: int) -> bool:
    return sum(sender.accepted.values()) >= goal


async def _replaced(stack: Stack, name: str, old: int) -> bool:
    new = children_of(stack).get(name, old)
    return new != old and not gone(new)


async def _recovered(told: list[Status]) -> bool:
    """Whether the worker was told ready after the last end of a broker: the epoch has begun anew."""
    ends = [n for n, status in enumerate(told) if status.phase == "ended" and status.name == "broker"]
    last = max(ends, default=len(told))
    return any(status.name == "worker-1" and status.phase == "ready" for status in told[last:])


async def _exact(stack: Stack, sender: Sender) -> None:
    """What was accepted, and nothing else, is counted; one post may have been accepted without its answer having been seen."""
    accepted = dict(sender.accepted)
    await until(lambda: _counted_all(stack, accepted), "all counted")
    await asyncio.sleep(0.3)
    found = await counted(stack)
    assert accepted.keys() == found.keys()
    assert 0 <= sum(found.values()) - sum(accepted.values()) <= 1


async def _counted_all(stack: Stack, accepted: dict[str, int]) -> bool:
    found = await counted(stack)
    return all(found.get(key, 0) >= count for key, count in accepted.items())


def test_a_broker_killed_while_it_is_replaced_is_told_and_replaced_again(tmp_path: Path) -> None:
    async def run() -> list[Status]:
        told: list[Status] = []

        def tell(status: Status) -> None:
            told.append(status)
            if _replacing(told) and (status.name, status.phase) == ("broker", "ready"):
                os.kill(children_of(stack)["broker"], signal.SIGKILL)  # the supervisor goes on with it, not with this

        stack = Stack(plan_of(tmp_path), tell)
        async with stack:
            sender = Sender(stack.urls["gateway"])
            sending = asyncio.create_task(sender.run())
            await until(lambda: _reached(sender, 50), "50 accepted")
            os.kill(children_of(stack)["broker"], signal.SIGKILL)
            await until(lambda: _recovered(told), "the stack whole again")
            sending.cancel()
            await _exact(stack, sender)
            return told

    told = asyncio.run(run())
    ended = [status for status in told if status.phase == "ended"]
    assert [status.name for status in ended] == ["broker", "broker"]
    assert "while it was being replaced" in ended[1].detail


def _replacing(told: list[Status]) -> bool:
    """Whether one broker has ended so far."""
    return sum(status.phase == "ended" and status.name == "broker" for status in told) == 1


def test_stopping_leaves_no_process_and_the_next_start_has_everything(tmp_path: Path) -> None:
    async def first() -> tuple[list[int], dict[str, int]]:
        async with Stack(plan_of(tmp_path)) as stack:
            pids = list(children_of(stack).values())
            async with aiohttp.ClientSession() as session:
                for number in range(20):
                    async with session.post(f"{stack.urls['gateway']}/k", data=str(number)) as answer:
                        assert answer.status == 202
            assert find_stack(tmp_path) is not None
            ports = dict(stack.ports.by_name)
        return pids, ports

    async def second() -> dict[str, int]:
        async with Stack(plan_of(tmp_path)) as stack:
            await until(lambda: _counted_all(stack, {"k": 20}), "the journal played again")
            return dict(stack.ports.by_name)

    pids, ports = asyncio.run(first())
    assert len(pids) == 5
    assert all(gone(pid) for pid in pids)
    assert find_stack(tmp_path) is None
    assert asyncio.run(second()) == ports


def test_a_second_stack_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with Stack(plan_of(tmp_path, gateway=False)) as stack:
            before = children_of(stack)
            with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}.*--var"):
                await Stack(plan_of(tmp_path)).start()
            assert children_of(stack) == before
            assert not any(gone(pid) for pid in before.values())

    asyncio.run(run())


def test_a_worker_that_cannot_start_is_told_with_its_log_and_all_is_stopped(tmp_path: Path) -> None:
    broken = (sys.executable, "-c", "raise SystemExit('no such setting: kafka.brokerz')")

    async def run() -> list[Status]:
        told: list[Status] = []
        with pytest.raises(StartError, match="(?s)worker-1 ended with exit code 1.*no such setting: kafka.brokerz"):
            await Stack(plan_of(tmp_path, worker_argv=broken), told.append).start()
        return told

    stopped = {status.name for status in asyncio.run(run()) if status.phase == "stopped"}
    assert {"broker", "valkey"} <= stopped
    assert find_stack(tmp_path) is None


_SUPERVISOR = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.embedded.test_stack import plan_of
from floorwatch.embedded.supervisor import Stack
async def main():
    async with Stack(plan_of(Path(sys.argv[1]))) as stack:
        print("up", flush=True)
        await stack.failed()
asyncio.run(main())
"""


def test_kill_9_of_the_supervisor_leaves_no_orphan_and_the_next_start_works(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", _SUPERVISOR, str(tmp_path), "x", root]
    supervisor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    assert supervisor.stdout.readline() == "up\n"
    state = read_state(tmp_path)
    assert state is not None
    assert len(state.children) == 5
    supervisor.kill()
    supervisor.wait()
    if sys.platform == "linux":
        until_plain(
            lambda: not any(map(is_alive, state.children.values())), "the children to end with their supervisor"
        )

    async def again() -> None:
        async with Stack(plan_of(tmp_path)):
            assert not any(is_alive(mark) for mark in state.children.values())

    asyncio.run(again())


def test_valkey_keeps_what_was_written_over_kill_9(tmp_path: Path) -> None:
    async def run() -> bytes | None:
        async with Stack(plan_of(tmp_path, gateway=False)) as stack:
            redis = async_client(stack.urls["redis"], password=stack.redis_password)
            await redis.set("floorwatch:incidents", "kept")
            await redis.aclose()
            old = children_of(stack)["valkey"]
            os.kill(old, signal.SIGKILL)
            await until(lambda: _replaced(stack, "valkey", old), "valkey replaced")
        async with Stack(plan_of(tmp_path, gateway=False)) as stack:
            redis = async_client(stack.urls["redis"], password=stack.redis_password)
            found = await redis.get("floorwatch:incidents")
            await redis.aclose()
            return found

    assert asyncio.run(run()) == b"kept"


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"port {port} for gateway is in use"):
            asyncio.run(Stack(plan_of(tmp_path, gateway_port=port)).start())


def test_the_environment_of_a_stack_gives_way_to_what_is_set(tmp_path: Path) -> None:
    async def run() -> dict[str, str]:
        async with Stack(plan_of(tmp_path, gateway=False)):
            state = find_stack(None, {"FLOORWATCH_VAR": str(tmp_path)})
            assert state is not None
            return environment_of(state, {"FLOORWATCH_KAFKA__BROKERS": "mine:9092", "FLOORWATCH_REDIS__URL": ""})

    env = asyncio.run(run())
    assert env["FLOORWATCH_KAFKA__BROKERS"] == "mine:9092"
    assert env["FLOORWATCH_REDIS__URL"].startswith("redis://127.0.0.1:")
