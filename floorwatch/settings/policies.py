"""Lowers the configuration, once, into the policy objects of the pure core: milliseconds, tuples, no pydantic."""

from __future__ import annotations

import math
from collections.abc import Mapping

from alerts.detectors import detectors_of
from alerts.health.incidents import stream_policies
from alerts.kinds.stream_health import STREAM_RULES
from alerts.lifecycle import EscalationTier, IncidentPolicy
from alerts.routes import apart_of, fallbacks_of
from alerts.routing.policy import RoutingPolicy, RuleTier
from alerts.scopes import BOARD_CUTS
from alerts.settings.people import names_called
from config.tables import TableSettings
from floorwatch.analysis.people.people_policy import MILLI, PeoplePolicy
from floorwatch.analysis.roster.presence import PERMILLE, RosterPolicy
from floorwatch.settings.schema import FloorwatchConfig
from streams.core.durations import parse_duration, seconds_to_ms
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
        minute_kept_ms=seconds_to_ms(tables.minute_panes_kept_s),
        quarter_kept_ms=seconds_to_ms(tables.quarter_panes_kept_s),
        windows=tuple(_window(name, tables) for name in tables.windows),
        max_scopes=tables.max_scopes,
        zones=dict(tables.zones),
        default_zone=tables.default_zone,
        detectors=detectors_of(config.rules),
        named=named_values(config),
        audit_scopes=tuple(kind for kind in tables.audit_scopes if kind not in tables.scopes),
    )


def named_values(config: FloorwatchConfig) -> frozenset[tuple[str, str]]:
    """Return every (dimension, value) that the configuration names: senders' bounds, sites with a zone, scopes of rules."""
    named = {("site", site) for site in config.tables.zones}
    for sender in (*config.gateway.sources.values(), *config.kafka.bound_topics().values()):
        named.update((dimension, value) for dimension, values in sender.bound.items() for value in values)
    for rule in config.rules:
        named.update((dimension, value) for dimension, value in rule.scope.exact.items())
    return frozenset(named)


def people_policy(config: FloorwatchConfig) -> PeoplePolicy:
    """Return the bounds of the numbers about people, in milliseconds and thousandths."""
    people, exposure = config.people, config.people.exposure
    target = people.accuracy_target_ratio
    return PeoplePolicy(
        accuracy_target_ratio=config.targets.accuracy_ratio if target is None else target,
        min_audits=people.min_audits,
        false_discovery_ratio=people.false_discovery_ratio,
        wanted_half_width_ratio=people.wanted_half_width_ratio,
        min_peers=people.min_peers,
        min_peer_labels=people.min_peer_labels,
        established_labels=people.established_labels,
        settle_ms=seconds_to_ms(people.settle_s),
        min_rush_labels=people.min_rush_labels,
        rush_shift_log=math.log(people.rush_ratio),
        rush_z=people.rush_z,
        fast_ratio=people.fast_ratio,
        min_risk_errors=people.min_risk_errors,
        recovery_audits=people.recovery_audits,
        recovery_ms=seconds_to_ms(people.recovery_s),
        exposure_cap_ms=seconds_to_ms(exposure.cap_s),
        exposure_window_ms=seconds_to_ms(exposure.window_s),
        exposure_pace_ms=seconds_to_ms(exposure.pace_s),
        exposure_ahead_ms=seconds_to_ms(exposure.ahead_s),
        severity_milli={name: round(weight * MILLI) for name, weight in exposure.weights.items()},
        other_severity_milli=round((1 if exposure.other_weight is None else exposure.other_weight) * MILLI),
        exposure_configured=exposure.configured,
    )


def roster_policy(config: FloorwatchConfig) -> RosterPolicy:
    """Return the bounds of the roster's numbers, in milliseconds and thousandths."""
    roster = config.roster
    return RosterPolicy(
        away_ms=seconds_to_ms(roster.away_s),
        break_allowance_permille=round(roster.break_allowance_ratio * PERMILLE),
        occupancy_target_permille=round(roster.occupancy_ratio * PERMILLE),
        shrinkage_permille=round(roster.shrinkage_ratio * PERMILLE),
        min_measured_ms=seconds_to_ms(roster.min_measured_s),
    )


