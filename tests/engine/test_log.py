"""The log writer: batches of one append in order and none past a failed one; records too large are said, never dropped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError, RequestTimedOutError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from streams.engine import log as engine_log
from streams.engine.errors import Misconfigured
from streams.engine.log import Entry, KafkaLogReader, KafkaLogWriter
from tests.engine.hosts import Meter

BATCH_BYTES = 300
ENTRIES: list[Entry] = [(b"k%d" % n, b"x" * 60, 1_000 + n) for n in range(20)]


class Producer:
    """Takes batches as aiokafka's producer does, and acknowledges each when told to, or with an error."""

    def __init__(self, *answers: BaseException | None) -> None:
        self.answers = list(answers)
        self.sent: list[list[bytes]] = []
        self.under_way = self.most_under_way = 0

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0)

    async def send_batch(self, builder: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Any]:
        held = MemoryRecords(bytes(builder._build())).next_batch()
        self.sent.append([record.key for record in held])
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer = self.answers.pop(0) if self.answers else None
        asyncio.get_running_loop().call_later(0.001, self._answer, future, answer)
        return future

    def _answer(self, future: asyncio.Future[Any], answer: BaseException | None) -> None:
        self.under_way -= 1
        if answer is None:
            future.set_result(None)
        else:
            future.set_exception(answer)


def append(producer: Any, entries: list[Entry], **more: Any) -> None:
    asyncio.run(KafkaLogWriter(producer, Meter(), large_bytes=BATCH_BYTES, **more).append("t", 0, entries))


def test_an_append_of_several_batches_is_sent_in_order_and_whole() -> None:
    producer = Producer()
    append(producer, ENTRIES)
    assert len(producer.sent) > 3
    assert [key for batch in producer.sent for key in batch] == [key for key, _, _ in ENTRIES]


@pytest.mark.parametrize("failed", [0, 1, 2])
def test_nothing_is_sent_past_a_batch_that_failed(failed: int) -> None:
    producer = Producer(*[None] * failed, RequestTimedOutError())
    with pytest.raises(RequestTimedOutError):
        append(producer, ENTRIES)
    assert len(producer.sent) == failed + 1
    assert producer.most_under_way == 1


def test_an_append_that_is_broken_off_sends_no_more() -> None:
    async def go() -> Producer:
        producer = Producer()
        task = asyncio.ensure_future(KafkaLogWriter(producer, Meter(), large_bytes=BATCH_BYTES).append("t", 0, ENTRIES))
        while not producer.sent:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0.02)
        return producer

    assert len(asyncio.run(go()).sent) == 1


def test_a_producer_that_has_no_room_is_offered_the_batch_again() -> None:
    class Full(Producer):
        refusals = 2

        async def send_batch(self, builder: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Any]:
            if self.refusals:
                self.refusals -= 1
                raise KafkaTimeoutError
            return await super().send_batch(builder, topic, partition=partition)

    producer = Full()
    append(producer, ENTRIES)
    assert [key for batch in producer.sent for key in batch] == [key for key, _, _ in ENTRIES]


def test_a_record_larger_than_a_batch_goes_alone_and_is_noted() -> None:
    noted: list[tuple[str, int]] = []

    class Noting(Meter):
        def large_record(self, topic: str, size_bytes: int) -> None:
            noted.append((topic, size_bytes))

    producer: Any = Producer()
    entries: list[Entry] = [*ENTRIES[:2], (b"large", b"y" * 1000, 5), *ENTRIES[2:4]]
    asyncio.run(KafkaLogWriter(producer, Noting(), large_bytes=BATCH_BYTES).append("t", 0, entries))
    assert producer.sent == [[b"k0", b"k1"], [b"large"], [b"k2", b"k3"]]
    assert [topic for topic, _ in noted] == ["t"]
    assert 1000 < noted[0][1] < 1200


def test_a_record_larger_than_its_topic_holds_ends_the_worker_before_anything_of_it_is_sent() -> None:
    producer = Producer()
    entries: list[Entry] = [*ENTRIES[:2], (b"all|0|60000|owner", b"y" * 3000, 5), *ENTRIES[2:4]]
    with pytest.raises(Misconfigured, match=r"'all\|0\|60000\|owner' for t\[0\] takes 3,\d+ bytes") as caught:
        append(producer, entries, max_record_bytes=2000)
    assert "kafka.max_message_bytes is 2,000" in str(caught.value)
    assert "--add-config max.message.bytes" in str(caught.value)
    assert producer.sent == [[b"k0", b"k1"]]


def test_a_topic_made_with_a_smaller_limit_is_named_with_the_command_that_mends_it() -> None:
    with pytest.raises(Misconfigured, match=r"--topic t --add-config max\.message\.bytes=2000"):
        append(Producer(MessageSizeTooLargeError()), ENTRIES[:1], max_record_bytes=2000)


def test_a_reader_waits_for_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery begins when partitions move, which is when brokers die."""
    started: list[Any] = []

    class Consumer:
        def __init__(self, **settings: Any) -> None:
            self.settings, self.stopped = settings, False
            started.append(self)

        async def start(self) -> None:
            if len(started) < 3:
                raise KafkaConnectionError("Unable to bootstrap")

        async def stop(self) -> None:
            self.stopped = True

        async def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
            return dict.fromkeys(partitions, 0)

        beginning_offsets = end_offsets

    monkeypatch.setattr(engine_log, "AIOKafkaConsumer", Consumer)
    monkeypatch.setattr(engine_log, "_READ_RETRY_S", 0.0)
    assert asyncio.run(KafkaLogReader({"bootstrap_servers": "127.0.0.1:1"}).empty("t", 0))
    assert [consumer.stopped for consumer in started] == [True] * 3
