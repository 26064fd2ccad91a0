"""``floorwatch dead-letters`` on a broker."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner, Result

from floorwatch.cli import build
from streams.adapters.admin import create_topics
from streams.models.topics import DEAD_LETTERS, topic_specs
from tests.dead_letters.test_letters import LETTERS
from tests.embedded.tansu import filled_broker

pytestmark = pytest.mark.servers

PARTITIONS = 2


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled_broker(tmp_path_factory.mktemp("broker"), _fill) as address:
        yield address


async def _fill(address: str) -> None:
    connection = {"bootstrap_servers": address}
    await create_topics(connection, topic_specs("floorwatch.", PARTITIONS))
    producer = AIOKafkaProducer(acks="all", **connection)
    await producer.start()
    try:
        for number, (key, value) in enumerate([*LETTERS, LETTERS[0]]):
            await producer.send_and_wait("floorwatch." + DEAD_LETTERS, value, key, partition=number % PARTITIONS)
    finally:
        await producer.stop()


def call(bootstrap: str, *arguments: str) -> Result:
    env = {"FLOORWATCH_KAFKA__BROKERS": bootstrap, "COLUMNS": "200", "FLOORWATCH_ZONE": "UTC"}
    words = ["dead-letters", *arguments, "--var", "no-such-stack"]
    return CliRunner().invoke(build("dead-letters"), words, env=env)


def test_list_groups_by_reason(bootstrap: str) -> None:
    done = call(bootstrap, "list")
    assert done.exit_code == 0, done.output
    assert "        3  unknown_type at $.type, by intake: app/a, app/b" in done.stdout
    assert "→ send another" in done.stdout
    assert "show --code CODE" in done.stderr
    found = [json.loads(line) for line in call(bootstrap, "list", "--json").stdout.splitlines()]
    assert [(one["code"], one["letters"]) for one in found] == [
        ("unknown_type", 3),
        ("no_assignee", 1),
        ("too_large", 1),
    ]
    few = call(bootstrap, "list", "--source", "cvat/*", "--json").stdout.splitlines()
    assert [json.loads(line)["code"] for line in few] == ["no_assignee"]


def test_show_shows_letters_whole(bootstrap: str) -> None:
    done = call(bootstrap, "show", "--code", "unknown_type", "--limit", "1")
    assert done.exit_code == 0, done.output
    assert "key     fw.raw.v1|0|3" in done.stdout
    assert "record  fw.raw.v1, partition 0, offset 3" in done.stdout
    assert '"source":"app/b"' in done.stdout
    assert "removed $.text (14 bytes)" in done.stdout
    assert "secret" not in done.output
    assert "2 older letters not shown" in done.stderr
    one = call(bootstrap, "show", "gateway|", "--json")
    assert json.loads(one.stdout)["reason"] == "job 4 has nobody"


def test_nothing_and_a_wrong_time_are_told(bootstrap: str) -> None:
    assert "Nothing of that was refused." in call(bootstrap, "list", "--code", "never").stdout
    wrong = call(bootstrap, "list", "--since", "yesterday")
    assert wrong.exit_code == 2
    assert "--since" in wrong.output
    gone = call("127.0.0.1:1", "list")
    assert gone.exit_code == 1
