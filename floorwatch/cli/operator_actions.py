"""``floorwatch ack`` and ``floorwatch silence``: append operator actions to the log of incidents."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from floorwatch.cli.options import ConfigOption, VarOption, duration_s
from floorwatch.cli.people_options import fail
from floorwatch.output.reader_zone import local_instant
from floorwatch.output.terminal import say

if TYPE_CHECKING:
    from alerts.incident import Ack, Act, Silence
    from alerts.oncall.kept import Plan
    from floorwatch.sdk.stacks import Found
    from floorwatch.settings.schema import FloorwatchConfig

MAX_TEXT = 200
LEAST_SILENCE_S, MOST_SILENCE_S = 60, 30 * 86_400

WRITER = "acts"
"""Of the embedded journal: what is done there is known again after a restart, when the broker has forgotten it."""

_POLL_S = 0.2
_SEND_S = 20.0

Key = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="Its key as `floorwatch incidents` shows it, or its start.")
]
By = Annotated[str, typer.Option("--by", help="Your name: it is kept with the incident.")]
NoteText = Annotated[str, typer.Option("--note", help="Why, in a few words.")]
Wait = Annotated[float, typer.Option(help="Seconds to wait until the incident shows it.", min=0, max=600)]


class ActingPlace(NamedTuple):
    """Where a command acts: the settings, and the journal of the embedded stack if it is one."""

    settings: FloorwatchConfig
    journal: Path | None


def ack(
    incident: Key,
    by: By,
    note: NoteText = "",
    wait: Wait = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Acknowledge an incident, so that it stops escalating. This replaces somebody else's acknowledgement."""
    from alerts.incident import Ack

    by, note = checked("--by", by), checked("--note", note, empty=True)
    place, record = incident_of_key(incident, config, var)
    shown = done(place, record, Ack(record["key"], by, _now_ms(), note), wait)
    say(f"acknowledged by {by}: {named(shown)}")


