"""When a label was drawn: its evidence stays in that hour, whatever is said of the audit later."""

from __future__ import annotations

import pytest

from streams.core.counters import NANO
from streams.core.facts import Audit, Label
from streams.core.task_view import TaskView

LABEL = Label(0, "s\x000", 1_000, "l", (None,) * 8, "spam", None, None, None, None, None)


def audit(offset: int, time_ms: int, weight: int = 0, *, assumed: bool = False, name: str = "a") -> Audit:
    identity = f"s\x00{offset}"
    return Audit(
        offset, identity, time_ms, name, "l", None, True, 0, 0, None, weight * NANO, False, False, None, assumed
    )


@pytest.mark.parametrize(
    ("audits", "weight", "drawn_ms"),
    [
        pytest.param([audit(1, 2_000, 20), audit(2, 9_000, 20)], 20, 2_000, id="sent again"),
        pytest.param([audit(1, 2_000, 20), audit(2, 9_000)], 20, 2_000, id="sent again without its probability"),
        pytest.param([audit(1, 2_000, assumed=True), audit(2, 9_000, 4)], 4, 2_000, id="names one later"),
        pytest.param([audit(1, 2_000, 20), audit(2, 9_000, name="b")], 20, 2_000, id="a second look"),
        pytest.param([audit(1, 2_000), audit(2, 9_000, 4, name="b")], 4, 9_000, id="drawn after it was picked"),
        pytest.param([audit(1, 2_000, assumed=True), audit(2, 9_000, assumed=True)], 0, 2_000, id="says nothing twice"),
    ],
)
def test_the_evidence_is_of_the_time_of_the_draw(audits: list[Audit], weight: int, drawn_ms: int) -> None:
    verdict = TaskView([LABEL, *audits]).verdict(LABEL)
    assert verdict is not None
    assert (verdict.weight_nano, verdict.audited_ms) == (weight * NANO, drawn_ms)
