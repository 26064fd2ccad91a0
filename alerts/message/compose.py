"""Compose the message of a notification for a reader."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from alerts.codec import incident_of
from alerts.dues import WAS_HELD
from alerts.flapping import is_flapping
from alerts.incident import Incident
from alerts.kinds.registry import phrase_of
from alerts.message.model import MOST_LINES, MOST_TITLE, Command, Link, LinkKind, Message, Reader
from alerts.message.times import clock, open_for_s
from alerts.message.titles import (
    Member,
    by_kind,
    counted,
    cut,
    rank,
    short,
    title_of_many,
    title_of_one,
    told_first,
    where_words,
    worst,
)
from alerts.notice import is_digest
from alerts.scopes import board_until, scope_words
from alerts.signals import Contributor
from alerts.text import Links, contributors_heading, is_link, part_words, runbook_words
from streams.core.formatting import duration, plural, times_in
from streams.core.window_names import window_ms

_MOST_LINE, _MOST_DETAIL = 120, 400
_NAMED, _MOST_NAMED = 3, 30
"""Incidents that a line names of those that a message is not about, and characters of each."""
_PARTS = 2
"""Contributors that a message names."""
_KEY = 8
"""Digits of an incident's key that commands show: short enough for a phone, and no other incident begins with them."""
_TIER = {"page": "Page", "warn": "Warning", "info": "Info"}


