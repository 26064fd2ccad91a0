"""The journal alone: what was accepted is there, in order, whatever the end of the file looks like."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floorwatch.embedded.frames import MAGIC, encode, parse
from floorwatch.embedded.journal import JournalBusy, JournalError, JournalWriter, open_free_writer
from floorwatch.embedded.journal_segments import (
    START,
    drop_older_than,
    has_writer,
    read_from,
    segment_numbers,
    segment_path,
)
from tests.embedded.journal_files import read_all, records, write


def test_what_is_published_is_read_in_order_across_segments_and_restarts(tmp_path: Path) -> None:
    write(tmp_path, records(10), records(10, 10), segment_bytes=200)
    write(tmp_path, records(10, 20), segment_bytes=200)
    assert len(segment_numbers(tmp_path / "w")) > 2
    assert read_all(tmp_path / "w") == records(30)


def test_publish_returns_only_after_the_sync(tmp_path: Path) -> None:
    synced: list[int] = []

    def sync(fd: int) -> None:
        synced.append(os.fstat(fd).st_size)

    write(tmp_path, records(3), sync=sync)
    assert synced[-1] == segment_path(tmp_path / "w", 1).stat().st_size


def test_many_callers_share_one_sync(tmp_path: Path) -> None:
    syncs = []

    async def run() -> None:
        async with JournalWriter(tmp_path, "w", sync=syncs.append) as writer:
            syncs.clear()
            await asyncio.gather(*(writer.publish([(b"k", b"%d" % n)]) for n in range(500)))

    asyncio.run(run())
    assert len(syncs) < 10
    assert [value for _, value in read_all(tmp_path / "w")] == [b"%d" % n for n in range(500)]


@pytest.mark.parametrize("cut", [1, 5, 12, 30])
def test_a_torn_end_is_cut_off_and_written_on(tmp_path: Path, cut: int) -> None:
    write(tmp_path, records(5))
    path = segment_path(tmp_path / "w", 1)
    os.truncate(path, path.stat().st_size - cut)
    write(tmp_path, records(2, 100))
    kept = records(5)[: 4 if cut <= 38 else 3]
    assert read_all(tmp_path / "w") == kept + records(2, 100)


def test_zeros_at_the_end_as_a_power_cut_leaves_them_are_cut_off(tmp_path: Path) -> None:
    write(tmp_path, records(5))
    with segment_path(tmp_path / "w", 1).open("ab") as segment:
        segment.write(bytes(4096))
    write(tmp_path, records(1, 5))
    assert read_all(tmp_path / "w") == records(6)


def test_a_file_of_a_few_bytes_is_begun_anew(tmp_path: Path) -> None:
    write(tmp_path, records(2))
    segment_path(tmp_path / "w", 2).write_bytes(MAGIC[:3])
    write(tmp_path, records(1, 2))
    assert read_all(tmp_path / "w") == records(3)


def test_a_writer_that_runs_is_seen(tmp_path: Path) -> None:
    async def run() -> bool:
        async with JournalWriter(tmp_path, "w"):
            return has_writer(tmp_path / "w")

    assert asyncio.run(run())
    assert not has_writer(tmp_path / "nobody")


def test_a_reader_waits_at_an_unfinished_record(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    folder.mkdir()
    frame = encode(1, b"raw.v1", b"k", b"v" * 50)
    path = segment_path(folder, 1)
    path.write_bytes(MAGIC + frame + frame[:20])
    chunk = read_from(folder, START, 1000)
    assert len(chunk.records) == 1
    with path.open("ab") as segment:
        segment.write(frame[20:])
    assert len(read_from(folder, chunk.position, 1000).records) == 1


def test_a_record_larger_than_the_chunk_is_read_whole(tmp_path: Path) -> None:
    write(tmp_path, [(b"k", b"x" * 10_000), (b"k", b"y")])
    assert [len(value) for _, value in read_all(tmp_path / "w", max_bytes=100)] == [10_000, 1]


def test_two_writers_of_one_name_are_refused_and_a_free_name_is_found(tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with JournalWriter(tmp_path, "simulate"):
            with pytest.raises(JournalBusy, match="another writer name"):
                await JournalWriter(tmp_path, "simulate").start()
            second = await open_free_writer(tmp_path, "simulate")
            await second.stop()
        first = await open_free_writer(tmp_path, "simulate")
        await first.stop()
        return [second.folder.name, first.folder.name]

    assert asyncio.run(run()) == ["simulate-2", "simulate"]


def test_a_full_disk_is_told_to_the_caller_and_the_journal_goes_on_after_it(tmp_path: Path) -> None:
    faults = [OSError(errno.ENOSPC, "No space left on device")]

    def sync(fd: int) -> None:
        if os.fstat(fd).st_size > len(MAGIC) and faults:
            raise faults.pop()

    async def run() -> None:
        async with JournalWriter(tmp_path, "w", sync=sync) as writer:
            with pytest.raises(JournalError, match="No space left"):
                await writer.publish(records(1))
            await writer.publish(records(1, 1))

    asyncio.run(run())
    # The refused record may be there (it was written, only not synced); the accepted one must be.
    assert read_all(tmp_path / "w")[-1] == records(1, 1)[0]


def test_a_write_that_stops_halfway_leaves_whole_records_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    short = [True]

    def write_some(fd: int, data: memoryview) -> int:
        if len(data) > 100 and short[0]:
            short[0] = False
            return real_write(fd, data[:100])
        if not short[0] and len(data) > 100:
            short.append(True)
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(fd, data)

    async def run() -> None:
        async with JournalWriter(tmp_path, "w") as writer:
            monkeypatch.setattr(os, "write", write_some)
            with pytest.raises(JournalError):
                await writer.publish(records(20))
            monkeypatch.setattr(os, "write", real_write)
            await writer.publish(records(2, 20))

    asyncio.run(run())
    found = read_all(tmp_path / "w")
    assert found == records(len(found) - 2) + records(2, 20)


def test_publishing_to_a_closed_journal_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        writer = JournalWriter(tmp_path, "w")
        await writer.start()
        await writer.stop()
        await writer.publish(records(1))

    with pytest.raises(JournalError, match="not open"):
        asyncio.run(run())


def test_time_never_falls_within_a_writer_not_even_over_a_restart(tmp_path: Path) -> None:
    clock = iter([5000, 3000])
    write(tmp_path, records(1), records(1, 1), now_ms=lambda: next(clock))
    write(tmp_path, records(1, 2), now_ms=lambda: 1000)
    times = [r.accepted_ms for n in (1, 2) for r in parse(segment_path(tmp_path / "w", n).read_bytes(), 8).records]
    assert times == [5000, 5000, 5000]


def test_segments_wholly_older_than_the_horizon_are_dropped_and_the_last_stays(tmp_path: Path) -> None:
    for at_ms in (1000, 2000, 3000):
        write(tmp_path, records(1, at_ms), now_ms=lambda at_ms=at_ms: at_ms)
    assert drop_older_than(tmp_path / "w", 1500) == 0  # the first may hold records up to 2000
    assert drop_older_than(tmp_path / "w", 2500) == 1
    assert drop_older_than(tmp_path / "w", 10_000) == 1
    assert read_all(tmp_path / "w") == records(1, 3000)


_KILLED = """
import asyncio, sys
from pathlib import Path
from floorwatch.embedded.journal import JournalWriter
async def main():
    async with JournalWriter(Path(sys.argv[1]), "w", segment_bytes=20_000) as writer:
        n = 0
        while True:
            await writer.publish([(b"k", b"%d" % (n + i)) for i in range(7)])
            n += 7
            print(n, flush=True)
