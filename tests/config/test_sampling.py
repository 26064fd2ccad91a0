"""``sampling:`` in the configuration: every fault at once with its line, and names that no source can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigErrors
from floorwatch.settings.load import loads
from floorwatch.settings.review import warnings
from floorwatch.settings.schema import FloorwatchConfig
from streams.models.sampling_plan import NO_PLAN, SamplingRule, SourceSampling


def read(text: str) -> FloorwatchConfig:
    return loads(text, {}, name="f.yaml", base=Path())


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ConfigErrors) as raised:
        read(text)
    return [(error.line, str(error).split("\n", 1)[0].partition(": ")[2]) for error in raised.value.errors]


def test_nothing_said_changes_nothing() -> None:
    assert read("").sampling.plan() == NO_PLAN
    assert read("sampling: {min_probability: 0.01}").sampling.plan() != NO_PLAN


def test_a_source_is_random_targeted_or_unset_and_may_have_exceptions() -> None:
    plan = read(
        """
sampling:
  min_probability: 0.001
  sources:
    a: {method: random, probability: 0.05}
    b/*: targeted
    c: unset
    d: {probability: 0.1, min_probability: 0.01, rules: [{when: {method: flagged, auditor: [q-*, r]}, probability: 0.2}]}
"""
    ).sampling.plan()
    assert plan.of("a") == SourceSampling("random", 0.05, (), 0.001, "sampling.sources.a")
    assert plan.of("b/kul").method == "targeted"
    assert plan.of("b").method == plan.of("c").method == "unset"
    assert plan.of("d").rules == (SamplingRule({"method": ("flagged",), "auditor": ("q-*", "r")}, None, None, 0.2),)
    assert (plan.of("d").method, plan.of("d").min_probability, plan.of("e").min_probability) == ("random", 0.01, 0.001)


def test_every_fault_is_told_at_once_with_its_line() -> None:
    found = faults(
        """
sampling:
  min_probability: 2
  sources:
    a: {method: random, probability: 5%}
    b: {probability: 0}
    c: {method: random}
    d: targetd
    e: {method: targeted, probability: 0.1}
    f: {rules: [{when: {}, probability: 0.1}]}
    g: {rules: [{when: {gold: true}}]}
    h: {probability: 0.001, min_probability: 0.01}
"""
    )
    assert [line for line, _ in found] == [3, *range(5, 13)]
    said = dict(found)
    assert "at most 1" in said[3]
    assert "must be a number" in said[5]
    assert "at least 1e-06" in said[6]
    assert "random needs a probability" in said[7]
    assert "one of random, targeted, unset" in said[8]
    assert "targeted audits have no probability" in said[9]
    assert "no condition is said" in said[10]
    assert "the rule says nothing" in said[11]
    assert "is below min_probability" in said[12]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: {a: {probability: true}}", "must be a number, not true"),
        (
            "sources: {a: {probability: 0.5, rules: [{when: {gold: true}, probability: true}]}}",
            "must be a number, not true",
        ),
        ("min_probability: true", "must be a number, not true"),
        ("sources: {a: {}}", "says nothing of how its audits are drawn"),
        ("sources: {a: {rules: []}}", "says nothing of how its audits are drawn"),
        ("{min_probability: 0.1, sources: {a: {probability: 0.05}}}", "is below sampling.min_probability, 0.1"),
        (
            "{min_probability: 0.1, sources: {a: {rules: [{when: {gold: true}, probability: 0.05}]}}}",
            "is below sampling.min_probability, 0.1",
        ),
    ],
)
def test_what_looks_right_and_is_not(text: str, said: str) -> None:
    ((_, found),) = faults(f"sampling:\n  {text}\n")
    assert said in found


def test_a_source_may_have_a_bound_of_its_own() -> None:
    text = "sampling: {min_probability: 0.1, sources: {a: {probability: 0.05, min_probability: 0.01}}}"
    assert read(text).sampling.plan().of("a").probability == 0.05


@pytest.mark.parametrize("name", ["configuration", "assumed", "event"])
def test_a_source_that_is_named_like_a_mark_is_told(name: str) -> None:
    (said,) = [one for one in warnings(read(f"sampling: {{sources: {{{name}: targeted}}}}")) if "sampling" in one]
    assert f'"{name}" is a word that Floorwatch writes' in said


SENDERS = """
gateway:
  grant_key: 0123456789abcdef0123
  sources:
    audit-tool: {token: aaaaaaaaaaaa, event_sources: [audit/]}
    kul: {tool: argilla, secret: c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0}
"""
SEALED = "kafka: {raw_topics: [{topic: raw.v1, may: []}]}\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("audit-tool", 'its events have another source\n hint: write "audit/*"'),
        ("kul", 'its events have another source\n hint: write "argilla/kul"'),
        ("audits/kul", "no sender may send events of source"),
        ("argilla/kull", "did you mean argilla/kul?"),
    ],
)
def test_a_name_that_no_sender_can_have_is_a_fault_where_the_senders_are_known(name: str, said: str) -> None:
    text = f"{SENDERS}{SEALED}sampling: {{sources: {{{name}: targeted}}}}\n"
    with pytest.raises(ConfigErrors) as raised:
        read(text)
    (error,) = raised.value.errors
    assert error.line == 8
    for part in said.split("\n hint: "):
        assert part in f"{error} {error.hint}"


@pytest.mark.parametrize(
    "name", ["audit/kul", "audit/*", "a*", "*", "argilla/kul", "argilla/*", "label-studio/default"]
)
def test_names_that_a_sender_can_have_are_right(name: str) -> None:
    config = read(f"{SENDERS}{SEALED}sampling: {{sources: {{{name!r}: targeted}}}}\n")
    assert not any("sampling" in one for one in warnings(config))


def test_where_anybody_may_send_a_name_near_a_known_one_is_a_warning() -> None:
    config = read(f"{SENDERS}sampling: {{sources: {{argilla/kull: targeted, quite-another: targeted}}}}\n")
    (said,) = [one for one in warnings(config) if "sampling" in one]
    assert "argilla/kull" in said
    assert "did you mean argilla/kul?" in said


@pytest.mark.parametrize("name", ["' '", "'a*b'", "'*a'"])
def test_a_name_is_a_source_or_its_beginning(name: str) -> None:
    ((line, said),) = faults(f"sampling:\n  sources:\n    {name}: targeted\n")
    assert line == 3
    assert "is no source and no beginning of one" in said
