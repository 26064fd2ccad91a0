"""``floorwatch comment``, ``assign``, ``link``, ``snooze``, ``escalate``, ``merge`` and ``unmerge``: what people do about incidents.

Each appends one action to the log, as ``ack`` and ``silence`` do. What is so already is said, and not written again.
"""

from __future__ import annotations

import sys
import time
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from floorwatch.cli.operator_actions import (
    By,
    Key,
    NoteText,
    Wait,
    checked,
    done,
    find,
    incident_of_key,
    named,
    silence_ms,
)
from floorwatch.cli.options import ConfigOption, VarOption
from floorwatch.cli.people_options import fail
from floorwatch.output.reader_zone import local_instant
from floorwatch.output.terminal import say

if TYPE_CHECKING:
    from alerts.incident import Act
    from floorwatch.cli.operator_actions import ActingPlace

MOST_URL = 2000
_MOST_READ = 1_000_000
"""Bytes read of a comment on standard input."""

Other = Annotated[str, typer.Argument(metavar="INTO", help="Key of the incident that speaks for it, or its start.")]


def comment(
    incident: Key,
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="The comment, at most 1,000 characters; - reads it from standard input."),
    ],
    by: By,
    wait: Wait = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Write a comment to an incident, also when it is over."""
    by, text = checked("--by", by), _comment(text)
    place, record = incident_of_key(incident, config, var, over=True)
    _last_episode(place, record)
    say(f"commented by {by}: {named(_do(place, record, 'comment', by, wait, note=text))}")


def assign(
    incident: Key,
    by: By,
    to: Annotated[str, typer.Option("--to", help="Who works on it; left out: nobody any more.")] = "",
    note: NoteText = "",
    wait: Wait = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Say who works on an incident. It goes on escalating until somebody acknowledges it."""
    by, to, note = checked("--by", by), checked("--to", to, empty=True), checked("--note", note, empty=True)
    place, record = incident_of_key(incident, config, var, over=True)
    _last_episode(place, record)
    if to == (record.get("owner") or ""):
        say(f"{to or 'nobody'} has it already: {named(record)}")
        return
    shown = _do(place, record, "owner", by, wait, note=note, target=to)
    say(f"assigned to {to or 'nobody'} by {by}: {named(shown)}")


