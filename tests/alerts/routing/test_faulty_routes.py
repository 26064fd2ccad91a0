"""Faulty rules and routes: each has a place, what is wrong, and a hint that mends it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
