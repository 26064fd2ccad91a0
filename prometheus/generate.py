"""Writes the rules' YAML: ``python -m prometheus.generate``. The file is committed and diff-checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from prometheus.alerting_rules import RULES, RUNBOOK, PrometheusRule

PATH = Path("prometheus/generated/floorwatch.rules.yml")
_HEAD = "# Generated from prometheus/alerting_rules.py by `make generate`. Do not edit.\n"
_GROUP = "floorwatch-stream"


def _rule(rule: PrometheusRule) -> dict[str, Any]:
    return {
        "alert": rule.name,
        "expr": rule.expr,
        "for": rule.wait,
        "labels": {"severity": rule.severity, "service": "floorwatch"},
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "runbook": f"{RUNBOOK}#{rule.name.lower()}",
            "board": "/d/floorwatch-live-floor",
        },
    }


def render() -> str:
    """Return the rules file."""
    groups = {"groups": [{"name": _GROUP, "rules": [_rule(rule) for rule in RULES]}]}
    return _HEAD + yaml.safe_dump(groups, sort_keys=False, width=120, allow_unicode=True)


def generate(root: Path) -> list[Path]:
    """Write the rules below ``root`` and return the written paths."""
    path = root / PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(), encoding="utf-8")
    return [path]


def check(root: Path) -> list[str]:
    """Return what is stale, with the command that mends it; empty when all is well."""
    path = root / PATH
    if path.is_file() and path.read_text(encoding="utf-8") == render():
        return []
    return [f"{PATH} differs from prometheus/alerting_rules.py: run `make generate` and commit the result"]


if __name__ == "__main__":
    generate(Path(__file__).resolve().parent.parent)
