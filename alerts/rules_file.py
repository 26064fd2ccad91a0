"""Reading a rules file: every fault with file, line, column and a hint."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from alerts.kinds.registry import RuleSet

DEFAULTS = "alerts/defaults.yaml"


class RuleError(Exception):
    """One fault of a rules file. Operator: mend the named place; the rules were not loaded.

    Attributes:
        path: The file.
        line: Line from 1.
        column: Column from 1.
        reason: What is wrong, with the dotted place.
        hint: How to mend it, or None.
    """

    def __init__(self, path: str, line: int, column: int, reason: str, hint: str | None = None) -> None:
        super().__init__(path, line, column, reason, hint)
        self.path, self.line, self.column, self.reason, self.hint = path, line, column, reason, hint

    def __str__(self) -> str:
        text = f"{self.path}:{self.line}:{self.column}: {self.reason}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class RuleErrors(Exception):
    """All faults of a rules file, in the order of the file; ``errors`` has at least one."""

    def __init__(self, errors: tuple[RuleError, ...]) -> None:
        super().__init__(*errors)
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def parse_rules(text: str, path: str) -> RuleSet:
    """Rules from YAML text.

    Args:
        text: The YAML.
        path: Name of the file, for the messages.

    Raises:
        RuleErrors: The YAML cannot be read, or a rule is wrong.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        reason = f"this is no YAML: {error.problem}"
        raise RuleErrors((RuleError(path, line, column, reason, "check the indentation and brackets here"),)) from error
    try:
        return RuleSet.model_validate(data)
    except ValidationError as error:
        faults = [_fault(path, tree, dict(detail)) for detail in error.errors()]
        raise RuleErrors(tuple(sorted(faults, key=lambda fault: (fault.line, fault.column)))) from error


def load_rules(path: Path) -> RuleSet:
    """Rules from a file.

    Raises:
        RuleErrors: See :func:`parse_rules`.
        OSError: The file cannot be read.
    """
    return parse_rules(path.read_text(encoding="utf-8"), str(path))


@functools.cache
def default_rules() -> RuleSet:
    """The rules shipped in alerts/defaults.yaml, read once."""
    return parse_rules(resources.files("alerts").joinpath("defaults.yaml").read_text(encoding="utf-8"), DEFAULTS)


def _fault(path: str, tree: yaml.Node | None, detail: dict[str, Any]) -> RuleError:
    mark, place, node = (tree.start_mark if tree else None), [], tree
    for step in detail["loc"]:
        child = _child(node, step)
        if child is None:
            # A missing field, or a step pydantic adds (the kind of a union): the nearest place known stands for it.
            if isinstance(step, str) and detail["type"] == "missing" and step == detail["loc"][-1]:
                place.append(step)
            continue
        place.append(str(step))
        mark, node = child
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    hint = dict(detail.get("ctx") or {}).get("hint") or {
        "extra_forbidden": "remove it, or correct its spelling",
        "missing": "add it",
        "union_tag_not_found": "add kind: accuracy_low, or another kind",
    }.get(detail["type"])
    reason = str(detail["msg"]).removeprefix("Value error, ")
    return RuleError(path, line, column, f"{'.'.join(place) or 'file'}: {reason}", hint)


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Mark, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark, item
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark, value
    return None
