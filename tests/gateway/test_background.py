"""What keeps the gateway's connection to Kafka cannot end unseen."""

from __future__ import annotations

import asyncio

import pytest

from config.load import load
from gateway import serve
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
