"""``floorwatch audits feed``: draws labels by a plan and asks labelling tools for their audits, on ``audit-requests.v1``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.cli.options import ConfigOption, EventsOption, JsonLinesOption, VarOption, misused
from floorwatch.output.terminal import say, say_json_text, wide_console
from streams.core.formatting import plural

if TYPE_CHECKING:
    from floorwatch.analysis.audits.asked import DrawnLabel
    from floorwatch.analysis.audits.plan_file import ReadyPlan
    from floorwatch.cli.audits_log import DrawLog
    from floorwatch.settings.schema import FloorwatchConfig
    from streams.engine.log import ProducerRecord

_MAX_PLAN_BYTES = 8 * 1024 * 1024
_SEND_S = 120.0


@dataclass
class AskedBefore:
    """The labels that were asked for already.

    Attributes:
        keys: Record keys of these.
        ended: Those whose audit would be late by now: their records can go.
    """

    keys: set[bytes] = field(default_factory=set)
    ended: list[bytes] = field(default_factory=list)


def feed(
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN", help="What `floorwatch audits plan --json` wrote.")],
    send: Annotated[bool, typer.Option("--send", help="Ask for the audits; without it, only say how many.")] = False,
    most: Annotated[int, typer.Option(min=1, max=1_000_000, help="Refuse to ask for more than this at once.")] = 5_000,
    events: EventsOption = None,
    as_json: JsonLinesOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Draw labels by a plan and ask for their audits. Run it again, from cron, as often as you like: none is asked for twice.

    Without --send it says how many it would ask for. Example: floorwatch audits feed plan.json --send
    """
    from floorwatch.cli.audits_log import DrawLog
    from floorwatch.cli.common import exit_on_config_error, load_for_reader
    from floorwatch.cli.facts_file import load_log
    from floorwatch.settings.policies import core_policy

    ready = _read(plan_file)
    with exit_on_config_error():
        settings = load_for_reader(config, var, needed=send or events is None)
    log = load_log(DrawLog(plan=ready), events, config, var)
    horizon_ms = core_policy(settings).horizon_ms
    standing = [one for one in log.drawn if one.time_ms + horizon_ms > log.watermark_ms]
    before = _asked_before(settings, log.watermark_ms) if send or events is None else AskedBefore()
    records = _records(ready, (one for one in standing if _key(one) not in before.keys), horizon_ms)
    if len(records) > most:
        misused(
            f"{len(records):,} labels would be asked for, more than --most {most:,}: nothing was sent. A part of them would not be a "
            "random sample. Plan for fewer audits, let the plan begin later, or allow more with --most."
        )
    if as_json:
        for record in records:
            say_json_text(record.value or b"")
    if send:
        _send(settings, records, before.ended)
    if not as_json:
        _show(log, ready, len(records), sent=send, ended=len(before.ended))


def _key(drawn: DrawnLabel) -> bytes:
    from floorwatch.analysis.audits.asked import draw_key

    return draw_key(drawn.task_id, drawn.label_id)


def _read(path: Path) -> ReadyPlan:
    """Return the plan in a file.

    Raises:
        typer.Exit: 2 where it cannot be read or carried out.
    """
    from config.files import FileFault, read_text
    from floorwatch.analysis.audits.plan_file import BadPlan, read_plan

    try:
        found = read_plan(read_text(path, _MAX_PLAN_BYTES))
    except (FileFault, BadPlan) as error:
        misused(f"{path}: {error}")
    edits = found.edits()
    if edits:
        more = f", and {len(edits) - 1:,} more" if len(edits) > 1 else ""
        say(
            f"{path}: the plan was edited: {edits[0]}{more}. Labels are drawn with the probabilities as they stand; what the plan "
            "promised no longer holds.",
            err=True,
        )
    return found


def _records(ready: ReadyPlan, drawn: Iterable[DrawnLabel], horizon_ms: int) -> list[ProducerRecord]:
    from floorwatch.analysis.audits.asked import encode_draw
    from streams.engine.log import ProducerRecord

    name = ready.document.plan
    return [ProducerRecord(_key(one), encode_draw(name, one, one.time_ms + horizon_ms)) for one in drawn]


def _asked_before(settings: FloorwatchConfig, watermark_ms: int) -> AskedBefore:
    """Return what stands on the topic.

    Raises:
        typer.Exit: 1 where Kafka cannot be used.
    """
    from floorwatch.cli.common import exit_on_kafka_error

    with exit_on_kafka_error(settings, "It cannot be read which audits were asked for"):
        return asyncio.run(_read_topic(settings, watermark_ms))


