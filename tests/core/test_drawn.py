"""When a label was drawn: its evidence stays in that hour, whatever is said of the audit later."""

from __future__ import annotations

import pytest

from streams.core.counters import NANO
from streams.core.facts import Audit, Label, pack, same_content, unpack
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


def by_configuration(offset: int, weight: int, time_ms: int = 9_000) -> Audit:
    found = audit(offset, time_ms, weight)
    found.configured = True
    return found


@pytest.mark.parametrize(
    ("audits", "weight", "assumed"),
    [
        pytest.param([audit(1, 2_000, 4), by_configuration(2, 20)], 4, False, id="what the sender says stands"),
        pytest.param([by_configuration(1, 20), audit(2, 9_000, 4)], 4, False, id="and replaces the configuration's"),
        pytest.param([by_configuration(1, 20), by_configuration(2, 10)], 10, False, id="the later configuration"),
        pytest.param(
            [audit(1, 2_000, assumed=True), by_configuration(2, 20)], 20, False, id="assumed, then configured"
        ),
        pytest.param([audit(1, 2_000, assumed=True), by_configuration(2, 0)], 0, False, id="assumed, then picked"),
        pytest.param([by_configuration(1, 0), audit(2, 9_000, assumed=True)], 0, True, id="picked, then nothing said"),
        pytest.param([by_configuration(1, 20), by_configuration(2, 0)], 20, False, id="drawn, then picked"),
    ],
)
def test_a_probability_of_the_configuration_replaces_none_of_the_sender(
    audits: list[Audit], weight: int, assumed: bool
) -> None:
    verdict = TaskView([LABEL, *audits]).verdict(LABEL)
    assert verdict is not None
    assert (verdict.weight_nano, verdict.assumed) == (weight * NANO, assumed)


@pytest.mark.parametrize("grant", [None, "a?vendor=b"])
@pytest.mark.parametrize(("assumed", "configured"), [(False, False), (True, False), (False, True)])
def test_what_is_said_of_sampling_is_kept_and_costs_nothing_where_it_is_not(
    grant: str | None, assumed: bool, configured: bool
) -> None:
    fact = audit(1, 2_000, 20, assumed=assumed)
    fact.configured, fact.grant = configured, grant
    packed = pack(fact)
    assert unpack(packed) == [fact]
    members = 14 + (grant is not None) if not (assumed or configured) else 16 + configured
    assert packed[0] == (0x90 + members if members < 16 else 0xDC)


def test_the_same_event_under_two_configurations_has_the_same_content() -> None:
    silent = [audit(1, 2_000, assumed=True), by_configuration(1, 20, 2_000), by_configuration(1, 0, 2_000)]
    picked = audit(1, 2_000)
    named = audit(1, 2_000, 20)
    for one in (*silent, picked):
        assert all(same_content(one, other) for other in (*silent, picked))
        assert not same_content(one, named)
        assert not same_content(named, one)
