"""Runs the web pages: a Redis client, a producer that is made when somebody first acts, a listening address."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, RequestTimedOutError
from redis.exceptions import RedisError

from alerts.append import append_input
from alerts.incident import Act
from alerts.routes import RoutingSettings, channel_zones
from alerts.routing.policy import RoutingPolicy
from config.kafka import KafkaSettings
from config.redis import RedisSettings
from floorwatch.replay.task_look import TaskLook, look
from floorwatch.web.app import build_web_app
from floorwatch.web.connections import PagesSite
from floorwatch.web.link_actions import Append, LinkActions, NotWritten
from floorwatch.web.links_store import RedisLinksStore
from floorwatch.web.settings import WebSettings
from floorwatch.web.slack_actions import SlackActions, SlackReplies
from streams.adapters.clients import kafka_settings, redis_client, started_producer
from streams.adapters.topic_names import TopicNames
from streams.core.formatting import UTC_ZONE
from streams.engine.errors import Misconfigured
from streams.models.kafka_error import said_by
from streams.models.topics import EVENTS, SIGNALS

_log = logging.getLogger(__name__)

_CONNECT_S, _SEND_S = 6.0, 6.0
"""Together shorter than a request may take (floorwatch.web.app.REQUEST_S)."""
_STOP_S = 10.0
_READY_S = 3.0
_LOOK_S = 10.0
"""For a look at tasks, with the wait for another: shorter than a request may take."""


class WebConfig(Protocol):
    """What the pages read of a loaded configuration."""

    @property
    def web(self) -> WebSettings:
        """Their own section."""

    @property
    def kafka(self) -> KafkaSettings:
        """Where actions go."""

    @property
    def redis(self) -> RedisSettings:
        """Where incidents are."""

    @property
    def alerts(self) -> RoutingSettings:
        """The channels, for the zones of their readers."""


class ActionLog:
    """Appends actions to signals.v1 by one producer, which is made when it is first needed and anew after a fault."""

    def __init__(self, config: WebConfig) -> None:
        """Use a configuration; nothing is connected yet."""
        self._config = config
        self._names = TopicNames(config.kafka.topic_prefix, config.kafka.partitions)
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def append(self, act: Act) -> str:
        """Append an action; return its place in words.

        Raises:
            NotWritten: The broker did not take it, or did not say so in time.
        """
        try:
            async with asyncio.timeout(_CONNECT_S):
                producer = await self._connected()
        except TimeoutError:
            raise NotWritten("Kafka cannot be reached") from None
        except (KafkaError, Misconfigured, OSError) as error:
            raise NotWritten(f"Kafka cannot be reached ({said_by(error)})") from None
        try:
            async with asyncio.timeout(_SEND_S):
                at, offset = await append_input(producer, self._names, act)
        except (TimeoutError, KafkaTimeoutError, RequestTimedOutError):
            await self.close()
            raise NotWritten("Kafka has not answered in time", unsure=True) from None
        except (KafkaError, OSError) as error:
            await self.close()
            raise NotWritten(f"Kafka did not take it ({said_by(error)})") from None
        return f"{self._names.name(SIGNALS)}[{at}] offset {offset}"

    async def close(self) -> None:
        """Stop the producer, if there is one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(producer.stop(), _STOP_S)

    async def _connected(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                self._producer = await started_producer(self._config)
            return self._producer


class TasksOnLog:
    """Looks at tasks on events.v1, one request at a time: each reads up to ``MOST_RECORDS``."""

    def __init__(self, config: WebConfig) -> None:
        """Use a configuration; nothing is connected yet."""
        self._config = config
        self._names = TopicNames(config.kafka.topic_prefix, config.kafka.partitions)
        self._one = asyncio.Semaphore(1)

    async def look(self, tasks: tuple[str, ...], since_ms: int) -> TaskLook | None:
        """Return what the log says of tasks since a time; None where it does not answer soon."""
        try:
            async with asyncio.timeout(_LOOK_S), self._one:
                topic = self._names.name(EVENTS)
                return await look(kafka_settings(self._config), topic, self._config.kafka.partitions, tasks, since_ms)
        except (TimeoutError, KafkaError, OSError) as error:
            _log.warning("tasks cannot be looked at: %s", type(error).__name__)
            return None


@asynccontextmanager
async def serving(
    config: WebConfig,
    policy: RoutingPolicy | None = None,
    clock_ms: Callable[[], int] | None = None,
    append: Append | None = None,
) -> AsyncIterator[str]:
    """Serve the pages; give the address.

    Args:
        config: The loaded configuration.
        policy: What of it says who is told next, for the page of details.
        clock_ms: Wall time; None: that of this machine.
        append: Takes what people do; None: the broker does.

    Raises:
        OSError: The address cannot be used.
    """
    clock = clock_ms or (lambda: int(time.time() * 1000))
    redis, log = redis_client(config), ActionLog(config)

    async def ready() -> tuple[str, ...]:
        try:
            async with asyncio.timeout(_READY_S):
                await redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            return (f"Redis does not answer: {type(error).__name__}",)
        return ()

    store = RedisLinksStore(redis, config.redis.prefix)
    tasks = TasksOnLog(config).look
    actions = LinkActions(store, append or log.append, clock, zones(config.alerts), policy, tasks, config.web.task_url)
    replies = SlackReplies()
    slack = SlackActions(actions, replies, zones(config.alerts))
    # No access log: addresses of links are secrets.
    app = build_web_app(config.web, actions, clock, ready, slack)
    runner = web.AppRunner(app, shutdown_timeout=_STOP_S)
    await runner.setup()
    try:
        site = PagesSite(runner, config.web.host, config.web.port)
        await site.start()
        yield _url(runner)
    finally:
        await runner.cleanup()
        await slack.close()
        await replies.close()
        await log.close()
        await redis.aclose()


def zones(settings: RoutingSettings) -> Callable[[str], str]:
    """Return the zone of a receiver: of a channel that in which its messages are, of a person theirs."""
    known = channel_zones(settings)
    known |= {f"person:{name}": person.zone for name, person in settings.people.items() if person.zone}
    return lambda receiver: known.get(receiver.removeprefix("channel:"), UTC_ZONE)


def _url(runner: web.AppRunner) -> str:
    address: Any = runner.addresses[0]
    host, port = address[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
