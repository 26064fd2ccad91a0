"""Every Faust internal the engine leans on: when one of these fails, read streams/engine before raising the pin."""

from __future__ import annotations

import inspect

import faust
import pytest
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver

from streams.engine.batches import BatchConsumer, BatchSchema, BatchTransport


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
    for check in (
        "_wait_next_records",
        "consumer_generation_id",
        "flow_active",
        "_buffered_partitions",
        "perform_seek",
    ):
        assert check in source
        assert check in inspect.getsource(BatchConsumer)


def test_topics_without_acks_are_not_committed_by_faust() -> None:
    assert "acks" in inspect.signature(faust.Topic.__init__).parameters
    assert "acks_enabled_for(message.topic)" in inspect.getsource(faust_consumer.Consumer.ack)


def test_commits_go_through_the_consumer_thread() -> None:
    assert list(inspect.signature(driver.AIOKafkaConsumerThread.commit).parameters) == ["self", "offsets"]
    source = inspect.getsource(driver.AIOKafkaConsumerThread._commit)
    assert "tp in self.assignment()" in source


def test_a_rebalance_stops_the_flow_before_it_tells_us() -> None:
    source = inspect.getsource(faust.App._on_partitions_revoked)
    assert source.index("flow_control.clear") < source.index("self.on_partitions_revoked.send")


def test_the_schema_is_asked_to_compile_a_decoder() -> None:
    assert "self.schema.compile" in inspect.getsource(faust.Topic)
    parameters = inspect.signature(faust.Schema.compile).parameters
    assert "app" in parameters
    assert callable(BatchSchema().compile(None))
