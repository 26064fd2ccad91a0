"""``floorwatch alerts``: whether alerts were right, and a mark from the command line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from alerts.incident import Calendar, Maintenance, Override
from alerts.quality import RuleQuality, quality_by_rule
from config.nearest import choices
from floorwatch.cli.operator_actions import By, Key, checked, incident_of_key, named, put
from floorwatch.cli.options import ConfigOption, JsonLinesOption, VarOption, duration_ms
from floorwatch.cli.people_options import fail
from floorwatch.output.terminal import aligned, json_line, say, say_json_text, say_lines

if TYPE_CHECKING:
    from alerts.burden import Burden
    from alerts.codec import Input
    from alerts.incident import Incident
    from alerts.notice import IncidentGroup
    from alerts.oncall.policy import RotaFacts
    from alerts.quality import Deeds
    from floorwatch.settings.schema import FloorwatchConfig
    from streams.engine.log import LogReader

alerts_app = typer.Typer(help="Whether alerts were right: marks, precision by rule, times.", no_args_is_help=True)

Decoded = TypeVar("Decoded")

BY = ("rule", "person", "route")

_READ_S = 120.0
"""For the whole log of alerts."""


@alerts_app.command("quality")
def quality(
    since: Annotated[
        str | None, typer.Option(help="Only incidents that opened, or messages told, in the last 7d, 30d …")
    ] = None,
    by: Annotated[
        str, typer.Option(help="rule: were they right? person or route: messages, pages outside hours, times.")
    ] = "rule",
    as_json: JsonLinesOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Tell by rule how many alerts were useful, of those that people marked, and how fast they were taken and over.

    By person or route it tells what they asked of people.
    """
    from floorwatch.cli.common import exit_on_config_error, load_for_reader

    if by not in BY:
        raise fail(f"--by {by}: {choices(by, BY)}")
    span_ms = None if since is None else duration_ms("--since", since)
    with exit_on_config_error():
        settings = load_for_reader(config, var)
    since_ms = None if span_ms is None else int(time.time() * 1000) - span_ms
    log = asyncio.run(_read(settings))
    found: list[RuleQuality] | list[Burden]
    if by == "rule":
        rules = found = quality_by_rule(log.incidents.values(), log.deeds, since_ms)
        lines = lines_of(rules) if rules else ["No incidents on the log."]
    else:
        asked = found = _burdens(settings, log, by, since_ms)
        lines = burden_lines(asked, by) if asked else ["Nobody was told of anything in that time."]
    say_lines([] if as_json else lines)
    for one in found if as_json else []:
        say_json_text(json_line(_as_object(one)))


