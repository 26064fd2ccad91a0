"""docs/alert-kinds.md, made of the kinds: when each fires, and its settings with their defaults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from alerts.evaluate import RUNBOOKS_PATH
from alerts.kinds.base import KindSpec
from alerts.kinds.registry import KINDS
from alerts.kinds.stream_health import STREAM_KINDS
from alerts.rules import Rule
from config.durations import DURATION
from streams.core.durations import format_duration

PATH = Path("docs/alert-kinds.md")

_HEAD = """# Kinds of alerts
Generated from the kinds by `make generate`; do not edit here. Rules stand under `alerts.rules` of the configuration; those of
[alerts/defaults.yaml](../alerts/defaults.yaml) are in force where it has none. How an incident lives: [alerts.md](alerts.md).

| kind | headline | runbook |
|---|---|---|
"""


def render() -> str:
    """Return the page."""
    lines = [_HEAD.rstrip("\n")]
    lines += [
        f"| [`{kind.name}`](#{kind.name}) | {kind.headline} | [{kind.name}]({_runbook(kind)}) |" for kind in KINDS
    ]
    lines += ["", "## Every rule", *_table(Rule, lambda name: name != "kind")]
    for kind in KINDS:
        lines += ["", f"## {kind.name}", _text(kind.rule.__doc__ or ""), *_figures(kind)]
        lines += ["", *_table(kind.rule, _differs(kind.rule))]
    return "\n".join([*lines, *_of_stream()]) + "\n"


def _of_stream() -> Iterator[str]:
    yield from (
        "",
        "## About the stream itself",
        "No rule raises these; Floorwatch does by itself, and tells `alerts.health_route`",
    )
    yield "([alerts.md](alerts.md#faults-of-the-stream-itself)). Routes know them by kind: `match: [kind=receiver_failing]`."
    yield from ("", "| kind | severity | fires | runbook |", "|---|---|---|---|")
    for kind in STREAM_KINDS:
        page = f"[{kind.name}]({RUNBOOKS_PATH.removeprefix('docs/')}/{kind.name}.md)"
        yield f"| `{kind.name}` | {kind.severity} | {kind.fires} | {page} |"
    for kind in STREAM_KINDS:
        if kind.figures:
            named = ", ".join(f"`{name}` ({meaning})" for name, meaning in kind.figures.items())
            yield from ("", f"`figures` of {kind.name}: {named}.")


def _figures(kind: KindSpec) -> list[str]:
    named = [f"`{name}` ({meaning})" for name, meaning in kind.figures.items()]
    return ["", f"`figures` of its incidents: {', '.join(named)}."] if named else []


def _runbook(kind: KindSpec) -> str:
    return f"{RUNBOOKS_PATH.removeprefix('docs/')}/{kind.name}.md"


def _differs(rule: type[Rule]) -> Callable[[str], bool]:
    """Return which settings of a kind are not those of every rule, or have another default. One with a single value is none."""
    own, every = rule.model_fields, Rule.model_fields
    return lambda name: (
        len(get_args(own[name].annotation)) != 1 and (name not in every or own[name].default != every[name].default)
    )


def _table(rule: type[Rule], shown: Callable[[str], bool]) -> Iterator[str]:
    yield "| setting | default | |"
    yield "|---|---|---|"
    every = Rule.model_fields
    for name, info in rule.model_fields.items():
        if shown(name):
            said = info.description or (every[name].description if name in every else None) or ""
            yield f"| `{info.alias or name}` | {_default(info)} | {said} |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if value is not None and DURATION in info.metadata:
        return f"`{format_duration(value)}`"
    if isinstance(value, BaseModel):
        parts = [f"{name}: {_plain(one)}" for name, one in value.model_dump(mode="json").items() if one]
        return f"`{{{', '.join(parts)}}}`" if parts else "`all`"
    return f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return str(value[0]) if len(value) == 1 else f"[{', '.join(map(str, value))}]"
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _text(docstring: str) -> str:
    return "\n".join(line.strip() for line in docstring.strip().splitlines()).replace("``", "`")


def generate(root: Path) -> list[Path]:
    """Write the page below ``root`` and return what was written."""
    (root / PATH).write_text(render(), encoding="utf-8")
    return [root / PATH]


def check(root: Path) -> list[str]:
    """Return the page if it is stale."""
    path = root / PATH
    return [] if path.is_file() and path.read_text(encoding="utf-8") == render() else [str(PATH)]
