"""The incidents of the log's one partition of alerts: what each record does to them, and what is to be written for it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msgspec import structs

from alerts.audit_requests import AuditRequest, LastRequest, decode_standing, standing
from alerts.audit_requests import step as ask_for_audits
from alerts.codec import Input, decode_group, encode_input
from alerts.dues import Scene
from alerts.incident import (
    Ack,
    Act,
    Calendar,
    Incident,
    Maintenance,
    Notify,
    Override,
    Receipt,
    Silence,
    Stamp,
    Tick,
)
from alerts.lifecycle import IncidentPolicy, policy_of, step
from alerts.merging import merge_fault
from alerts.message.titles import Member
from alerts.notice import IncidentGroup, Notice
from alerts.oncall.kept import Plans
from alerts.once import Deed, Once
from alerts.outgoing import MOST_SHOWN
from alerts.receipts import ReceiptBook
from alerts.routing.policy import DEFAULT_ROUTE, RoutePolicy, RoutingPolicy
from alerts.rules import Rule
from alerts.signals import Signal
from alerts.telling import adopted, tell
from streams.core.records import CONTENT_ERRORS
from streams.engine.log import ProducerRecord

log = logging.getLogger(__name__)

PLAN = "~"
"""First character of keys on notices.v1 of what people plan: overrides, maintenance windows, calendars."""

DONE = "!"
"""First character of keys on notices.v1 of what people did and planned, by its digest: it has counted."""

_NO_RULE = IncidentPolicy()
"""For an incident whose rule is no longer configured: only time can end it."""


@dataclass
class PendingWrites:
    """Effects of what was folded, carried out at the next flush.

    Attributes:
        groups: What was decided, ``plans`` what people plan, ``done`` what of theirs has counted, None where it is over for long:
            written first.
        publish: Incidents to write, and ``gone`` the partitions of those that another partition held.
        show: Incidents that the log holds and Redis may not.
        show_plans: Plans that changed, for Redis; None: it is gone.
        notify: Messages for the outbox.
        ask: Requests for audits.
        rebuild: The outbox is to be filled from the log.
        forward: What belongs on the partition of all alerts.
        aside: Dead letters.
    """

    groups: dict[str, IncidentGroup] = field(default_factory=dict)
    plans: dict[str, bytes | None] = field(default_factory=dict)
    done: dict[str, bytes | None] = field(default_factory=dict)
    show_plans: dict[str, bytes | None] = field(default_factory=dict)
    publish: dict[str, Incident] = field(default_factory=dict)
    gone: dict[str, tuple[str, int]] = field(default_factory=dict)
    show: dict[str, Incident] = field(default_factory=dict)
    notify: list[Notify] = field(default_factory=list)
    ask: list[AuditRequest] = field(default_factory=list)
    rebuild: bool = False
    forward: list[ProducerRecord] = field(default_factory=list)
    aside: list[ProducerRecord] = field(default_factory=list)


class IncidentState:
    """Incidents, groups and plans of the alerts, without any input or output.

    ``waiting`` collects what a flush has to write. ``ticked_ms`` is the wall time of the last tick, None before the first.
    ``receipts`` are all notices with what became of them.
    """

    def __init__(
        self,
        partition: int,
        rules: tuple[Rule, ...],
        base: IncidentPolicy | None,
        routing: RoutingPolicy | None,
        refuse: Callable[[int, bytes, Exception], None],
        others: Mapping[str, IncidentPolicy] | None = None,
    ) -> None:
        """Begin empty; ``refuse`` takes (offset, incident key, error) of an incident on which a tick fails.

        ``others`` says how incidents live that no rule of ``rules`` raises: those about the stream itself.
        """
        self._partition, self._refuse = partition, refuse
        self._policies = {**(others or {}), **{rule.name: policy_of(rule, base) for rule in rules}}
        tiers = {name: policy.tiers for name, policy in self._policies.items()}
        self._scene = Scene(routing or _DEFAULT_ROUTING, tiers=tiers)
        self._plans, self._once = Plans(), Once()
        self.waiting = PendingWrites()
        self.watermark_ms: int | None = None
        self.ticked_ms: int | None = None
        self._incidents: dict[tuple[str, str], Incident] = {}
        # Earlier episodes whose end has not been told, by key.
        self._unsaid: dict[str, Incident] = {}
        self._groups: dict[str, IncidentGroup] = {}
        # The last record whose effect on an incident is on the log: what was told up to there is, for a flush writes that first.
        self._written = -1
        # Where those that other partitions hold were read, until they are taken over.
        self._foreign: dict[str, Stamp] = {}
        self._standing: dict[tuple[str, str], LastRequest] = {}
        self.receipts = ReceiptBook()

    def has_rule(self, name: str) -> bool:
        """Whether a rule is configured."""
        return name in self._policies

    def live(self) -> list[Incident]:
        """Return the incidents that are not over."""
        return [incident for incident in list(self._incidents.values()) if incident.live]

    def known_since(self, at_ms: int) -> list[Incident]:
        """Return the incidents that go on, and those of which somebody was told since a wall time."""
        held = [*self._incidents.values(), *self._unsaid.values()]
        return [one for one in held if one.live or (one.told_people and one.told_people[-1].at_ms >= at_ms)]

    def show_again(self) -> None:
        """Have all incidents that are held shown by the next flush."""
        self.waiting.show.update({one.key: one for one in (*self._incidents.values(), *self._unsaid.values())})

    def take(self, incident: Incident, partition: int) -> None:
        """Keep the newest state of an incident on the log. A worker that stalled may have written an older one after it.

        Then the newest is written again, because compaction keeps the last record. So is one that another partition held.
        """
        if partition != self._partition:
            self.waiting.gone[f"{partition}/{incident.key}"] = (incident.key, partition)
            place = self._foreign.get(incident.key)
            mine = incident.key in self.waiting.show and place is None
            if mine or (place is not None and (place.partition != partition or _offset(incident) < place.offset)):
                return
            self._foreign[incident.key] = Stamp(partition, _offset(incident))
            incident = structs.replace(incident, stamp=Stamp(self._partition, -1))
            self.waiting.publish[incident.key] = incident
        self._written = max(self._written, _offset(incident))
        newest = self.waiting.show.get(incident.key)
        if newest is None or _age(incident) >= _age(newest):
            self.waiting.show[incident.key] = incident
            if partition == self._partition:
                self.waiting.publish.pop(incident.key, None)
        else:
            self.waiting.publish[incident.key] = incident = newest
        before = self._incidents.get((incident.rule, incident.scope_key))
        if before is not None and before.episode > incident.episode:
            self._unsaid[incident.key] = incident
            if not incident.announced:
                del self._unsaid[incident.key]
            return
        if before is not None and before.key != incident.key and before.announced:
            self._unsaid[before.key] = before
        self._incidents[incident.rule, incident.scope_key] = incident

    def take_told(self, key: bytes, value: bytes, partition: int) -> None:
        """Take a group, or what somebody plans or did, as it was read from notices.v1."""
        if key.decode().startswith(DONE):
            self._once.take(key.decode().removeprefix(DONE), value, own=partition == self._partition)
            return
        if key.decode().startswith(PLAN):
            self._plans.take(value, own=partition == self._partition)
            return
        group = decode_group(value)
        if partition == self._partition:
            self._groups[group.id] = group
        elif group.id not in self._groups:
            self._groups[group.id] = structs.replace(group, stamp=None, notices=())

    def take_request(self, value: bytes) -> None:
        """Take a request for audits as it was read."""
        request = decode_standing(value)
        if request is not None:
            rule, scope_key, held = request
            self._standing.setdefault((rule, scope_key), held)
            self._standing[rule, scope_key] = max(self._standing[rule, scope_key], held, key=lambda one: one.number)

    def adopt(self, now_ms: int) -> None:
        """Go on from what was read. Note in incidents of format 2 who was told: its routes, as they are now."""
        self._scene.facts = self._plans.facts
        for held in [*self._incidents.values(), *self._unsaid.values()]:
            after = adopted(self._scene, held, now_ms)
            if after is not held:
                self._keep(after)
                self.waiting.publish[after.key] = after

    def timed(self) -> list[Incident]:
        """Return the incidents that time alone can change, or whose end is still to be told."""
        held = [*self._incidents.values(), *self._unsaid.values()]
        return [
            one
            for one in held
            if one.live or one.silenced_until_ms is not None or one.announced or one.flapping is not None
        ]

    def fold(self, given: Input, stamp: Stamp) -> None:
        """Take one record of the log.

        Raises:
            ValueError: This release does not act on such records.
        """
        self._plans.reach(stamp.offset)
        self._once.reach(stamp.offset)
        self._scene.facts = self._plans.facts
        if isinstance(given, Deed) and not self._counts(given, stamp.offset):
            return
        match given:
            case Signal():
                self._on_signal(given, stamp)
            case Tick():
                self._on_tick(given, stamp)
            case Ack() | Silence() | Act():
                self._on_action(given, stamp)
            case Receipt():
                self.receipts.fold(given)
            case Override() | Maintenance() | Calendar():
                key = self._plans.fold(given, stamp.offset)
                self._scene.facts = self._plans.facts
                self.waiting.plans[key] = self._plans.encoded(key)
                self.waiting.show_plans[key] = encode_input(given)
            case _:
                # Set aside, so that it can be put again once a release acts on it.
                raise ValueError(f"this release does not act on {type(given).__name__.lower()} records")

    def _counts(self, deed: Deed, offset: int) -> bool:
        """Note that something counts that people did or planned; False where it has counted by an earlier record."""
        name = self._once.note(deed, offset)
        if name is not None:
            self.waiting.done[name] = self._once.encoded(name)
        return name is not None

    def plans(self) -> dict[str, bytes]:
        """Return all plans by key, as Redis shows them."""
        return {key: encode_input(plan) for key, plan in self._plans.known().items()}

    def _on_signal(self, signal: Signal, stamp: Stamp) -> None:
        policy = self._policies.get(signal.rule)
        if policy is None:
            return
        key = (signal.rule, signal.scope_key)
        request = ask_for_audits(self._standing.get(key), signal)
        self._step(self._incidents.get(key), signal, policy, stamp)
        if request is not None:
            self._standing[key] = standing(request)
            self.waiting.ask.append(request)

    def _on_action(self, act: Ack | Silence | Act, stamp: Stamp) -> None:
        held = self._of(act.key)
        if held is None:
            log.warning("signals[%d] offset %d: no incident %s to act on", self._partition, stamp.offset, act.key)
            return
        if isinstance(act, Act) and act.what == "merge" and (why := merge_fault(held, act.target, self._of)):
            log.warning("signals[%d] offset %d: %s is not merged: %s", self._partition, stamp.offset, act.key, why)
            return
        self._step(held, act, self._policies.get(held.rule, _NO_RULE), stamp)

    def _of(self, key: str) -> Incident | None:
        """Return an incident by its key."""
        return next((one for one in (*self._incidents.values(), *self._unsaid.values()) if one.key == key), None)

    def _on_tick(self, tick: Tick, stamp: Stamp) -> None:
        self.ticked_ms = tick.at_ms
        if tick.watermark_ms is not None:
            self.watermark_ms = max(tick.watermark_ms, self.watermark_ms or 0)
        gone = dict.fromkeys(self._plans.forget(tick.at_ms))
        self.waiting.plans |= gone
        self.waiting.done |= dict.fromkeys(self._once.forget(tick.at_ms))
        self.waiting.show_plans |= gone
        for held in self.timed():
            policy = self._policies.get(held.rule, _NO_RULE)
            try:
                self._step(held, tick, policy, stamp)
            except CONTENT_ERRORS as error:  # ticks still apply to all other incidents
                self._refuse(stamp.offset, held.key.encode(), error)
        self._tell(tick.at_ms, stamp)
        self.waiting.rebuild |= tick.rebuild
        if lost := self.receipts.forget(tick.at_ms):
            log.error(
                "%d notices wait for their channels beyond those kept on the log: a lost Redis would lose them", lost
            )

    def _tell(self, at_ms: int, stamp: Stamp) -> None:
        """Decide who is told of what at a tick."""
        on_log = stamp.offset <= self._written
        told = tell(self._scene, self.timed(), self._groups, at_ms, stamp, self.waiting.groups, on_log=on_log)
        for key, error in told.faults:
            self._refuse(stamp.offset, key.encode(), error)
        for after in told.incidents.values():
            self._keep(after)
            self.waiting.publish[after.key] = after
        self._groups.update(told.groups)
        self.waiting.groups.update(told.groups)
        # Also what a worker decided that died before it wrote message or incident: its group keeps such a notice beside later ones.
        for notice in told.notices:
            self.waiting.groups.setdefault(notice.group, self._groups[notice.group])
        # One that is known was decided by the worker before: its message is on the log, and is told as it is there.
        if new := [notice for notice in told.notices if self.receipts.decide(notice)]:
            by_key = {one.key: one for one in (*self._unsaid.values(), *self._incidents.values())} | told.incidents
            made = {notice.id: message_of(notice, by_key) for notice in new}
            self.waiting.notify += [one for one in made.values() if one is not None]
            for name in (name for name, one in made.items() if one is None):
                self.receipts.drop(name)

    def _step(
        self, held: Incident | None, given: Signal | Ack | Silence | Act | Tick, policy: IncidentPolicy, stamp: Stamp
    ) -> None:
        after = step(held, given, policy, stamp=stamp)
        if after is None or after is held:
            return
        if held is not None and held.key != after.key and held.announced:
            self._unsaid[held.key] = held
        self._keep(after)
        # Every change is written, also one that nobody sees, because the next owner goes on from it: the firings
        # until it opens, the quiet signals until it resolves (alerts/signal_filter.py sends only as many as
        # needed), the time until it escalates.
        self.waiting.publish[after.key] = after

    def _keep(self, after: Incident) -> None:
        """Keep the state of an incident; an earlier episode only until its end was told."""
        if after.key not in self._unsaid:
            self._incidents[after.rule, after.scope_key] = after
        elif after.announced:
            self._unsaid[after.key] = after
        else:
            del self._unsaid[after.key]


_DEFAULT_ROUTING = RoutingPolicy(
    {DEFAULT_ROUTE: RoutePolicy(DEFAULT_ROUTE, (f"channel:{DEFAULT_ROUTE}",))}, channels=(DEFAULT_ROUTE,)
)


def message_of(notice: Notice, incidents: Mapping[str, Incident]) -> Notify | None:
    """Return the message of a notice, with its incidents as they are now; None where none of them is known any more.

    It names the most urgent of each kind, then the others, so that a cause of another kind is not lost behind many effects.
    """
    found = [(incidents[key], its) for key, its in notice.members if key in incidents]
    if not found:
        return None
    counts = Counter(f"{one.kind}{Member(one, its).what}" for one, its in found)
    heads = {one.kind: place for place, (one, _) in reversed([*enumerate(found)])}.values()
    chosen = sorted([*heads, *(place for place in range(len(found)) if place not in heads)][:MOST_SHOWN])
    (first, first_step), *others = [found[place] for place in chosen]
    return Notify(
        notice.id,
        notice.step,
        notice.route,
        first,
        channels=tuple(dict.fromkeys(name for one in notice.targets for name in one.channels)),
        first_step=first_step,
        members=tuple(others),
        counts=dict(counts) if len(found) > 1 else {},
    )


def _age(incident: Incident | None) -> tuple[int, int]:
    """Order the states of one rule and scope: by episode, then by stamp."""
    return (-1, -1) if incident is None else (incident.episode, _offset(incident))


def _offset(incident: Incident) -> int:
    return -1 if incident.stamp is None else incident.stamp.offset
