"""Ten given incidents: whom `floorwatch rules route` says they go to, and why."""

from __future__ import annotations

import os
from pathlib import Path

from alerts.oncall.policy import RotaFacts
from alerts.routing.explain import explain
from alerts.scopes import scope_words
from floorwatch.settings.load import loads
from floorwatch.settings.policies import routing_policy
from floorwatch.settings.rule_tests import GivenIncident, subject_of

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "ten_incidents.txt"
INCIDENTS: tuple[tuple[str, str | None, dict[str, str]], ...] = (
    ("vendor-accuracy", None, {"vendor": "bpo-a"}),
    ("vendor-accuracy", None, {"vendor": "bpo-b"}),
    ("vendor-accuracy", None, {"vendor": "inhouse"}),
    ("vendor-queue", None, {"vendor": "bpo-a", "queue": "hate"}),
    ("queue-sla", None, {"queue": "comments-live"}),
    ("queue-sla", None, {"queue": "ads"}),
    ("site-throughput", None, {"site": "kul"}),
    ("site-throughput", "page", {"site": "pen"}),
    ("labeler-accuracy", None, {"labeler": "ana"}),
    ("floor", None, {}),
)
CONFIG = """
alerts:
  channels:
    {ops: {type: console}, phone: {type: console}, bpo-a: {type: console}, bpo-b: {type: console}, kul: {type: console},
     coach: {type: console}, live: {type: console}}
  routes: {default: [ops], lead: [ops, phone], bpo-a: [bpo-a], bpo-b: [bpo-b], kul: [kul], coach: [coach], live: [live, phone]}
  escalate: {page: [{after: 15m, route: lead}]}
  routing:
    - {match: [kind=exposure_cap], route: coach}
    - {match: ["labeler!="], route: coach}
    - match: ["vendor=~bpo-.*"]
      continue: true
      routes:
        - {match: [vendor=bpo-a], route: bpo-a}
        - {match: [vendor=bpo-b], route: bpo-b}
    - match: ["site=~kul|pen"]
      route: kul
      routes: [{match: [severity=page], route: lead}]
    - {match: ["queue=~comments.*", "severity!=info"], route: live}
  rules:
    - {name: vendor-accuracy, kind: accuracy_low, scope: {by: vendor}, window: 8h, severity: page}
    - {name: vendor-queue, kind: accuracy_low, scope: {by: [vendor, queue]}, window: 24h, severity: warn}
    - {name: queue-sla, kind: sla_attainment, scope: {by: queue}, window: 8h, severity: page,
       escalate: [{after: 5m, route: default}, {after: 1h, route: lead}]}
    - {name: site-throughput, kind: throughput_drop, scope: {by: site}, window: 1h, severity: warn}
    - {name: labeler-accuracy, kind: accuracy_low, scope: {by: labeler}, window: 7d, severity: info}
    - {name: floor, kind: accuracy_low, scope: all, window: 24h, severity: page, route: lead}
"""


def test_ten_incidents_are_explained() -> None:
    config = loads(CONFIG, {}, name="ten.yaml", base=HERE)
    policy, rules = routing_policy(config), {rule.name: rule for rule in config.rules}
    blocks = []
    for rule, severity, scope in INCIDENTS:
        subject = subject_of(GivenIncident.model_validate({"rule": rule, "severity": severity, "scope": scope}), rules)
        assert not isinstance(subject, str)
        head = f"A {subject.severity} of {rule} on {scope_words(scope)}:"
        blocks.append("\n".join([head, *(f"  {line}" for line in explain(policy, subject, RotaFacts(), 0))]))
    text = "\n\n".join(blocks) + "\n"
    if os.environ.get("FLOORWATCH_UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
