"""An alert's way from the signal to the receiver on a real Kafka and Valkey, killed at every step, with Redis flushed between.

Open → notified → acknowledged → escalated → over. Receivers are a recorder of PagerDuty's API, a webhook, and a real Alertmanager.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer
from msgspec import structs
from redis.asyncio import Redis

from alerts.append import append_input
from alerts.codec import Input, decode_group, decode_input, decode_receipts
from alerts.dues import told_now
from alerts.incident import Act, Stamp, Tick, incident_key
from floorwatch.embedded.servers import Servers, clean_environment
from floorwatch.settings.load import load
from floorwatch.settings.policies import incident_policy, routing_policy
from streams.adapters.admin import create_topics
from streams.adapters.topic_names import TopicNames
from streams.agents.incident_state import IncidentState
from streams.engine.log import KafkaLogReader
from streams.models import topics
from streams.notify import clock_ms
from tests.alerts.channels.recorder import Recorder, recording
from tests.alerts.channels.test_alertmanager import alertmanager
from tests.alerts.machine import signal
from tests.kafka.conftest import processes, run, write_config
from tests.kafka.mortal_worker import is_group
from tests.redis_clients import async_client
from tests.waits import until

pytestmark = pytest.mark.servers

PREFIX = "killed."
NAMES = TopicNames(PREFIX, 1)
RULE = {"name": "the-rule", "kind": "accuracy_low", "scope": {"by": "vendor"}, "window": "1h", "severity": "page",
        "for": 1, "resolve_for": 1, "escalate": [{"after": "1h", "route": "lead"}]}  # fmt: skip
KEY = incident_key("the-rule", "vendor=bpo-a", 1)

OPENING = (
    "decided, nothing written",
    "decision written, message not",
    "message written, incident not",
    "incident written, outbox empty",
    "in the outbox, not committed",
    "channels chosen",
    "claimed, not sent",
    "sent, no receipt",
)
LOST = ("filling begun", "filled, not noted")
ESCALATION = ("incident written, outbox empty", "receipt written, outbox not told", "receipts folded, not written")
END = ("decision written, message not", "sent, no receipt", "outbox told")


class Story:
    """One story on one broker; a worker of the moment that dies where it is told."""

    def __init__(self, bootstrap: str, servers: Servers, config: Path, redis: Redis, producer: Any) -> None:
        self.bootstrap, self.servers, self.config, self.redis, self.producer = (
            bootstrap,
            servers,
            config,
            redis,
            producer,
        )
        self.kills: list[str] = []

    async def put(self, *inputs: Input) -> None:
        for one in inputs:
            await append_input(self.producer, NAMES, one)

    def start(self, point: str) -> Any:
        name = f"worker-{len(self.kills)}"
        line = [sys.executable, "-m", "tests.kafka.mortal_worker", point, str(self.config)]
        return self.servers.start(name, line, clean_environment())

    async def killed_at(self, *points: str) -> None:
        """Let one worker after the other die, each at its point."""
        for point in points:
            worker = self.start(point)

            def seen() -> str:
                return self.servers.log_tail(f"worker-{len(self.kills)}", 3)

            await until(lambda worker=worker: worker.poll() is not None, f"a death: {point}", progress=seen)  # type: ignore[misc]
            assert worker.returncode == -9, (point, self.servers.log_tail(f"worker-{len(self.kills)}", 60))
            self.kills.append(point)

    async def lives_until(self, done: Any, what: str) -> None:
        """Run a worker that is not killed until something holds, then kill it."""
        worker = self.start("never")
        await until(done, what, progress=lambda: self.servers.log_tail(f"worker-{len(self.kills)}", 3), process=worker)
        worker.kill()
        await asyncio.to_thread(worker.wait)
        self.kills.append("alive")

    async def records(self, topic: str) -> list[tuple[int, bytes, bytes | None]]:
        reader = KafkaLogReader({"bootstrap_servers": self.bootstrap})
        return [record async for some in reader.read(PREFIX + topic, 0) for record in some]

    async def delivered(self) -> bool:
        """Whether the log says of every notice that all its channels have it."""
        last = {key: value for _, key, value in await self.records(topics.NOTICES)}
        states = [decode_receipts(value) for key, value in last.items() if key.startswith(b"=") and value is not None]
        return bool(states) and not any(state.open for state in states)


@asynccontextmanager
async def story(bootstrap: str, folder: Path) -> AsyncIterator[tuple[Story, Recorder, Recorder, str]]:
    """Yield the story, the recorders of PagerDuty and of a webhook, and the URL of an Alertmanager."""
    async with (
        processes(folder) as (servers, redis_url),
        recording() as pager,
        recording() as hook,
        alertmanager(folder) as (am_url, _),
    ):
        channels = {
            "pd": {"type": "pagerduty", "routing_key": "k" * 32, "url": f"{pager.url}/v2/enqueue"},
            "hook": {"type": "webhook", "url": f"{hook.url}/told"},
            "am": {"type": "alertmanager", "url": am_url},
        }
        route = {"notify": ["channel:pd", "channel:hook", "channel:am"], "group_interval": "0s"}
        routes = {"default": route, "lead": {"notify": ["channel:pd", "channel:hook"], "group_interval": "0s"}}
        kafka = {"brokers": [bootstrap], "topic_prefix": PREFIX, "group": "killed", "partitions": 1}
        kafka |= {"session_timeout_s": 2}
        config = write_config(
            folder / "f.yaml",
            kafka=kafka,
            redis={"url": redis_url, "prefix": PREFIX},
            metrics={"port": 0},
            alerts={"rules": [RULE], "channels": channels, "routes": routes},
        )
        await create_topics({"bootstrap_servers": bootstrap}, topics.topic_specs(PREFIX, 1))
        redis = async_client(redis_url)
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
        await producer.start()
        try:
            yield Story(bootstrap, servers, config, redis, producer), pager, hook, am_url
        finally:
            await producer.stop()
            await redis.aclose()


async def told(one: Story, pager: Recorder, am_url: str) -> None:
    """Tell the story."""
    now_ms = clock_ms()
    await one.put(signal(True, now_ms, rule="the-rule"), Tick(now_ms, now_ms))
    await one.killed_at(*OPENING)
    await one.redis.flushall()
    await one.killed_at(*LOST)
    await one.lives_until(one.delivered, "the opening to be delivered")
    assert await alerts(am_url) == 1
    await one.put(Act("ack", KEY, "mei", clock_ms()))
    await one.killed_at("action folded, not written")
    await one.redis.flushall()
    await one.put(Act("escalate", KEY, "mei", clock_ms()))
    await one.killed_at(*ESCALATION)
    await one.redis.flushall()
    await one.lives_until(one.delivered, "the escalation to be delivered")
    now_ms = clock_ms()
    await one.put(signal(False, now_ms, rule="the-rule"), Tick(now_ms, now_ms))
    await one.killed_at(*END)
    await one.redis.flushall()
    await one.lives_until(one.delivered, "the end to be delivered")


async def alerts(am_url: str) -> int:
    """Return how many alerts fire in the Alertmanager."""
    async with aiohttp.ClientSession() as http, http.get(f"{am_url}/api/v2/alerts") as answer:
        return len(await answer.json())


def notices(records: list[tuple[int, bytes, bytes | None]]) -> dict[str, Any]:
    """Return the notices of all groups as notices.v1 has ever had them, by id; each was decided once."""
    found: dict[str, Any] = {}
    for _, key, value in records:
        if value is None or not is_group(key):
            continue
        for notice in decode_group(value).notices:
            assert found.setdefault(notice.id, notice).targets == notice.targets
    return found


async def folded_anew(one: Story) -> IncidentState:
    """Fold signals.v1 from its beginning in a state that has nothing, with the same configuration."""
    config = load(one.config, {}, channels="tolerated")
    faults: list[Any] = []
    state = IncidentState(
        0, config.rules, incident_policy(config), routing_policy(config), lambda *fault: faults.append(fault)
    )
    for offset, _, value in await one.records(topics.SIGNALS):
        state.fold(decode_input(value or b""), Stamp(0, offset))
    assert not faults
    return state


@pytest.mark.slow
@pytest.mark.usefixtures("real_kafka")
@pytest.mark.timeout(600)
def test_an_alert_killed_at_every_step_with_redis_flushed_reaches_everybody_once(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    async def go() -> None:
        async with story(kafka_bootstrap, tmp_path) as (one, pager, hook, am_url):
            await told(one, pager, am_url)
            assert len([point for point in one.kills if point != "alive"]) >= 12
            decided = notices(await one.records(topics.NOTICES))
            steps = Counter(step for notice in decided.values() for _, step in notice.members)
            assert set(steps) == {"open", "escalated-0-1", "resolved-0"}, steps
            # Exactly once by what the receiver knows a message by, and none is missing.
            keys = {request.headers["Idempotency-Key"] for request in hook.seen}
            assert keys == {f"{name}:hook" for name in decided}
            actions = {(request.json["dedup_key"], request.json["event_action"]) for request in pager.seen}
            assert actions == {(KEY, "trigger"), (KEY, "resolve")}
            assert pager.seen[-1].json["event_action"] == "resolve", "nothing is opened behind the end"
            assert await alerts(am_url) == 0
            # The same people, by a fresh fold of the log.
            anew = await folded_anew(one)
            again = {state.id: state.channels for state in anew.receipts.all()} | {
                effect.id: effect.channels for effect in anew.waiting.notify
            }
            assert again == {
                name: tuple(dict.fromkeys(to for target in notice.targets for to in target.channels))
                for name, notice in decided.items()
            }
            (incident,) = [held for held in anew._incidents.values() if held.key == KEY]
            assert {entry.notice for entry in incident.told_people} == decided.keys()
            assert not told_now(structs.replace(incident))

    run(go())
