"""Faulty rules and routes: each has a place, what is wrong, and a hint that mends it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.routing.policy import Matcher, RoutingEntry
from alerts.settings.routes import routing_faults
from config.errors import ConfigErrors
from floorwatch.settings.load import loads

GOLDEN = Path(__file__).parent / "golden" / "faulty.txt"
HEAD = "  channels: {ops: {type: console}, bpo: {type: console}}\n  routes: {default: [ops], bpo: [bpo]}\n"
RULE = "{name: a, kind: accuracy_low, scope: {by: vendor}, window: 8h"

FAULTY = {
    "a dimension that there is not": HEAD + "  routing:\n    - {match: [vendro=bpo-a], route: bpo}\n",
    "no operator": HEAD + "  routing:\n    - {match: [bpo-a], route: bpo}\n",
    "two equals signs": HEAD + '  routing:\n    - {match: ["vendor==bpo-a"], route: bpo}\n',
    "a regular expression that is none": HEAD + '  routing:\n    - {match: ["queue=~*comments"], route: bpo}\n',
    "a regular expression with a look-ahead": HEAD + '  routing:\n    - {match: ["queue=~(?!hate).*"], route: bpo}\n',
    "quotes that do not close": HEAD + "  routing:\n    - {match: ['vendor=\"bpo'], route: bpo}\n",
    "a severity that there is not": HEAD + "  routing:\n    - {match: [severity=critical], route: bpo}\n",
    "a kind that there is not": HEAD + "  routing:\n    - {match: [kind=accuracy], route: bpo}\n",
    "a rule that there is not": HEAD + "  routing:\n    - {match: [rule=accuracy-low-vender], route: bpo}\n",
    "a route that there is not": HEAD + "  routing:\n    - {match: [vendor=bpo-a], route: bop}\n",
    "an entry without a route": HEAD + "  routing:\n    - {match: [vendor=bpo-a]}\n",
    "a setting that there is not": HEAD + "  routing:\n    - {match: [vendor=bpo-a], route: bpo, continues: true}\n",
    "matchers that are not a list": HEAD + "  routing:\n    - {match: vendor=bpo-a, route: bpo}\n",
    "two values at once": HEAD + "  routing:\n    - {match: [vendor=bpo-a, vendor=bpo-b], route: bpo}\n",
    "an entry that another hides": HEAD
    + '  routing:\n    - {match: ["vendor=~bpo-a|bpo-b"], route: bpo}\n    - {match: [vendor=bpo-a, severity=page], route: default}\n',
    "below an entry that it cannot fit": HEAD
    + "  routing:\n    - match: [site=kul]\n      route: bpo\n      routes:\n        - {match: [site=pen], route: default}\n",
    "a channel that there is not": "  channels: {ops: {type: console}}\n  routes: {default: [ops, phone]}\n",
    "no default route": "  channels: {ops: {type: console}}\n  routes: {bpo: [ops]}\n",
    "a route without a channel": "  channels: {ops: {type: console}}\n  routes: {default: [ops], bpo: []}\n",
    "a rule's route that there is not": HEAD + f"  rules:\n    - {RULE}, route: bpo-a}}\n",
    "tiers out of order": HEAD
    + f"  rules:\n    - {RULE}, escalate: [{{after: 30m, route: bpo}}, {{after: 10m, route: default}}]}}\n",
    "a scope that no table keeps": HEAD
    + "  rules:\n    - {name: a, kind: accuracy_low, scope: {by: [site, team]}, window: 8h}\n",
    "two rules of one name": HEAD + f"  rules:\n    - {RULE}}}\n    - {RULE}}}\n",
    "a percentage as a target": HEAD + f"  rules:\n    - {RULE}, target: 95}}\n",
    "a zone that there is not": HEAD + "  route_zones: {bpo: Asia/Kuala_Lumpor}\n",
}


def test_each_fault_has_a_place_a_reason_and_a_hint() -> None:
    blocks = []
    for name, text in FAULTY.items():
        with pytest.raises(ConfigErrors) as caught:
            loads("alerts:\n" + text, {}, name="f.yaml", base=Path(), channels="built")
        (error,) = caught.value.errors
        assert error.line > 1, name
        assert error.column > 0, name
        assert error.hint, name
        blocks.append(f"# {name}\n{error.render()}")
    found = "\n\n".join(blocks) + "\n"
    if os.environ.get("FLOORWATCH_UPDATE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


MATCHERS = st.one_of(st.sampled_from(["vendor=a", "site=~a|b", "severity!=info", "=", "a=~("]), st.text(max_size=5))
ENTRIES = st.recursive(
    st.fixed_dictionaries(
        {"match": st.lists(MATCHERS, max_size=2)},
        optional={"route": st.sampled_from(["default", "bpo", "x"]), "continue": st.sampled_from([True, False, "no"])},
    ),
    lambda inner: st.fixed_dictionaries({"match": st.just([]), "routes": st.lists(inner, max_size=3)}),
    max_leaves=5,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(ENTRIES, max_size=4))
def test_any_routing_is_one_or_has_faults_with_places(entries: list[dict[str, Any]]) -> None:
    data = {
        "alerts": {
            "channels": {"ops": {"type": "console"}},
            "routes": {"default": ["ops"], "bpo": ["ops"]},
            "routing": entries,
        }
    }
    try:
        config = loads(json.dumps(data, ensure_ascii=False), {}, name="f.yaml", base=Path())
    except ConfigErrors as errors:
        assert all(error.line > 0 for error in errors.errors)
    else:
        assert len(config.alerts.entries()) == len(entries)


def test_a_long_routing_is_checked_in_the_time_of_its_length() -> None:
    """Entries are compared with those before them by one value of each name; 1,000 on one level are usual for a large floor."""
    many = tuple(
        RoutingEntry((Matcher("queue", "=", f"q{n}"), Matcher("severity", "=~", "page|warn")), "bpo")
        for n in range(1000)
    )
    assert routing_faults(many, ["bpo"], [], []) == []
    hidden = (*many, RoutingEntry((Matcher("queue", "=", "q7"), Matcher("severity", "=", "page")), "bpo"))
    (fault,) = routing_faults(hidden, ["bpo"], [], [])
    assert (fault.field, "routing[7]" in fault.reason) == (("alerts", "routing", 1000), True)


@pytest.mark.parametrize("text", ['a: "\\ud83d"', '"\\ud83d": 1', 'alerts: {routing: [{match: ["\\ud800\\udc00"]}]}'])
def test_half_a_character_is_a_fault(text: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loads(text, {}, name="f.yaml", base=Path())
    assert any("half a character" in error.reason and error.column > 0 for error in caught.value.errors)
