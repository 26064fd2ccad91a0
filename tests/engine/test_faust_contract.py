"""Every Faust internal the engine leans on: when one of these fails, read streams/engine before raising the pin."""

from __future__ import annotations

import asyncio
import inspect
import threading
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.core.records import Record
from streams.engine.batches import IN_HAND, BatchConsumer, BatchSchema, BatchTransport


def test_version_is_the_one_that_was_read() -> None:
    assert faust.__version__.startswith("0.15.")


def test_the_transport_takes_another_consumer_class() -> None:
    assert driver.Transport.Consumer is driver.Consumer
    assert BatchTransport.Consumer is BatchConsumer
    assert isinstance(faust.App.transport, property)
    assert faust.App.transport.fset is not None


@pytest.mark.parametrize(
    "name",
    ["_wait_next_records", "perform_seek", "highwater", "seek", "on_partitions_revoked", "_drain_messages"],
)
def test_consumer_internals_exist(name: str) -> None:
    assert callable(getattr(faust_consumer.Consumer, name))


def test_the_drain_loop_asks_getmany_and_tracks_the_offset_of_each_message() -> None:
    source = inspect.getsource(faust_consumer.Consumer._drain_messages)
    assert "getmany(timeout=1.0)" in source
    assert "set_read_offset(tp, offset)" in source
    assert "offset >= r_offset" in source


def test_getmany_has_the_checks_that_ours_repeats() -> None:
    source = inspect.getsource(faust_consumer.Consumer.getmany)
    for check in ("_wait_next_records", "consumer_generation_id", "flow_active", "_buffered_partitions"):
        assert check in source
        assert check in inspect.getsource(BatchConsumer)
    assert "perform_seek" in source  # where ours goes back to what it throws away


def test_faust_empties_its_queues_before_it_lets_records_flow() -> None:
    from faust.tables.recovery import Recovery
    from mode.utils.queues import FlowControlEvent

    assert "self.clear()" in inspect.getsource(FlowControlEvent.resume)
    source = inspect.getsource(Recovery._resume_streams)
    resumed = source[source.index("flow_control.resume()") : source.index("consumer.resume_flow()")]
    assert "await" not in resumed, "a batch may now be queued after the queues are emptied and before flow is resumed"


def test_faust_goes_back_to_what_is_committed_and_moves_nothing_where_nothing_is() -> None:
    assert "if offset and offset > 0:" in inspect.getsource(AIOKafkaConsumer.seek_to_committed)


def test_the_position_of_a_partition_can_be_looked_at_on_the_consumers_thread() -> None:
    from aiokafka.consumer.subscription_state import TopicPartitionState

    source = inspect.getsource(driver.AIOKafkaConsumerThread.verify_event_path)
    assert "_subscriptions.subscription.assignment.state_value(" in source
    assert "self._subscription = SubscriptionState(" in inspect.getsource(AIOKafkaConsumer.__init__)
    assert isinstance(TopicPartitionState.has_valid_position, property)
    assert isinstance(TopicPartitionState.position, property)


def test_topics_without_acks_are_not_committed_by_faust() -> None:
    assert "acks" in inspect.signature(faust.Topic.__init__).parameters
    assert "acks_enabled_for(message.topic)" in inspect.getsource(faust_consumer.Consumer.ack)


def test_positions_are_moved_on_the_consumers_thread_where_faust_would_do_it_on_ours() -> None:
    source = inspect.getsource(faust_consumer.ThreadDelegateConsumer._seek)
    assert "self._thread.seek(partition, offset)" in source
    assert "call_thread" not in source, "Faust does it itself now: ours may go"
    assert issubclass(BatchConsumer, faust_consumer.ThreadDelegateConsumer)

    where: list[tuple[int, Any]] = []
    loop = asyncio.new_event_loop()
    runner = threading.Thread(target=loop.run_forever)
    runner.start()
    try:
        seeking = SimpleNamespace(
            thread_loop=loop, seek=lambda tp, offset: where.append((threading.get_ident(), (tp, offset)))
        )
        asyncio.run(BatchConsumer._seek(SimpleNamespace(_thread=seeking), "tp", 7))  # type: ignore[arg-type]
        assert where == [(runner.ident, ("tp", 7))]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        runner.join()
        loop.close()


def test_commits_can_be_made_on_the_consumers_thread_beside_faust() -> None:
    from mode.threads import ServiceThread

    assert "thread_loop" in inspect.signature(ServiceThread.__init__).parameters
    assert callable(driver.AIOKafkaConsumerThread._ensure_consumer)
    # What made this necessary: both answers are the same False there.
    source = inspect.getsource(driver.AIOKafkaConsumerThread._commit)
    assert "tp in self.assignment()" in source
    assert "already rebalanced" in source


def test_a_refused_commit_carries_its_reason_as_its_cause() -> None:
    from aiokafka.consumer.group_coordinator import GroupCoordinator

    source = inspect.getsource(GroupCoordinator.commit_offsets)
    for name in ("UnknownMemberIdError", "IllegalGenerationError", "RebalanceInProgressError"):
        assert name in source
    assert "CommitFailedError(" in source
    assert "from exc" in source


