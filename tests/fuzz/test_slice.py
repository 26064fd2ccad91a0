"""A slice of ``make fuzz``, and that it sees what it is there for."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import events_route
from streams.core import tables
from streams.core.ledger import Ledger
from tests.fuzz import campaign
from tests.fuzz.generate import Generator
from tests.fuzz.renderers import RENDERERS

pytestmark = pytest.mark.slow

SEED = 7


def test_a_slice_of_the_campaign() -> None:
    result = campaign.run(600, SEED)
    assert not result.faults, result.text()
    assert result.generated >= 600
    # It is a test of what is accepted and of what is refused, by every way in, compared and shown.
    assert result.outcomes["events compared with the oracle"] > 100
    assert {name for name in result.outcomes if name.startswith("rendered: ")} == {f"rendered: {n}" for n in RENDERERS}
    assert len([name for name in result.outcomes if name.startswith("refused: ")]) >= 5
    for name in ("one event: 202", "one event: 422", "lines: 202", "lines: 422", "hook: 200"):
        assert result.outcomes[name], name


def test_the_same_seed_sends_the_same_bytes() -> None:
    one, other = Generator(3), Generator(3)
    assert [one.request() for _ in range(50)] == [other.request() for _ in range(50)]


def _planted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, fault: Any) -> str:
    """Run a campaign with a fault that shows before anything is rendered, which is most of the work."""
    monkeypatch.setattr(campaign, "RENDERERS", {})
    monkeypatch.setattr(owner, name, fault)
    return campaign.run(250, SEED).text()


def test_it_sees_a_crash_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise KeyError("planted")

    assert "crashes: 500 to" in _planted(monkeypatch, events_route, "_check", broken)


def test_it_sees_an_event_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("planted")

    assert "crashes: set aside" in _planted(monkeypatch, Ledger, "_long_way", broken)


def test_it_sees_a_wrong_number(monkeypatch: pytest.MonkeyPatch) -> None:
    original = tables.throughput

    def wrong(*arguments: Any, **more: Any) -> Any:
        row = original(*arguments, **more)
        return {**row, "labels": row["labels"] + (row["labels"] == 1)}

    assert "wrong numbers: throughput" in _planted(monkeypatch, tables, "throughput", wrong)


def test_it_sees_a_refusal_without_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    original = events_route._told

    def mute(*arguments: Any) -> Any:
        return {**original(*arguments), "hint": ""}

    assert "unexplained refusals: " in _planted(monkeypatch, events_route, "_told", mute)


def test_it_sees_a_renderer_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(campaign, "RENDERERS", {"table": broken})
    assert "crashes: table: " in campaign.run(250, SEED).text()
