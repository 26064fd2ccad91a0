"""What keeps the gateway's connection to Kafka cannot end unseen."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from floorwatch.settings.load import load
from gateway import serve
from gateway.publisher import KafkaPublisher
from telemetry import background


def test_the_task_that_reaches_kafka_is_started_again_and_told_in_readyz(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = 0

    async def crash(_: object) -> None:
        nonlocal starts
        starts += 1
        raise RuntimeError

    monkeypatch.setattr(serve._Connection, "keep", crash)
    monkeypatch.setattr(background, "DOWN_AFTER_S", 0.0)

    async def main() -> tuple[str, ...]:
        async with serve.kafka_publisher(load(None, {})) as publisher:
            while starts < 2:  # noqa: ASYNC110 - the task under test
                await asyncio.sleep(0.01)
            return publisher.faults()

    assert any("background task kafka has been down" in fault for fault in asyncio.run(main()))


def test_a_gateway_without_kafka_tries_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []

    async def away(_: object) -> None:
        raise KafkaConnectionError("no broker")

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 7:
            raise asyncio.CancelledError

    async def steps() -> None:
        connection = serve._Connection(load(None, {}), KafkaPublisher("floorwatch.", 4, 1_000))
        monkeypatch.setattr(asyncio, "sleep", sleep)
        await connection.keep()

    monkeypatch.setattr(serve._Connection, "_open", away)
    with caplog.at_level("WARNING"), pytest.raises(asyncio.CancelledError):
        asyncio.run(steps())
    assert pauses == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]
    assert caplog.text.count("cannot be reached") == 1
