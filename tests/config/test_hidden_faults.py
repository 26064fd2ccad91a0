"""Every fault is told at once: also those that are only looked at once all else is valid. None is told that comes of another."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigErrors
from floorwatch.settings.hidden_faults import PrunedData
from floorwatch.settings.load import loads

RULE = {"kind": "accuracy_low", "name": "a", "scope": {"by": "vendor"}}
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a setting that there is not": ({"kafka": {"partitonss": 3}}, "kafka.partitonss"),
    "a value of the wrong kind": ({"engine": {"idle_timeout_s": "soon"}}, "engine.idle_timeout_s"),
    "a wrong redis url": ({"redis": {"url": "http://x"}}, "redis.url"),
    "a dimension": ({"people": {"exposure": {"weights": {"a": -1}}}}, "people.exposure.weights.a"),
    "across sections, metrics": ({"metrics": {"scopes": [["vendor", "team"]]}}, "metrics.scopes[0]"),
    "across sections, targets": ({"targets": {"sla_classes": {"x": "4000d"}}}, "targets.sla_classes.x"),
    "across sections, a route": ({"alerts": {"rules": [{**RULE, "route": "nope"}]}}, "alerts.rules[0].route"),
    "in a rule": ({"alerts": {"rules": [{**RULE, "target": 95}]}}, "alerts.rules[0].target"),
    "a rule's scope": ({"alerts": {"rules": [{**RULE, "scope": {"by": ["site", "team"]}}]}}, "alerts.rules[0].scope"),
    "a channel that cannot be built": (
        {"alerts": {"channels": {"o": {"type": "webhook", "url": "x"}, "c": {"type": "console"}}, "routes": {"default": ["o", "c"]}}},
        "alerts.channels.o.url",
    ),
    "a gateway that would not start": ({"gateway": {"host": "0.0.0.0"}}, "gateway.host"),
}  # fmt: skip


def told(data: dict[str, Any], *, placed: bool = True) -> list[str]:
    """Return which settings are said to be at fault, in order; each with its place."""
    text = yaml.safe_dump(data, sort_keys=False)
    with pytest.raises(ConfigErrors) as caught:
        loads(text, {}, name="f.yaml", base=Path(), channels="built")
    if placed:
        assert all(error.line > 0 and error.column > 0 for error in caught.value.errors), caught.value.render()
    return [error.reason.split(": ")[0] for error in caught.value.errors]


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_alone_is_one(name: str) -> None:
    data, place = FAULTS[name]
    assert told(data) == [place]


@pytest.mark.parametrize(
    ("one", "other"),
    [pair for pair in itertools.combinations(FAULTS, 2) if FAULTS[pair[0]][0].keys() != FAULTS[pair[1]][0].keys()],
)
def test_two_faults_are_both_told_and_nothing_else(one: str, other: str) -> None:
    (first, place), (second, also) = FAULTS[one], FAULTS[other]
    assert sorted(told({**first, **second})) == sorted([place, also])


def test_faults_of_one_section_are_told_together() -> None:
    rules = [
        {**RULE, "name": "A B"},
        {**RULE, "name": "b", "route": "nope", "target": 95},
        {"kind": "accuracy_lo", "name": "c"},
        {**RULE, "name": "d", "route": "neither"},
    ]
    alerts = {
        "channels": {"x": {"type": "slak"}, "y": {"type": "webhook", "url": "z"}},
        "routes": {"default": ["x", "y", "q"]},
        "rules": rules,
    }
    assert sorted(told({"alerts": alerts})) == [
        "alerts.channels.x.type",
        "alerts.channels.y.url",
        "alerts.routes.default[2]",
        "alerts.rules[0].name",
        "alerts.rules[1].route",
        "alerts.rules[1].target",
        "alerts.rules[2].kind",
        "alerts.rules[3].route",
    ]


@pytest.mark.parametrize(
    "data",
    [
        {"tables": {"windows": ["1h", "2y"]}, "alerts": {"rules": [{**RULE, "window": "24h"}]}},
        {"tables": {"scopes": [["vendr"]]}, "alerts": {"rules": [RULE]}, "metrics": {"scopes": [["vendor"]]}},
        {"alerts": {"channels": {"o": {"type": "slak"}}, "routes": {"default": ["o"]}, "rules": [RULE]}},
        {"alerts": {"routes": {"default": ["console"], "lead": 5}, "rules": [{**RULE, "route": "lead"}]}},
        {"gateway": {"sources": {"a": {"token": "short"}}, "host": "0.0.0.0"}},
    ],
)  # fmt: skip
def test_nothing_is_told_that_comes_of_another_fault(data: dict[str, Any]) -> None:
    assert len(told(data)) == 1


def test_all_wrong_names_and_tiers_of_a_rule_are_told() -> None:
    tiers = [{"after": after, "route": "default"} for after in ("9m", "5m", "1m")]
    rules = [
        {**RULE, "scope": {"by": ["vendr", "teem"], "qeue": "x"}, "escalate": tiers},
        {**RULE, "name": "b", "scope": {"by": ["site", "site", "team", "team"]}},
    ]
    with pytest.raises(ConfigErrors) as caught:
        loads(yaml.safe_dump({"alerts": {"rules": rules}}), {}, name="f.yaml", base=Path())
    said = caught.value.render()
    for one in (
        "did you mean vendor?",
        "did you mean team?",
        "did you mean queue?",
        "tier 2",
        "tier 3",
        "site, team: a dimension is named twice",
    ):
        assert one in said, said


leaves = st.integers(0, 9)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner), max_leaves=15
)


@given(st.dictionaries(st.sampled_from("abc"), trees), st.data())
def test_what_is_left_stands_where_it_was(whole: dict[str, Any], data: st.DataObject) -> None:
    def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [path, *(found for name, one in inside for found in paths(one, (*path, name)))]

    def at(value: Any, path: tuple[Any, ...]) -> Any:
        for part in path:
            value = value[part]
        return value

    pruned = PrunedData(whole)
    pruned.take_out(data.draw(st.lists(st.sampled_from(paths(whole)), max_size=4)))
    left = pruned.data()
    for path in paths(left):
        there = pruned.place_in_whole(path)
        assert not any(there[: len(cut)] == cut for cut in pruned.cut)
        if isinstance(at(left, path), int):
            assert at(whole, there) == at(left, path)


def test_a_file_full_of_faults_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look costs as much as a load, and no more faults would be shown."""
    looks: list[int] = []
    monkeypatch.setattr(PrunedData, "data", lambda _self: looks.append(1) or {})
    rules = [{**RULE, "name": f"A {n}", "route": "nope"} for n in range(300)]
    assert len(told({"alerts": {"rules": rules}, "kafka": {"x": 1}}, placed=False)) > 200
    assert not looks