def test_a_member_put_out_of_its_group_forgets_its_name_and_generation() -> None:
    from aiokafka.consumer import group_coordinator

    reset = inspect.getsource(group_coordinator.GroupCoordinator.reset_generation)
    assert "self.generation = OffsetCommitRequest.DEFAULT_GENERATION_ID" in reset
    assert "self.member_id = JoinGroupRequest.UNKNOWN_MEMBER_ID" in reset
    joined = inspect.getsource(group_coordinator.CoordinatorGroupRebalance)
    assert "_coordinator.member_id = response.member_id" in joined
    assert "_coordinator.generation = response.generation_id" in joined
    assert "_ensure_consumer()._coordinator.generation" in inspect.getsource(driver.ConsumerRebalanceListener)


def _consumer(generation: int) -> Any:
    """Return a batch consumer without a broker, its partitions active."""
    import asyncio
    from types import SimpleNamespace

    consumer = BatchConsumer.__new__(BatchConsumer)
    consumer._in_hand, consumer._counted_generation, consumer._room = {}, generation, asyncio.Event()
    consumer._dropped, consumer._count = {}, 0
    consumer._active_partitions, consumer._buffered_partitions = {TP("t", 0), TP("t", 1)}, set()
    consumer.highwater = lambda tp: 9
    consumer.assignment = lambda: {TP("t", 0), TP("t", 1)}
    consumer.app = SimpleNamespace(consumer_generation_id=generation)
    return consumer


def _handed_out(consumer: Any, partition: int, generation: int) -> Any:
    record = Record(5, 0, None, b"x")
    return consumer._batch_message(TP("t", partition), [record], generation).value


def test_a_partition_whose_batches_are_not_done_is_no_longer_fetched_and_others_are() -> None:
    consumer = _consumer(1)
    batches = [_handed_out(consumer, 0, 1) for _ in range(IN_HAND)]
    assert consumer._active_partitions == {TP("t", 1)}
    assert consumer.batches_in_hand == {("t", 0): IN_HAND}
    batches[0].done()
    assert consumer._active_partitions == {TP("t", 0), TP("t", 1)}
    assert consumer._room.is_set()
    for batch in batches[1:]:
        batch.done()
    assert consumer.batches_in_hand == {("t", 0): 0}


def test_after_a_rebalance_batches_are_counted_anew() -> None:
    consumer = _consumer(1)
    old = [_handed_out(consumer, 0, 1) for _ in range(IN_HAND)]
    new = _handed_out(consumer, 0, 2)
    assert consumer.batches_in_hand == {("t", 0): 1}
    old[0].done()
    assert consumer.batches_in_hand == {("t", 0): 1}
    new.done()
    assert consumer.batches_in_hand == {("t", 0): 0}


def test_a_partition_held_back_before_a_rebalance_is_fetched_after_it() -> None:
    consumer = _consumer(1)
    old = [_handed_out(consumer, 0, 1) for _ in range(IN_HAND)]
    consumer._forget_other_generations(2)
    assert consumer._active_partitions == {TP("t", 0), TP("t", 1)}
    assert consumer.batches_in_hand == {}
    consumer.assignment = lambda: {TP("t", 1)}
    consumer._forget_other_generations(3)
    assert consumer._active_partitions == {TP("t", 1)}
    del old


def test_a_batch_that_faust_drops_from_a_queue_is_fetched_again() -> None:
    consumer = _consumer(1)
    batches = [_handed_out(consumer, 0, 1) for _ in range(IN_HAND)]
    assert consumer._active_partitions == {TP("t", 1)}
    batches.pop().done()
    assert consumer._dropped == {}
    batches.clear()
    assert consumer.batches_in_hand == {("t", 0): 0}
    assert consumer._dropped == {TP("t", 0): 5}, "nobody fetches again what was dropped"
    assert consumer._active_partitions == {TP("t", 0), TP("t", 1)}


def test_faust_holds_a_partition_back_as_ours_does() -> None:
    full, drop = (inspect.getsource(getattr(faust_consumer.Consumer, f"on_buffer_{name}")) for name in ("full", "drop"))
    assert "active_partitions.discard(tp)" in full
    assert "_buffered_partitions.add(tp)" in full
    assert "active_partitions.add(tp)" in drop
    # Where nothing is active it sleeps for a second, which ours avoids.
    assert "await self.sleep(1)" in inspect.getsource(faust_consumer.Consumer._wait_next_records)


def test_a_rebalance_stops_the_flow_before_it_tells_us() -> None:
    source = inspect.getsource(faust.App._on_partitions_revoked)
    assert source.index("flow_control.clear") < source.index("self.on_partitions_revoked.send")


def test_the_schema_is_asked_to_compile_a_decoder() -> None:
    assert "self.schema.compile" in inspect.getsource(faust.Topic)
    parameters = inspect.signature(faust.Schema.compile).parameters
    assert "app" in parameters
    assert callable(BatchSchema().compile(None))


