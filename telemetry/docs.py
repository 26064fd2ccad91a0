"""Writes ``docs/metrics.md`` and ``docs/limits.md`` from the catalogue and the limits: ``python -m telemetry.docs``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from streams.models import formats_page
from telemetry import limits_page
from telemetry.catalogue import CATALOGUE, ENGINE_METRICS, INCIDENTS_OPEN, ROWS_SKIPPED
from telemetry.metric import Metric
from telemetry.table_metrics import SCOPE_LABELS

PATH = Path("docs/metrics.md")

_HEAD = """\
<!-- Generated from telemetry/catalogue.py by `make generate`. Do not edit. -->
# Metrics

Workers and the gateway serve these on `/metrics`. Units are Prometheus base units; a value nobody can know (a ratio of
nothing) has no sample, it is not zero. Series of a partition that has moved to another worker disappear with it.

## Labels of the tables

{labels}.

`scope_kind` is `all` or the scope's dimensions joined by `_` (`site`, `vendor_queue`); `scope` is the scope's key as
everywhere else (`all`, `vendor=bpo-a,queue=hate`); a dimension that is not part of the scope has no label. There is no
`labeler` label unless a scope with labellers is configured for export. Exported are the scopes of `metrics.scopes` over
`metrics.window`, and of each alert rule its own window and scope. The number of scopes is capped, and what the cap leaves
out is counted in `{skipped}`.
"""


def _source(metric: Metric) -> str:
    if metric.table is None:
        return f"stage `{metric.owner}`" if metric.owner else "process"
    return ", ".join(f"`{metric.table}.{field.name}`" for field in metric.fields)


def _section(title: str, metrics: Iterable[Metric]) -> list[str]:
    lines = [f"## {title}", "", "| name | type | unit | labels | source | says |", "|---|---|---|---|---|---|"]
    for m in metrics:
        own = [label for label in m.labels if label not in SCOPE_LABELS]
        labels = ", ".join(f"`{label}`" for label in own)
        if m.table is not None:
            labels = f"scope labels{', ' if labels else ''}{labels}"
        lines.append(f"| `{m.name}` | {m.kind} | {m.unit} | {labels or 'none'} | {_source(m)} | {m.help} |")
    return [*lines, ""]


def render() -> str:
    """Return the page."""
    labels = ", ".join(f"`{label}`" for label in SCOPE_LABELS)
    lines = [_HEAD.format(labels=labels, skipped=ROWS_SKIPPED.name)]
    for table in dict.fromkeys(m.table for m in CATALOGUE if m.table is not None):
        lines += _section(f"Table {table}", (m for m in CATALOGUE if m.table == table))
    lines += _section("Incidents and export", (INCIDENTS_OPEN, ROWS_SKIPPED))
    lines += _section("Engine", ENGINE_METRICS)
    return "\n".join(lines).rstrip() + "\n"


PAGES: dict[Path, Callable[[str], str]] = {
    PATH: lambda _: render(),
    Path("docs/limits.md"): limits_page.renewed,
    Path("docs/formats.md"): lambda _: formats_page.page(),
}
"""By page, what makes its text of the text it has."""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def generate(root: Path) -> list[Path]:
    """Write the pages below ``root`` and return the written paths."""
    for relative, page in PAGES.items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(_text(path)), encoding="utf-8")
    return [root / relative for relative in PAGES]


def check(root: Path) -> list[str]:
    """Return what is stale, with the command that mends it; empty when all is well."""
    return [
        f"{relative} differs from what it is generated from: run `make generate` and commit the result"
        for relative, page in PAGES.items()
        if not (root / relative).is_file() or _text(root / relative) != page(_text(root / relative))
    ]


if __name__ == "__main__":
    generate(Path(__file__).resolve().parent.parent)
