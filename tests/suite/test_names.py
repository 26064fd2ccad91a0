"""One class name means one thing: a name that two classes have is listed here with its reason."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tests.suite.test_sizes import PRODUCT, sources

ALIKE = {
    "AppealDecided": "an event of the contract, and the fact the ledger makes of it",
    "AppealOpened": "the same",
    "AuditWithdrawn": "the same",
    "LabelWithdrawn": "the same",
    "Tick": "a clock event, of the log of events and of the log of signals",
    "Fact": "the oracle has one of its own, because it imports nothing of the core",
    "Design": "how the audits of a simulation are drawn, in each simulation",
    "Work": "the work of a simulation's scope, in each simulation",
    "_Work": "a webhook under translation, of each tool",
    "Sums": "sums by key, of rows and of a detector's audits",
}


def classes() -> dict[str, list[str]]:
    """Return the modules of the product that define a class of each name."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, text in sources():
        if Path(name).parts[0] in PRODUCT:
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(name)
    return found


def test_no_two_classes_of_one_name_are_different_things() -> None:
    twice = {name: places for name, places in classes().items() if len(places) > 1}
    assert {name: places for name, places in twice.items() if name not in ALIKE} == {}
