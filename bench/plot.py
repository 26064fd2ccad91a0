"""Draws a results file as a small SVG: ``python -m bench.plot bench/results/DATE-COMMIT.json [docs/bench.svg]``."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bench.stack import ROOT

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 900, 250, 220, 30, 78
_FONT = 'font-family="system-ui, sans-serif" font-size="13"'
_OURS, _PEER, _SCRIPT, _INK, _MUTED = "#0b6e4f", "#8a93a3", "#c9ced8", "#1d2430", "#5b6475"


def drawn(result: dict[str, Any]) -> str:
    """Return the picture: events per second of the reduced job, then of Floorwatch's own jobs."""
    bars = sorted(_medians(result), key=lambda bar: -bar[1])
    reduced = [bar for bar in bars if "whole" not in bar[0] and "intake" not in bar[0]]
    others = [bar for bar in bars if bar not in reduced]
    rows = len(reduced) + len(others)
    height = _TOP + rows * _ROW + (70 if others else 20) + 24
    longest = max((rate for _, rate, _ in bars), default=1.0)
    machine = result["machine"]
    busy = [run["others_cores"] for runs in result["runs"].values() for run in runs if "others_cores" in run]
    note = f"{machine['cpu']}, {machine['cores']} cores, real Apache Kafka; commit {machine['commit']}, {result['at'][:10]}"
    if busy:
        note += f"; other processes kept {statistics.median(busy):.1f} cores busy meanwhile"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" {_FONT}>',
        "<title>Events per second on workload W</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(24, 30, "Events per second, one process, workload W", _INK, size=17, bold=True),
        _text(
            24, 54, "reduced job: labels, audited, wrong, handle time by (queue, minute) and (vendor, minute)", _MUTED
        ),
    ]
    y = _TOP
    for bar in reduced:
        lines += _bar(bar, y, longest)
        y += _ROW
    if others:
        y += 26
        lines.append(_text(24, y + 2, "Floorwatch's own jobs: eleven scopes, three tables, corrections", _MUTED))
        y += 18
        for bar in others:
            lines += _bar(bar, y, longest)
            y += _ROW
    lines += [_text(24, height - 10, note, _MUTED, size=11), "</svg>"]
    return "\n".join(lines) + "\n"


def _medians(result: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Return (name, events per second, CPU seconds per million) of every run whose result was right."""
    found = []
    for name, runs in result["runs"].items():
        right = [run for run in runs if not run["rows_wrong"]]
        if right:
            rate = statistics.median(run["events_per_s"] for run in right)
            cpu = statistics.median(run["cpu_s_per_million"] for run in right)
            found.append((name, rate, cpu))
    return found


def _bar(bar: tuple[str, float, float], y: int, longest: float) -> list[str]:
    name, rate, cpu = bar
    color = _OURS if name.startswith("Floorwatch") else _SCRIPT if name.startswith("plain") else _PEER
    width = max(2.0, (_WIDTH - _LEFT - _RIGHT) * rate / longest)
    said = f"{rate:,.0f}/s, {cpu:.1f} CPU s per million"
    return [
        _text(_LEFT - 10, y + 14, name, _INK, anchor="end"),
        f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="20" rx="2" fill="{color}"/>',
        _text(_LEFT + width + 8, y + 14, said, _INK, size=12),
    ]


def _text(
    x: float, y: float, text: str, fill: str, *, size: int = 13, anchor: str = "start", bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:.1f}" y="{y}" fill="{fill}" font-size="{size}" text-anchor="{anchor}"{weight}'
    return f"<text {place}>{escape(text)}</text>"


def main() -> None:
    """Draw."""
    source = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "bench.svg"
    target.write_text(drawn(json.loads(source.read_text())))
    print(target)


if __name__ == "__main__":
    main()
