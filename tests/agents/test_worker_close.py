"""A worker that closes closes everything, also when its last flush fails; then it raises."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams.app import Worker


class Host:
    """A host of one partition; its flush may fail."""

    def __init__(self, name: str, done: list[str], *, fails: bool) -> None:
        self.name, self.done, self.fails, self.owned = name, done, fails, {0: None}

    async def revoke(self, partitions: list[int], *, flush: bool) -> None:
        if flush and self.fails:
            self.done.append(f"{self.name} failed")
            raise ConnectionError(self.name)
        for partition in partitions:
            self.done.append(f"{self.name} {'flushed' if flush else 'dropped'}")
            del self.owned[partition]


def closing(done: list[str], fails: set[str], *, flush: bool) -> Any:
    async def note(what: str) -> None:
        done.append(what)
        if what in fails:
            raise OSError(what)

    worker = SimpleNamespace(
        hosts={name: Host(name, done, fails=name in fails) for name in ("intake", "ledger", "scopes")},
        redis=SimpleNamespace(aclose=lambda: note("redis")),
        receipts=SimpleNamespace(close=lambda: note("receipts")),
        _keeper=SimpleNamespace(close=lambda: note("incidents kept")),
        _producer=SimpleNamespace(stop=lambda: note("producer")),
        _state=SimpleNamespace(close=lambda: done.append("state")),
    )
    return Worker.close(worker, flush=flush)  # type: ignore[arg-type]


def test_everything_is_flushed_in_order_and_closed() -> None:
    done: list[str] = []
    asyncio.run(closing(done, set(), flush=True))
    assert done == [
        "intake flushed",
        "ledger flushed",
        "scopes flushed",
        "producer",
        "incidents kept",
        "receipts",
        "redis",
        "state",
    ]


@pytest.mark.parametrize("fails", ["intake", "ledger", "scopes"])
def test_a_last_flush_that_fails_leaves_nothing_open(fails: str) -> None:
    done: list[str] = []
    with pytest.raises(ConnectionError, match=fails):
        asyncio.run(closing(done, {fails}, flush=True))
    assert f"{fails} dropped" in done
    assert sum(one.endswith("flushed") for one in done) == 2
    assert done[-5:] == ["producer", "incidents kept", "receipts", "redis", "state"]


def test_after_a_failure_nothing_is_flushed() -> None:
    done: list[str] = []
    asyncio.run(closing(done, set(), flush=False))
    assert done == [
        "intake dropped",
        "ledger dropped",
        "scopes dropped",
        "producer",
        "incidents kept",
        "receipts",
        "redis",
        "state",
    ]


def test_a_producer_that_does_not_stop_leaves_nothing_open() -> None:
    done: list[str] = []
    with pytest.raises(OSError, match="producer"):
        asyncio.run(closing(done, {"producer"}, flush=True))
    assert done[-5:] == ["producer", "incidents kept", "receipts", "redis", "state"]