def link(
    incident: Key,
    url: Annotated[str, typer.Argument(metavar="URL", help="Of a ticket, a document …: https://…")],
    by: By,
    note: NoteText = "",
    wait: Wait = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Give an incident a link, also when it is over. The last ten are kept."""
    by, url, note = checked("--by", by), _url(url), checked("--note", note, empty=True)
    place, record = incident_of_key(incident, config, var, over=True)
    _last_episode(place, record)
    if url in (record.get("links") or ()):
        say(f"it has this link already: {named(record)}")
        return
    say(f"linked by {by}: {named(_do(place, record, 'link', by, wait, note=note, target=url))}")


def snooze(
    incident: Key,
    by: By,
    span: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 1d …; the last one said counts.")],
    note: NoteText = "",
    wait: Wait = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Hear no more of an incident for a while, unless it becomes worse. Then, or at the end, its readers are told again."""
    by, note, span_ms = checked("--by", by), checked("--note", note, empty=True), silence_ms(span)
    place, record = incident_of_key(incident, config, var)
    until_ms = _now_ms() + span_ms
    shown = _do(place, record, "snooze", by, wait, note=note, until_ms=until_ms)
    say(f"snoozed by {by} until {local_instant(until_ms)}: {named(shown)}")


def escalate(
    incident: Key,
    by: By,
    note: NoteText = "",
    wait: Wait = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Have the next tier of escalation told now. This ends a silence, a snooze and an acknowledgement."""
    by, note = checked("--by", by), checked("--note", note, empty=True)
    place, record = incident_of_key(incident, config, var)
    if into := record.get("merged_into"):
        raise fail(f"it is merged: escalate {into[:12]}, or `floorwatch unmerge {record['key'][:12]}` first")
    machine = record.get("machine", {})
    if machine.get("asked_tier", 0) > machine.get("tier", 0):
        say(f"somebody has escalated it already; the next tier is told within seconds: {named(record)}")
        return
    say(f"escalated by {by}: {named(_do(place, record, 'escalate', by, wait, note=note))}")


def merge(
    incident: Key,
    into: Other,
    by: By,
    note: NoteText = "",
    wait: Wait = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Merge an incident into another: it tells nobody while that one is live, and its end is told with it."""
    from floorwatch.cli.incident_records import start_of

    by, note, start = checked("--by", by), checked("--note", note, empty=True), start_of(into)
    place, record = incident_of_key(incident, config, var)
    known = _known(place)
    other = find(known, start)
    if other["key"] == record["key"]:
        raise fail("an incident is not merged into itself: name another one")
    if record.get("merged_into") == other["key"]:
        say(f"it is merged into that one already: {named(record)}")
        return
    if why := _merge_fault(record, other["key"], known):
        raise fail(f"{record['key'][:12]} is not merged: {why}")
    shown = _do(place, record, "merge", by, wait, note=note, target=other["key"])
    say(f"merged by {by} into {named(other)}: {named(shown)}")


def unmerge(
    incident: Key,
    by: By,
    note: NoteText = "",
    wait: Wait = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Let a merged incident speak for itself again."""
    by, note = checked("--by", by), checked("--note", note, empty=True)
    place, record = incident_of_key(incident, config, var, over=True)
    if not record.get("merged_into"):
        say(f"it is not merged: {named(record)}")
        return
    say(f"unmerged by {by}: {named(_do(place, record, 'unmerge', by, wait, note=note))}")


def _do(place: ActingPlace, record: dict[str, Any], what: str, by: str, wait: float, **more: Any) -> dict[str, Any]:
    from alerts.incident import Act

    # An id of its own: should the producer write it twice, it counts once.
    act: Act = Act(what, record["key"], by, _now_ms(), id=f"cli:{uuid.uuid4().hex}", **more)  # type: ignore[arg-type]
    return done(place, record, act, wait)


def _comment(text: str) -> str:
    from alerts.plain_text import TextFault, comment_text

    if text == "-":
        text = sys.stdin.buffer.read(_MOST_READ + 1).decode(errors="surrogateescape")
        if len(text) > _MOST_READ:
            raise fail(f"TEXT: more than {_MOST_READ:,} characters are too many, write at most 1,000")
    try:
        return comment_text(text)
    except TextFault as fault:
        raise fail(f"TEXT: {fault}") from None


def _url(text: str) -> str:
    from alerts.acts import check_link

    text = text.strip()
    try:
        check_link(text)
    except ValueError as error:
        raise fail(f"URL: {error}") from None
    if len(text) > MOST_URL or not text.isprintable():
        raise fail(f"URL: write at most {MOST_URL} characters, without control characters")
    return text


def _known(place: ActingPlace) -> list[dict[str, Any]]:
    from config.connect import redis_options
    from floorwatch.cli.incident_records import read_incidents

    return read_incidents(redis_options(place.settings.redis), place.settings.redis.prefix)


def _last_episode(place: ActingPlace, record: dict[str, Any]) -> None:
    """Check that an incident is the last of its rule and scope: those before it take no actions any more.

    Raises:
        typer.Exit: There is a later one.
    """
    if record["state"] != "resolved":
        return
    later = [one for one in _known(place) if _is_later(one, record)]
    if later:
        raise fail(f"this was episode {record['episode']}, and it began again since: {named(later[-1])}")


def _is_later(one: dict[str, Any], record: dict[str, Any]) -> bool:
    same = (one["rule"], one["scope_key"]) == (record["rule"], record["scope_key"])
    return bool(same and one["episode"] > record["episode"])


def _merge_fault(record: dict[str, Any], target: str, known: list[dict[str, Any]]) -> str:
    from alerts.codec import incident_of
    from alerts.merging import merge_fault

    by_key = {one["key"]: one for one in known}
    return merge_fault(incident_of(record), target, lambda key: incident_of(by_key[key]) if key in by_key else None)


def _now_ms() -> int:
    return int(time.time() * 1000)