def _record_batches(*sizes: int) -> bytes:
    """Return Kafka record batches of the given sizes, offsets from 100 on."""
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    out, offset = b"", 100
    for size in sizes:
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 20)
        for number in range(size):
            builder.append(number, 1000 + offset + number, f"k{offset + number}".encode(), b"v", [])
        raw = bytearray(builder.build())
        raw[0:8] = offset.to_bytes(8, "big")
        out += bytes(raw)
        offset += size
    return out


def _plain_records(data: bytes, fetch_offset: int) -> Any:
    from aiokafka.record.memory_records import MemoryRecords

    from streams.engine.fetch import PlainRecords

    return PlainRecords(("t", 0), MemoryRecords(data), [], fetch_offset, None, None, True, 0)


def test_fetched_records_come_in_lists_and_the_position_follows() -> None:
    records = _plain_records(_record_batches(3, 4, 2), 101)
    first = records.take(5)
    assert [record.offset for record in first] == [101, 102, 103, 104, 105]
    assert first[0].key == b"k101"
    assert first[0].timestamp_ms == 1101
    assert records.next_fetch_offset == 106
    assert not records.exhausted
    assert [record.offset for record in records.take(50)] == [106, 107, 108]
    assert records.next_fetch_offset == 109
    assert records.exhausted


def test_the_mark_of_the_shipper_is_read_record_by_record() -> None:
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    from streams.models.topics import ACCEPTED_MARK

    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 20)
    others = [("trace", None), (ACCEPTED_MARK[0], b"something else")]
    for number, headers in enumerate([[ACCEPTED_MARK], [], others, [*others, ACCEPTED_MARK], [("", b"")]]):
        builder.append(number, 1000, b"k", b"v", headers)
    found = _plain_records(bytes(builder.build()), 0).take(9)
    assert [record.marked for record in found] == [True, False, False, True, False]
    assert all(record.sender_time for record in found)


def test_a_corrupt_batch_is_refused() -> None:
    from aiokafka.errors import CorruptRecordException

    data = bytearray(_record_batches(3))
    data[-1] ^= 0xFF
    with pytest.raises(CorruptRecordException):
        _plain_records(bytes(data), 100).take(10)


def test_aiokafka_still_builds_fetch_results_from_the_two_classes_replaced() -> None:
    from aiokafka.consumer import fetcher

    import streams.engine.fetch as ours

    source = inspect.getsource(fetcher.Fetcher)
    assert "PartitionRecords(" in source
    assert "FetchResult(" in source
    assert "type(res_or_error) is FetchResult" in source
    assert fetcher.PartitionRecords is ours._records_of
    assert fetcher.FetchResult is ours.PlainFetchResult
    parameters = list(inspect.signature(ours._AIOKAFKA_RECORDS.__init__).parameters)
    assert parameters[1:6] == ["tp", "records", "aborted_transactions", "fetch_offset", "key_deserializer"]


def test_only_consumers_marked_as_plain_get_plain_records() -> None:
    from aiokafka.consumer import fetcher
    from aiokafka.record.memory_records import MemoryRecords

    import streams.engine.fetch as ours

    def fetched(key_deserializer: Any) -> Any:
        data = MemoryRecords(_record_batches(2))
        return fetcher.PartitionRecords(TopicPartition("t", 0), data, [], 100, key_deserializer, None, True, 0)

    assert type(fetched(ours.plain)) is ours.PlainRecords
    assert next(fetched(None)).partition == 0


def test_the_worker_marks_its_consumer_as_plain() -> None:
    source = inspect.getsource(driver.AIOKafkaConsumerThread)
    assert "def _create_worker_consumer(" in source
    assert "self._create_worker_consumer(transport)" in source
    assert "_new_consumer_thread" in inspect.getsource(faust_consumer.ThreadDelegateConsumer)
    assert "key_deserializer=self._key_deserializer" in inspect.getsource(AIOKafkaConsumer)


def test_the_worker_bounds_how_long_a_broker_holds_its_fetches() -> None:
    from aiokafka.consumer import fetcher

    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer)
    assert "self._fetch_max_wait_ms = fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer)
    # What makes it needed: a partition whose records nobody took in time is left out of the one fetch a broker has.
    actions = inspect.getsource(fetcher.Fetcher._get_actions_per_node)
    assert "elif node_id in self._in_flight:" in actions
    assert "record.calculate_backoff()" in actions


def test_batches_filled_by_hand_hold_what_was_given() -> None:
    from aiokafka.producer.message_accumulator import BatchBuilder
    from aiokafka.record.memory_records import MemoryRecords

    from streams.engine.log import _fill

    builder = BatchBuilder(200, 0)
    given = [(b"a", b"x", 5), (b"b", None, 6), (None, b"y" * 150, None), (b"c", b"z", 7)]
    taken = _fill(builder, given)
    assert 0 < taken < 4
    assert builder.record_count() == taken
    held = list(MemoryRecords(bytes(builder._build())).next_batch())
    assert [(r.key, r.value) for r in held] == [entry[:2] for entry in given[:taken]]
    huge = BatchBuilder(200, 0)
    assert _fill(huge, [(b"k", b"x" * 5000, 1), (b"l", b"y", 1)]) == 1
