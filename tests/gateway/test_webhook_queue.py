"""The webhook queue and its spool: crashes anywhere lose nothing and apply nothing twice."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import gateway.webhook_queue
from floorwatch.sdk.spool import DiskSpool, SpoolBusy
from gateway.metrics import GatewayMetrics
from gateway.publisher import Overloaded, Records
from gateway.settings import GatewaySettings
from gateway.sources.label_studio.read import Hook, distill
from gateway.tool_state import ToolStateUnavailable
from gateway.webhook_queue import WebhookQueue
from gateway.webhooks import Remembered
from tests.gateway.doubles import LocalToolState, MemoryPublisher
from tests.gateway.harness import NOW_MS, fixture, fixture_names
from tests.gateway.test_label_studio import change, choices, deletion

SOURCE = "label-studio/kul-1"

Outcome = tuple[list[bytes], list[bytes], dict[str, Any]]


class Killed(BaseException):
    """The process died here."""


class World:
    """Memory and broker that outlive the gateway, and fail at chosen calls, before or after doing their work."""

    def __init__(self, faults: Mapping[int, str] | None = None) -> None:
        self.tool_state = LocalToolState()
        self.publisher = MemoryPublisher()
        self.script = dict(faults or {})
        self.calls = 0

    async def get(self, keys: Sequence[str]) -> dict[str, Remembered]:
        return await self._call(lambda: self.tool_state.get(keys), ToolStateUnavailable("x"))

    async def put(self, records: Mapping[str, Remembered]) -> None:
        await self._call(lambda: self.tool_state.put(records), ToolStateUnavailable("x"))

    async def publish(self, records: Records) -> None:
        await self._call(lambda: self.publisher.publish(records), Overloaded("x"))

    async def dead_letter(self, records: Records) -> None:
        await self._call(lambda: self.publisher.dead_letter(records), Overloaded("x"))

    def faults(self) -> tuple[str, ...]:
        return ()

    async def _call(self, work: Any, error: Exception) -> Any:
        self.calls += 1
        fault = self.script.pop(self.calls, "")
        if fault.endswith("before"):
            raise Killed if fault.startswith("kill") else error
        done = await work()
        if fault.endswith("after"):
            raise Killed if fault.startswith("kill") else error
        return done

    @property
    def outcome(self) -> Outcome:
        """Events and dead letters without repetitions, in the order of their first coming; what is remembered."""
        kept = {key: record for key, record in self.tool_state.records.items() if not key.startswith("lane:")}
        events = list(dict.fromkeys(value for _, value in self.publisher.records))
        return events, list(dict.fromkeys(value for _, value in self.publisher.dead)), kept


def a_life() -> list[dict[str, Any]]:
    """Webhooks whose meaning hangs on their order and on being applied once."""

    def at(second: int) -> str:
        return f"2026-11-23T03:37:{second:02}.5Z"

    def saved(second: int, **fields: Any) -> dict[str, Any]:
        return change(fixture("0009"), at(second), **fields)

    new_task = fixture("0003")
    new_task["tasks"] = [{**new_task["tasks"][4], "created_at": at(50)}]
    return [
        fixture("0003"),
        fixture("0009"),
        saved(1, was_cancelled=True, result=[]),
        saved(2, was_cancelled=False, result=[choices("Safe")]),
        saved(3, updated_by=6, result=[choices("Hate")]),
        saved(4, was_cancelled=True, result=[]),
        saved(5, was_cancelled=False, result=[choices("Spam")]),
        deletion(4, 20),
        {"action": "TASKS_DELETED", "tasks": [{"id": 5}], "project": {"id": 1}},
        new_task,
        *(fixture(name) for name in fixture_names()[10:16]),
    ]


def distilled(hook: dict[str, Any]) -> Hook:
    return distill(hook, GatewaySettings().label_studio)


def lane_of(world: World, folder: Path | None, **changes: Any) -> WebhookQueue:
    settings = GatewaySettings(spool_dir=folder, **changes)
    return WebhookQueue(settings, world, world, lambda: NOW_MS, GatewayMetrics("t"), retry_s=(0.0, 0.0))


async def one_life(world: World, folder: Path, hooks: list[dict[str, Any]], wait_every: int = 3) -> int:
    """Start a gateway, hand it webhooks until all is done or it is killed; return how many it accepted."""
    webhook_queue = lane_of(world, folder)
    await webhook_queue.start()
    accepted = 0
    for hook in hooks:
        if not webhook_queue.alive:
            break
        outcome = await webhook_queue.submit(SOURCE, distilled(hook))
        accepted += 1
        if accepted % wait_every == 0:  # batches of one and of several
            await asyncio.wait({outcome, *webhook_queue._tasks}, return_when=asyncio.FIRST_COMPLETED)
    if world.publisher.gate is not None:
        world.publisher.gate.set()
    if webhook_queue._ready or webhook_queue._unsynced:
        last = [*webhook_queue._ready, *webhook_queue._unsynced][-1].outcome
        await asyncio.wait({last, *webhook_queue._tasks}, return_when=asyncio.FIRST_COMPLETED)
    if webhook_queue.alive:
        await webhook_queue.stop()
        return accepted
    # What the kernel does for a process that was killed: tasks are gone, files closed, locks free.
    for task in webhook_queue._tasks:
        task.cancel()
    await asyncio.gather(*webhook_queue._tasks, return_exceptions=True)
    assert webhook_queue._spool is not None
    webhook_queue._spool.close()
    return accepted


def lives(world: World, folder: Path, *, at_once: bool = False) -> Outcome:
    """Let gateways live and die until all webhooks are done; ``at_once``: they come faster than they are published."""

    async def main() -> None:
        todo = a_life()
        left = True
        world.publisher.gate = asyncio.Event() if at_once else None
        while todo or left:
            todo = todo[await one_life(world, folder, todo, 1000 if at_once else 3) :]
            spool = DiskSpool(folder)
            left = bool(spool.open())
            spool.close()

    asyncio.run(main())
    return world.outcome


FAULTS = ("error before", "error after", "kill before", "kill after")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", range(1, 17))
def test_a_fault_at_any_call_changes_nothing(call: int, fault: str, tmp_path: Path) -> None:
    world = World({call: fault})
    assert lives(world, tmp_path / "disturbed") == lives(World(), tmp_path / "undisturbed")
    assert not world.script, "the fault was met"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", [6, 7, 8])
def test_a_fault_in_one_large_batch_changes_nothing(call: int, fault: str, tmp_path: Path) -> None:
    """All webhooks but the first are one batch: done again after they were remembered, they would undo each other."""
    world = World({call: fault})
    assert lives(world, tmp_path / "disturbed", at_once=True) == lives(World(), tmp_path / "undisturbed")
    assert not world.script, "the fault was met"


def test_several_faults_change_nothing(tmp_path: Path) -> None:
    world = World({2: "kill after", 5: "error after", 8: "kill after", 13: "kill before", 15: "error before"})
    assert lives(world, tmp_path / "disturbed") == lives(World(), tmp_path / "undisturbed")


def test_the_outcome_is_that_of_a_life(tmp_path: Path) -> None:
    values, dead, tool_state = lives(World(), tmp_path)
    events = [json.loads(value) for value in values]
    kinds = [event["type"].split(".", 1)[1].removesuffix(".v1") for event in events]
    assert kinds.count("task.created") == 21
    assert kinds.count("label.withdrawn") == 3
    labels = [event["data"]["label_id"] for event in events if "label.submitted" in event["type"]]
    assert [one for one in labels if one.startswith("ls-24ef9d51")] == [
        "ls-24ef9d51-fd47-405a-a434-fdca2ece2dc0",
        "ls-24ef9d51-fd47-405a-a434-fdca2ece2dc0-2",
        "ls-24ef9d51-fd47-405a-a434-fdca2ece2dc0-3",
    ]
    assert tool_state[f"{SOURCE}:task:5"]["generation"] == 2
    assert [json.loads(letter)["code"] for letter in dead] == ["unknown_annotation"]


def test_a_torn_end_and_a_damaged_line_are_left_out_and_what_follows_counts(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path)
    assert spool.open() == []
    spool.append([(1, b"one"), (2, b"two"), (3, b"three")])
    spool.close()
    (path,) = tmp_path.glob("hooks-*")
    path.write_bytes(path.read_bytes().replace(b"two", b"twi") + b"00000000 4 torn")
    again = DiskSpool(tmp_path)
    assert again.open() == [(1, b"one"), (3, b"three")]
    assert again.next_number > 4
    again.append([(again.next_number, b"four")])
    again.done(3)
    again.close()
    last = DiskSpool(tmp_path)
    assert last.open() == [(again.next_number, b"four")]
    last.close()


def test_done_files_are_deleted_and_numbers_never_come_back(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, segment_bytes=40)
    spool.open()
    for number in range(1, 10):
        spool.append([(number, b"x" * 30)])
        spool.done(number)
    assert len(list(tmp_path.glob("hooks-*"))) == 1
    spool.close()
    again = DiskSpool(tmp_path)
    assert again.open() == []
    assert again.next_number == 10
    again.close()
    (path,) = tmp_path.glob("hooks-*")
    path.unlink()
    third = DiskSpool(tmp_path)
    third.open()
    assert third.next_number == 10
    third.close()


def test_two_gateways_cannot_share_a_spool_and_others_cannot_read_it(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path)
    spool.open()
    spool.append([(1, b"{}")])
    with pytest.raises(SpoolBusy, match="give each its own"):
        DiskSpool(tmp_path).open()
    spool.close()
    assert [path.stat().st_mode & 0o077 for path in tmp_path.glob("hooks-*")] == [0]


def test_a_disk_that_refuses_is_told_and_the_next_webhook_is_kept(tmp_path: Path) -> None:
    broken = [True]

    def sync(_: int) -> None:
        if broken[0]:
            raise OSError(28, "No space left on device")

    async def main() -> None:
        world = World()
        webhook_queue = lane_of(world, tmp_path)
        webhook_queue._spool = DiskSpool(tmp_path, sync=sync)
        await webhook_queue.start()
        with pytest.raises(Overloaded, match="No space left on device"):
            await webhook_queue.submit(SOURCE, distilled(fixture("0009")))
        assert (webhook_queue.waiting, webhook_queue.waiting_bytes) == (0, 0)
        broken[0] = False
        done = await webhook_queue.submit(SOURCE, distilled(fixture("0014")))
        assert (await done).events == 1
        assert len(world.publisher.records) == 1
        await webhook_queue.stop()

    asyncio.run(main())


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_queue_that_is_behind_keeps_text_alone_and_lets_senders_go(
    on_disk: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.webhook_queue, "_BEHIND_HOOKS", 1)

    async def main() -> None:
        world = World()
        webhook_queue = lane_of(world, tmp_path if on_disk else None)
        await webhook_queue.start()
        world.publisher.gate = asyncio.Event()
        said = []
        for name in ("0009", "0010", "0014"):
            last = await webhook_queue.submit(SOURCE, distilled(fixture(name)))
            said.append(webhook_queue.behind)
        assert said == [False, on_disk, on_disk]
        assert [entry.hook is None for entry in webhook_queue._ready] == [False, False, True]
        world.publisher.gate.set()
        await webhook_queue.stop()
        assert (webhook_queue.waiting, webhook_queue.behind, (await last).events) == (0, False, 1)

    asyncio.run(main())


def test_times_ascend_when_the_clock_stands_still() -> None:
    async def main() -> None:
        world = World()
        webhook_queue = lane_of(world, None)
        await webhook_queue.start()
        world.publisher.gate = asyncio.Event()
        for _ in range(3):
            await webhook_queue.submit(SOURCE, distilled(fixture("0009")))
        assert [entry.hook.received_ms - NOW_MS for entry in webhook_queue._ready] == [0, 1, 2]
        world.publisher.gate.set()
        await webhook_queue.stop()
        assert webhook_queue.waiting == 0

    asyncio.run(main())


def test_a_gateway_without_a_spool_says_what_it_loses(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world = World()
        world.publisher.broken = True
        webhook_queue = lane_of(world, None)
        await webhook_queue.start()
        await webhook_queue.submit(SOURCE, distilled(fixture("0009")))
        await webhook_queue.stop()

    caplog.set_level(logging.INFO)
    asyncio.run(main())
    assert "1 webhooks were not published and are lost: set gateway.spool_dir" in caplog.text
