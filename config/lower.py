"""Lowers the configuration, once, into the policy objects of the pure core: milliseconds, tuples, no pydantic."""

from __future__ import annotations

from alerts.detectors import detectors_of
from config.durations import parse_duration
from config.schema import FloorwatchConfig
from config.tables import TableSettings
from streams.core.policy import DAY_MS, CorePolicy, Window
from streams.models.topics import TopicSpec, topic_specs

_TIER_OF_PANE_S = {60: 0, 900: 1, 3600: 2}
_CALENDAR_TIER = 1
"""Calendar windows are made of 15-minute panes: every zone's offset is a multiple of a quarter of an hour."""


def core_policy(config: FloorwatchConfig) -> CorePolicy:
    """Return what the pure core needs to know.

    Args:
        config: A loaded configuration.

    Returns:
        The policy, in milliseconds.
    """
    tables = config.tables
    return CorePolicy(
        scopes=tuple(tables.scopes),
        horizon_ms=tables.correction_horizon_days * DAY_MS,
        minute_kept_ms=to_ms(tables.minute_panes_kept_s),
        quarter_kept_ms=to_ms(tables.quarter_panes_kept_s),
        windows=tuple(_window(name, tables) for name in tables.windows),
        max_scopes=tables.max_scopes,
        zones=dict(tables.zones),
        default_zone=tables.default_zone,
        detectors=detectors_of(config.alerts.rule_set.rules),
    )


def topics_of(config: FloorwatchConfig) -> list[TopicSpec]:
    """Return every topic as the configuration wants it created."""
    kafka = config.kafka
    return topic_specs(
        kafka.topic_prefix,
        kafka.partitions,
        config.tables.correction_horizon_days,
        events_kept_days=kafka.events_kept_days,
        max_message_bytes=kafka.max_message_bytes,
    )


def sla_classes_ms(config: FloorwatchConfig) -> dict[str, int]:
    """Return the time allowed by each SLA class, in milliseconds from creation to due."""
    return {name: to_ms(seconds) for name, seconds in config.targets.sla_classes.items()}


def exported_scopes(config: FloorwatchConfig) -> tuple[tuple[str, ...], ...]:
    """Return the kinds of scopes that become Prometheus series: those configured that are kept at all."""
    kept = set(config.tables.scopes)
    return tuple(kind for kind in config.metrics.scopes if kind in kept)


def to_ms(seconds: float) -> int:
    """Return whole milliseconds, rounded to the nearest."""
    return round(seconds * 1000)


def _window(name: str, tables: TableSettings) -> Window:
    if name == "day":
        return Window(name, _CALENDAR_TIER, starts_min=(0,))
    if name == "shift":
        return Window(name, _CALENDAR_TIER, starts_min=tuple(sorted(_minutes(text) for text in tables.shifts)))
    seconds = parse_duration(name)
    return Window(name, _TIER_OF_PANE_S[tables.pane_s_of(seconds)], to_ms(seconds))


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
