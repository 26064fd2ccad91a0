"""What the pure core needs to know, lowered once from the configuration.

The core never reads configuration: everything below arrives as an argument, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.core.detectors.watch import Detector
from streams.models import timestamps

MINUTE_MS, HOUR_MS, DAY_MS = timestamps.MINUTE_MS, timestamps.HOUR_MS, timestamps.DAY_MS
QUARTER_MS = 15 * MINUTE_MS

HOUR_TIER = 2
"""Index of the coarsest tier that windows are made of, which is kept to the correction horizon."""

EVIDENCE_TIER = 3
"""Index of the tier whose rows hold nothing but evidence counters, by the hour of the label."""

DIMENSIONS: tuple[str, ...] = ("site", "vendor", "team", "queue", "policy", "market", "priority", "labeler")
"""Every dimension a scope may name, in the order of a dimension tuple and of a scope key."""

Dims = tuple[str | None, ...]
"""One value (or None) per entry of ``DIMENSIONS``."""

DEFAULT_SCOPES: tuple[tuple[str, ...], ...] = (
    (),
    ("site",),
    ("vendor",),
    ("team",),
    ("queue",),
    ("policy",),
    ("market",),
    ("priority",),
    ("labeler",),
    ("vendor", "queue"),
    ("queue", "policy"),
)


DEFAULT_AUDIT_SCOPES: tuple[tuple[str, ...], ...] = (("vendor", "policy"),)
"""Scopes that cross people with policies, so that an alert on a vendor or on the floor can name who and what."""


@dataclass(frozen=True)
class PaneTier:
    """Panes of one size, and how long after its end a pane can still change."""

    pane_ms: int
    kept_ms: int


@dataclass(frozen=True)
class Window:
    """A run of panes shown as one row.

    Attributes:
        name: As users write it: ``1h``, ``7d``, ``day``, ``shift``.
        tier: Index of the tier whose panes it sums.
        size_ms: Length of a sliding window; 0 for a calendar window.
        starts_min: Local minutes of the day at which a calendar window begins (``(0,)`` for ``day``).
    """

    name: str
    tier: int
    size_ms: int = 0
    starts_min: tuple[int, ...] = ()


DEFAULT_WINDOWS: tuple[Window, ...] = (
    Window("5m", 0, 5 * MINUTE_MS),
    Window("15m", 0, QUARTER_MS),
    Window("1h", 0, HOUR_MS),
    Window("8h", 1, 8 * HOUR_MS),
    Window("24h", 1, DAY_MS),
    Window("7d", 2, 7 * DAY_MS),
    Window("day", 1, starts_min=(0,)),
)


@dataclass(frozen=True)
class CorePolicy:
    """All that shapes the numbers.

    Attributes:
        scopes: Dimension names of every scope kind, each in ``DIMENSIONS`` order.
        horizon_ms: Correction horizon; a label older than this behind the watermark is late.
        minute_kept_ms: How long 1-minute panes are kept.
        quarter_kept_ms: How long 15-minute panes are kept.
        windows: The windows every scope shows.
        max_scopes: Bound on distinct scopes per partition; further ones are counted, not kept.
        zones: IANA time zone per site, for calendar windows.
        default_zone: Time zone of scopes without a site.
        detectors: What is watched with a known rate of false alarms.
        audit_scopes: Kinds of scopes of which only audits are counted, by quarter hour and hour, in the accuracy table:
            enough to say which part moved an accuracy, at a few hundredths of what a kind in ``scopes`` costs.
        named: (dimension, value) that the configuration names: scopes of nothing else are kept whatever ``max_scopes`` says.
    """

    scopes: tuple[tuple[str, ...], ...] = DEFAULT_SCOPES
    horizon_ms: int = 14 * DAY_MS
    minute_kept_ms: int = 3 * HOUR_MS
    quarter_kept_ms: int = 2 * DAY_MS
    windows: tuple[Window, ...] = DEFAULT_WINDOWS
    max_scopes: int = 50_000
    zones: dict[str, str] = field(default_factory=dict)
    default_zone: str = "UTC"
    detectors: tuple[Detector, ...] = ()
    audit_scopes: tuple[tuple[str, ...], ...] = DEFAULT_AUDIT_SCOPES
    named: frozenset[tuple[str, str]] = frozenset()

    def names(self, scope: Mapping[str, str]) -> bool:
        """Whether a scope is kept in any case: the whole floor, and what the configuration names in each of its dimensions."""
        return self.named.issuperset(scope.items())

    @property
    def tiers(self) -> tuple[PaneTier, PaneTier, PaneTier]:
        """The three pane sizes, finest first."""
        return (
            PaneTier(MINUTE_MS, self.minute_kept_ms),
            PaneTier(QUARTER_MS, self.quarter_kept_ms),
            PaneTier(HOUR_MS, self.horizon_ms),
        )

    @property
    def all_tiers(self) -> tuple[PaneTier, PaneTier, PaneTier, PaneTier]:
        """The three pane sizes, and the evidence tier."""
        return (*self.tiers, PaneTier(HOUR_MS, self.horizon_ms))

    @property
    def evidence_kinds(self) -> tuple[bool, ...]:
        """Per scope kind, whether a detector watches the audits of its scopes."""
        watched = [detector.names for detector in self.detectors if detector.measure in ("accuracy", "critical_errors")]
        return tuple(frozenset(names) in watched for names in self.scopes)


def late_before_ms(watermark_ms: int, horizon_ms: int) -> int:
    """Return the time before which a change is late: a correction horizon before the watermark, rounded down to an hour."""
    behind_ms = watermark_ms - horizon_ms
    return behind_ms - behind_ms % HOUR_MS
