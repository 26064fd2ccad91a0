"""What is due to be told of an incident: openings, tiers of escalation, reminders and ends, by route and receiver. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct, field, structs

from alerts.flapping import is_owed, know, opening_step
from alerts.incident import Hold, Incident, ToldReceiver
from alerts.lifecycle import EscalationTier
from alerts.notice import DIGEST, IncidentGroup, Target, is_digest
from alerts.oncall.local_time import next_daily_ms
from alerts.oncall.policy import RotaFacts
from alerts.routing.openings import opening_targets, steps_of
from alerts.routing.policy import DEFAULT_ROUTE, Match, RoutePolicy, RoutingPolicy, Subject
from alerts.routing.routes import around, group_id, holds, routes_of, targets

NO_TIER = "no further tier"
"""Who holds an escalation that somebody asked for and that has nobody left to tell."""

WAS_HELD = "held by maintenance "
"""In why somebody was told: what kept it until then, and from when to when."""

UTC = "UTC"
MOST_TOLD = 50
"""Entries kept of who was told of an incident."""
EARLY = 4
"""A reminder that is due within a fourth (1 / EARLY) of its time goes with a message that its group sends anyway."""


class Due(Struct, frozen=True):
    """A step of one incident that a group tells to ``targets``.

    ``hold`` is what keeps it from being told now. ``early``: it is not due yet, and only goes with what is.
    """

    incident: Incident
    route: RoutePolicy
    group: str
    kind: Literal["opening", "tier", "reminder", "end"]
    step: str
    targets: tuple[Target, ...]
    hold: Hold | None = None
    early: bool = False


class Scene(Struct):
    """What decides who is told, besides the incidents.

    Attributes:
        policy: Routes, people, calendars of the configuration.
        facts: What the log says about schedules.
        tiers: By rule, its tiers of escalation, for routes that have no escalation.
        taken: The routes of each incident, once they were asked for.
    """

    policy: RoutingPolicy
    facts: RotaFacts = field(default_factory=RotaFacts)
    tiers: Mapping[str, tuple[EscalationTier, ...]] = field(default_factory=dict)
    taken: dict[tuple[str, str], tuple[Match, ...]] = field(default_factory=dict)

    def routes(self, subject: Subject) -> tuple[Match, ...]:
        """Return the routes that an incident takes."""
        key = (subject.key, subject.severity)
        if key not in self.taken:
            self.taken[key] = routes_of(self.policy, subject)
        return self.taken[key]

    def named(self, route: str) -> RoutePolicy:
        """Return a route, or the default one where it is configured no more."""
        return self.policy.routes.get(route) or self.policy.routes[DEFAULT_ROUTE]


def told_now(incident: Incident) -> dict[str, ToldReceiver]:
    """Return by receiver what it was first told of the present firing, with all channels used since.

    Who was told of the end is not among them.
    """
    found: dict[str, ToldReceiver] = {}
    for one in incident.told_people:
        if is_end(one.step):
            found.pop(one.receiver, None)
        elif one.receiver in found:
            before = found[one.receiver]
            used = tuple(dict.fromkeys((*before.channels, *one.channels)))
            found[one.receiver] = structs.replace(before, channels=used)
        else:
            found[one.receiver] = one
    return found


def is_end(step: str) -> bool:
    """Tell whether a step is an incident's end."""
    return step.startswith("resolved")


def is_reminder(step: str) -> bool:
    """Tell whether a step says again that an incident is open."""
    return step.startswith("reminder")


def group_of(notice: str) -> str:
    """Return the id of a notice's group."""
    return notice.partition(":")[0]


