"""``floorwatch alerts mark`` and ``quality`` on a real Kafka."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaProducer
from msgspec import structs
from typer.testing import CliRunner

from alerts.codec import encode_group, encode_incident, encode_input
from alerts.incident import Override, Stamp
from alerts.notice import IncidentGroup
from alerts.text import title_of
from floorwatch.cli import build
from floorwatch.embedded.servers import clean_environment
from tests.alerts.machine import opened
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.brokers import kafka_bootstrap
from tests.redis_clients import blocking_client

__all__ = ["kafka_bootstrap"]

pytestmark = pytest.mark.servers


async def put(bootstrap: str, *values: bytes, topic: str = "marks.incidents.v1") -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    for value in values:
        await producer.send_and_wait(topic, value, key=value[:9], partition=0)
    await producer.stop()


class Called(NamedTuple):
    """What a command came to. It runs in this process: a new one takes a second and a half to import."""

    returncode: int
    stdout: str
    stderr: str


def test_marks_are_counted_by_rule(redis_url: str, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env = clean_environment(
        REDIS__URL=redis_url, KAFKA__BROKERS=kafka_bootstrap, KAFKA__PARTITIONS="1", KAFKA__TOPIC_PREFIX="marks."
    )

    for name in [name for name in os.environ if name.startswith("FLOORWATCH_")]:
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> Called:
        done = CliRunner().invoke(build(arguments[0]), list(arguments))
        return Called(done.exit_code, done.stdout, done.stderr)

    made = subprocess.run(
        [sys.executable, "-m", "floorwatch", "topics", "create"], env=env, capture_output=True, check=False
    )
    assert made.returncode == 0
    incident = structs.replace(
        opened(), state="resolved", resolved_ms=NOW_MS + MINUTE_MS, opened_ms=NOW_MS, stamp=Stamp(0, 1)
    )
    value = encode_incident(incident, title_of(incident))
    asyncio.run(put(kafka_bootstrap, value, b"no incident"))
    client = blocking_client(redis_url)
    client.hset("floorwatch:incidents", incident.key, value)
    client.close()
    for mark, by in (("--useful", "mei"), ("--not-useful", "mei"), ("--useful", "ana"), ("--useful", "mei")):
        done = call("alerts", "mark", incident.key[:8], mark, "--by", by)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"marked {mark[2:].replace('-', ' ')} by {by}, as marks.signals.v1[0] offset ")
    done = call("alerts", "quality", "--json")
    assert "marks.incidents.v1[0]: 1 records cannot be read" in done.stderr
    found = json.loads(done.stdout)
    assert {name: found[name] for name in ("rule", "incidents", "marked", "useful", "disputed", "resolve_s")} == {
        "rule": "accuracy-low-vendor", "incidents": 1, "marked": 1, "useful": 1, "disputed": 0, "resolve_s": 60.0,
    }  # fmt: skip
    assert "1 of 1" in call("alerts", "quality").stdout
    assert call("alerts", "quality", "--since", "1h").stdout == "No incidents on the log.\n"
    group = incident.told_people[0].notice.partition(":")[0]
    told = encode_group(IncidentGroup(group, "leads", {}))
    planned = encode_input(Override("o", "kul", "mei", 1, 2, "ann", 5))
    asyncio.run(put(kafka_bootstrap, told, planned, b"no group", topic="marks.notices.v1"))
    done = call("alerts", "quality", "--by", "route", "--json")
    assert "marks.notices.v1[0]: 1 records cannot be read" in done.stderr
    found = json.loads(done.stdout)
    assert (found["who"], found["messages"], found["pages"], found["incidents"]) == ("leads", 1, 1, 1)
    assert json.loads(call("alerts", "quality", "--by", "person", "--json").stdout)["who"] == "channel:leads"
    assert call("alerts", "quality", "--by", "person").stdout.split()[0] == "person"
    assert call("alerts", "quality", "--by", "person", "--since", "1h").stdout.startswith("Nobody was told")
    wrong = call("alerts", "quality", "--by", "people")
    assert (wrong.returncode, "--by people: " in wrong.stderr) == (2, True)
