"""A changelog of earlier rules is taken over when nothing more arrives on it: the last flush of a dead worker may be under way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streams.adapters.topic_names import TopicNames
from streams.agents import ledger
from streams.agents.ledger import LedgerStage
from streams.models import topics
from tests.golden import make
from tests.golden.holding import Entries, hold
from tests.golden.test_states import DEPLOYED, golden, pairs

CHANGELOG = "f." + topics.LEDGER


class Arriving:
    """A changelog of which each reading finds so many records; the last number holds for all readings after."""

    def __init__(self, entries: Entries, found: list[int]) -> None:
        self._entries, self._found = entries, found
        self.readings = 0

    async def read(self, topic: str, partition: int) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:
        assert (topic, partition) == (CHANGELOG, 0)
        until = self._found[min(self.readings, len(self._found) - 1)]
        self.readings += 1
        yield [(at, key, value) for at, (key, value) in enumerate(self._entries[:until])]

    async def empty(self, topic: str, partition: int) -> bool:
        return False


class Nothing:
    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "QUIET_S", 0.0)


def taken_over(arriving: Arriving) -> LedgerStage:
    stage = LedgerStage(
        0,
        make.policy(),
        TopicNames("f.", make.PARTITIONS),
        arriving,  # type: ignore[arg-type]
        arriving,
        Nothing(),
        owner="me",
    )
    asyncio.run(stage.recover())
    return stage


def deployed_changelog() -> tuple[Entries, int]:
    """Return a changelog of 24565ae and how many of its records were there before its last flush."""
    entries = pairs(golden(DEPLOYED)["changelogs"][0])
    return entries, len(entries) - len(entries) // 4


def test_what_arrives_after_the_first_reading_is_counted() -> None:
    entries, before = deployed_changelog()
    arriving = Arriving(entries, [before, before + 1, len(entries)])
    found, expected = taken_over(arriving), taken_over(Arriving(entries, [len(entries)]))
    assert arriving.readings == 4, "twice more, and once in which nothing was new"
    assert found.next == expected.next
    assert found.store.name == "me"
    assert rows(found) == rows(expected)
    assert found.store.ledger.recount == expected.store.ledger.recount


def rows(stage: LedgerStage) -> dict[Any, Any]:
    keys = stage.store.ledger.scopes.keys
    return {
        (keys[scope], tier, pane): (row.stamp, dict(row.counters))
        for (tier, pane, scope), row in stage.store.ledger.rows.places()
    }


def test_a_changelog_of_the_present_rules_is_read_once() -> None:
    entries: Entries = []
    hold(0, "before", entries, [], [40, 40], 0)
    arriving = Arriving(entries, [len(entries)])
    assert taken_over(arriving).next == 80
    assert arriving.readings == 1


def test_a_changelog_that_is_never_quiet_is_taken_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    entries, _ = deployed_changelog()
    with caplog.at_level(logging.WARNING):
        found = taken_over(Arriving(entries, list(range(len(entries) - 30, len(entries)))))
    assert "still written by another worker" in caplog.text
    assert found.store.ledger.recount is not None