def dues(scene: Scene, incident: Incident, groups: Mapping[str, IncidentGroup], now_ms: int) -> list[Due]:
    """Return what is due of an incident at a time, whether something holds it or not.

    Args:
        scene: The configuration and the schedules.
        incident: The incident as of that time.
        groups: Groups by id.
        now_ms: Wall time of a tick of the log.
    """
    if incident.state == "resolved":
        return list(_ends(scene, incident, groups, now_ms))
    if not incident.live:
        return []
    subject = Subject.of(incident)
    told = told_now(incident)
    found = _woken(scene, incident, groups)
    if incident.state == "acknowledged":
        return [structs.replace(one, hold=_hold(scene, one, subject, now_ms)) for one in found]
    asked = know(incident, frozenset(told))
    # What waits for a digest keeps no other route from telling it at once.
    for match in sorted(scene.routes(subject), key=lambda one: _is_kept(one.route, incident)):
        group = group_id(match.route, subject)
        opening = _opening(scene, incident, match.route, group, asked, now_ms)
        if opening is not None:
            if _hold(scene, opening, subject, now_ms) is None:  # what one route holds back, another may tell
                asked.update(one.receiver for one in opening.targets)
            found.append(opening)
        if group in incident.groups and (incident.flapping is None or incident.asked_tier):
            found += _tier(scene, incident, match.route, group, now_ms)
        if group in incident.groups and incident.flapping is None:
            heard = {one.receiver for due in found for one in due.targets}
            found += _reminder(incident, match.route, group, heard, now_ms)
    if not _may_escalate(scene, incident):
        match, hold = scene.routes(subject)[0], Hold("nobody", NO_TIER)
        found.append(Due(incident, match.route, group_id(match.route, subject), "tier", "escalated", (), hold))
    return [structs.replace(one, hold=_hold(scene, one, subject, now_ms) or one.hold) for one in found]


def _opening(
    scene: Scene, incident: Incident, route: RoutePolicy, group: str, asked: set[str], now_ms: int
) -> Due | None:
    begun = group in incident.groups and not is_owed(incident)
    owed = {name for hold in incident.held for name in hold.receivers}
    if begun and not owed:
        return None
    found = opening_targets(scene.policy, route, Subject.of(incident), scene.facts, now_ms)
    wanted = (one for one in found if one.receiver not in asked)
    chosen = tuple(one for one in wanted if not begun or one.receiver in owed)
    step = opening_step(incident)
    if chosen:
        return Due(incident, route, _telling_group(route, incident, group), "opening", step, chosen)
    return None if found else Due(incident, route, group, "opening", step, (), Hold("nobody"))


def _is_kept(route: RoutePolicy, incident: Incident) -> bool:
    """Tell whether a route keeps an incident for its digest."""
    return route.digest_at_min is not None and incident.severity in route.digest_severities


def _telling_group(route: RoutePolicy, incident: Incident, group: str) -> str:
    """Return the group that tells of an incident: a route's digest is one of its own."""
    return f"{group}{DIGEST}" if _is_kept(route, incident) else group


def next_digest_ms(route: RoutePolicy, since_ms: int) -> int:
    """Return when a route tells what waits for its digest since a time; at once where it has none any more."""
    return since_ms if route.digest_at_min is None else next_daily_ms(since_ms, route.digest_at_min, route.zone or UTC)


def _tier(scene: Scene, incident: Incident, route: RoutePolicy, group: str, now_ms: int) -> Iterator[Due]:
    """Yield the tiers of a group that are due and were not told, as one step: that of the last."""
    if incident.timer_ms is None and not incident.asked_tier:
        return
    done = told_tier(incident, group)
    passed_ms = -1 if incident.timer_ms is None else now_ms - incident.timer_ms
    tiers = tiers_of(scene, route, incident.rule)
    asked = asked_step(incident, [one[0] for one in tiers])
    late = [one for one in tiers if done < one[0] and (one[1] <= passed_ms or one[0] <= asked)]
    if not late:
        return
    last, chosen = late[-1][0], dict[str, Target]()
    for _, _, named, tier in late:
        told = targets(scene.policy, named, incident.severity, tier, scene.facts, now_ms)
        for one in around(scene.policy, Subject.of(incident), told):
            chosen.setdefault(one.receiver, one)
    hold = None if chosen else Hold("nobody")
    step = f"escalated-{incident.reopened}-{last}"
    yield Due(incident, late[-1][2], f"{group}.{last}", "tier", step, tuple(chosen.values()), hold)


