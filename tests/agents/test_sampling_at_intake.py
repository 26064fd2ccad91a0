"""What the configuration says of audits without a probability, written on the log by intake, and nothing else changed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from config.sampling import SamplingSettings
from gateway.recorded import checked
from streams.adapters.topic_names import TopicNames
from streams.agents.intake import Intake, IntakePolicy
from streams.core.records import Record
from streams.models.refusal import Refusal
from streams.models.sampling_plan import NO_PLAN, SamplingPlan
from tests.agents.test_intake import NO_LETTERS, NOW_MS, MemoryWriter, Meter
from tests.oracle.case_events import audit, label


def plan(**sources: Any) -> SamplingPlan:
    return SamplingSettings.model_validate({"sources": sources}).plan()


def on_the_log(values: list[bytes], sampling: SamplingPlan) -> tuple[list[Any], list[dict[str, Any]]]:
    """Return the ``sampling`` of each audit on the log, and the dead letters."""
    writer = MemoryWriter()
    policy = IntakePolicy(sampling=sampling)
    intake = Intake("raw", 0, TopicNames("f.", 1), writer, NO_LETTERS, policy, Meter())  # type: ignore[arg-type]
    intake.fold([Record(n, NOW_MS, None, value) for n, value in enumerate(values)])
    asyncio.run(intake.flush())
    events = [json.loads(out.value or b"") for out in writer.records.get("f.events.v1", [])]
    dead = [json.loads(out.value or b"") for out in writer.records.get("f.deadletters.v1", [])]
    return [event["data"].get("sampling") for event in events if "verdict" in event["data"]], dead


def stamp(**said: Any) -> dict[str, Any]:
    return {"method": None, "probability": None, **said}


SAYINGS = {
    "silent": audit("a", 7, "l", "correct"),
    "names a method": audit("a", 7, "l", "correct", how="flagged"),
    "names a probability": audit("a", 7, "l", "correct", p=0.25),
    "gives no verdict": audit("a", 7, "l", "incomparable"),
}
RANDOM = {"case": {"method": "random", "probability": 0.05}}
BY_METHOD = {"case": {"rules": [{"when": {"method": "flag*"}, "probability": 0.2}]}}


@pytest.mark.parametrize(
    ("says", "sources", "written"),
    [
        ("silent", {}, None),
        ("silent", {"case": "unset"}, None),
        ("silent", RANDOM, stamp(probability=0.05, source="configuration")),
        ("silent", {"case": "targeted"}, stamp(source="configuration")),
        ("silent", {"ca*": "targeted", "c*": RANDOM["case"]}, stamp(source="configuration")),
        ("silent", {"*": RANDOM["case"], "case": "unset"}, None),
        ("silent", {"other": RANDOM["case"]}, None),
        ("silent", BY_METHOD, None),
        ("names a method", RANDOM, {"method": "flagged"}),
        ("names a method", BY_METHOD, {"method": "flagged", "probability": 0.2, "source": "configuration"}),
        ("names a probability", RANDOM, {"method": "random", "probability": 0.25}),
        ("gives no verdict", RANDOM, None),
    ],
)
def test_what_a_sender_leaves_out_is_filled_in_and_what_it_says_stands(
    says: str, sources: dict[str, Any], written: Any
) -> None:
    sent = [json.dumps(one).encode() for one in (label("l", 5), SAYINGS[says])]
    assert on_the_log(sent, plan(**sources)) == ([written], [])


@pytest.mark.parametrize("says", SAYINGS)
@pytest.mark.parametrize("before", [{}, RANDOM, {"case": "targeted"}, BY_METHOD])
def test_a_replay_of_the_raw_log_under_another_configuration_changes_nothing_that_came_through_the_gateway(
    says: str, before: dict[str, Any]
) -> None:
    found = checked(json.dumps(SAYINGS[says]).encode(), NOW_MS, 10_000, 300_000, plan=plan(**before))
    assert not isinstance(found, Refusal)
    raw = [found[1][1]]
    then = on_the_log(raw, plan(**before))
    for now in ({}, RANDOM, {"*": "targeted"}, BY_METHOD):
        assert on_the_log(raw, plan(**now)) == then


@pytest.mark.parametrize("says", SAYINGS)
def test_gateway_and_intake_give_an_audit_the_same_numbers(says: str) -> None:
    from streams.core.facts import fact_of
    from streams.models.events import decode_log_event

    raw = json.dumps(SAYINGS[says]).encode()
    for sources in ({}, RANDOM, {"case": "targeted"}, BY_METHOD):
        found = checked(raw, NOW_MS, 10_000, 300_000, plan=plan(**sources))
        assert not isinstance(found, Refusal)
        writer = MemoryWriter()
        policy = IntakePolicy(sampling=plan(**sources))
        intake = Intake("raw", 0, TopicNames("f.", 1), writer, NO_LETTERS, policy, Meter())  # type: ignore[arg-type]
        intake.fold([Record(0, NOW_MS, None, raw)])
        asyncio.run(intake.flush())
        (direct,) = writer.records["f.events.v1"]
        facts = [fact_of(0, decode_log_event(value)) for value in (found[1][1], direct.value or b"")]
        assert facts[0] == facts[1]


@pytest.mark.parametrize("claimed", ["configuration", "assumed", "event", "my own queue"])
def test_what_a_sender_claims_of_the_configuration_is_made_anew(claimed: str) -> None:
    for sources in (RANDOM, {}, {"case": "targeted"}):
        event = audit("a", 7, "l", "correct", p=0.5, by=claimed)
        found = checked(json.dumps(event).encode(), NOW_MS, 10_000, 300_000, plan=plan(**sources))
        assert not isinstance(found, Refusal)
        assert json.loads(found[1][1])["data"]["sampling"] == stamp(probability=0.5), "its own probability counts"
    silent = audit("a", 7, "l", "correct", by=claimed)
    found = checked(json.dumps(silent).encode(), NOW_MS, 10_000, 300_000, plan=plan(**RANDOM))
    assert not isinstance(found, Refusal)
    sampling = json.loads(found[1][1])["data"]["sampling"]
    if claimed in ("configuration", "assumed"):
        assert sampling == stamp(probability=0.05, source="configuration")
    else:
        assert sampling == stamp(source="event"), "sampling without a probability is a targeted audit"


def test_a_probability_beside_a_claimed_mark_is_held_against_the_bound() -> None:
    for claimed in ("configuration", "assumed", "event"):
        tiny = json.dumps(audit("a", 7, "l", "incorrect", p=1e-6, by=claimed)).encode()
        found = checked(tiny, NOW_MS, 10_000, 300_000, plan=plan(case={"min_probability": 0.001}))
        assert isinstance(found, Refusal)
        assert found.field == "$.data.sampling.probability"


@pytest.mark.parametrize("sources", [{}, {"case": {"method": "random", "probability": 0.05}}])
def test_a_mark_that_no_gateway_writes_is_taken_off_at_intake(sources: dict[str, Any]) -> None:
    claims = {"assumed": {"p": 0.5}, "event": {"p": 0.5}}
    for by, said in claims.items():
        raw = json.dumps(audit("a", 7, "l", "correct", by=by, **said)).encode()
        assert on_the_log([raw], plan(**sources)) == ([stamp(probability=0.5)], [])


def test_an_event_of_the_log_that_is_sent_again_stays_as_it_is_while_the_configuration_does() -> None:
    first = checked(json.dumps(SAYINGS["silent"]).encode(), NOW_MS, 10_000, 300_000, plan=plan(**RANDOM))
    assert not isinstance(first, Refusal)
    again = checked(first[1][1], NOW_MS, 10_000, 300_000, plan=plan(**RANDOM))
    assert not isinstance(again, Refusal)
    assert again[1] == first[1]


def test_a_probability_below_the_bound_of_its_source_is_refused_with_the_reason() -> None:
    tiny = json.dumps(audit("a", 7, "l", "incorrect", p=1e-6)).encode()
    bounded = plan(case={"min_probability": 0.001})
    found = checked(tiny, NOW_MS, 10_000, 300_000, plan=bounded)
    assert isinstance(found, Refusal)
    assert (found.code, found.field) == ("probability_below_bound", "$.data.sampling.probability")
    assert "1e-06" in found.reason
    assert "1,000,000 labels" in found.reason
    assert "sampling.sources.case.min_probability" in (found.hint or "")
    written, dead = on_the_log([tiny], bounded)
    assert (written, [one["code"] for one in dead]) == ([], ["probability_below_bound"])
    everywhere = SamplingSettings(min_probability=0.01).plan()
    assert isinstance(checked(tiny, NOW_MS, 10_000, 300_000, plan=everywhere), Refusal)
    assert [one["code"] for one in on_the_log([tiny], everywhere)[1]] == ["probability_below_bound"]
    assert on_the_log([tiny], NO_PLAN)[1] == []


def test_a_mark_on_a_raw_topic_stands_though_the_bound_was_raised_since() -> None:
    """docs/production.md says so: intake cannot tell a gateway's mark from that of another writer."""
    found = checked(
        json.dumps(SAYINGS["silent"]).encode(), NOW_MS, 10_000, 300_000, plan=plan(case={"probability": 1e-5})
    )
    assert not isinstance(found, Refusal)
    mark = stamp(probability=1e-5, source="configuration")
    assert on_the_log([found[1][1]], plan(case={"min_probability": 0.001})) == ([mark], [])


def test_conditions_must_all_hold_and_the_first_rule_that_fits_decides() -> None:
    rules = [
        {"when": {"auditor": "lead-*", "gold": False}, "method": "targeted"},
        {"when": {"gold": True}, "method": "targeted"},
        {"when": {"auditor": ["qa-*", "ana"], "blind": True}, "probability": 0.5},
    ]
    sources = {"case": {"probability": 0.05, "rules": rules}}
    seen = {
        name: on_the_log([json.dumps(audit("a", 7, "l", "correct", **said)).encode()], plan(**sources))[0][0]
        for name, said in {
            "lead": {"auditor_id": "lead-1"},
            "gold": {"auditor_id": "qa-1", "gold": True, "blind": True},
            "blind": {"auditor_id": "ana", "blind": True},
            "open": {"auditor_id": "ana"},
        }.items()
    }
    picked = stamp(source="configuration")
    assert seen["lead"] == seen["gold"] == picked
    assert seen["blind"] == {**picked, "probability": 0.5}
    assert seen["open"] == {**picked, "probability": 0.05}
