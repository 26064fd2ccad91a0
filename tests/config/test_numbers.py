"""Numbers of the configuration: ``true`` and ``false`` are none, nor are ``.nan`` and ``.inf``, in any section, rule or channel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from alerts.kinds.registry import KINDS
from config.base import Section, StrictNumbers
from config.errors import ConfigErrors
from config.introspect import alternatives, fields_of, is_model
from floorwatch.settings.load import loads
from floorwatch.settings.schema import FloorwatchConfig

DEFAULT_RULES = yaml.safe_load(Path("alerts/defaults.yaml").read_text())["rules"]
RULES = {rule["kind"]: rule for rule in DEFAULT_RULES}


def faults(document: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigErrors) as raised:
        loads(yaml.safe_dump(document), {}, name="f.yaml", base=Path())
    return [str(error) for error in raised.value.errors]


def models(kind: Any, found: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """Return every model that a value of a type may hold."""
    for one in alternatives(kind):
        if is_model(one) and one not in found:
            found.add(one)
            for info in one.model_fields.values():
                models(info.annotation, found)
        elif not is_model(one):
            for argument in get_args(one):
                models(argument, found)
    return found


def numbers(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the places of all numbers in a document of defaults."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from numbers(inside, (*place, name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place


DEFAULTS = FloorwatchConfig().model_dump(mode="python", include=set(FloorwatchConfig.model_fields) - {"alerts"})
PLACES = [*numbers(DEFAULTS), ("alerts", "group_wait_s"), ("people", "exposure", "weights", "spam")]


def at(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    for name in reversed(place):
        value = {name: value}
    found: dict[str, Any] = value
    return found


def test_every_model_of_the_configuration_refuses_them() -> None:
    """A model that is neither takes true for 1 again: the two bases are the only places that look."""
    found = models(FloorwatchConfig, set())
    assert len(found) > 25
    assert {one.__name__ for one in found if not issubclass(one, Section | StrictNumbers)} == set()
    assert {one.__name__ for one in found if one.model_config.get("allow_inf_nan") is not False} == set()


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_true_is_no_number_in_any_section(place: tuple[str, ...]) -> None:
    assert any(f".{place[-1]}" in said or f".{place[-2]}" in said for said in faults(at(place, True)))


@pytest.mark.parametrize("odd", [".nan", ".inf"])
def test_what_is_not_finite_is_no_number(odd: str) -> None:
    for text in (f"people: {{min_audits: {odd}}}", f"alerts: {{group_wait_s: {odd}}}"):
        with pytest.raises(ConfigErrors):
            loads(text, {}, name="f.yaml", base=Path())


def numeric(kind: Any) -> bool:
    return any(one in (int, float) for one in alternatives(kind))


RULE_NUMBERS = [
    (kind.name, name) for kind in KINDS for name, info in fields_of(kind.rule).items() if numeric(info.annotation)
]


@pytest.mark.parametrize(("kind", "name"), RULE_NUMBERS, ids=map("-".join, RULE_NUMBERS))
@pytest.mark.parametrize("written", ["true", ".nan", ".inf"])
def test_a_number_of_a_rule_is_a_number(kind: str, name: str, written: str) -> None:
    rule = RULES.get(kind, {"name": "a", "kind": kind, "target": 0.9}) | {name: "PLACE"}
    text = json.dumps({"alerts": {"rules": [rule]}}).replace('"PLACE"', written)
    with pytest.raises(ConfigErrors) as raised:
        loads(text, {}, name="f.yaml", base=Path())
    said = [str(error) for error in raised.value.errors]
    assert any(f".{name}" in one for one in said), said


@pytest.mark.parametrize(
    "inside",
    [
        {"budget": {"days": True}},
        {"escalate": [{"after": True, "route": "default"}]},
    ],
)
def test_nor_in_what_a_rule_holds(inside: dict[str, Any]) -> None:
    (said, *_) = faults({"alerts": {"rules": [RULES["accuracy_low"] | inside]}})
    assert "true" in said or "number" in said


def test_nor_in_a_channel() -> None:
    channel = {"type": "webhook", "url": "https://example.org/", "timeout_s": True}
    (said, *_) = faults({"alerts": {"channels": {"console": channel}}})
    assert "timeout_s" in said
