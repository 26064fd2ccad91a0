"""First match or continue, entries below entries: the same routes as Alertmanager finds, and what a rule may reach."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.oncall.policy import RotaFacts
from alerts.routing.explain import explain, target_words
from alerts.routing.matchers import fits_value, parse_matcher
from alerts.routing.policy import (
    EscalationPolicy,
    PersonPolicy,
    RoutePolicy,
    RoutingEntry,
    RoutingPolicy,
    RuleTier,
    Subject,
    TierPolicy,
)
from alerts.routing.reach import falls_through, reached
from alerts.routing.routes import asked, routes_of, targets
from tests.support import require, seeds

SCOPE = {"vendor": ("", "bpo-a", "bpo-b"), "site": ("", "kul", "pen"), "queue": ("", "hate")}
TEXTS = (
    *("vendor=bpo-a", "vendor!=bpo-a", "vendor=~bpo-.*", "vendor!~bpo-a|inhouse", "vendor=", "site=kul"),
    *(
        "site=~kul|pen",
        "site!=",
        "queue=~h.t",
        "severity=page",
        "severity!=info",
        "severity=~page|warn",
        "kind!=rushing",
    ),
)


def tree(draw: random.Random, depth: int = 0) -> tuple[RoutingEntry, ...]:
    """Return random entries; each route has a name of its own."""
    entries = []
    for _ in range(draw.randint(1 if depth == 0 else 0, 3)):
        match = tuple(parse_matcher(text) for text in draw.sample(TEXTS, draw.randint(0 if depth else 1, 2)))
        below = tree(draw, depth + 1) if depth < 2 and draw.random() < 0.5 else ()
        name = None if draw.random() < 0.2 else f"r{draw.getrandbits(40):x}"
        entries.append(RoutingEntry(match, name, draw.random() < 0.4, below))
    return tuple(entries)


def names(entries: tuple[RoutingEntry, ...]) -> list[str]:
    found = [one.route for one in entries if one.route is not None]
    return found + [name for one in entries for name in names(one.entries)]


def subjects(draw: random.Random, count: int) -> list[Subject]:
    found = []
    for _ in range(count):
        scope = {name: value for name, values in SCOPE.items() if (value := draw.choice(values))}
        severity = draw.choice(("page", "warn", "info"))
        found.append(Subject("k", draw.choice(("rushing", "accuracy_low")), "r", severity, scope))  # type: ignore[arg-type]
    return found


def policy_of(entries: tuple[RoutingEntry, ...]) -> RoutingPolicy:
    routes = {name: RoutePolicy(name, ("channel:ops",)) for name in ("own", "default", *names(entries))}
    return RoutingPolicy(routes, entries, {"r": "own"}, channels=("ops",))


def translated(entries: tuple[RoutingEntry, ...]) -> list[dict[str, object]]:
    """Return entries as routes of Alertmanager."""
    found = []
    for one in entries:
        quoted = [f"{matcher.name}{matcher.op}{json.dumps(matcher.text)}" for matcher in one.match]
        route: dict[str, object] = {"matchers": quoted, "continue": one.go_on, "routes": translated(one.entries)}
        found.append(route | ({} if one.route is None else {"receiver": one.route}))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(40, 200))
def test_the_routes_are_those_of_alertmanager(seed: int, tmp_path: Path) -> None:
    amtool = require("amtool")
    draw = random.Random(seed)
    entries = tree(draw)
    policy = policy_of(entries)
    file = tmp_path / "alertmanager.yml"  # JSON is YAML
    receivers = [{"name": name} for name in ("own", *names(entries))]
    file.write_text(json.dumps({"route": {"receiver": "own", "routes": translated(entries)}, "receivers": receivers}))
    for subject in subjects(draw, 3):
        labels = {**subject.scope, "severity": subject.severity, "kind": subject.kind, "rule": subject.rule}
        said = subprocess.run(
            [amtool, "config", "routes", "test", f"--config.file={file}", *(f"{k}={v}" for k, v in labels.items())],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        assert [match.route.name for match in routes_of(policy, subject)] == list(dict.fromkeys(said.split(",")))


@given(st.integers(0, 2**32))
def test_what_is_explained_is_what_is_told(seed: int) -> None:
    draw = random.Random(seed)
    entries = tree(draw)
    policy = policy_of(entries)
    people = {
        "mei": PersonPolicy("mei", "UTC", {"page": ("sms", "ops"), "warn": ("ops",)}),
        "sam": PersonPolicy("sam", "UTC", {}),
    }
    receivers = (
        "channel:ops",
        "channel:gone",
        "channel:sms",
        "person:mei",
        "person:sam",
        "person:nobody",
        "schedule:kul",
    )
    routes = {
        name: RoutePolicy(name, tuple(draw.sample(receivers, draw.randint(0, 4))), escalation=draw.choice((None, "up")))
        for name in policy.routes
    }
    policy = RoutingPolicy(
        routes,
        entries,
        {"r": "own"},
        {"r": (RuleTier(60_000, "default"),)},
        people=people,
        channels=("ops", "sms"),
        escalations={
            "up": EscalationPolicy("up", (TierPolicy(("person:mei",), 60_000), TierPolicy(("channel:sms",), 60_000)))
        },
    )
    for subject in subjects(draw, 2):
        lines = explain(policy, subject, RotaFacts(), 0)
        matches = routes_of(policy, subject)
        heads = [place for place, line in enumerate(lines) if line.startswith("route ")]
        assert [lines[place] for place in heads] == [f"route {one.route.name}: {one.why}" for one in matches]
        seen: set[str] = set()
        for match, begin, end in zip(matches, heads, [*heads[1:], len(lines)], strict=True):
            part = lines[begin + 1 : end]
            tiers = (0, 1) if match.route.escalation else (0,)
            found = [
                one for tier in tiers for one in targets(policy, match.route, subject.severity, tier, RotaFacts(), 0)
            ]
            told = []
            for one in found:
                if one.receiver not in seen:
                    told.append(f"  {target_words(one)}")
                seen.add(one.receiver)
            assert [line for line in part if line.startswith("  tells")] == told
            assert bool(told) is not bool({"  nobody is told", "  nobody else is told"} & {*part})
            assert ("  nobody else is told" in part) is (not told and bool(found))


@given(st.integers(0, 2**32))
def test_what_a_rule_may_reach_holds_what_its_incidents_take(seed: int) -> None:
    draw = random.Random(seed)
    entries = tree(draw)
    for subject in subjects(draw, 3):
        known = {"kind": subject.kind, "rule": subject.rule, "severity": subject.severity}
        open_names = [name for name in subject.scope if draw.random() < 0.7]
        known |= {name: value for name, value in subject.scope.items() if name not in open_names}
        taken = {one.place for one in asked(entries, subject) if one.taken}
        may = {one.place: one for one in reached(entries, known, open_names)}
        assert taken <= may.keys()
        if not taken:
            assert falls_through(entries, known, open_names)
        assert {place for place, one in may.items() if one.surely} <= taken


def test_nothing_below_is_asked_of_what_does_not_fit() -> None:
    kul = RoutingEntry((parse_matcher("site=kul"),), "kul", entries=(RoutingEntry((), "night"),))
    policy = policy_of((kul,))
    (elsewhere,) = asked(policy.entries, Subject("k", "a", "r", "page", {"site": "pen"}))
    assert elsewhere.failed is not None
    assert not fits_value(elsewhere.failed, "pen")
    assert [one.route.name for one in routes_of(policy, Subject("k", "a", "r", "page", {"site": "kul"}))] == ["night"]
