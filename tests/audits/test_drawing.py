"""The drawing: reproducible, by the label alone, independent of order; and plans that cannot be carried out say why."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from alerts.audit_requests import decode_standing
from floorwatch.analysis.audits.asked import DrawnLabel, draw_id, draw_key, encode_draw, until_of
from floorwatch.analysis.audits.drawing import drawn, label_number
from floorwatch.analysis.audits.plan_file import BadPlan, read_plan, rounded_up
from floorwatch.analysis.audits.planned_labels import PlannedLabel
from streams.core.counters import joined
from streams.core.policy import DIMENSIONS
from streams.models.outputs import AuditDrawn

KEY = bytes(range(16))
BEGINS = 1_796_083_200_000  # 2026-12-01T00:00:00Z


def document(**more: Any) -> dict[str, Any]:
    strata = [{"key": ["bpo-a", "flagged"], "probability": 0.5}, {"key": ["bpo-a", "approved"], "probability": 0.01}]
    return {
        "plan": "december",
        "begins": "2026-12-01T00:00:00Z",
        "key": KEY.hex(),
        "dimensions": ["vendor"],
        "approvals": ["safe"],
        "otherwise": 0.1,
        "strata": strata,
    } | more


def label(number: int, value: str = "hate", vendor: str = "bpo-a", at: int = BEGINS) -> PlannedLabel:
    dims = tuple(vendor if name == "vendor" else "" for name in DIMENSIONS)
    return PlannedLabel(f"t{number}", f"l{number}", at, dims, joined([value]), None, False)


def test_a_label_has_its_number_for_good_and_ids_do_not_run_together() -> None:
    assert label_number(KEY, "t-1", "l-1") == label_number(KEY, "t-1", "l-1")
    assert 0 <= label_number(KEY, "", "") < 1
    others = [label_number(KEY, *ids) for ids in (("t-1", "l-1"), ("t-1l", "-1"), ("t", "-1l-1"))]
    others.append(label_number(bytes(16), "t-1", "l-1"))
    assert len(set(others)) == 4


def test_a_larger_probability_draws_all_that_a_smaller_one_draws() -> None:
    small, large = ({n for n in range(3_000) if drawn(KEY, f"t{n}", f"l{n}", pi)} for pi in (0.05, 0.2))
    assert small < large
    assert len(small) == pytest.approx(150, abs=40)
    assert len(large) == pytest.approx(600, abs=75)


def test_a_plan_draws_by_stratum_and_within_its_time() -> None:
    plan = read_plan(json.dumps(document(ends="2026-12-02T00:00:00Z")))
    flagged, approved, other = label(1), label(2, "safe"), label(3, vendor="new")
    assert [plan.stratum_of(one) for one in (flagged, approved, other)] == [
        ("bpo-a", "flagged"),
        ("bpo-a", "approved"),
        ("new", "flagged"),
    ]
    assert [plan.probability_of(plan.stratum_of(one)) for one in (flagged, approved, other)] == [0.5, 0.01, 0.1]
    assert [plan.covers(BEGINS + at) for at in (-1, 0, 86_399_999, 86_400_000)] == [False, True, True, False]
    assert sum(plan.draws(label(n), 0.5) for n in range(1_000)) == pytest.approx(500, abs=60)


def test_probabilities_are_rounded_up_and_never_below_the_least() -> None:
    assert [rounded_up(one) for one in (0.0, 1 / 3, 0.02, 1.0)] == [0.001, 0.333334, 0.02, 1.0]


def test_what_asks_for_an_audit_reads_as_the_contract_says() -> None:
    found = encode_draw(
        "december", DrawnLabel("t-1", "l-1", BEGINS, {"vendor": "bpo-a", "decision": "flagged"}, 0.5), BEGINS + 1
    )
    event = msgspec.json.decode(found, type=AuditDrawn)
    assert (event.subject, event.data.label_id, event.id) == ("t-1", "l-1", draw_id("t-1", "l-1"))
    assert json.loads(found)["data"]["sampling"] == {"method": "stratified", "probability": 0.5}
    assert until_of(found) == BEGINS + 1
    assert draw_key("t-1", "l-1") == b"~label|t-1|l-1"
    ids = ["a", "a|b", "b", "b|", "", "%7C", "%", "|", "a%7Cb", "%25"]
    assert len({draw_key(task, label) for task in ids for label in ids}) == len(ids) ** 2, (
        "each label has a key of its own"
    )
    assert decode_standing(found) is None, "the incidents stage passes over it"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"dimensions": ["vendro"]}, "there is no vendro"),
        ({"key": "00"}, "16 bytes in hex"),
        ({"key": "zz"}, "key, begins or ends"),
        ({"begins": "yesterday"}, "key, begins or ends"),
        ({"otherwise": 0.0}, "otherwise"),
        ({"otherwise": 1.5}, "otherwise"),
        ({"strata": [{"key": ["a", "flagged"], "probability": 0.0}]}, r"strata\[0\].probability"),
        ({"strata": [{"key": ["a"], "probability": 0.1}]}, r"strata\[0\].key: one value for each of the 1 dimensions"),
        ({"strata": [{"key": ["a", "good"], "probability": 0.1}]}, "then flagged or approved"),
        ({"strata": [{"key": ["a", "flagged"], "probability": 0.1}] * 2}, "is there twice"),
        ({"format": 2}, "format 2 is not 1"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_says_which_part(more: dict[str, Any], said: str) -> None:
    with pytest.raises(BadPlan, match=said):
        read_plan(json.dumps(document(**more)))


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_what_is_no_plan_is_told(raw: bytes) -> None:
    with pytest.raises(BadPlan):
        read_plan(raw)
