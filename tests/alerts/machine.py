"""A shell in miniature around the incident machine, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.codec import Input
from alerts.incident import Ack, Effect, Incident, Notify, Silence, Tick
from alerts.lifecycle import EscalationTier, IncidentPolicy, step
from alerts.scopes import board_path
from alerts.signals import Contributor, Signal
from tests.alerts.rows import MINUTE_MS, NOW_MS

POLICY = IncidentPolicy(
    severity="page",
    route="leads",
    open_after=2,
    resolve_after=2,
    tiers=(EscalationTier(10 * MINUTE_MS, "second-line"), EscalationTier(30 * MINUTE_MS, "manager")),
    board_base_url="https://grafana.example",
    runbook_base_url="https://floorwatch.example/",
)


def signal(firing: bool, at_ms: int = NOW_MS, **more: object) -> Signal:
    """A signal of accuracy_low on vendor bpo-a."""
    fields: dict[str, object] = {
        "rule": "accuracy-low-vendor",
        "kind": "accuracy_low",
        "scope": {"vendor": "bpo-a"},
        "scope_key": "vendor=bpo-a",
        "firing": firing,
        "value": 0.881 if firing else 0.95,
        "target": 0.95,
        "evidence": "accuracy 88.1% (95% interval 85.0–90.7%) over 512 audits in the last 1h, target 95%"
        if firing
        else "fine",
        "since_ms": at_ms - 59 * MINUTE_MS,
        "watermark_ms": at_ms,
        "window": "1h",
        "contributors": (Contributor("queue", "hate", -5.2, 2400, "79.2% of 120 audits; 71% of the excess"),),
        "examples": ("t-1001", "t-1002"),
        "board_path": board_path({"vendor": "bpo-a"}, "1h", at_ms - 59 * MINUTE_MS),
        "figures": {"wrong": 61, "audited": 512} if firing else {},
        "runbook_path": "docs/runbooks/accuracy_low.md",
    }
    return Signal(**{**fields, **more})  # type: ignore[arg-type]


def move(what: str, at_ms: int, key: str, **more: object) -> Input:
    """An input by name: ``on``, ``off``, ``ack``, ``silence`` (half an hour), else a tick; ``more`` are fields of signals."""
    match what:
        case "on" | "off":
            return signal(what == "on", at_ms, **more)
        case "ack":
            return Ack(key, "mei", at_ms)
        case "silence":
            return Silence(key, "mei", at_ms, at_ms + 30 * MINUTE_MS)
        case _:
            return Tick(at_ms, at_ms)


def run(
    events: Sequence[object],
    incident: Incident | None = None,
    policy: IncidentPolicy = POLICY,
    *,
    inhibited: bool = False,
) -> tuple[Incident | None, list[Effect]]:
    """All events in order, without stamps; the last incident and all effects."""
    effects: list[Effect] = []
    for event in events:
        incident, more = step(incident, event, policy, inhibited=inhibited)  # type: ignore[arg-type]
        effects += more
    return incident, effects


def steps(effects: list[Effect]) -> list[str]:
    """The names of the notifications among effects."""
    return [effect.step for effect in effects if isinstance(effect, Notify)]


def opened(policy: IncidentPolicy = POLICY) -> Incident:
    """An open incident of which people know."""
    incident, _ = run([signal(True)] * policy.open_after, policy=policy)
    if incident is None:
        raise RuntimeError("the incident should be open")
    return incident
