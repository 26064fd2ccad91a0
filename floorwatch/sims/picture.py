"""The picture in docs/statistics.md: three rules on one and the same simulated drop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from floorwatch.sims.rivals import WINDOW, Bits, Flags, raw_window, wilson_high, wilson_window, window_sums
from streams.core.detectors.bets import ShareBets
from streams.core.detectors.dispersion import NANO, PaneClass
from streams.core.detectors.fold import Episode, PaneFold
from streams.core.policy import DAY_MS, HOUR_MS

SEED = 73
DAYS = 12
DROP_DAY = 8.0
PER_DAY = 160
BEFORE = 0.953
AFTER = 0.89
BAR = 150_000.0

_WIDTH, _LEFT, _RIGHT = 900, 74, 20
_PANEL, _GAP, _TOP = 128, 58, 64
_INK, _MUTED, _GOOD, _BAD, _BAND = "#1f2933", "#7b8794", "#2c6e9b", "#c0392b", "#f6d5d1"


class Drop:
    """One vendor's audits over twelve days; on day 8 its accuracy falls from 95.3% to 89%."""

    def __init__(self, seed: int = SEED) -> None:
        """Draw the audits."""
        rng = np.random.default_rng(seed)
        self.day = np.sort(rng.random(DAYS * PER_DAY)) * DAYS
        level = np.where(self.day < DROP_DAY, BEFORE, AFTER)
        self.wrong: Bits = (rng.random(len(self.day)) >= level).astype(np.uint8)[None, :]

    def evidence(self) -> tuple[list[tuple[float, float]], tuple[Episode, ...]]:
        """Return (day, score) after every hour with audits, and the episodes: the product's own fold."""
        fold: PaneFold[tuple[PaneClass, ...]] = PaneFold(ShareBets.of(0.05), BAR)
        panes: dict[int, list[int]] = {}
        for day, wrong in zip(self.day.tolist(), self.wrong[0].tolist(), strict=True):
            panes.setdefault(int(day * DAY_MS) // HOUR_MS * HOUR_MS, []).append(wrong)
        for pane_ms, verdicts in panes.items():
            fold.apply(pane_ms, (PaneClass(NANO, len(verdicts), sum(verdicts)),))
        scores = [((ms + HOUR_MS) / DAY_MS, fold.state_at(ms).score) for ms in sorted(panes)]
        return scores, fold.episodes


class _Panel:
    """One plot: its place, its scale and what is drawn in it."""

    def __init__(self, number: int, title: str, low: float, high: float) -> None:
        self.top = _TOP + number * (_PANEL + _GAP)
        self.low, self.high = low, high
        self.parts = [
            _text(_LEFT, self.top - 10, title, size=13, weight="600"),
            (
                f'<rect x="{_LEFT}" y="{self.top}" width="{_WIDTH - _LEFT - _RIGHT}" height="{_PANEL}" fill="none" '
                f'stroke="#cbd2d9"/>'
            ),
        ]

    def y(self, value: float) -> float:
        share = (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)
        return self.top + _PANEL * (1 - share)

    def ticks(self, values: Sequence[tuple[float, str]]) -> None:
        self.parts += [_text(_LEFT - 8, self.y(value) + 4, words, anchor="end") for value, words in values]

    def level(self, value: float, words: str) -> None:
        y = self.y(value)
        self.parts.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{_MUTED}" '
            f'stroke-dasharray="4 3"/>'
        )
        self.parts.append(_text(_WIDTH - _RIGHT - 4, y - 4, words, anchor="end"))

    def line(self, points: Sequence[tuple[float, float]], colour: str = _GOOD) -> None:
        path = " ".join(f"{_x(day):.1f},{self.y(value):.1f}" for day, value in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')

    def band(self, from_day: float, to_day: float) -> None:
        width = max(0.8, _x(to_day) - _x(from_day))
        self.parts.insert(
            0, f'<rect x="{_x(from_day):.1f}" y="{self.top}" width="{width:.1f}" height="{_PANEL}" fill="{_BAND}"/>'
        )

    def mark(self, day: float, words: str, *, anchor: str = "start") -> None:
        x, shift = _x(day), 5 if anchor == "start" else -5
        self.parts.append(
            f'<line x1="{x:.1f}" y1="{self.top}" x2="{x:.1f}" y2="{self.top + _PANEL}" stroke="{_BAD}" stroke-width="1.4"/>'
        )
        y = self.top + (_PANEL - 8 if anchor == "start" else 15)
        self.parts.append(_text(x + shift, y, words, anchor=anchor, colour=_BAD))


def _x(day: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * day / DAYS


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", size: int = 11, weight: str = "400", colour: str = _INK
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}">{words}</text>'
    )


