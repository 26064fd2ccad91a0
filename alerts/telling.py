"""The telling machine: at each tick of the log, which incidents are told to whom in which message. Pure.

What is due is found anew at each tick from the incidents (``alerts/dues.py``). A group tells it together: at the tick of the
evaluation when it has told nothing for its interval, else at the interval's end; a page may come ahead of it once in two
intervals. Who is told is decided here and nowhere else. The caller writes the decisions (the groups) before anything else, and at
a replay of the same tick they are taken from there: the same people are told, whatever the configuration and the other
incidents say by then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from hashlib import blake2b

from msgspec import Struct, field, structs

from alerts.dues import Due, Scene, dues, next_digest_ms, told_now, with_told
from alerts.incident import Hold, Incident, Stamp
from alerts.inhibition import Voices
from alerts.late import held_words, with_hold
from alerts.merging import ends_together, speaker
from alerts.notice import IncidentGroup, Notice, Target, is_digest
from alerts.routing.policy import Subject
from alerts.routing.routes import group_id, holds, labels_of, targets
from streams.core.records import CONTENT_ERRORS

MOST_MEMBERS = 2_000
"""Incidents in one message; the others wait for the group's next."""
URGENT_EVERY = 2
"""Intervals of a group in which one page may come ahead of its interval."""

_SEVERITIES = ("page", "warn", "info")
_TURNS = ("opening", "tier", "reminder", "end")


class Telling(Struct):
    """What one tick decides.

    Attributes:
        incidents: Those that changed, by key.
        groups: Those that changed, by id.
        notices: What is told, also what a replay found on the log.
        faults: Incident keys and why nothing could be decided about them.
    """

    incidents: dict[str, Incident] = field(default_factory=dict)
    groups: dict[str, IncidentGroup] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    faults: list[tuple[str, Exception]] = field(default_factory=list)


def tell(
    scene: Scene,
    incidents: Iterable[Incident],
    groups: Mapping[str, IncidentGroup],
    now_ms: int,
    stamp: Stamp,
    kept: Collection[str] = (),
    *,
    on_log: bool = False,
) -> Telling:
    """Decide what is told at a tick.

    Args:
        scene: The configuration and the schedules.
        incidents: Those that are not over for everybody, after the tick's effect on each.
        groups: Groups by id.
        now_ms: Wall time of the tick.
        stamp: Its place on the log.
        kept: Groups whose notices are not written yet, so that they are kept beside new ones.
        on_log: All that this tick tells is on the log, so nothing is decided anew: what incidents became later is known, and
            may say something else.
    """
    out = Telling()
    all_of_them = list(incidents)
    now = {one.key: one for one in all_of_them if one.stamp is None or not _after(one.stamp, stamp)}
    # Read back at a replay as they were later: nothing is decided about them, and they may speak for others.
    later = [one for one in all_of_them if one.key not in now]
    before = dict(now)
    decided = {key for key, group in groups.items() if _decided(group, stamp)}
    spoken = _spoken_for([*now.values(), *later])
    # As of before the tick, also at a replay: who is held by what the tick has told is found from what was due then.
    found = _found(scene, now, groups, now_ms, spoken, out)
    for notice in (notice for key in sorted(decided) for notice in groups[key].notices if notice.stamp == stamp):
        out.notices.append(notice)
        _note(notice, now)
    open_groups = {} if on_log else _grouped([one for one in found if one.hold is None and one.group not in decided])
    ready, urgent = _ready(open_groups, groups, now_ms)
    silent = partial(_silent, scene, now_ms, spoken)
    told = _accepted(now, later, open_groups, ready, urgent, silent)
    for key, some in told.items():
        chosen = [with_hold(scene, due, now_ms) for due in some]
        group = groups.get(key) or _new_group(key, chosen[0])
        made = _notices(key, chosen, now_ms, stamp, scene.policy.apart)
        for notice in made:
            _note(notice, now)
        out.notices += made
        out.groups[key] = structs.replace(
            group,
            told_ms=now_ms,
            urgent_ms=now_ms if key in urgent else group.urgent_ms,
            waiting_since_ms=group.waiting_since_ms if _is_cut(key, open_groups) else None,
            notices=(*(group.notices if key in kept else ()), *made),
            stamp=stamp,
        )
    if not on_log:
        undecided = {due.group: due for due in found if not due.early and due.group not in decided}
        _waiting(undecided, open_groups, told, groups, now_ms, stamp, out)
    after = partial(held_words, scene, now_ms=now_ms)
    _holds(now, later, found, told, {**groups, **out.groups}, silent, after)
    for key, one in now.items():
        if one is not before[key]:
            out.incidents[key] = structs.replace(one, stamp=stamp)
    return out


