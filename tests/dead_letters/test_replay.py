"""``floorwatch dead-letters replay``: what was refused and is right now counts once, however often and however it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from typer.testing import CliRunner, Result

from floorwatch.analysis.dead_letters import LetterBox, LetterFilter
from floorwatch.cli import build
from floorwatch.cli.dead_letters_replay import MOST_LETTERS, replay
from floorwatch.replay.reader import open_log
from floorwatch.settings.schema import FloorwatchConfig
from streams.adapters.admin import create_topics
from streams.agents.dead_letters import dead_letter
from streams.core.records import Record
from streams.models.refusal import Refusal
from streams.models.topics import DEAD_LETTERS, RAW, topic_specs
from tests.core.harness import CoreRun
from tests.dead_letters.test_letters import of_webhook
from tests.embedded.tansu import filled_broker

pytestmark = pytest.mark.servers

PARTITIONS = 2
NOW = datetime.now(UTC)


def event(number: int, **data: Any) -> bytes:
    body = {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "app/a",
        "type": "floorwatch.label.submitted.v1",
        "subject": "t-1",
        "time": (NOW - timedelta(minutes=number + 1)).isoformat(),
        "data": {"label_id": f"l{number}", "labeler_id": "ann", "values": ["x"], **data},
    }
    return json.dumps(body).encode()


RAWS = [event(0), event(1), event(2, labeler_id=""), event(3)]
"""Two that are right now, one that never will be, and one of which the broker holds nothing any more."""


@pytest.fixture
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled_broker(tmp_path_factory.mktemp("broker"), _fill) as address:
        yield address


async def _fill(address: str) -> None:
    connection = {"bootstrap_servers": address}
    await create_topics(connection, topic_specs("floorwatch.", PARTITIONS))
    producer = AIOKafkaProducer(acks="all", **connection)
    await producer.start()
    try:
        refusal = Refusal("in_future", "$.time", "it was ahead of its time", "set the clock")
        letters = []
        for raw in RAWS[:3]:
            sent = await producer.send_and_wait("floorwatch." + RAW, raw, b"t-1", partition=1)
            letters.append((sent.offset, raw))
        for offset, raw in [*letters, (99, RAWS[3])]:
            record = Record(offset, int(NOW.timestamp()) * 1000, b"t-1", raw)
            one = dead_letter("intake", "floorwatch." + RAW, 1, record, refusal)
            await producer.send_and_wait("floorwatch." + DEAD_LETTERS, one.value, one.key, partition=1)
        key, value = of_webhook(5)
        await producer.send_and_wait("floorwatch." + DEAD_LETTERS, value, key, partition=0)
    finally:
        await producer.stop()


def call(bootstrap: str, *arguments: str) -> Result:
    env = {
        "FLOORWATCH_KAFKA__BROKERS": bootstrap,
        "FLOORWATCH_KAFKA__PARTITIONS": str(PARTITIONS),
        "FLOORWATCH_KAFKA__IDEMPOTENT_PRODUCER": "false",  # the embedded broker has none
        "COLUMNS": "200",
    }
    words = ["dead-letters", *arguments, "--var", "no-such-stack"]
    return CliRunner().invoke(build("dead-letters"), words, env=env)


def raw_records(bootstrap: str) -> list[tuple[int, bytes]]:
    async def go() -> list[tuple[int, bytes]]:
        async with open_log({"bootstrap_servers": bootstrap}, "floorwatch." + RAW) as log:
            return [
                (partition, one.value or b"")
                for partition in log.partitions
                async for batch in log.read(await log.extent(partition))
                for one in batch
            ]

    return asyncio.run(go())


def labels(values: list[tuple[int, bytes]]) -> float:
    run = CoreRun(partitions=2)
    run.send(value for _, value in values)
    run.finish()
    return sum(row["labels"] for (key, _), row in run.panes()["throughput"].items() if key == "all")


def test_what_is_right_now_is_sent_once_and_the_rest_is_told(bootstrap: str) -> None:
    before = raw_records(bootstrap)
    looked = call(bootstrap, "replay", "--dry-run")
    assert looked.exit_code == 0, looked.output
    assert "2 would be sent again" in looked.stdout
    assert raw_records(bootstrap) == before
    done = call(bootstrap, "replay")
    assert done.exit_code == 0, done.output
    assert "2 sent again" in done.stdout
    assert "1 would be refused again" in done.stdout
    assert "1 is no longer on the broker" in done.stdout
    assert "1 is of another stage" in done.stdout
    after = raw_records(bootstrap)
    assert after[len(before) :] == [(1, RAWS[0]), (1, RAWS[1])]
    again = call(bootstrap, "replay")
    assert "Nothing was sent again." in again.stdout
    assert "2 were sent again before" in again.stdout
    assert raw_records(bootstrap) == after
    # Marks are no letters, and what was sent again is not listed as open.
    found = [json.loads(line) for line in call(bootstrap, "list", "--json").stdout.splitlines()]
    assert {one["code"]: (one["letters"], one["replayed"]) for one in found} == {
        "in_future": (4, 2),
        "no_assignee": (1, 0),
    }


def test_one_that_is_killed_between_record_and_mark_counts_once(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = AIOKafkaProducer.send_and_wait

    async def dies(self: Any, topic: str, value: Any = None, *more: Any, **options: Any) -> Any:
        if topic.endswith(DEAD_LETTERS):
            raise KafkaError("the broker went away")
        return await send(self, topic, value, *more, **options)

    monkeypatch.setattr(AIOKafkaProducer, "send_and_wait", dies)
    failed = call(bootstrap, "replay")
    assert failed.exit_code == 1
    assert "went away" in failed.stderr
    assert "nothing counts twice" in failed.stderr
    monkeypatch.undo()
    assert call(bootstrap, "replay").exit_code == 0
    sent = raw_records(bootstrap)[3:]
    assert [value for _, value in sent] == [RAWS[0], RAWS[0], RAWS[1]]
    assert labels(sent) == labels(list(dict.fromkeys(sent))) == 2


def test_letters_to_replay_are_chosen(bootstrap: str) -> None:
    before = raw_records(bootstrap)
    assert "Nothing was sent again." in call(bootstrap, "replay", "--code", "never").stdout
    assert "1 sent again" in call(bootstrap, "replay", f"floorwatch.{RAW}|1|1").stdout
    assert [value for _, value in raw_records(bootstrap)[len(before) :]] == [RAWS[1]]


def test_of_an_embedded_stack_records_go_through_its_journal(bootstrap: str, tmp_path: Path) -> None:
    """Its broker begins anew from there."""
    before = raw_records(bootstrap)
    kafka = {"brokers": [bootstrap], "partitions": PARTITIONS, "idempotent_producer": False}
    settings = FloorwatchConfig.model_validate({"kafka": kafka})

    async def go() -> list[str]:
        box = LetterBox(LetterFilter(code="in_future"), MOST_LETTERS)
        async with open_log({"bootstrap_servers": bootstrap}, "floorwatch." + DEAD_LETTERS) as log:
            for partition in log.partitions:
                async for batch in log.read(await log.extent(partition)):
                    for one in batch:
                        box.take(one.key or b"", one.value or b"")
        return (await replay(settings, box, tmp_path / "journal", dry_run=False)).sent

    assert len(asyncio.run(go())) == 2
    assert raw_records(bootstrap) == before
    kept = b"".join(path.read_bytes() for path in (tmp_path / "journal").rglob("*") if path.is_file())
    assert all(kept.count(raw) == 1 for raw in RAWS[:2])
    assert "Nothing was sent again." in call(bootstrap, "replay").stdout
