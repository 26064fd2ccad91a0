"""Whoever asks for it has the next step of escalation told, also where a route has an escalation of its own."""

from __future__ import annotations

from msgspec import structs

from alerts.dues import NO_TIER
from alerts.routing.policy import EscalationPolicy, RoutePolicy, TierPolicy
from tests.alerts.rows import MINUTE_MS
from tests.alerts.test_telling import Floor, one, routed


def test_the_next_step_of_a_routes_own_escalation_is_told_to_who_asks_for_it() -> None:
    tiers = tuple(TierPolicy((f"channel:{name}",), 10 * MINUTE_MS) for name in ("ops", "boss", "wall"))
    route = RoutePolicy("default", ("channel:wall",), escalation="kul")
    policy = structs.replace(routed(default=route), escalations={"kul": EscalationPolicy("kul", tiers)})
    floor = Floor(policy, one({"queue": "a"}))
    key = "queue=a/accuracy_low"
    floor.look()
    floor.change(key, asked_tier=floor.now[key].tier + 1)
    assert floor.look(1) == [(("boss",), [(key, "escalated-0-2")])]
    assert floor.look(1) == []
    floor.change(key, asked_tier=floor.now[key].tier + 1)
    assert floor.look(1) == [(("wall",), [(key, "escalated-0-3")])]
    floor.change(key, asked_tier=floor.now[key].tier + 1)
    assert floor.look(60) == []
    assert [(hold.why, hold.by) for hold in floor.now[key].held] == [("nobody", NO_TIER)]