def _after(one: Stamp, other: Stamp) -> bool:
    return one.partition == other.partition and one.offset > other.offset


def _spoken_for(incidents: Iterable[Incident]) -> dict[str, str]:
    """Return by key of each merged incident that of the one that speaks for it."""
    by_key = {one.key: one for one in incidents}
    merged = {one.key: speaker(one, by_key.get) for one in by_key.values() if one.merged_into is not None}
    return {key: other.key for key, other in merged.items() if other is not None}


def _found(
    scene: Scene,
    now: Mapping[str, Incident],
    groups: Mapping[str, IncidentGroup],
    now_ms: int,
    spoken: Mapping[str, str],
    out: Telling,
) -> list[Due]:
    found: list[Due] = []
    for one in now.values():
        try:
            some = dues(scene, one, groups, now_ms)
        except CONTENT_ERRORS as error:  # the others are told
            out.faults.append((one.key, error))
            continue
        hold = Hold("merged", spoken[one.key]) if one.key in spoken else None
        found += some if hold is None else [structs.replace(due, hold=hold) for due in some]
    return ends_together(found)


def _grouped(found: Iterable[Due]) -> dict[str, list[Due]]:
    """Return what is due by group, the most urgent first and no more than a message takes."""
    by_group: dict[str, list[Due]] = defaultdict(list)
    for due in found:
        by_group[due.group].append(due)
    return {
        key: sorted(some, key=_urgency)[:MOST_MEMBERS]
        for key, some in by_group.items()
        if not all(due.early for due in some)
    }


def _urgency(due: Due) -> tuple[bool, int, int, str, float, str]:
    """Order: beginnings before reminders before ends, pages first, by kind, the farthest from its target first.

    What is not due yet comes behind all that is.
    """
    one = due.incident
    far = 0.0 if one.value is None else abs(one.value - one.target) / max(abs(one.target), 1e-9)
    return (due.early, _TURNS.index(due.kind), _SEVERITIES.index(one.severity), one.kind, -far, one.scope_key)


def _is_urgent(due: Due) -> bool:
    return due.kind in ("opening", "tier") and due.incident.severity == "page" and not is_digest(due.group)


def _ready(
    waiting: Mapping[str, list[Due]], groups: Mapping[str, IncidentGroup], now_ms: int
) -> tuple[set[str], set[str]]:
    """Return the groups that may tell now, and those that may only tell a page."""
    ready, urgent = set(), set()
    for key, some in waiting.items():
        group, route = groups.get(key), some[0].route
        told_ms = None if group is None else group.told_ms
        if is_digest(key):
            since_ms = None if group is None else group.waiting_since_ms
            if since_ms is not None and next_digest_ms(route, since_ms) <= now_ms:
                ready.add(key)
        elif told_ms is None or not 0 <= now_ms - told_ms < route.group_interval_ms:
            since_ms = None if group is None else group.waiting_since_ms
            if route.group_wait_ms == 0 or (since_ms is not None and now_ms - since_ms >= route.group_wait_ms):
                ready.add(key)
        elif any(_is_urgent(due) for due in some):
            last_ms = group.urgent_ms if group is not None else None
            if last_ms is None or now_ms - last_ms >= URGENT_EVERY * route.group_interval_ms:
                urgent.add(key)
    return ready, urgent


def _silent(scene: Scene, now_ms: int, spoken: Collection[str], incident: Incident) -> bool:
    """Tell whether an incident tells nothing for now, so that it speaks for no other."""
    held = incident.silenced_until_ms is not None or incident.snooze is not None or incident.flapping is not None
    if held or incident.key in spoken:
        return True
    subject = Subject.of(incident)
    found = [holds(scene.policy, match.route, subject, scene.facts, now_ms) for match in scene.routes(subject)]
    return any(hold is not None and hold.why == "maintenance" for hold in found)