async def _read_topic(settings: FloorwatchConfig, watermark_ms: int) -> AskedBefore:
    import msgspec

    from floorwatch.analysis.audits.asked import KEY_PREFIX, until_of
    from streams.adapters.clients import kafka_settings
    from streams.engine.log import KafkaLogReader
    from streams.models.topics import AUDIT_REQUESTS

    topic, reader = settings.kafka.topic_prefix + AUDIT_REQUESTS, KafkaLogReader(kafka_settings(settings))
    until: dict[bytes, int] = {}
    for partition in range(settings.kafka.partitions):
        async for records in reader.read(topic, partition):
            for _, key, value in records:
                if not key.startswith(KEY_PREFIX.encode()):
                    continue
                if value is None:
                    until.pop(key, None)
                    continue
                try:
                    until[key] = until_of(value)
                except msgspec.MsgspecError:
                    until[key] = watermark_ms + 1  # of a newer version: it stands, and it is not ours to remove
    return AskedBefore(set(until), sorted(key for key, end_ms in until.items() if end_ms <= watermark_ms))


def _send(settings: FloorwatchConfig, records: list[ProducerRecord], ended: list[bytes]) -> None:
    """Write the requests, and remove those whose audit would be late; each partition in the order of time.

    Raises:
        typer.Exit: 1 where Kafka does not take them. What was written is not asked for again.
    """
    from floorwatch.cli.common import exit_on_kafka_error
    from streams.engine.errors import Misconfigured
    from streams.engine.log import ProducerRecord
    from streams.models.topics import partition_of

    by_partition: dict[int, list[ProducerRecord]] = {}
    for record in (*records, *(ProducerRecord(key, None) for key in ended)):
        by_partition.setdefault(partition_of(record.key or b"", settings.kafka.partitions), []).append(record)
    if by_partition:
        with exit_on_kafka_error(settings, "Not all audits were asked for; run it again to ask for the rest"):
            try:
                asyncio.run(_write(settings, by_partition))
            except Misconfigured as error:
                say(f"Nothing was sent: {error}", err=True)
                raise typer.Exit(1) from None


async def _write(settings: FloorwatchConfig, by_partition: dict[int, list[ProducerRecord]]) -> None:
    from streams.adapters.clients import started_producer
    from streams.engine.log import KafkaLogWriter
    from streams.models.topics import AUDIT_REQUESTS

    async with asyncio.timeout(_SEND_S):
        producer = await started_producer(settings)
        try:
            writer = KafkaLogWriter(producer)
            for partition, records in sorted(by_partition.items()):
                await writer.append(settings.kafka.topic_prefix + AUDIT_REQUESTS, partition, records)
        finally:
            await producer.stop()


def _show(log: DrawLog, ready: ReadyPlan, asked: int, *, sent: bool, ended: int) -> None:
    """Print what was drawn, by stratum, and what became of it."""
    from floorwatch.output.reader_zone import local_instant
    from floorwatch.output.terminal import DataTable

    covered = sum(log.labels.values())
    say(
        f"Plan {ready.document.plan}: {plural(covered, 'label')} from {local_instant(ready.begins_ms)} to "
        f"{local_instant(log.watermark_ms)}, {len(log.drawn):,} drawn."
    )
    if not covered:
        say("No label was made since the plan began: it draws labels from then on. Run this again later.")
        return
    table = DataTable()
    table.add_names(*ready.document.dimensions, "decision")
    table.add_numbers("labels", "π", "drawn")
    for stratum in sorted(log.labels):
        names = (part or "–" for part in stratum)
        shown = (f"{log.labels[stratum]:,}", f"{100 * ready.probability_of(stratum):.3g}%", f"{log.asked[stratum]:,}")
        table.add_row(*names, *shown)
    wide_console().print(table)
    known = len(log.drawn) - asked
    rest = f"; the others ({known:,}) were asked for before, or would be late" if known else ""
    if sent:
        gone = f" {plural(ended, 'request')} that ended were removed." if ended else ""
        say(f"Asked for {plural(asked, 'audit')}{rest}.{gone}")
    else:
        say(f"Would ask for {plural(asked, 'audit')}{rest}. Nothing was sent: --send asks.")
    if log.audited > len(log.drawn):
        say(
            f"{log.audited:,} of these labels have random audits, more than the plan has drawn: another tool draws too. Let one of "
            "them draw, or labels that both may draw count too much."
        )