def incident_policy(config: FloorwatchConfig) -> IncidentPolicy:
    """Return how incidents live, as far as no rule says it of its own."""
    alerts = config.alerts
    return IncidentPolicy(
        board_base_url=alerts.board_url,
        runbook_base_url=alerts.runbook_url or config.web.url,
        flapping=alerts.flapping.policy(),
    )


def stream_incident_policies(config: FloorwatchConfig) -> dict[str, IncidentPolicy]:
    """Return by rule how incidents about the stream itself live."""
    return stream_policies(
        incident_policy(config),
        {
            severity: tuple(EscalationTier(seconds_to_ms(tier.after), tier.route) for tier in tiers)
            for severity, tiers in config.alerts.escalate.items()
        },
    )


def routing_policy(config: FloorwatchConfig) -> RoutingPolicy:
    """Return who is told of which incidents."""
    alerts = config.alerts
    called = names_called(alerts.people)
    return RoutingPolicy(
        routes={
            name: route.policy(name, alerts.group_wait_s, alerts.route_zones.get(name))
            for name, route in alerts.whole_routes().items()
        },
        entries=alerts.entries(),
        rule_routes={
            **dict.fromkeys(STREAM_RULES, alerts.health_route),
            **{rule.name: rule.route for rule in config.rules},
        },
        rule_tiers={
            **{
                name: tuple(RuleTier(tier.after_ms, tier.route) for tier in policy.tiers)
                for name, policy in stream_incident_policies(config).items()
            },
            **{
                rule.name: tuple(RuleTier(seconds_to_ms(tier.after), tier.route) for tier in rule.escalate or ())
                for rule in config.rules
            },
        },
        people={name: person.policy(name) for name, person in alerts.people.items()},
        schedules={name: schedule.policy(name, called) for name, schedule in alerts.schedules.items()},
        escalations={name: escalation.policy(name) for name, escalation in alerts.escalations.items()},
        calendars={name: calendar.policy(name) for name, calendar in alerts.calendars.items()},
        maintenance=tuple(window.policy() for window in alerts.maintenance),
        channels=tuple(alerts.channels),
        fallbacks=fallbacks_of(alerts),
        apart=apart_of(alerts),
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
    return {name: seconds_to_ms(seconds) for name, seconds in config.targets.sla_classes.items()}


def exported_kinds(config: FloorwatchConfig) -> Mapping[str, frozenset[frozenset[str]]]:
    """Return what becomes Prometheus series: by window the kinds of scopes, each by its dimensions, as far as they are kept.

    Those of the ``metrics`` section, and of each rule in force its own window and scope, on which its messages open the board.
    The board draws the whole floor in lines of its parts, so a rule of the floor adds the first of ``metrics.scopes`` that has
    one dimension. A person's scope is not added: only ``metrics.scopes`` can ask for people.
    """
    kept = frozenset(map(frozenset, config.tables.scopes))
    asked = kept & frozenset(map(frozenset, config.metrics.scopes))
    parts = next((frozenset(cut) for cut in BOARD_CUTS if len(cut) == 1 and frozenset(cut) in asked), None)
    kinds: dict[str, set[frozenset[str]]] = {config.shown_window: set(asked)}
    for rule in config.rules:
        names = rule.scope.names
        if names in kept and "labeler" not in names:
            kinds.setdefault(rule.window, set()).add(names)
            if not names and parts is not None:
                kinds[rule.window].add(parts)
    return {window: frozenset(of_window) for window, of_window in kinds.items()}


def _window(name: str, tables: TableSettings) -> Window:
    if name == "day":
        return Window(name, _CALENDAR_TIER, starts_min=(0,))
    if name == "shift":
        return Window(name, _CALENDAR_TIER, starts_min=tuple(sorted(_minutes(text) for text in tables.shifts)))
    seconds = parse_duration(name)
    return Window(name, _TIER_OF_PANE_S[tables.pane_s_of(seconds)], seconds_to_ms(seconds))


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