def _accepted(
    now: Mapping[str, Incident],
    later: list[Incident],
    waiting: Mapping[str, list[Due]],
    ready: set[str],
    urgent: set[str],
    silent: Callable[[Incident], bool],
) -> dict[str, list[Due]]:
    """Return what each group tells: of what is due, all that no other incident speaks for to its receivers."""
    seen = [*now.values(), *later]
    known = _known(seen)
    while True:
        asked = {key: waiting[key] for key in sorted((*ready, *urgent))}
        wanted: dict[str, frozenset[str]] = {}
        for due in (due for some in asked.values() for due in some if due.kind == "opening"):
            names = frozenset(one.receiver for one in due.targets)
            wanted[due.incident.key] = wanted.get(due.incident.key, frozenset()) | names
        voices = Voices(seen, known, wanted, silent)
        told = {key: [one for due in some if (one := _spoken(due, voices)) is not None] for key, some in asked.items()}
        idle = {key for key in urgent if not any(_is_urgent(due) for due in told[key])}
        if not idle:
            return {key: some for key, some in told.items() if some}
        urgent -= idle


def _known(incidents: Iterable[Incident]) -> dict[str, frozenset[str]]:
    return {one.key: frozenset(told_now(one)) for one in incidents if one.told_people}


def _spoken(due: Due, voices: Voices) -> Due | None:
    if due.kind not in ("opening", "reminder"):
        return due
    left = tuple(one for one in due.targets if voices.holder(due.incident, one.receiver) is None)
    return structs.replace(due, targets=left) if left else None


def _new_group(key: str, due: Due) -> IncidentGroup:
    return IncidentGroup(key, due.route.name, labels_of(due.route, Subject.of(due.incident)))


def _notices(key: str, chosen: list[Due], now_ms: int, stamp: Stamp, apart: Collection[str]) -> list[Notice]:
    """Return one message for each receiver, and for its channels ``apart`` one of each incident; who gets the same shares one."""
    by_receiver: dict[tuple[str, str], tuple[Target, list[Due]]] = {}
    several = len({due.incident.key for due in chosen}) > 1
    for due in chosen:
        for one in due.targets:
            own = tuple(name for name in one.channels if several and name in apart)
            rest = tuple(name for name in one.channels if name not in own)
            if own:
                target = structs.replace(one, channels=own)
                by_receiver.setdefault((one.receiver, due.incident.key), (target, []))[1].append(due)
            if rest or not own:
                target = structs.replace(one, channels=rest)
                by_receiver.setdefault((one.receiver, ""), (target, []))[1].append(due)
    shared: dict[tuple[tuple[str, str], ...], tuple[list[Target], list[Due]]] = {}
    for target, some in by_receiver.values():
        told, _ = shared.setdefault(tuple((due.incident.key, due.step) for due in some), ([], some))
        _join(told, target)
    made = []
    for members, (told, some) in shared.items():
        steps = {due.step for due in some}
        step = steps.pop() if len(steps) == 1 else _common(due.step for due in some)
        text = repr((members, sorted(one.receiver for one in told)))
        name = f"{key}:{blake2b(text.encode(), digest_size=8).hexdigest()}"
        made.append(Notice(name, key, some[0].route.name, step, members, tuple(told), now_ms, stamp))
    return made


def _join(told: list[Target], target: Target) -> None:
    """Add a target to those of a message; one of a receiver that is among them gives it its channels."""
    place = next((at for at, one in enumerate(told) if one.receiver == target.receiver), None)
    if place is None:
        told.append(target)
    else:
        channels = tuple(dict.fromkeys((*told[place].channels, *target.channels)))
        told[place] = structs.replace(target, channels=channels)


def _common(steps: Iterable[str]) -> str:
    """Return the word that all steps begin with, else ``changed``."""
    words = {step.partition("-")[0] for step in steps}
    return words.pop() if len(words) == 1 else "changed"


def _note(notice: Notice, now: dict[str, Incident]) -> None:
    """Note in its incidents who was told. One that was written after this tick knows it already."""
    for key, step in notice.members:
        one = now.get(key)
        if one is not None and not any((told.notice, told.step) == (notice.id, step) for told in one.told_people):
            now[key] = with_told(one, notice.group, step, notice.targets, notice.id, notice.at_ms)


def _is_cut(key: str, waiting: Mapping[str, list[Due]]) -> bool:
    """Tell whether a digest has more than fits into its message, so that the next tick tells more of it."""
    return is_digest(key) and len(waiting[key]) == MOST_MEMBERS


