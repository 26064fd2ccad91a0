"""Events that raise when they are counted, amid crashes, zombies and rebalances: the rest stays exact, the letters the same."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core import ledger
from tests.simulation.schedule import run


@pytest.mark.slow
def test_events_that_raise_are_set_aside_alike_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    made, contributions, plain_label = ledger.made, ledger.contributions, ledger.plain_label

    def faulty_made(offset: int, event: Any) -> Any:
        if getattr(event.data, "audit_id", None) == "a1":
            raise KeyError("planted")
        return made(offset, event)

    def faulty_contributions(task_id: str, facts: Any, watermark_ms: int) -> Any:
        if facts and len(facts) % 7 == 3:
            raise OverflowError("planted")
        return contributions(task_id, facts, watermark_ms)

    def faulty_label(offset: int, event: Any, time_ms: int) -> Any:
        if event.data.labeler_id == "w1":
            raise ValueError("planted")
        return plain_label(offset, event, time_ms)

    monkeypatch.setattr(ledger, "made", faulty_made)
    monkeypatch.setattr(ledger, "contributions", faulty_contributions)
    monkeypatch.setattr(ledger, "plain_label", faulty_label)
    errors: list[str] = []
    not_countable = ledger.not_countable

    def noting(offset: int, error: BaseException, value: bytes) -> Any:
        errors.append(type(error).__name__)
        return not_countable(offset, error, value)

    monkeypatch.setattr(ledger, "not_countable", noting)
    failed = [outcome for seed in range(40) if (outcome := run(seed)).failed]
    assert failed == []
    assert set(errors) == {"KeyError", "OverflowError", "ValueError"}