@alerts_app.command("mark")
def mark(
    incident: Key,
    by: By,
    useful: Annotated[bool, typer.Option("--useful/--not-useful", help="Was this alert useful?")],
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Mark an alert as useful or not, also when it is over. The last mark of each name counts."""
    from alerts.incident import Act

    by = checked("--by", by)
    place, record = incident_of_key(incident, config, var, over=True)
    act = Act("useful" if useful else "not_useful", record["key"], by, int(time.time() * 1000))
    written = asyncio.run(put(place.settings, act, place.journal))
    say(f"marked {'useful' if useful else 'not useful'} by {by}, as {written}: {named(record)}")


def lines_of(found: list[RuleQuality]) -> list[str]:
    """Return a headline and a line for each rule."""
    from streams.core.formatting import duration, percent

    rows = [["rule", "incidents", "marked", "useful", "precision", "95% interval", "taken", "median", "over", "median"]]
    for one in found:
        marked = f"{one.marked} of {one.incidents}" + (f", {one.disputed} disputed" if one.disputed else "")
        known = one.precision_ratio is not None and one.low_ratio is not None and one.high_ratio is not None
        rows.append(
            [
                one.rule,
                str(one.incidents),
                marked,
                str(one.useful),
                percent(one.precision_ratio) if one.precision_ratio is not None else "no marks",
                f"{percent(one.low_ratio or 0.0)} to {percent(one.high_ratio or 0.0)}" if known else "",
                str(one.acknowledged),
                "" if one.acknowledge_s is None else duration(one.acknowledge_s),
                str(one.resolved),
                "" if one.resolve_s is None else duration(one.resolve_s),
            ]
        )
    return aligned(rows)


def burden_lines(found: list[Burden], by: str) -> list[str]:
    """Return a headline and a line for each receiver or route."""
    from streams.core.formatting import duration

    rows = [
        [
            by,
            "messages",
            "pages",
            "outside hours",
            "shifts",
            "per shift",
            "most",
            "incidents",
            "taken",
            "median",
            "over",
            "median",
        ]
    ]
    rows += [
        [
            one.who.removeprefix("person:"),
            str(one.messages),
            str(one.pages),
            str(one.outside_hours),
            str(one.shifts),
            f"{one.per_shift:.1f}",
            str(one.most_in_shift),
            str(one.incidents),
            str(one.acknowledged),
            "" if one.acknowledge_s is None else duration(one.acknowledge_s),
            str(one.resolved),
            "" if one.resolve_s is None else duration(one.resolve_s),
        ]
        for one in found
    ]
    return aligned(rows)


def _as_object(one: RuleQuality | Burden) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


@dataclass
class AlertLog:
    """What the log says about alerts.

    Attributes:
        incidents: The last state of each, by key.
        deeds: What people did.
        facts: What people planned.
        routes: By id of a group, its route.
    """

    incidents: dict[str, Incident]
    deeds: Deeds
    facts: RotaFacts
    routes: dict[str, str]


def _burdens(settings: FloorwatchConfig, log: AlertLog, by: str, since_ms: int | None) -> list[Burden]:
    from alerts.burden import World, burdens
    from floorwatch.settings.policies import routing_policy

    world = World(routing_policy(settings), log.facts, log.routes, int(time.time() * 1000))
    side: Literal["person", "route"] = "person" if by == "person" else "route"
    return burdens(side, log.incidents.values(), log.deeds.taken_ms, world, since_ms)


async def _read(settings: FloorwatchConfig) -> AlertLog:
    from aiokafka.errors import KafkaError

    from floorwatch.cli.away import Away, check_kafka
    from streams.models.kafka_error import said_by

    try:
        await check_kafka(settings)
        async with asyncio.timeout(_READ_S):
            return await _folded(settings)
    except (Away, TimeoutError) as error:
        said = str(error) or "Kafka did not answer in time"
    except (KafkaError, OSError) as error:
        said = f"Kafka: {said_by(error)}"
    say(said, err=True)
    raise typer.Exit(1)


async def _folded(settings: FloorwatchConfig) -> AlertLog:
    from alerts.codec import decode_incident, decode_input
    from alerts.notice import IncidentGroup
    from alerts.oncall.facts import fold
    from alerts.oncall.policy import RotaFacts
    from alerts.quality import Deeds
    from streams.adapters.clients import kafka_settings
    from streams.engine.log import KafkaLogReader
    from streams.models.topics import INCIDENTS, NOTICES, SIGNALS

    reader, prefix = KafkaLogReader(kafka_settings(settings)), settings.kafka.topic_prefix
    log = AlertLog({}, Deeds.none(), RotaFacts(), {})
    for partition in range(settings.kafka.partitions):
        async for told in _decoded(reader, prefix + NOTICES, partition, _group_or_plan):
            if isinstance(told, IncidentGroup):
                log.routes[told.id] = told.route
            elif isinstance(told, Override | Maintenance | Calendar):
                log.facts = fold(log.facts, told)
        async for given in _decoded(reader, prefix + SIGNALS, partition, decode_input):
            log.deeds.take(given)
        async for incident in _decoded(reader, prefix + INCIDENTS, partition, decode_incident):
            log.incidents[incident.key] = incident
    return log


def _group_or_plan(value: bytes) -> IncidentGroup | Input | None:
    """Return a group or what somebody plans; None for messages and what became of them, which have versions of their own."""
    import msgspec

    from alerts.codec import decode_group, decode_input
    from streams.models.formats import NewerFormat

    try:
        return decode_input(value)  # it has a version of its own, so it comes first
    except (msgspec.ValidationError, NewerFormat):
        pass
    try:
        return decode_group(value)
    except (msgspec.ValidationError, NewerFormat):
        return None


async def _decoded(
    reader: LogReader, topic: str, partition: int, decode: Callable[[bytes], Decoded]
) -> AsyncIterator[Decoded]:
    """Give the records of a partition that can be read; the others are told of on standard error."""
    from streams.core.records import CONTENT_ERRORS

    unread = 0
    async for records in reader.read(topic, partition):
        for _, _, value in records:
            if value is None:
                continue
            try:
                found = decode(value)
            except CONTENT_ERRORS:
                unread += 1
            else:
                yield found
    if unread:
        say(f"{topic}[{partition}]: {unread} records cannot be read and are left out.", err=True)
