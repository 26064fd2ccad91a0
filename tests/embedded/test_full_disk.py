"""A full disk and who may read: nothing accepted is lost, the stack says what it waits for and goes on when there is room."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError

from floorwatch.cli.doctor_var import var_checks
from floorwatch.embedded import child_process, shipper
from floorwatch.embedded.journal import JournalError, JournalWriter
from floorwatch.embedded.journal_segments import START, read_from
from floorwatch.embedded.shipper import Job, Progress, Shipper, load_progress
from floorwatch.embedded.state import Paths, environment_of, make_private, open_to_others, redis_password
from floorwatch.embedded.status import Status
from floorwatch.embedded.supervisor import Stack
from floorwatch.sdk.stacks import find_stack
from floorwatch.settings.load import load
from gateway.publisher import JournalPublisher, Overloaded
from tests.embedded.test_stack import Sender, _exact, children_of, plan_of, until
from tests.redis_clients import async_client
from tests.support import missing

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        missing(f"a small file system cannot be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all room there is."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65_536))
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x")
    return filler


async def _told(told: list[Status], phase: str) -> bool:
    return bool(told) and any(one.name == "disk" and one.phase == phase for one in told)


@pytest.mark.servers
def test_a_full_disk_stops_no_process_for_good_and_loses_nothing(small_disk: Path) -> None:
    async def run() -> list[Status]:
        told: list[Status] = []
        async with Stack(plan_of(small_disk / "var"), told.append) as stack:
            sender = Sender(stack.urls["gateway"])
            sending = asyncio.create_task(sender.run())

            async def accepted(goal: int) -> bool:
                return sum(sender.accepted.values()) >= goal

            await until(lambda: accepted(100), "some accepted")
            filler = fill(small_disk)
            await until(lambda: _told(told, "waiting"), "the full disk told")
            for victim in ("shipper", "gateway", "worker-1", "valkey", "broker"):
                old = children_of_living(stack, victim)
                os.kill(old, signal.SIGKILL)
                await until(lambda old=old, victim=victim: _back(stack, victim, old), f"{victim} back on a full disk")
            before = sum(sender.accepted.values())
            filler.unlink()
            await until(lambda: _told(told, "ready"), "room told")
            await until(lambda: accepted(before + 100), "more accepted once there is room")
            sending.cancel()
            await _exact(stack, sender)
            return told

    told = asyncio.run(run())
    waiting = [status for status in told if status.phase == "waiting"]
    assert "is full; make room" in waiting[0].detail


def children_of_living(stack: Stack, name: str) -> int:
    return stack._children[name].pid


async def _back(stack: Stack, name: str, old: int) -> bool:
    child = stack._children[name]
    return child.running and child.pid != old


@pytest.mark.servers
def test_a_journal_on_a_full_disk_starts_refuses_and_takes_again(small_disk: Path) -> None:
    async def run() -> None:
        filler = fill(small_disk)
        (small_disk / "journal" / "w").mkdir(parents=True)
        async with JournalWriter(small_disk / "journal", "w") as writer:
            publisher = JournalPublisher(writer, JournalError)
            for _ in range(3):
                with pytest.raises(Overloaded, match="No space left") as caught:
                    await publisher.publish([(b"k", b"v" * 10_000)])
                assert caught.value.retry_after_s > 0
            assert "No space left" in publisher.faults()[0]
            filler.unlink()
            assert publisher.faults() == (), "there is room: it may be asked again"
            await publisher.publish([(b"k", b"kept")])
            assert publisher.faults() == ()
        found = read_from(small_disk / "journal" / "w", START, 100_000).records
        assert [record.value for record in found] == [b"kept"]

    asyncio.run(run())


def test_a_full_disk_is_logged_once_and_its_end_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    full = True

    def sync(fd: int) -> None:
        if full:
            raise FULL

    async def run() -> None:
        nonlocal full
        async with JournalWriter(tmp_path, "w", sync=sync) as writer:
            for _ in range(20):
                with pytest.raises(JournalError):
                    await writer.publish([(b"k", b"v")])
            full = False
            await writer.publish([(b"k", b"v")])

    with caplog.at_level("INFO"):
        asyncio.run(run())
    said = [record.getMessage() for record in caplog.records if "journal" in record.name]
    assert len(said) == 2
    assert "appends are refused" in said[0]
    assert "taken again" in said[1]


def test_shipping_goes_on_when_its_place_cannot_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = Job(tmp_path / "journal", tmp_path / "p.json", "", "f.", 1, "e")
    ship = Shipper(job, None)  # type: ignore[arg-type]
    progress = Progress("e", {}, 3, 4)

    def refuse(*_: object) -> None:
        raise FULL

    with caplog.at_level("INFO"), monkeypatch.context() as patch:
        patch.setattr(shipper, "replace_private", refuse)
        ship._write(progress)
        ship._write(progress)
    assert load_progress(job.progress) is None
    ship._write(progress)
    assert load_progress(job.progress) == progress
    assert len([record for record in caplog.records if "cannot be written" in record.getMessage()]) == 1


def test_a_log_too_large_is_emptied_although_its_end_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(bytes(3 * 1024 * 1024))

    def refuse(*_: object) -> int:
        raise FULL

    monkeypatch.setattr(child_process, "_open_log", refuse)
    assert child_process.cap_log(log, 2 * 1024 * 1024)
    assert log.stat().st_size == 0


@pytest.mark.servers
def test_nobody_else_can_read_what_the_stack_keeps_nor_use_its_redis(tmp_path: Path) -> None:
    """With the umask of most systems, and over files an older version has left readable."""
    var = tmp_path / "var"
    for name in ("log/gateway.log", "valkey/appendonlydir/x.aof", "journal/gateway/00000001.seg.damaged-1"):
        (var / name).parent.mkdir(parents=True, exist_ok=True)
        (var / name).write_bytes(b"")
    old = os.umask(0o022)

    async def run() -> list[str]:  # where a command line or a log shows the password
        async with Stack(plan_of(var)) as stack:
            sender = Sender(stack.urls["gateway"])
            sending = asyncio.create_task(sender.run())
            await until(lambda: _some(sender), "some accepted")
            sending.cancel()
            stranger = async_client(stack.urls["redis"])
            with pytest.raises(AuthenticationError):
                await stranger.ping()
            await stranger.aclose()
            state = find_stack(var)
            assert state is not None
            settings = load(None, environment_of(state, {}))
            assert settings.redis.password is not None
            word = settings.redis.password.get_secret_value()
            friend = async_client(settings.redis.url, password=word)
            assert await friend.ping()
            await friend.aclose()
            shown = [Path(f"/proc/{pid}/cmdline") for pid in children_of(stack).values()]
            return _holding([*shown, *var.rglob("*.log")], word)

    try:
        assert asyncio.run(run()) == []
    finally:
        os.umask(old)
    assert open_to_others(Paths(var)) == []
    held = _holding([path for path in var.rglob("*") if path.is_file()], redis_password(Paths(var)))
    assert {Path(path).name for path in held} == {"redis.password", "secret.conf"}


def _holding(paths: list[Path], word: str) -> list[str]:
    return [str(path) for path in paths if word in path.read_text("latin-1")]


async def _some(sender: Sender) -> bool:
    return sum(sender.accepted.values()) > 10


def test_only_what_is_the_stacks_own_is_made_private(tmp_path: Path) -> None:
    for name in ("log/a.log", "mine/letter"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
        (tmp_path / name).chmod(0o644)
    assert make_private(Paths(tmp_path)) == 2
    assert (tmp_path / "log/a.log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "mine/letter").stat().st_mode & 0o777 == 0o644
    word = redis_password(Paths(tmp_path))
    assert word == redis_password(Paths(tmp_path))
    assert len(word) >= 32


def test_a_stack_of_ones_own_redis_gets_no_password_of_the_embedded_one(tmp_path: Path) -> None:
    from floorwatch.sdk.stacks import ProcessMark, StackState

    state = StackState(
        ProcessMark(1, "x"), {}, {}, {"kafka": "k:1", "redis": "redis://r:1/0"}, "j", "f.", 4, "e", str(tmp_path / "p")
    )
    assert "FLOORWATCH_REDIS__PASSWORD_FILE" in environment_of(state, {})
    other = environment_of(state, {"FLOORWATCH_REDIS__URL": "redis://mine:6379/0"})
    assert "FLOORWATCH_REDIS__PASSWORD_FILE" not in other


def test_the_doctor_tells_damage_and_rights(tmp_path: Path) -> None:
    assert var_checks(tmp_path) == []
    paths = Paths(tmp_path)
    (paths.journal / "w").mkdir(parents=True, mode=0o700)
    paths.journal.chmod(0o700)
    assert [check.status for check in var_checks(tmp_path)] == ["ok", "ok"]
    part = paths.journal / "w" / "00000001.seg.damaged-00000041"
    part.write_bytes(b"x" * 7)
    part.chmod(0o644)
    damage, rights = var_checks(tmp_path)
    assert (damage.status, rights.status) == ("warn", "warn")
    assert "1 damaged parts (7 bytes)" in damage.detail
    assert str(part) in damage.detail
    assert str(part) in rights.detail