def silence(
    incident: Key,
    by: By,
    span: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 1d …; the last one said counts.")],
    note: NoteText = "",
    wait: Wait = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Hold back all messages about an incident for a while. It is still shown and still changes."""
    from alerts.incident import Silence

    by, note = checked("--by", by), checked("--note", note, empty=True)
    span_ms = silence_ms(span)
    place, record = incident_of_key(incident, config, var)
    now_ms = _now_ms()
    shown = done(place, record, Silence(record["key"], by, now_ms, now_ms + span_ms, note), wait)
    say(f"silenced by {by} until {local_instant(now_ms + span_ms)}: {named(shown)}")


def checked(option: str, text: str, *, empty: bool = False, missing: str = "write who you are") -> str:
    """Return a text of somebody's without the space around it.

    Raises:
        typer.Exit: It is empty and must not be, is longer than 200 characters, or holds a character that is refused.
    """
    from alerts.plain_text import TextFault, one_line

    if not text.strip() and not empty:
        raise fail(f"{option}: {missing}")
    try:
        return one_line(text, MAX_TEXT)
    except TextFault as fault:
        raise fail(f"{option}: {fault}") from None


def silence_ms(text: str) -> int:
    """Return the length of a silence or snooze in ms.

    Raises:
        typer.Exit: It is not a duration, shorter than a minute or longer than 30 days.
    """
    span_s = duration_s("--for", text)
    if not LEAST_SILENCE_S <= span_s <= MOST_SILENCE_S:
        raise fail(f"--for {text}: write a time between 1m and 30d")
    return round(span_s * 1000)


def find(records: Sequence[dict[str, Any]], start: str, *, over: bool = False) -> dict[str, Any]:
    """Return the incident whose key begins so: one that is live or, with ``over``, also one that is resolved.

    Raises:
        typer.Exit: There is none, there are several, or it is resolved; the message says what to do.
    """
    from alerts.incident import HIDDEN

    found = [one for one in records if one["key"].startswith(start) and one["state"] not in HIDDEN]
    if not found:
        raise fail(f"no incident begins with {start}; `floorwatch incidents` lists those that are open")
    if len(found) > 1:
        several = [f"  {one['key']}  {named(one)}" for one in found]
        raise fail(f"{start} is the start of {len(found)} incidents, give more digits:", *several)
    (record,) = found
    if record["state"] == "resolved" and not over:
        raise fail(f"resolved since {record['resolved_at']}, so there is nothing to do: {named(record)}")
    return record


def named(record: dict[str, Any]) -> str:
    """Return an incident in one line: what, where and its short key."""
    from streams.core.formatting import printable

    return f"{printable(record['title'])} ({record['key'][:12]})"


def incident_of_key(
    key: str, config: Path | None, var: Path | None, *, over: bool = False
) -> tuple[ActingPlace, dict[str, Any]]:
    """Return where the floor is, and its incident whose key begins so. See ``find``."""
    from config.connect import redis_options
    from floorwatch.cli.common import exit_on_config_error, load_target
    from floorwatch.cli.incident_records import read_incidents, start_of

    start = start_of(key)
    with exit_on_config_error():
        settings, stack = load_target(config, var, process="reader")
    known = read_incidents(redis_options(settings.redis), settings.redis.prefix)
    return ActingPlace(settings, journal_of(settings, stack)), find(known, start, over=over)


def journal_of(settings: FloorwatchConfig, stack: Found | None) -> Path | None:
    """Return the journal of the embedded stack whose broker the settings name; None where it is no embedded stack's.

    Args:
        settings: Whose broker.
        stack: The stack that was found, if any. Without one the brokers may be named by hand, so all that run are asked.
    """
    from floorwatch.sdk.stacks import running

    for state in [stack.state] if stack is not None else [one.state for one in running()]:
        if stack is not None or state.urls.get("kafka") in settings.kafka.brokers:
            return Path(state.journal)
    return None


def done(place: ActingPlace, record: dict[str, Any], act: Ack | Silence | Act, wait_s: float) -> dict[str, Any]:
    """Append an action to the log and return the incident once it shows it.

    Raises:
        typer.Exit: Kafka did not take it, or the incident does not show it in time; the message says which.
    """
    from streams.core.formatting import rfc3339

    written = asyncio.run(put(place.settings, act, place.journal))
    until_s = time.monotonic() + wait_s
    while True:
        shown = _shown(place.settings, record["key"]) or record
        if any((one["by"], one["at"]) == (act.by, rfc3339(act.at_ms)) for one in shown.get("acts", ())):
            return shown
        if shown["state"] == "resolved" and record["state"] != "resolved":
            raise fail(f"it has resolved meanwhile, so there is nothing to do: {named(shown)}")
        if time.monotonic() >= until_s:
            break
        time.sleep(_POLL_S)
    say(
        f"Accepted, as {written}, but the incident does not show it after {wait_s:g} s. It counts as soon as a worker comes to "
        "it: is one running and not far behind? `floorwatch doctor` tells.",
        err=True,
    )
    raise typer.Exit(1)


def _shown(settings: FloorwatchConfig, key: str) -> dict[str, Any] | None:
    from config.connect import redis_options
    from floorwatch.cli.incident_records import read_incidents

    return next(iter(read_incidents(redis_options(settings.redis), settings.redis.prefix, key)), None)


async def put(settings: FloorwatchConfig, act: Ack | Silence | Act | Plan, journal: Path | None) -> str:
    """Write what a person does or plans to the log. Returns the place on the log in words.

    Args:
        settings: Whose log.
        act: What they do.
        journal: Of an embedded stack, whose broker forgets and begins anew from there; None: straight to the broker.

    Raises:
        typer.Exit: It was not taken.
    """
    return await (_send(settings, act) if journal is None else _keep(journal, act))


async def _keep(folder: Path, act: Ack | Silence | Act | Plan) -> str:
    from alerts.append import ALERTS_KEY
    from alerts.codec import encode_input
    from floorwatch.embedded.journal import JournalError, open_free_writer
    from streams.models.topics import SIGNALS

    try:
        writer = await open_free_writer(folder, WRITER)
        try:
            await writer.publish([(ALERTS_KEY, encode_input(act))], SIGNALS)
        finally:
            await writer.stop()
    except (JournalError, OSError) as error:
        say(f"It could not be written, nothing has changed: {error}", err=True)
        raise typer.Exit(1) from None
    return f"a record of the journal {folder}"


async def _send(settings: FloorwatchConfig, act: Ack | Silence | Act | Plan) -> str:
    from aiokafka.errors import KafkaError

    from alerts.append import append_input
    from floorwatch.cli.away import obstacles
    from streams.adapters.clients import started_producer
    from streams.adapters.topic_names import TopicNames
    from streams.engine.errors import Misconfigured
    from streams.models.kafka_error import said_by
    from streams.models.topics import SIGNALS

    told = await obstacles(settings)
    if told:
        raise _away(told)
    names = TopicNames(settings.kafka.topic_prefix, settings.kafka.partitions)
    try:
        async with asyncio.timeout(_SEND_S):
            producer = await started_producer(settings)
            try:
                partition, offset = await append_input(producer, names, act)
            finally:
                await producer.stop()
    except (KafkaError, Misconfigured, OSError, TimeoutError) as error:
        raise _away(said_by(error)) from None
    return f"{names.name(SIGNALS)}[{partition}] offset {offset}"


def _away(said: str) -> typer.Exit:
    say(f"Kafka did not take it, nothing has changed: {said}", err=True)
    return typer.Exit(1)


def _now_ms() -> int:
    return int(time.time() * 1000)