def _alarms(drop: Drop, rule: Callable[[Bits], Flags]) -> list[tuple[float, float]]:
    """Return (from day, to day) of every time a rule's alarm is on."""
    on = rule(drop.wrong)[0]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
    last = len(drop.day) - 1
    return [
        (float(drop.day[begin]), float(drop.day[min(end, last)]))
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]


def _share_panel(number: int, drop: Drop, rule: Callable[[Bits], Flags], values: Sequence[float], words: str) -> _Panel:
    alarms = _alarms(drop, rule)
    early = sum(begin < DROP_DAY for begin, _ in alarms)
    times = f"{early} false alarms before the drop" if early != 1 else "1 false alarm before the drop"
    panel = _Panel(number, f"{words}: {times}", 0.84, 1.0)
    for begin, end in alarms:
        panel.band(begin, end)
    panel.ticks([(0.85, "85%"), (0.90, "90%"), (0.95, "95%"), (1.0, "100%")])
    panel.level(0.95, "target 95%")
    points = list(zip(drop.day.tolist(), values, strict=True))
    panel.line(points[20:])
    return panel


def _evidence_panel(drop: Drop) -> _Panel:
    scores, episodes = drop.evidence()
    panel = _Panel(2, "Evidence of the e-SR detector: one alarm, with the time the change began", 0.0, 8.0)
    panel.ticks([(0.0, "1 : 1"), (2.0, "100 : 1"), (4.0, "10,000 : 1"), (6.0, "10⁶ : 1"), (8.0, "10⁸ : 1")])
    panel.level(math.log10(BAR), "bar 150,000 : 1")
    panel.line([(day, math.log10(max(1.0, score))) for day, score in scores])
    for episode in episodes:
        fired, since = episode.fired_ms / DAY_MS, episode.since_ms / DAY_MS
        panel.band(fired, DAYS if episode.resolved_ms is None else episode.resolved_ms / DAY_MS)
        panel.mark(fired, f"fires {_clock(fired)}")
        panel.mark(since, f"“since {_clock(since)}”", anchor="end")
    return panel


def _clock(day: float) -> str:
    minutes = int(day % 1 * 1440)
    return f"day {int(day)}, {minutes // 60:02}:{minutes % 60:02}"


def drop_picture(seed: int = SEED) -> str:
    """Return the SVG: raw threshold, Wilson interval and e-SR evidence over the same audits."""
    drop = Drop(seed)
    bad, seen = window_sums(drop.wrong, WINDOW)
    raw = (1.0 - bad / seen)[0].tolist()
    high = wilson_high(bad, seen)[0].tolist()
    panels = [
        _share_panel(0, drop, raw_window, raw, "Accuracy of the last 200 audits, alarm below 95%"),
        _share_panel(1, drop, wilson_window, high, "Upper end of its 95% Wilson interval, alarm below 95%"),
        _evidence_panel(drop),
    ]
    bottom = panels[-1].top + _PANEL
    parts = [part for panel in panels for part in panel.parts]
    parts += [
        (
            f'<line x1="{_x(DROP_DAY):.1f}" y1="{_TOP}" x2="{_x(DROP_DAY):.1f}" y2="{bottom}" stroke="{_INK}" '
            f'stroke-dasharray="2 3"/>'
        ),
        _text(_x(DROP_DAY), bottom + 34, "true accuracy falls from 95.3% to 89%", anchor="middle", weight="600"),
        *(_text(_x(day), bottom + 17, f"day {day}", anchor="middle", colour=_MUTED) for day in range(0, DAYS + 1, 2)),
        _text(
            _LEFT, 24, f"One vendor, {PER_DAY} audits a day: the same audits under three rules", size=15, weight="600"
        ),
    ]
    height = bottom + 48
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" role="img">\n'
        f"<title>Raw threshold, Wilson interval and e-SR evidence over one simulated drop</title>\n"
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def write_pictures(directory: Path = Path("docs")) -> list[Path]:
    """Write docs/statistics-drop.svg and return what was written."""
    path = directory / "statistics-drop.svg"
    path.write_text(drop_picture())
    return [path]