asyncio.run(main())
"""


@pytest.mark.servers
def test_kill_9_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    accepted = 0
    for round_ in range(3):
        script = _KILLED.replace("n = 0", f"n = {round_ * 1_000_000}")
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(200):
            accepted = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        accepted = [accepted, *map(int, process.stdout.read().split("\n")[:-1])][-1]
        process.wait()
        found = [
            int(value) for _, value in read_all(tmp_path / "w", max_bytes=10_000) if int(value) >= round_ * 1_000_000
        ]
        assert found == list(range(round_ * 1_000_000, round_ * 1_000_000 + len(found)))
        assert found[-1] >= accepted - 1


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.binary(max_size=300), max_size=20),
    cut=st.integers(min_value=0, max_value=400),
    chunk=st.integers(min_value=1, max_value=500),
)
def test_any_cut_leaves_a_prefix(tmp_path_factory: pytest.TempPathFactory, values, cut: int, chunk: int) -> None:
    folder = tmp_path_factory.mktemp("j") / "w"
    folder.mkdir()
    content = MAGIC + b"".join(encode(1, b"raw.v1", b"k", value) for value in values)
    segment_path(folder, 1).write_bytes(content[: max(len(MAGIC), len(content) - cut)])
    found = [value for _, value in read_all(folder, max_bytes=chunk)]
    assert found == values[: len(found)]
    assert cut > 0 or found == values


def test_up_says_what_its_folder_holds(tmp_path: Path) -> None:
    from floorwatch.cli.up import kept_words

    assert kept_words(tmp_path / "journal") == "which holds no events yet"

    write(tmp_path / "journal", [(b"t-1", b"x" * 2_000_000)], now_ms=lambda: 1_796_148_360_000)
    said = kept_words(tmp_path / "journal")
    assert said == "which holds 1.9 MiB of events accepted since 2026-12-01T18:06:00Z: they are counted again now"
