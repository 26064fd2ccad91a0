"""When a label was drawn: its evidence stays in that hour, whatever is said of the audit later."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.counters import NANO
from streams.core.facts import Audit, AuditWithdrawn, Label, pack, same_content, unpack
from streams.core.task_view import TaskView, first_verdict

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
        pytest.param([by_configuration(1, 0), audit(2, 9_000, assumed=True)], 0, False, id="picked, then nothing said"),
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


def planted(one: Audit) -> Audit:
    one.gold = True
    return one


@pytest.mark.parametrize(
    ("audits", "assumed"),
    [
        pytest.param(
            [audit(1, 2_000), audit(2, 9_000, assumed=True, name="b")], False, id="a lead confirms a picked label"
        ),
        pytest.param(
            [audit(1, 2_000, assumed=True), audit(2, 9_000, name="b")], True, id="a lead picks what a draw found"
        ),
        pytest.param(
            [audit(1, 9_000, assumed=True, name="b"), audit(2, 2_000)],
            False,
            id="the lead's word arrives before the pick",
        ),
        pytest.param(
            [audit(1, 9_000, name="b"), audit(2, 2_000, assumed=True)], True, id="the pick arrives before the draw"
        ),
        pytest.param(
            [audit(1, 2_000, assumed=True), audit(2, 3_000, name="b"), audit(3, 9_000)],
            False,
            id="sent again after another, as picked: its first version has the time",
        ),
        pytest.param([planted(audit(1, 2_000, assumed=True))], False, id="a planted item"),
        pytest.param(
            [planted(audit(1, 2_000, assumed=True)), audit(2, 9_000, assumed=True, name="b")],
            False,
            id="planted, looked at again",
        ),
        pytest.param([audit(1, 2_000), audit(2, 9_000, assumed=True)], False, id="sent again, without a word"),
        pytest.param(
            [audit(1, 2_000, name="b"), audit(2, 9_000, assumed=True), AuditWithdrawn(3, "s\x003", 9_100, "b")],
            True,
            id="the audit that picked is withdrawn",
        ),
        pytest.param(
            [audit(1, 2_000, assumed=True, name="b"), audit(2, 9_000), AuditWithdrawn(3, "s\x003", 9_100, "b")],
            False,
            id="the audit that drew is withdrawn",
        ),
    ],
)
def test_without_a_probability_the_first_standing_audit_says_whether_the_label_is_assumed_random(
    audits: list[Audit | AuditWithdrawn], assumed: bool
) -> None:
    view = TaskView([LABEL, *audits])
    verdict = view.verdict(LABEL)
    assert verdict is not None
    assert (verdict.weight_nano, verdict.assumed) == (0, assumed)
    first = audits[0]
    if len(audits) == 1 and isinstance(first, Audit):
        assert first_verdict(LABEL, first) == verdict


def said(audits: list[Audit | AuditWithdrawn]) -> str:
    """The rule once more, audit by audit: a probability; else what the earliest audit says in any of its versions."""
    gone = {one.audit_id for one in audits if isinstance(one, AuditWithdrawn)}
    versions: dict[str, list[Audit]] = {}
    for one in audits:
        if isinstance(one, Audit) and one.audit_id not in gone:
            versions.setdefault(one.audit_id, []).append(one)
    if any(one.weight_nano for of in versions.values() for one in of):
        return "drawn"
    first = versions[min(versions, key=lambda name: (versions[name][0].time_ms, name))]
    return "targeted" if any(one.gold or not one.assumed for one in first) else "assumed"


_ONE = st.builds(
    lambda name, how, time_ms: (name, how, time_ms),
    st.sampled_from("abc"),
    st.sampled_from(["silent", "picked", "gold", "drawn", "withdrawn"]),
    st.integers(2_000, 2_005),
)


@given(st.lists(_ONE, min_size=1, max_size=7))
def test_any_order_of_audits_makes_the_class_that_the_rule_says(given_: list[tuple[str, str, int]]) -> None:
    audits: list[Audit | AuditWithdrawn] = []
    for at, (name, how, time_ms) in enumerate(given_, 1):
        if how == "withdrawn":
            audits.append(AuditWithdrawn(at, f"s\x00{at}", 2_000 + at, name))
            continue
        one = audit(at, time_ms, 4 if how == "drawn" else 0, assumed=how in ("silent", "gold"), name=name)
        audits.append(planted(one) if how == "gold" else one)
    verdict = TaskView([LABEL, *audits]).verdict(LABEL)
    if verdict is not None:
        found = "drawn" if verdict.weight_nano else "assumed" if verdict.assumed else "targeted"
        assert found == said(audits)
