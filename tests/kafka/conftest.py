"""What the tests on a real Kafka share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from floorwatch.embedded.servers import (
    Servers,
    clean_environment,
    free_port,
    valkey_command,
    wait_for_port,
    worker_command,
)
from tests.brokers import kafka_jars
from tests.support import require

T = TypeVar("T")


@pytest.fixture
def real_kafka() -> None:
    """Skip where Java or Kafka's jars cannot be had; fail where everything is required."""
    require("java")
    kafka_jars()


def write_config(path: Path, **sections: dict[str, Any]) -> Path:
    """Write a configuration for workers of a bounded run: time moves by events alone, days are UTC."""
    base: dict[str, Any] = {
        "engine": {"idle_timeout_s": 86_400, "publish_interval_s": 1},
        "tables": {"zones": {}, "default_zone": "UTC"},
    }
    path.write_text(yaml.safe_dump({**base, **sections}))
    return path


@asynccontextmanager
async def processes(folder: Path) -> AsyncIterator[tuple[Servers, str]]:
    """Yield what starts processes in an existing folder and ends them, and the URL of a Valkey it has started."""
    servers = Servers(folder)
    port = free_port()
    try:
        servers.start("valkey", valkey_command(port, folder))
        await wait_for_port(port)
        yield servers, f"redis://127.0.0.1:{port}/0"
    finally:
        await servers.__aexit__(None, None, None)


def start_worker(servers: Servers, name: str, config: Path) -> Any:
    """Start a worker with a configuration file and nothing else."""
    return servers.start(name, worker_command(config), clean_environment())


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(coroutine)
