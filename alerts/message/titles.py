"""The title of a message: what, where, the number against its target, since when; the most important in its first 80 characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from alerts.incident import Incident
from alerts.kinds.registry import KIND_OF, phrase_of
from alerts.kinds.words import Phrase
from alerts.message.model import MOST_BEFORE, MOST_TITLE
from alerts.message.times import lasting, since
from alerts.scopes import in_order, scope_words
from streams.core.formatting import printable

_PLAIN = frozenset(("queue", "vendor"))
"""Dimensions whose values people know by name alone."""

_URGENCY = {"page": 0, "warn": 1, "info": 2}
_PREFIXES = {
    "resolved": "Resolved: ",
    "reopened": "Again: ",
    "escalated": "Escalated: ",
    "reminder": "Still open: ",
    "flapping": "Flapping: ",
}
_WHAT = ("", "/again", "/over")
_LEAST_WHERE = len("whole floor: ")
"""Least characters of a title for a scope."""
_MANY = {"queue": "queues", "policy": "policies", "priority": "priorities", "labeler": "labelers"}


class Member(Struct, frozen=True):
    """An incident of a message, with its step: ``open``, ``reopened-1``, ``escalated-0-2``, ``reminder-0-1``, ``resolved-0``."""

    incident: Incident
    step: str

    @property
    def over(self) -> bool:
        """Whether the message tells that it is resolved."""
        return self.step.startswith("resolved")

    @property
    def again(self) -> bool:
        """Whether the message tells once more that it is open."""
        return self.step.startswith("reminder")

    @property
    def what(self) -> str:
        """Behind its kind, which of the counts of a message it is in: nothing, ``/again`` or ``/over``."""
        return "/over" if self.over else "/again" if self.again else ""


def cut(text: str, most: int) -> str:
    """Return a text of ``most`` characters at most; what is missing is shown by ``…``."""
    return text if len(text) <= most else text[: max(0, most - 1)].rstrip() + "…"[: max(0, most)]


def where_words(scope: dict[str, str], most: int = MOST_BEFORE) -> str:
    """Return a scope in few words: ``comments``, ``bpo-a, hate``, ``policy P3``, ``whole floor``.

    Args:
        scope: The scope.
        most: Most characters. Where they do not fit, names stand alone, and each is cut to an equal share.
    """
    if not scope:
        return "whole floor"
    order = in_order(scope)
    names = [printable(scope[name]) for name in order]
    whole = ", ".join(name if word in _PLAIN else f"{word} {name}" for word, name in zip(order, names, strict=True))
    if len(whole) <= most:
        return whole
    share = max(4, (most - 2 * (len(order) - 1)) // len(order))
    spare = sum(max(0, share - len(name)) for name in names)
    return cut(", ".join(cut(name, share + spare) if len(name) > share else name for name in names), most)


def title_of_one(member: Member, zone: str, place: str, lead: str = "") -> str:
    """Return the title of one incident behind ``lead``: ``comments: SLA 62.9% (target 95%), 1,426 late, since 10:40 KUL``."""
    incident, said = member.incident, phrase_of(member.incident)
    prefix = lead + _PREFIXES.get(member.step.split("-", 1)[0], "")
    title = prefix + short(incident.scope, said, MOST_BEFORE - len(prefix))
    when = lasting(incident) if member.over else since(incident, zone, place)
    parts = [when] if member.over else [said.extra, when]
    for part in filter(None, parts):
        if len(title) + 2 + len(part) <= MOST_TITLE:
            title += f", {part}"
    return cut(title, MOST_TITLE)


def short(scope: dict[str, str], said: Phrase, most: int = MOST_BEFORE) -> str:
    """Return ``comments: SLA 62.9% (target 95%)`` in ``most`` characters at most: the scope's names give way."""
    return f"{where_words(scope, max(8, most - 2 - len(said.what)))}: {said.what}"


def told_first(members: Sequence[Member]) -> list[Member]:
    """Return the members that a message is about: what is new, else what is still open, else what is over."""
    first = min((member.what for member in members), key=_WHAT.index)
    return [member for member in members if member.what == first]


def counted(members: Sequence[Member], counts: Mapping[str, int], what: str) -> int:
    """Return how many of a message's incidents are new (``what`` is empty), still open or over."""
    if not counts:
        return sum(member.what == what for member in members)
    return sum(count for name, count in counts.items() if name.partition("/")[2] == what.removeprefix("/"))


def title_of_many(members: Sequence[Member], counts: Mapping[str, int], lead: str = "") -> str:
    """Return the title of several incidents: ``20 queues, worst comments: SLA 62.9% (target 95%); site kul: throughput -100% (…)``.

    Args:
        members: The incidents with their steps.
        counts: How many there are by kind, ``KIND/again`` of reminders, ``KIND/over`` of those that are over, if not all are among
            ``members``.
        lead: What it begins with.
    """
    about = told_first(members)
    title = lead + {"/again": _PREFIXES["reminder"], "/over": _PREFIXES["resolved"]}.get(about[0].what, "")
    kinds = by_kind(about)
    for place, of_kind in enumerate(kinds):
        one = worst(of_kind)
        said = phrase_of(one.incident)
        most = MOST_BEFORE if place == 0 else MOST_TITLE - 2
        count = max(len(of_kind), counts.get(f"{one.incident.kind}{one.what}", 0))
        many = f"{count:,} {_places(of_kind)}, worst " if count > 1 else ""
        if many and most - len(title) - len(many) < len(said.what) + _LEAST_WHERE:
            many = f"{count:,} x "
        room = most - len(title) - len(many)
        if place and room < len(said.what) + _LEAST_WHERE:
            rest = f"; {len(kinds) - place} more"
            return title + rest if len(title) + len(rest) <= MOST_TITLE else title
        title += ("; " if place else "") + many + short(one.incident.scope, said, room)
    return title


def by_kind(members: Sequence[Member]) -> list[list[Member]]:
    """Return members by kind: pages first, then kinds with a clear cause, then the many before the few."""
    kinds: dict[str, list[Member]] = {}
    for member in members:
        kinds.setdefault(member.incident.kind, []).append(member)

    def urgency(of_kind: list[Member]) -> tuple[int, bool, int, str]:
        incidents = [member.incident for member in of_kind]
        severity = min(_URGENCY.get(incident.severity, 3) for incident in incidents)
        cause = any(part.clear and not part.share_of for incident in incidents for part in incident.contributors)
        return severity, not cause, -len(of_kind), incidents[0].kind

    return sorted(kinds.values(), key=urgency)


def worst(members: Sequence[Member]) -> Member:
    """Return the member of one kind to name."""
    return min(members, key=rank)


def rank(member: Member) -> tuple[int, float, str, str]:
    """Return the order of members of one kind: the most urgent first, then the farthest from its target."""
    incident = member.incident
    value, target = incident.value, incident.target
    spec = KIND_OF.get(incident.kind)
    ratio = value / target if value is not None and target else 0.0
    ratio = -ratio if spec is None or spec.high else ratio
    return _URGENCY.get(incident.severity, 3), ratio, scope_words(incident.scope), incident.key


def _places(members: Sequence[Member]) -> str:
    """Return what several scopes are called: ``queues``; ``places`` where they are of several kinds."""
    kinds = {tuple(sorted(member.incident.scope)) for member in members}
    if len(kinds) != 1:
        return "places"
    (names,) = kinds
    if not names:
        return "alerts of the floor"
    return "places" if len(names) > 1 else _MANY.get(names[0], f"{names[0]}s")
