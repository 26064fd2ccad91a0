"""Lowering into the core's policy and into client arguments."""

from __future__ import annotations

from pathlib import Path

from alerts.detectors import detectors_of
from alerts.lifecycle import EscalationTier, IncidentPolicy, policy_of
from alerts.rules_file import default_rules
from config.connect import kafka_options, redis_options
from floorwatch.settings.load import loads
from floorwatch.settings.policies import core_policy, exported_kinds, incident_policy, routing_policy, sla_classes_ms
from floorwatch.settings.schema import FloorwatchConfig
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS, CorePolicy, Window


def of(text: str) -> FloorwatchConfig:
    return loads(text, {}, name="test.yaml", base=Path())


def test_the_defaults_lower_to_the_core_s_own_defaults() -> None:
    config = FloorwatchConfig()
    detectors = detectors_of(default_rules().rules)
    assert len(detectors) == 8
    named = frozenset(("site", site) for site in config.tables.zones)
    assert core_policy(config) == CorePolicy(zones=config.tables.zones, detectors=detectors, named=named)


def test_windows_take_the_finest_panes_kept_long_enough() -> None:
    policy = core_policy(
        of("tables: {windows: [3h, 195m, 2d, 3d, shift], shifts: [23:00, 07:00, 15:15]}\nmetrics: {window: 3h}")
    )
    assert policy.windows == (
        Window("3h", 0, 3 * HOUR_MS),
        Window("195m", 1, 195 * MINUTE_MS),
        Window("2d", 1, 2 * DAY_MS),
        Window("3d", 2, 3 * DAY_MS),
        Window("shift", 1, starts_min=(420, 915, 1380)),
    )


def test_series_follow_a_narrowed_list_of_scopes() -> None:
    config = of("tables: {scopes: [[], [queue], [labeler]]}")
    kinds = exported_kinds(config)
    assert kinds["1h"] == {frozenset(), frozenset({"queue"})}
    assert kinds["8h"] == {frozenset({"queue"})}


def test_sla_classes_are_milliseconds() -> None:
    assert sla_classes_ms(of("targets: {sla_classes: {fast: 90s}}")) == {"fast": 90_000}


def test_client_arguments_carry_the_secrets_and_nothing_needless() -> None:
    plain = FloorwatchConfig()
    assert kafka_options(plain.kafka) == {"bootstrap_servers": ["127.0.0.1:9092"], "security_protocol": "PLAINTEXT"}
    assert redis_options(plain.redis) == {"url": "redis://127.0.0.1:6379/0"}
    secure = of("kafka: {security: {protocol: SASL_SSL, username: bob, password: pw}}\nredis: {password: pw}")
    options = kafka_options(secure.kafka)
    assert options["sasl_plain_password"] == "pw"
    assert options["ssl_context"].check_hostname
    assert redis_options(secure.redis)["password"] == "pw"


def test_tiers_are_a_rule_s_own_or_those_of_its_severity() -> None:
    config = of(
        """
        alerts:
          routes: {default: [console], lead: [console]}
          group_wait_s: 90s
          board_url: https://grafana.example
          runbook_url: https://wiki.example/floorwatch
          escalate: {page: [{after: 15m, route: lead}]}
          rules:
            - {name: shared, kind: backlog_age, severity: page}
            - {name: own, kind: backlog_age, severity: page, escalate: [{after: 90s, route: default}, {after: 1h, route: lead}]}
            - {name: nobody, kind: backlog_age, severity: page, escalate: []}
            - {name: info, kind: backlog_age, severity: info}
        """
    )
    base = incident_policy(config)
    assert base == IncidentPolicy(
        board_base_url="https://grafana.example/",
        runbook_base_url="https://wiki.example/floorwatch/",
    )
    routes = routing_policy(config).routes
    told = {(route.notify, route.group_wait_ms) for route in routes.values()}
    assert (told, set(routes)) == ({(("channel:console",), 90_000)}, {"default", "lead"})
    tiers = {rule.name: policy_of(rule, base).tiers for rule in config.rules}
    assert tiers == {
        "shared": (EscalationTier(15 * MINUTE_MS, "lead"),),
        "own": (EscalationTier(90_000, "default"), EscalationTier(HOUR_MS, "lead")),
        "nobody": (),
        "info": (),
    }


def test_a_page_that_nobody_takes_is_told_once_more_unless_configured() -> None:
    config = FloorwatchConfig()
    base = incident_policy(config)
    assert base == IncidentPolicy()
    for rule in config.rules:
        expected = (EscalationTier(30 * MINUTE_MS, "default"),) if rule.severity == "page" else ()
        assert policy_of(rule, base).tiers == expected