class ToldNote(Protocol):
    """What a message is composed of; ``alerts.outgoing.Notification`` is one."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def step(self) -> str: ...  # noqa: D102
    @property
    def severity(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def body(self) -> str: ...  # noqa: D102
    @property
    def incident(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def links(self) -> Links: ...  # noqa: D102
    @property
    def members(self) -> Sequence[Any]: ...  # noqa: D102
    @property
    def counts(self) -> Mapping[str, int]: ...  # noqa: D102


def compose(note: ToldNote, reader: Reader) -> Message:
    """Return what a reader is told.

    Args:
        note: What happened, as data.
        reader: Zone, and how links are signed.

    Returns:
        A message that depends on nothing but the arguments. An incident that cannot be read (another version wrote it, or it was cut)
        is told by the note's own title and body.
    """
    try:
        members = [Member(incident_of(one.incident), one.step) for one in note.members]
        members = members or [Member(incident_of(note.incident), note.step)]
    except (KeyError, ValueError, TypeError, AttributeError, msgspec.MsgspecError):
        return _as_written(note)
    return compose_members(members, reader, counts=note.counts, notice=note.id, links=note.links)


def compose_members(
    members: Sequence[Member],
    reader: Reader,
    *,
    counts: Mapping[str, int] | None = None,
    notice: str = "",
    links: Links | None = None,
) -> Message:
    """Return what a reader is told of one or more incidents.

    Args:
        members: The incidents with their steps; one at least.
        reader: Zone, and how links are signed.
        counts: How many incidents there are by kind, ``KIND/again`` of reminders, ``KIND/over`` of those that are over, if not all
            are among ``members``.
        notice: Id that signed links carry, and that says whether it is a digest.
        links: Links that act, where they were made with the note.
    """
    first = worst(by_kind(told_first(members))[0])
    many = len(members) > 1
    lead = "Digest: " if is_digest(notice) else ""
    total = sum(counts.values()) if counts else None
    return Message(
        title=title_of_many(members, counts or {}, lead)
        if many
        else title_of_one(first, reader.zone, reader.place, lead),
        lines=tuple(
            cut(line, _MOST_LINE) for line in (_lines_of_many(members, counts or {}) if many else _lines(first, reader))
        ),
        details=tuple(cut(line, _MOST_DETAIL) for member in members[:_PARTS] for line in _details(member, reader)),
        links=_links(first, reader, notice, links or Links()),
        severity=first.incident.severity,
        state=_state(members),
        members=tuple(short(member.incident.scope, phrase_of(member.incident)) for member in members),
        more=0 if total is None else max(0, total - len(members)),
        short_link="" if first.over or links is None else links.ack_short,
        commands=_commands_of_many(links or Links(), reader) if many else _commands(first, links or Links(), reader),
    )


def _lines(member: Member, reader: Reader) -> list[str]:
    incident = member.incident
    scope = scope_words(incident.scope)
    said = times_in(phrase_of(incident).line, reader.zone, incident.updated_ms)
    lines = [f"{_TIER.get(incident.severity, incident.severity)}: {scope}", said]
    clear = [part for part in incident.contributors if part.clear]
    lines += [_part(part, over=member.over) for part in clear[:_PARTS]]
    lines += [_was_held(member, reader), _who(member, reader)]
    return [line for line in lines if line][:MOST_LINES]


def _was_held(member: Member, reader: Reader) -> str:
    """Return by which maintenance the step was held, and from when to when; empty where it was not."""
    said = _held_words(member)
    at_ms = max((told.at_ms for told in member.incident.told_people if told.step == member.step), default=0)
    return f"Was {times_in(said, reader.zone, at_ms)}." if said else ""


def _held_words(member: Member) -> str:
    told = (one for one in reversed(member.incident.told_people) if one.step == member.step and WAS_HELD in one.why)
    return next((one.why[one.why.index(WAS_HELD) :] for one in told), "")


def _part(part: Contributor, *, over: bool) -> str:
    """Return a contributor that is evident: ``Stands out: vendor bpo-a, 60 missed of 100 due``."""
    said = part.detail.partition(";")[0]
    if part.share_of:
        return f"{-part.effect_pp:.0f}% of the {part.share_of}: {part.dimension} {part.value}"
    return f"{'Stood' if over else 'Stands'} out: {part.dimension} {part.value}, {said}"


def _who(member: Member, reader: Reader) -> str:
    """Return who has it, or for how long nobody has."""
    incident = member.incident
    if member.over:
        until_ms = incident.updated_ms if incident.resolved_ms is None else incident.resolved_ms
        by = f" {incident.acknowledged_by} had it." if incident.acknowledged_by else ""
        return f"Over since {clock(until_ms, until_ms, reader.zone, reader.place)}.{by}"
    if is_flapping(member.step) and incident.flapping is not None:
        times = incident.reopened_at_ms
        within = duration((max(times, default=0) - min(times, default=0)) / 1000)
        steady = duration(incident.flapping.steady_ms / 1000)
        return (
            f"Reopened {plural(len(times), 'time')} within {within}. No more messages until it is steady for {steady}."
        )
    if incident.acknowledged_by is not None:
        return f"{incident.acknowledged_by} has it."
    opened_ms = incident.updated_ms if incident.opened_ms is None else incident.opened_ms
    lasting_s = (incident.updated_ms - opened_ms) / 1000
    tier = f", told again (tier {incident.tier})" if incident.tier else ""
    again = f"Reopened {plural(incident.reopened, 'time')}. " if incident.reopened else ""
    if member.again:
        return f"{again}{_still_open(member)}, nobody has acknowledged{tier}."
    return f"{again}Nobody has it yet{tier}" + (f", open for {duration(lasting_s)}." if lasting_s >= 60 else ".")


def _still_open(member: Member) -> str:
    """Return ``Still open after 2 h``, to the minute."""
    minutes = open_for_s(member.incident, member.step) // 60
    return "Still open" + (f" after {duration(minutes * 60)}" if minutes else "")


def _lines_of_many(members: Sequence[Member], counts: Mapping[str, int]) -> list[str]:
    about = told_first(members)
    others = [
        f"{word}: {_named(members, what, count)}"
        for what, word in (("/again", "Still open"), ("/over", "Over"))
        if what != about[0].what and (count := counted(members, counts, what))
    ]
    if about[0].again:
        others = ["Nobody has acknowledged them.", *others]
    named: list[str] = []
    room = MOST_LINES - 1 - len(others)
    kinds = by_kind(about)
    turn = 0
    while len(named) < room and any(turn < len(of_kind) for of_kind in kinds):
        for of_kind in kinds:
            ranked = sorted(of_kind, key=rank)
            if turn < len(ranked) and len(named) < room:
                incident = ranked[turn].incident
                said = phrase_of(incident)
                again = _still_open(ranked[turn]).lower() if ranked[turn].again else ""
                held = _held_words(ranked[turn]).partition(" from ")[0]
                named.append(", ".join(filter(None, (short(incident.scope, said), said.extra, again, held))))
        turn += 1
    more = max(len(about), counted(members, counts, about[0].what)) - len(named)
    return [*named, *([f"and {more:,} more"] if more else []), *others]


def _named(members: Sequence[Member], what: str, count: int) -> str:
    """Return those of a message that it is not about, by name where they are few: ``bpo-b, hate``; ``12, among them hate, spam``."""
    known = sorted((one.incident for one in members if one.what == what), key=lambda one: (one.kind, one.scope_key))
    names = ", ".join(dict.fromkeys(where_words(one.scope, _MOST_NAMED) for one in known[:_NAMED]))
    if not names:
        return f"{count:,}"
    return names if count <= min(_NAMED, len(known)) else f"{count:,}, among them {names}"


def _details(member: Member, reader: Reader) -> list[str]:
    incident = member.incident
    parts = incident.contributors
    lines = [
        f"Evidence: {times_in(incident.evidence, reader.zone, incident.updated_ms)}",
        contributors_heading(parts, over=member.over),
        *(f"  {part_words(part)}" for part in parts),
    ]
    if incident.examples:
        one = shlex.quote(incident.examples[0])
        lines.append(f"Example tasks: {', '.join(incident.examples)}; all of one: floorwatch facts {one}")
    if incident.runbook_url and not is_link(incident.runbook_url):
        lines.append(f"Runbook: {runbook_words(incident.runbook_url)}")
    return [*lines, f"Incident {incident.key[:12]}, rule {incident.rule}, episode {incident.episode}"]


def _links(member: Member, reader: Reader, notice: str, made: Links) -> tuple[Link, ...]:
    incident = member.incident
    board = incident.board_url
    if member.over and incident.resolved_ms is not None:
        board = board_until(board, incident.resolved_ms + window_ms(incident.window))
    signed = {} if reader.link is None else {what: reader.link(what, incident.key, notice) for what in _PURPOSES}
    urls: list[tuple[str, str, LinkKind]] = [("Board", board, "board")]
    if incident.examples:
        urls.append(("Tasks", signed.get("tasks") or made.tasks, "tasks"))
    if not member.over:
        urls += [
            ("I have it", signed.get("ack") or made.ack, "ack"),
            ("Silence", signed.get("silence") or made.silence, "silence"),
        ]
    urls += [
        ("Useful", signed.get("useful") or made.useful, "useful"),
        ("Not useful", signed.get("not_useful") or made.not_useful, "not_useful"),
        ("Runbook", incident.runbook_url, "runbook"),
        ("Details", signed.get("details") or made.details, "details"),
    ]
    return tuple(Link(label, url, does) for label, url, does in urls if is_link(url))


_PURPOSES = ("ack", "silence", "useful", "not_useful", "details", "tasks")


def _commands(member: Member, made: Links, reader: Reader) -> tuple[Command, ...]:
    """Return what can be typed where no link does it."""
    incident = member.incident
    key = incident.key[:_KEY]
    if reader.link is not None:
        return ()
    found = []
    if not member.over and not made.ack:
        found.append(Command("I have it", f"floorwatch ack {key} --by NAME", "ack"))
    if not member.over and not made.silence:
        found.append(Command("Silence", f"floorwatch silence {key} --for 2h --by NAME", "silence"))
    if not made.details:
        found.append(Command("Details", f"floorwatch incidents show {key}", "details"))
    return tuple(found)


def _commands_of_many(made: Links, reader: Reader) -> tuple[Command, ...]:
    return (
        () if reader.link is not None or made.details else (Command("All of them", "floorwatch incidents", "details"),)
    )


def _state(members: Sequence[Member]) -> Literal["open", "acknowledged", "resolved"]:
    live = [member.incident for member in members if not member.over]
    if not live:
        return "resolved"
    return "acknowledged" if all(incident.state == "acknowledged" for incident in live) else "open"


def _as_written(note: ToldNote) -> Message:
    lines = tuple(line.strip() for line in note.body.splitlines() if line.strip())
    named: Mapping[str, Any] = note.incident
    links = [
        Link("Board", str(named.get("board_url") or ""), "board"),
        Link("Runbook", str(named.get("runbook_url") or ""), "runbook"),
    ]
    return Message(
        title=cut(note.title, MOST_TITLE),
        lines=lines[:MOST_LINES],
        details=lines[MOST_LINES:],
        links=tuple(link for link in links if is_link(link.url)),
        severity=note.severity,
        state="resolved" if note.step.startswith("resolved") else "open",
    )


def incident_title(incident: Incident) -> str:
    """Return what and where with the number and its target, without a time: ``comments: SLA 62.9% (target 95%)``."""
    return short(incident.scope, phrase_of(incident))
