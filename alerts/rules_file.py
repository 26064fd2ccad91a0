"""Rules from YAML: those that are shipped. A user's rules are read with the rest of the configuration, which says where a fault is."""

from __future__ import annotations

import functools
from importlib import resources

import yaml

from alerts.kinds.registry import RuleSet


def parse_rules(text: str) -> RuleSet:
    """Rules from YAML text.

    Args:
        text: A mapping with the one member ``rules``.

    Raises:
        pydantic.ValidationError: A rule is wrong.
        yaml.YAMLError: It is no YAML.
    """
    return RuleSet.model_validate(yaml.safe_load(text))


@functools.cache
def default_rules() -> RuleSet:
    """The rules shipped in alerts/defaults.yaml, read once."""
    return parse_rules(resources.files("alerts").joinpath("defaults.yaml").read_text(encoding="utf-8"))