def told_tier(incident: Incident, group: str) -> int:
    """Return the last tier of the present firing that a group has told; 0: none after the beginning."""
    begin = f"escalated-{incident.reopened}-"
    told = (one for one in incident.told_people if one.step.startswith(begin) and _base(group_of(one.notice)) == group)
    return max((int(one.step.removeprefix(begin)) for one in told), default=0)


def asked_step(incident: Incident, numbers: Iterable[int]) -> int:
    """Return up to which step of a route somebody asked for; 0: nobody did.

    The steps of a route's own escalation begin with the second, for its first is told with the opening. So the next one may have
    a higher number than the tier that was asked for.

    Args:
        incident: The incident.
        numbers: Of the steps of the route that follow the opening, in their order.
    """
    asked = incident.asked_tier
    return next((number for number in numbers if number >= asked), asked) if asked else 0


def told_by(incident: Incident, group: str) -> dict[str, ToldReceiver]:
    """Return by receiver what a group and its tiers told first of the present firing."""
    return {name: one for name, one in told_now(incident).items() if _base(group_of(one.notice)) == group}


def last_told_ms(incident: Incident, receiver: str) -> int:
    """Return the wall time at which a receiver was told last; 0: never."""
    return max((one.at_ms for one in incident.told_people if one.receiver == receiver), default=0)


def _may_escalate(scene: Scene, incident: Incident) -> bool:
    """Tell whether the tier that somebody asked for is there, in one of the routes; also where nobody asked."""
    routes = [match.route for match in scene.routes(Subject.of(incident))]
    return incident.asked_tier <= max(
        (incident.tier, *(one[0] for route in routes for one in tiers_of(scene, route, incident.rule)))
    )


def _woken(scene: Scene, incident: Incident, groups: Mapping[str, IncidentGroup]) -> list[Due]:
    """Return that an incident is still open, for those who were told of it before its snooze ended and not since."""
    if incident.woken_ms is None:
        return []
    last_ms = {one.receiver: one.at_ms for one in incident.told_people}
    by_group: dict[str, list[Target]] = {}
    for name, one in told_now(incident).items():
        if last_ms[name] < incident.woken_ms:
            by_group.setdefault(_base(group_of(one.notice)), []).append(Target(name, one.channels, one.why))
    step = _reminder_step(incident)
    routes = {key: scene.named(groups[key].route if key in groups else DEFAULT_ROUTE) for key in by_group}
    return [Due(incident, routes[key], key, "reminder", step, tuple(some)) for key, some in by_group.items()]


def tiers_of(scene: Scene, route: RoutePolicy, rule: str) -> list[tuple[int, int, RoutePolicy, int]]:
    """Return the tiers of escalation: number, ms after people were told, the route told and which of its tiers.

    The first tier of a route's own escalation is told with the opening, so the list begins with the second.
    """
    steps = steps_of(scene.policy, route, scene.tiers.get(rule, ()))
    return [(one.number, one.after_ms, one.route, one.tier) for one in steps]


def _reminder(incident: Incident, route: RoutePolicy, group: str, heard: Collection[str], now_ms: int) -> Iterator[Due]:
    """Yield that an incident is still open, for those whom the group told ``renotify_ms`` ago, but who hear of it now anyway."""
    if route.renotify_ms is None:
        return
    last_ms = {one.receiver: one.at_ms for one in incident.told_people}
    told = told_by(incident, group)
    chosen = [
        name
        for name in told
        if name not in heard and now_ms - last_ms[name] >= route.renotify_ms - route.renotify_ms // EARLY
    ]
    if not chosen:
        return
    targets = tuple(Target(name, told[name].channels, told[name].why) for name in chosen)
    early = all(now_ms - last_ms[name] < route.renotify_ms for name in chosen)
    group = _telling_group(route, incident, group)
    yield Due(incident, route, group, "reminder", _reminder_step(incident), targets, early=early)


