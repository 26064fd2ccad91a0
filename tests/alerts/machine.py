"""A shell in miniature around the incident machine, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from alerts.codec import Input
from alerts.dues import Scene
from alerts.incident import Ack, Act, Incident, Notify, Silence, Stamp, Tick
from alerts.lifecycle import EscalationTier, IncidentPolicy, step
from alerts.notice import IncidentGroup
from alerts.routing.policy import RoutePolicy, RoutingPolicy
from alerts.scopes import board_path
from alerts.signals import Contributor, Signal
from alerts.telling import tell
from tests.alerts.rows import MINUTE_MS, NOW_MS

POLICY = IncidentPolicy(
    severity="page",
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
    """An input by name: ``on``, ``off``, ``ack``, ``silence`` and ``snooze`` (half an hour), other acts, else a tick.

    ``more`` are fields of signals and acts.
    """
    match what:
        case "on" | "off":
            return signal(what == "on", at_ms, **more)
        case "ack":
            return Ack(key, "mei", at_ms)
        case "silence":
            return Silence(key, "mei", at_ms, at_ms + 30 * MINUTE_MS)
        case "snooze" | "comment" | "owner" | "link" | "escalate" | "merge" | "unmerge" | "useful" | "not_useful":
            until_ms = at_ms + 30 * MINUTE_MS if what == "snooze" else None
            given = {"note": "seen", "target": TARGETS.get(what, ""), "until_ms": until_ms, **more}
            return Act(what, key, "mei", at_ms, **given)  # type: ignore[arg-type]
        case _:
            return Tick(at_ms, at_ms)


TARGETS = {"owner": "lee", "link": "https://wiki.example/a", "merge": "f" * 32}


def routing(interval_ms: int = 0, wait_ms: int = 0, **routes: tuple[str, ...]) -> RoutingPolicy:
    """Routes by name with their channels; some have one of their own name."""
    own = ("default", "lead", "leads", "manager", "second-line")
    named = {name: (name,) for name in own} | routes
    made = {
        name: RoutePolicy(
            name, tuple(f"channel:{one}" for one in channels), group_wait_ms=wait_ms, group_interval_ms=interval_ms
        )
        for name, channels in named.items()
    }
    channels = tuple(sorted({one for channels in named.values() for one in channels}))
    return RoutingPolicy(made, rule_routes={"accuracy-low-vendor": "leads"}, channels=channels)


ROUTING = routing()


def run(
    events: Sequence[object],
    incident: Incident | None = None,
    policy: IncidentPolicy = POLICY,
    how: RoutingPolicy = ROUTING,
) -> tuple[Incident | None, list[Notify]]:
    """All events in order, each followed by what is told then; the last incident and all messages.

    Wall time is that of the last action or tick; it begins at 0.
    """
    scene = Scene(how, tiers={"accuracy-low-vendor": policy.tiers})
    messages: list[Notify] = []
    groups: dict[str, IncidentGroup] = {}
    wall_ms = 0 if incident is None else max((one.at_ms for one in incident.told_people), default=0)
    for number, event in enumerate(events):
        incident = step(incident, event, policy)  # type: ignore[arg-type]
        wall_ms = getattr(event, "at_ms", wall_ms)
        if incident is None:
            continue
        told = tell(scene, [incident], groups, wall_ms, Stamp(0, number))
        assert not told.faults
        incident = structs.replace(told.incidents.get(incident.key, incident), stamp=None)
        groups |= told.groups
        messages += [
            Notify(
                one.id,
                one.step,
                one.route,
                incident,
                channels=tuple(name for to in one.targets for name in to.channels),
            )
            for one in told.notices
        ]
    return incident, messages


def steps(messages: list[Notify]) -> list[str]:
    """The steps of messages."""
    return [one.step for one in messages]


def opened(policy: IncidentPolicy = POLICY) -> Incident:
    """An open incident of which people know."""
    incident, _ = run([signal(True)] * policy.open_after, policy=policy)
    if incident is None:
        raise RuntimeError("the incident should be open")
    return incident
