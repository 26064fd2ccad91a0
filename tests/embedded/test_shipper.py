"""The shipper: order, merging, and beginning again on a broker that has forgotten everything."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from floorwatch.embedded.broker import create_topics
from floorwatch.embedded.child_process import Child, ChildSpec, free_port
from floorwatch.embedded.journal import JournalWriter
from floorwatch.embedded.journal_segments import Position, parts_aside, segment_path
from floorwatch.embedded.shipper import (
    Job,
    Merge,
    Shipper,
    is_shipped,
    load_progress,
    save_progress,
    ship,
)
from floorwatch.embedded.shipper import Progress as ShipProgress
from streams.models.topics import ACCEPTED_MARK, TopicSpec, partition_of
from tests.embedded.tansu import read_topic, running_broker
from tests.waits import until

pytestmark = pytest.mark.servers

PARTITIONS = 4
TOPIC = TopicSpec("floorwatch.raw.v1", PARTITIONS, {})


def fill(
    journal: Path, writer: str, count: int, *, keys: int = 7, first: int = 0, at_ms: Callable[[], int] | None = None
):
    async def run() -> None:
        options = {} if at_ms is None else {"now_ms": at_ms}
        async with JournalWriter(journal, writer, segment_bytes=20_000, **options) as opened:
            for start in range(first, first + count, 50):
                await opened.publish(
                    [
                        (b"%s-%d" % (writer.encode(), n % keys), b"%d" % n)
                        for n in range(start, min(start + 50, first + count))
                    ]
                )

    asyncio.run(run())


def merged(merge: Merge, chunk_bytes: int = 500) -> list[tuple[int, bytes]]:
    found = []
    merge.find_writers()
    while batch := merge.next_records(chunk_bytes):
        found += [(record.accepted_ms, record.key) for record in batch]
        merge.sent()
    return found


def ticking(start: int, step: int) -> Callable[[], int]:
    times = iter(range(start, 10**9, step))
    return lambda: next(times)


def test_writers_are_merged_by_the_time_of_acceptance(tmp_path: Path) -> None:
    fill(tmp_path, "a", 1000, at_ms=ticking(0, 10))
    fill(tmp_path, "b", 500, at_ms=ticking(5, 3))
    fill(tmp_path, "c", 10, at_ms=ticking(100, 1))
    times = [at for at, _ in merged(Merge(tmp_path, {}))]
    assert len(times) == 1510
    assert times == sorted(times)


def test_going_on_from_any_saved_position_loses_nothing(tmp_path: Path) -> None:
    fill(tmp_path, "a", 400, at_ms=ticking(0, 10))
    fill(tmp_path, "b", 400, at_ms=ticking(5, 3))
    everything = {(w, b"%d" % n) for w in ("a", "b") for n in range(400)}
    merge = Merge(tmp_path, {})
    merge.find_writers()
    seen: set[tuple[str, bytes]] = set()
    while batch := merge.next_records(700):
        seen |= {(record.key.decode()[0], record.value) for record in batch}
        positions = merge.sent()
        rest = Merge(tmp_path, positions)
        rest.find_writers()
        after: set[tuple[str, bytes]] = set()
        while more := rest.next_records(100_000):
            after |= {(record.key.decode()[0], record.value) for record in more}
        assert seen | after == everything


def test_a_damaged_journal_is_shipped_but_for_the_damage_which_is_set_aside_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path / "journal", "a", 1000)
    fill(tmp_path / "journal", "b", 1000)
    paths = [segment_path(tmp_path / "journal" / "a", 1), segment_path(tmp_path / "journal" / "b", 2)]
    for path in paths:
        content = bytearray(path.read_bytes())
        content[1000] ^= 1
        path.write_bytes(content)

    async def run() -> int:
        async with running_broker(tmp_path) as (_, bootstrap):
            await create_topics(bootstrap, [TOPIC])
            job = Job(tmp_path / "journal", tmp_path / "p.json", bootstrap, "floorwatch.", PARTITIONS, "e")
            task = asyncio.create_task(ship(job))
            while not is_shipped(job.journal, job.progress, "e"):
                assert not task.done(), task
                await asyncio.sleep(0.05)
            task.cancel()
            return len(await read_topic(bootstrap, "floorwatch.raw.v1", PARTITIONS, 1998))

    with caplog.at_level("WARNING"):
        assert asyncio.run(run()) == 1998
    kept = parts_aside(tmp_path / "journal")
    assert [path.name.partition(".seg")[0] for path in kept] == ["00000001", "00000002"]
    told = [record.getMessage() for record in caplog.records if record.name == "floorwatch.shipper"]
    assert len(told) == 2
    for path, aside, line in zip(paths, kept, told, strict=True):
        assert f"{path}, byte " in line
        assert f"kept in {aside}; records that were acknowledged may be lost" in line


def test_an_unreadable_progress_file_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    for content in (b"", b"{", b"[]", b'{"epoch": "e"}', b'{"epoch":"e","positions":{"a":[1]},"records":1,"at_ms":1}'):
        path.write_bytes(content)
        assert load_progress(path) is None
    progress = ShipProgress("e", {"a": Position(2, 30)}, 5, 6)
    save_progress(path, progress)
    assert load_progress(path) == progress


@asynccontextmanager
async def shipping(job: Job) -> AsyncIterator[Child]:
    """Run a shipper process."""
    import sys

    argv = [
        sys.executable,
        "-m",
        "floorwatch.embedded.shipper",
        f"--journal={job.journal}",
        f"--progress={job.progress}",
    ]
    argv += [
        f"--brokers={job.brokers}",
        f"--prefix={job.prefix}",
        f"--epoch={job.epoch}",
        f"--partitions={job.partitions}",
    ]
    child = Child(ChildSpec("shipper", argv, job.journal.parent / "shipper.log"))
    await child.start()
    try:
        yield child
    finally:
        await child.kill()


async def until_shipped(job: Job) -> None:
    """Wait until everything in the journal is on the broker, for as long as more of it gets there."""
    await until(
        lambda: is_shipped(job.journal, job.progress, job.epoch),
        "the journal to be shipped",
        progress=lambda: job.progress.read_bytes() if job.progress.exists() else b"",
    )


def _job(tmp_path: Path, bootstrap: str, epoch: str) -> Job:
    return Job(tmp_path / "journal", tmp_path / "progress.json", bootstrap, "floorwatch.", PARTITIONS, epoch)


def _orders(found) -> dict[bytes, list[int]]:
    orders: dict[bytes, list[int]] = defaultdict(list)
    for record in found:
        assert record.partition == partition_of(record.key, PARTITIONS)
        orders[record.key].append(int(record.value))
    return orders


def test_everything_reaches_a_broker_that_was_killed_and_began_again_empty(tmp_path: Path) -> None:
    """kill -9 of the broker with records under way; then a new one on the same port gets all of it, in order."""
    fill(tmp_path / "journal", "a", 3000)

    async def run() -> list:
        port = free_port()
        async with running_broker(tmp_path, port) as (broker, bootstrap):
            await create_topics(bootstrap, [TOPIC])
            job = _job(tmp_path, bootstrap, "first")
            async with shipping(job):
                await until_shipped(job)
                await broker.kill()
                await asyncio.to_thread(fill, job.journal, "a", 500, first=3000)  # accepted while there is no broker
        async with running_broker(tmp_path, port) as (_, bootstrap):
            await create_topics(bootstrap, [TOPIC])
            job = _job(tmp_path, bootstrap, "second")
            assert not is_shipped(job.journal, job.progress, "second")
            async with shipping(job):
                await until_shipped(job)
                return await read_topic(bootstrap, TOPIC.name, PARTITIONS, 3500)

    orders = _orders(asyncio.run(run()))
    assert sorted(n for order in orders.values() for n in order) == list(range(3500))
    assert all(order == sorted(order) for order in orders.values())


def test_a_shipper_killed_again_and_again_loses_nothing_and_keeps_the_order(tmp_path: Path) -> None:
    fill(tmp_path / "journal", "a", 2000)
    fill(tmp_path / "journal", "b", 1000)

    async def run() -> list:
        async with running_broker(tmp_path) as (_, bootstrap):
            await create_topics(bootstrap, [TOPIC])
            job = _job(tmp_path, bootstrap, "e")
            for extra in range(3):
                async with shipping(job) as child:
                    await until(job.progress.exists, "the first note of progress")
                    await asyncio.to_thread(fill, job.journal, "a", 500, first=2000 + 500 * extra)
                    await child.kill()
            async with shipping(job):
                await until_shipped(job)
            return await read_topic(bootstrap, TOPIC.name, PARTITIONS)

    orders = _orders(asyncio.run(run()))
    first_seen = {key: list(dict.fromkeys(order)) for key, order in orders.items()}
    assert all(order == sorted(order) for order in first_seen.values())
    assert sorted(n for key, order in first_seen.items() if key[:1] == b"a" for n in order) == list(range(3500))
    assert sorted(n for key, order in first_seen.items() if key[:1] == b"b" for n in order) == list(range(1000))


def test_records_keep_the_time_they_were_accepted_and_may_be_large(tmp_path: Path) -> None:
    big = b"x" * 2_000_000

    async def run() -> list:
        async with JournalWriter(tmp_path / "journal", "w", now_ms=lambda: 1_234_567) as writer:
            await writer.publish([(b"k", b"small"), (b"k", big), (b"k", b"after")])
        async with running_broker(tmp_path) as (_, bootstrap):
            await create_topics(bootstrap, [TOPIC])
            job = _job(tmp_path, bootstrap, "e")
            async with shipping(job):
                await until_shipped(job)
                return await read_topic(bootstrap, TOPIC.name, PARTITIONS, 3)

    found = asyncio.run(run())
    assert [len(record.value) for record in found] == [5, 2_000_000, 5]
    assert {record.timestamp for record in found} == {1_234_567}
    assert {record.headers for record in found} == {(ACCEPTED_MARK,)}, "intake takes no other record's time for arrival"


def test_fifty_thousand_events_a_second(tmp_path: Path) -> None:
    """A bound far below what is measured (about 150,000), so that only a broken path fails on a slow machine."""

    async def run() -> float:
        async with JournalWriter(tmp_path / "journal", "w") as writer:
            for start in range(0, 100_000, 5000):
                await writer.publish([(b"task-%d" % n, b"v" * 285) for n in range(start, start + 5000)])
        async with running_broker(tmp_path) as (_, bootstrap):
            from aiokafka import AIOKafkaProducer

            await create_topics(bootstrap, [TOPIC])
            producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=512 * 1024)
            await producer.start()
            shipper = Shipper(_job(tmp_path, bootstrap, "e"), producer)
            begun = time.process_time()
            while await shipper.step():
                pass
            took = time.process_time() - begun
            await producer.stop()
            assert shipper.records == 100_000
            return took

    took_s = asyncio.run(run())
    assert took_s < 2.0, f"100,000 records took {took_s:.2f} s of CPU"
