"""What alerts asked of people: messages by person or route, in a shift, outside hours; times to acknowledge and to the end. Pure.

It reads who was told from the incidents, as their log has it, so a message counts when it was decided, sent or not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Literal

from msgspec import Struct

from alerts.dues import group_of, is_end
from alerts.incident import Incident
from alerts.oncall.duty import active, duties
from alerts.oncall.local_time import instant_ms, local_at, merged
from alerts.oncall.policy import RotaFacts
from alerts.routing.policy import RoutingPolicy
from streams.core.formatting import UTC_ZONE
from streams.models.timestamps import DAY_MS

NIGHT_FROM_H, NIGHT_TO_H = 22, 7
"""Hours of the local clock between which a page is outside hours, where its route has no quiet hours."""

MOST_DAYS = 400
"""Days of which shifts are counted."""

_PERSON = "person:"


class Burden(Struct, frozen=True):
    """What alerts asked of a receiver, or by a route. A time is None where there is nothing to tell it from.

    Attributes:
        who: ``person:mei``, ``channel:ops`` or ``schedule:kul-lead``; or the name of a route.
        messages: Different messages; one that tells of several incidents is one.
        pages: Those of them that tell of the beginning, a reopening or an escalation of a page.
        outside_hours: Pages in the quiet hours of their route; where it has none, between 22:00 and 07:00 of the reader's clock.
        shifts: Turns on duty of the person in that time; days of the local clock where there are none.
        per_shift: ``messages / shifts``.
        most_in_shift: Messages in the shift that had the most. A message outside of all turns counts to its local day.
        incidents: Incidents that it was told of.
        acknowledged: Those that somebody acknowledged after that.
        acknowledge_s: Median time from being told to the first acknowledgement, in seconds of wall time.
        resolved: Incidents of whose end it was told.
        resolve_s: Median time from being told of the beginning to being told of the end, in seconds of wall time.
    """

    who: str
    messages: int
    pages: int
    outside_hours: int
    shifts: int
    per_shift: float
    most_in_shift: int
    incidents: int
    acknowledged: int
    acknowledge_s: float | None
    resolved: int
    resolve_s: float | None


class _ToldStep(Struct, frozen=True):
    """One step of one incident that somebody was told in a message."""

    who: str
    route: str
    notice: str
    at_ms: int
    key: str
    page: bool
    end: bool
    zone: str


class World(Struct, frozen=True):
    """What messages are judged by.

    Attributes:
        policy: Routes, people, schedules and calendars of the configuration.
        facts: What the log says about schedules and calendars.
        routes: By id of a group, its route.
        now_ms: Wall time up to which shifts are counted.
    """

    policy: RoutingPolicy
    facts: RotaFacts
    routes: Mapping[str, str]
    now_ms: int


def burdens(
    by: Literal["person", "route"],
    incidents: Iterable[Incident],
    acknowledged_ms: Mapping[str, Sequence[int]],
    world: World,
    since_ms: int | None = None,
) -> list[Burden]:
    """Return what alerts asked of each receiver, or by each route: the most messages first.

    Args:
        by: ``person``: every receiver, channels too. ``route``: the routes that told.
        incidents: The last state of each.
        acknowledged_ms: When each incident was acknowledged (wall time), by key.
        world: What messages are judged by.
        since_ms: Only what was told at this wall time or later; None: all.
    """
    told: dict[str, list[_ToldStep]] = defaultdict(list)
    for one in _all_told(by, incidents, world):
        if since_ms is None or one.at_ms >= since_ms:
            told[one.who].append(one)
    first_ms = min((one.at_ms for some in told.values() for one in some), default=world.now_ms)
    from_ms = max(first_ms if since_ms is None else since_ms, world.now_ms - MOST_DAYS * DAY_MS)
    turns = _turns(world, from_ms) if by == "person" else {}
    found = [_burden(who, some, acknowledged_ms, world, from_ms, turns.get(who, [])) for who, some in told.items()]
    return sorted(found, key=lambda one: (-one.messages, one.who))


def _all_told(by: str, incidents: Iterable[Incident], world: World) -> Iterable[_ToldStep]:
    for incident in incidents:
        for one in incident.told_people:
            route = world.routes.get(group_of(one.notice)) or world.routes.get(
                group_of(one.notice).partition(".")[0], ""
            )
            begins = one.step.startswith(("open", "reopened", "escalated"))
            yield _ToldStep(
                who=one.receiver if by == "person" else route or "unknown",
                route=route,
                notice=one.notice,
                at_ms=one.at_ms,
                key=incident.key,
                page=incident.severity == "page" and begins,
                end=is_end(one.step),
                zone=_zone(world.policy, one.receiver, route),
            )


def _burden(
    who: str,
    told: list[_ToldStep],
    acknowledged_ms: Mapping[str, Sequence[int]],
    world: World,
    from_ms: int,
    turns: list[tuple[int, int]],
) -> Burden:
    messages = {one.notice: one for one in told}
    pages = {one.notice: one for one in reversed(told) if one.page}  # of several readers, the clock of the first
    zone = _zone(world.policy, who, who)
    spans = turns or _days(zone, from_ms, world.now_ms)
    begun, over = _first(told, end=False), _first(told, end=True)
    taken = [
        later / 1000
        for key, at_ms in begun.items()
        if (later := min((ack - at_ms for ack in acknowledged_ms.get(key, ()) if ack >= at_ms), default=None))
        is not None
    ]
    ended = [(over[key] - at_ms) / 1000 for key, at_ms in begun.items() if key in over and over[key] >= at_ms]
    in_shift = Counter(_shift(spans, zone, one.at_ms) for one in messages.values())
    return Burden(
        who=who,
        messages=len(messages),
        pages=len(pages),
        outside_hours=sum(_outside(world, one) for one in pages.values()),
        shifts=len(spans),
        per_shift=len(messages) / max(1, len(spans)),
        most_in_shift=max(in_shift.values()),
        incidents=len({one.key for one in told}),
        acknowledged=len(taken),
        acknowledge_s=median(taken) if taken else None,
        resolved=len(ended),
        resolve_s=median(ended) if ended else None,
    )


def _first(told: Iterable[_ToldStep], *, end: bool) -> dict[str, int]:
    """Return by incident when it was first told, or when its end was last told."""
    found: dict[str, int] = {}
    for one in told:
        if one.end == end:
            best = max if end else min
            found[one.key] = best(one.at_ms, found.get(one.key, one.at_ms))
    return found


def _zone(policy: RoutingPolicy, who: str, route: str) -> str:
    """Return the zone of a person, else that of a route, else UTC."""
    person = policy.people.get(who.removeprefix(_PERSON)) if who.startswith(_PERSON) else None
    how = policy.routes.get(route)
    return person.zone if person is not None else (how.zone if how is not None and how.zone else UTC_ZONE)


def _outside(world: World, one: _ToldStep) -> bool:
    """Tell whether a message came outside hours."""
    route = world.policy.routes.get(one.route)
    names = [name for name in route.quiet if name in world.policy.calendars] if route is not None else []
    if names:
        return any(active(world.policy.calendars[name], world.facts, one.at_ms) is not None for name in names)
    hour = local_at(one.at_ms, one.zone).hour
    return hour >= NIGHT_FROM_H or hour < NIGHT_TO_H


def _turns(world: World, from_ms: int) -> dict[str, list[tuple[int, int]]]:
    """Return by receiver when a person was on duty, in any schedule; turns that touch in one schedule are one."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for schedule in world.policy.schedules.values():
        for span in duties(schedule, world.facts, from_ms, world.now_ms + 1):
            for duty in span.duties:
                found[f"{_PERSON}{duty.person}"].append((span.from_ms, span.to_ms))
    return {who: merged(spans) for who, spans in found.items()}


def _days(zone: str, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """Return the days of the local clock that touch a time."""
    day = local_at(from_ms, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    while (begin := instant_ms(day, zone)) <= to_ms:
        day += timedelta(days=1)
        found.append((begin, instant_ms(day, zone)))
    return found


def _shift(spans: Iterable[tuple[int, int]], zone: str, at_ms: int) -> str:
    """Return in which shift a time is; outside of all, its local day."""
    return next((str(begin) for begin, end in spans if begin <= at_ms < end), f"day {local_at(at_ms, zone).date()}")
