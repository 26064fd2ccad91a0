"""The real Apache Kafka of ``floorwatch.chaos.kafka`` as a fixture: one KRaft node on free loopback ports.

The jars are fetched once into ``FLOORWATCH_KAFKA_HOME`` (default ``~/.cache/floorwatch/kafka``). A conftest.py that
says ``from tests.brokers import kafka_bootstrap`` gives its tests the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from floorwatch.chaos import kafka
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