def _reminder_step(incident: Incident) -> str:
    """Return the step of the next reminder of the present firing."""
    begin = f"reminder-{incident.reopened}-"
    done = [int(one.step.removeprefix(begin)) for one in incident.told_people if one.step.startswith(begin)]
    return f"{begin}{max(done, default=0) + 1}"


def _base(group: str) -> str:
    """Return the id of a group without the number of a tier."""
    return group.partition(".")[0]


def _ends(scene: Scene, incident: Incident, groups: Mapping[str, IncidentGroup], now_ms: int) -> Iterator[Due]:
    """Yield the end for everybody who was told of the beginning or of a tier, by the group that told the beginning."""
    by_group: dict[str, list[Target]] = {}
    for name, one in told_now(incident).items():
        group = group_of(one.notice)
        by_group.setdefault(group if is_digest(group) else _base(group), []).append(Target(name, one.channels, one.why))
    for group, chosen in by_group.items():
        told = groups.get(group) or groups.get(f"{group}{DIGEST}")
        route = scene.named(DEFAULT_ROUTE if told is None else told.route)
        due = Due(incident, route, group, "end", f"resolved-{incident.reopened}", tuple(chosen))
        yield structs.replace(due, hold=_hold(scene, due, Subject.of(incident), now_ms))


def _hold(scene: Scene, due: Due, subject: Subject, now_ms: int) -> Hold | None:
    if due.incident.silenced_until_ms is not None:
        return Hold("silenced", until_ms=due.incident.silenced_until_ms)
    if due.incident.snooze is not None:
        return Hold("snoozed", until_ms=due.incident.snooze.until_ms)
    if due.incident.flapping is not None and due.kind == "end":
        return Hold("flapping")
    return holds(scene.policy, due.route, subject, scene.facts, now_ms)


def with_told(
    incident: Incident, group: str, step: str, receivers: tuple[Target, ...], notice: str, at_ms: int
) -> Incident:
    """Return an incident of whose step somebody was told."""
    new = tuple(ToldReceiver(one.receiver, one.channels, notice, step, at_ms, one.why) for one in receivers)
    after = structs.replace(incident, told_people=_shortened((*incident.told_people, *new)))
    if is_end(step):
        if told_now(after):
            return after
        return structs.replace(after, announced=False, groups=(), told=())
    after = structs.replace(
        after,
        announced=True,
        timer_ms=at_ms if incident.timer_ms is None else incident.timer_ms,
        groups=tuple(dict.fromkeys((*incident.groups, _base(group)))),
    )
    if not step.startswith("escalated"):
        return after
    tier = max(incident.tier, int(step.rpartition("-")[2]))
    return structs.replace(after, state="escalated", tier=tier) if incident.live else after


def _shortened(told: tuple[ToldReceiver, ...]) -> tuple[ToldReceiver, ...]:
    """Return at most ``MOST_TOLD`` entries: those that an end has closed go first, then reminders before the last, then the oldest."""
    if len(told) <= MOST_TOLD:
        return told
    places = range(len(told))
    closed = [place for place in places if any(_ends_it(told[place], later) for later in told[place:])]
    repeated = [place for place in places if any(_repeats_it(told[place], later) for later in told[place + 1 :])]
    gone = set([*dict.fromkeys((*closed, *repeated, *places))][: len(told) - MOST_TOLD])
    return tuple(one for place, one in enumerate(told) if place not in gone)


def _ends_it(one: ToldReceiver, later: ToldReceiver) -> bool:
    return is_end(later.step) and later.receiver == one.receiver


def _repeats_it(one: ToldReceiver, later: ToldReceiver) -> bool:
    return is_reminder(one.step) and is_reminder(later.step) and later.receiver == one.receiver
