"""Trailing throughput baseline: a ring of past, non-overlapping window counts per scope. Pure, no clock.

A sliding window's newest pane is still filling, so a sample keeps the time it really covers (window start to watermark)
and the expectation is a rate times the time the present window covers. The first sample is taken one whole window after
the first watermark seen (``origin_ms``). Otherwise a stream that has just started would give too low a baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct, field, structs

from alerts.rules import Rule
from alerts.statistics import overdispersion
from alerts.view import Row, RowView, instant_ms, is_live
from streams.core.window_names import CALENDAR_WINDOWS, window_ms

RING = 24
"""Most past windows kept per scope: a day of 1h windows."""


class Sample(Struct, frozen=True, array_like=True):
    """Labels of one past window of a scope; it ends at ``end_ms`` and covers ``covered_ms`` of event time."""

    end_ms: int
    covered_ms: int
    labels: int


class BaselineState(Struct, frozen=True):
    """Rings by window and scope key. Encode with msgspec to keep it over a restart."""

    origin_ms: int | None = None
    rings: dict[str, dict[str, tuple[Sample, ...]]] = field(default_factory=dict)

    def ring(self, window: str, scope_key: str) -> tuple[Sample, ...]:
        """Past samples of a scope, oldest first; empty for an unknown scope."""
        return self.rings.get(window, {}).get(scope_key, ())

    def scope_keys(self, window: str) -> Iterable[str]:
        """Scopes that have a baseline for the window."""
        return self.rings.get(window, {}).keys()


class Expectation(Struct, frozen=True):
    """What the past windows lead one to expect of the present window: labels, overdispersion φ >= 1, number of windows."""

    labels: float
    phi: float
    windows: int


class WindowCount(Struct, frozen=True):
    """Labels of the present window; it starts at ``start_ms`` and covers ``covered_ms`` up to the watermark."""

    labels: int
    start_ms: int
    covered_ms: int


def current_count(row: Row | None, window: str, watermark_ms: int) -> WindowCount:
    """Labels of the window that holds the watermark.

    Args:
        row: The scope's throughput row; None, or a row wholly before the present window, counts zero labels.
        window: Window name.
        watermark_ms: The watermark.
    """
    size_ms = window_ms(window)
    if row is not None and is_live(row, window, watermark_ms):
        start_ms = instant_ms(row["start"])
        return WindowCount(int(row["labels"]), start_ms, max(1, min(size_ms, watermark_ms - start_ms)))
    return WindowCount(0, watermark_ms - size_ms, size_ms)


def expect(samples: tuple[Sample, ...], covered_ms: int) -> Expectation | None:
    """Expectation for a window covering ``covered_ms``, or None without samples.

    Source: the mean rate of the windows before; φ as in ``overdispersion``.
    """
    if not samples:
        return None
    scaled = [sample.labels * covered_ms / sample.covered_ms for sample in samples]
    return Expectation(sum(scaled) / len(scaled), overdispersion(scaled), len(scaled))


def advance(
    state: BaselineState,
    rules: Iterable[Rule],
    view: RowView,
    watermark_ms: int,
    aside: Callable[[str, Exception], None] | None = None,
) -> BaselineState:
    """The state after this watermark: call it after ``evaluate``, so that a window is never its own baseline.

    Takes a sample of a scope only when its window begins at or after the end of the last one, so the samples tile time
    without overlap however often this is called. Labeler scopes are kept only when a rule selects them.

    Args:
        state: The state before.
        rules: The rules.
        view: Rows of the moment.
        watermark_ms: Its watermark.
        aside: Takes the key of a scope whose row raised, and the error; its samples stay as they were. Without it the first is
            raised.

    Returns:
        A new state; ``state`` itself when there is nothing to add.
    """
    # A day or shift in progress is not compared with whole ones: the kind refuses such a rule.
    drops = [rule for rule in rules if rule.reads_baseline and rule.window not in CALENDAR_WINDOWS]
    if not drops:
        return state
    if state.origin_ms is None or watermark_ms < state.origin_ms:
        state = structs.replace(state, origin_ms=watermark_ms)
    rings = dict(state.rings)
    for window in dict.fromkeys(rule.window for rule in drops):
        with_labelers = any("labeler" in rule.scope.names for rule in drops if rule.window == window)
        rings[window] = _advance_window(state, window, view, watermark_ms, with_labelers=with_labelers, aside=aside)
    return structs.replace(state, rings=rings)


def _advance_window(
    state: BaselineState,
    window: str,
    view: RowView,
    watermark_ms: int,
    *,
    with_labelers: bool,
    aside: Callable[[str, Exception], None] | None,
) -> dict[str, tuple[Sample, ...]]:
    rows = view.rows("throughput", window)
    rings = dict(state.rings.get(window, {}))
    origin_ms = watermark_ms if state.origin_ms is None else state.origin_ms
    for key in dict.fromkeys((*rings, *rows)):
        row, ring = rows.get(key), rings.get(key, ())
        try:
            if row is not None and not with_labelers and "labeler" in row["scope"]:
                continue
            count = current_count(row, window, watermark_ms)
        except Exception as error:
            if aside is None:
                raise
            aside(key, error)
            continue
        if count.start_ms < origin_ms or (ring and count.start_ms < ring[-1].end_ms):
            continue
        ring = (*ring, Sample(watermark_ms, count.covered_ms, count.labels))[-RING:]
        if any(sample.labels for sample in ring):
            rings[key] = ring
        else:
            rings.pop(key, None)  # a scope without labels for a whole ring has ended; it is not slow
    return rings