def _waiting(
    due: Mapping[str, Due],
    waiting: Mapping[str, list[Due]],
    told: Mapping[str, list[Due]],
    groups: Mapping[str, IncidentGroup],
    now_ms: int,
    stamp: Stamp,
    out: Telling,
) -> None:
    """Note since when a group waits that is to wait for more or for its digest, and that nothing waits any more.

    A digest waits also while something else holds it: else quiet hours over its time would keep it for ever.
    """
    for key, one in due.items():
        group = groups.get(key) or _new_group(key, one)
        waits = is_digest(key) or (key in waiting and one.route.group_wait_ms > 0)
        if waits and key not in told and group.waiting_since_ms is None:
            out.groups[key] = structs.replace(group, waiting_since_ms=now_ms, stamp=stamp)
    for key, group in groups.items():
        if group.waiting_since_ms is not None and key not in due and not _decided(group, stamp):
            out.groups[key] = structs.replace(group, waiting_since_ms=None, stamp=stamp)


def _decided(group: IncidentGroup, stamp: Stamp) -> bool:
    """Tell whether what a group tells at a tick is on the log already."""
    return group.stamp is not None and not _after(stamp, group.stamp)


def _holds(
    now: dict[str, Incident],
    later: list[Incident],
    found: Iterable[Due],
    told: Mapping[str, list[Due]],
    groups: Mapping[str, IncidentGroup],
    silent: Callable[[Incident], bool],
    after: Callable[[Incident, str], str],
) -> None:
    """Note in each incident who was not told, and why; and what maintenance held it before."""
    held: dict[str, dict[Hold, list[str]]] = defaultdict(lambda: defaultdict(list))
    done = {(due.incident.key, one.receiver, due.kind) for some in told.values() for due in some for one in due.targets}
    seen = [*now.values(), *later]
    voices = Voices(seen, _known(seen), {}, silent)
    for due in (one for one in found if one.kind != "reminder"):  # who would be reminded was told
        why = due.hold or _grouping(due, groups.get(due.group))
        known = {one.receiver for one in now[due.incident.key].told_people if one.step == due.step}  # of a replay
        left = [
            one.receiver
            for one in due.targets
            if (due.incident.key, one.receiver, due.kind) not in done and one.receiver not in known
        ]
        for name in left if due.targets else [""]:
            by = voices.holder(due.incident, name) if due.hold is None and due.kind == "opening" else None
            why_now = why if by is None else Hold("inhibited", by)
            if why_now.why != "maintenance":
                why_now = structs.replace(why_now, after=after(due.incident, name))
            held[due.incident.key][why_now].append(name)
    for key, one in now.items():
        new = tuple(
            structs.replace(why, receivers=tuple(dict.fromkeys(filter(None, names))))
            for why, names in held.get(key, {}).items()
        )
        if new != one.held:
            now[key] = structs.replace(one, held=new)


def _grouping(due: Due, group: IncidentGroup | None) -> Hold:
    """Return what a due step waits for that nothing else holds: its group's interval, wait or digest."""
    if is_digest(due.group):
        since_ms = None if group is None else group.waiting_since_ms
        return Hold("digest", until_ms=None if since_ms is None else next_digest_ms(due.route, since_ms))
    if group is None:
        return Hold("grouping")
    if group.waiting_since_ms is not None and group.told_ms is None:
        return Hold("grouping", until_ms=group.waiting_since_ms + due.route.group_wait_ms)
    return Hold("grouping", until_ms=None if group.told_ms is None else group.told_ms + due.route.group_interval_ms)


def adopted(scene: Scene, incident: Incident, at_ms: int) -> Incident:
    """Return an incident of format 2 with who was told, as its routes would tell them now: nobody is told of its opening again."""
    if not incident.announced or incident.told_people:
        return incident
    subject = Subject.of(incident)
    routes = [match.route for match in scene.routes(subject)] + [scene.named(name) for name in incident.told]
    group = group_id(routes[0], subject)
    after = structs.replace(incident, told=())
    for route in routes:
        chosen = targets(scene.policy, route, incident.severity, 0, scene.facts, at_ms)
        after = with_told(after, group, "open", chosen, f"{group}:", at_ms)
        if incident.tier:
            step, tier = f"escalated-{incident.reopened}-{incident.tier}", f"{group}.{incident.tier}"
            after = with_told(after, tier, step, chosen, f"{tier}:", at_ms)
    timer_ms = at_ms if incident.timer_ms is None else incident.timer_ms
    return structs.replace(after, timer_ms=timer_ms, tier=incident.tier, state=incident.state)
