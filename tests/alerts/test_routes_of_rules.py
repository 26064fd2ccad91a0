"""An incident takes the route that its rule names, else the default one; a route tells its channels."""

from __future__ import annotations

from alerts.notice import Target
from alerts.oncall.policy import RotaFacts
from alerts.routing.explain import explain
from alerts.routing.policy import EscalationPolicy, RoutePolicy, RoutingPolicy, Subject, TierPolicy
from alerts.routing.routes import group_id, routes_of, targets

SUBJECT = Subject("k", "accuracy_low", "quality", "page", {"vendor": "bpo-a"})
OPS = RoutePolicy("default", ("channel:ops",))
LEAD = RoutePolicy("lead", ("channel:ops", "channel:sms", "channel:gone", "channel:ops"), escalation="up")
POLICY = RoutingPolicy(
    routes={"default": OPS, "lead": LEAD},
    rule_routes={"quality": "lead", "orphan": "nowhere"},
    escalations={"up": EscalationPolicy("up", (TierPolicy(("channel:sms",), 600_000),))},
    channels=("ops", "sms"),
)
FACTS = RotaFacts()


def subject(rule: str, **scope: str) -> Subject:
    return Subject("k", "accuracy_low", rule, "page", scope)


def test_a_rule_names_its_route() -> None:
    assert [match.route.name for match in routes_of(POLICY, SUBJECT)] == ["lead"]
    for rule in ("another", "orphan"):
        assert [match.route.name for match in routes_of(POLICY, subject(rule))] == ["default"]


def test_a_route_tells_each_channel_that_there_is_once() -> None:
    told = targets(POLICY, LEAD, "page", 0, FACTS, 0)
    assert told == tuple(Target(f"channel:{name}", (name,), "route lead") for name in ("ops", "sms"))
    assert [one.channels for one in targets(POLICY, LEAD, "page", 1, FACTS, 0)] == [("sms",)]
    assert targets(POLICY, LEAD, "page", 2, FACTS, 0) == targets(POLICY, OPS, "page", 1, FACTS, 0) == ()
    assert explain(POLICY, SUBJECT, FACTS, 0)[0] == "route lead: rule quality names it"


def test_a_group_is_a_route_and_the_values_it_keeps_apart() -> None:
    by_vendor = RoutePolicy("v", (), group_by=("vendor", "kind"))
    ids = {
        group_id(by_vendor, subject("a", vendor="x")),
        group_id(by_vendor, subject("a", vendor="y")),
        group_id(by_vendor, subject("a", queue="x")),
        group_id(OPS, subject("a", vendor="x")),
        group_id(LEAD, subject("a", vendor="x")),
    }
    assert len(ids) == 5
    assert group_id(by_vendor, subject("a", vendor="x")) == group_id(by_vendor, subject("b", vendor="x", queue="q"))
    assert group_id(OPS, SUBJECT) == group_id(OPS, subject("b"))
