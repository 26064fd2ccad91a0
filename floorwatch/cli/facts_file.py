"""The log as facts, from a running cluster or a file of contract events: what the commands on people and rosters read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any

import typer

from alerts.words import plural
from floorwatch.output.terminal import say

if TYPE_CHECKING:
    from config.schema import FloorwatchConfig
    from streams.core.facts import Fact
    from streams.core.people.work import Work
    from streams.core.roster.rows import Arrival, Sign


@dataclass
class FloorLog:
    """What the commands on people and rosters need of a log; facts are folded and let go, a partition at a time.

    A label costs about a kilobyte here (measured over 764,000 events: 380 MB), so a week of a floor with 26 events/s,
    seven million labels, needs 7 GB: give a narrower log there.

    Attributes:
        works: Standing labels, by time once ``close`` was called.
        signs: Claims.
        arrivals: Tasks that came.
        waiting: Labels each queue waits for.
        roster: Shifts and breaks, in log order.
        events: Good events, repeats among them.
        duplicates: Events that repeat one exactly.
        conflicts: Events with a known identity and other content: dead letters.
        refused: Lines that are no good event: dead letters.
        watermark_ms: Greatest event time; -1 of an empty log.
    """

    works: list[Work] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)
    roster: list[Fact] = field(default_factory=list)
    events: int = 0
    duplicates: int = 0
    conflicts: int = 0
    refused: int = 0
    watermark_ms: int = -1

    def close(self) -> None:
        """Bring everything into an order that does not depend on partitions."""
        self.works.sort(key=lambda work: (work.time_ms, work.task_id, work.label_id))
        self.signs.sort()
        self.arrivals.sort()


class FactsReader:
    """Turns the events of one partition, or of one file, into facts and these into what a log needs."""

    def __init__(self, log: FloorLog, *, checked: bool = False) -> None:
        """Add to a log; ``finish`` must be called at the end.

        Args:
            log: Where it goes.
            checked: Lines come from ``events.v1``: what stands there was accepted by the rules of its day.
        """
        self._log, self._checked = log, checked
        self._tasks: dict[str, list[bytes]] = {}

    def take(self, offset: int, raw: bytes) -> None:
        """Take in one event; a bad one is counted, not fatal, as in the stream. About 10 microseconds."""
        from streams.core.facts import fact_of, pack

        log, event = self._log, self._event(raw)
        if event is None:
            log.refused += 1
            return
        fact = fact_of(offset, event)
        if fact is None:
            return  # the log's own clock says nothing of people
        log.events += 1
        log.watermark_ms = max(log.watermark_ms, fact.time_ms)
        self._tasks.setdefault(event.subject, []).append(pack(fact))

    def _event(self, raw: bytes) -> Any:
        """Return the event, None where there is none that counts."""
        from streams.models.events import Tick, decode_log_event
        from streams.models.explain import UNREADABLE, Refusal, explain

        if not self._checked and not isinstance(found := explain(raw, None), Refusal):
            return found
        try:
            event = decode_log_event(raw)
        except UNREADABLE:
            return None
        return event if self._checked or isinstance(event, Tick) else None

    def finish(self) -> None:
        """Fold the facts of every task and let them go."""
        from streams.core.facts import Roster, unpack_one
        from streams.core.grants import permitted
        from streams.core.people.waiting import waiting_labels
        from streams.core.people.work import works_of
        from streams.core.roster.activity import arrival_of, signs_of

        log = self._log
        roster: list[Fact] = []
        while self._tasks:
            task_id, packed = self._tasks.popitem()
            facts = self._distinct([unpack_one(one) for one in packed])
            roster += [fact for fact in permitted(facts) if type(fact) is Roster]
            log.works += [_shared(work) for work in works_of(task_id, facts)]
            log.signs += signs_of(facts)
            arrival = arrival_of(facts)
            if arrival is not None:
                log.arrivals.append(arrival)
            for queue, count in waiting_labels({task_id: facts}).items():
                log.waiting[queue] = log.waiting.get(queue, 0) + count
        log.roster += sorted(roster, key=lambda fact: fact.offset)

    def _distinct(self, facts: list[Fact]) -> list[Fact]:
        """Return facts without repeats and conflicts: of one identity, the first stands."""
        from streams.core.facts import same_content

        seen: dict[str, Fact] = {}
        for fact in facts:
            known = seen.setdefault(fact.identity, fact)
            if known is fact:
                continue
            if same_content(known, fact):
                self._log.duplicates += 1
            else:
                self._log.conflicts += 1
        return list(seen.values())


def _shared(work: Work) -> Work:
    """Return a label whose names are shared with all others that have the same: each fact brings its own copies."""
    names = (work.labeler_id, work.site, work.vendor, work.team, work.queue, work.policy)
    labeler_id, site, vendor, team, queue, policy = map(intern, names)
    return work._replace(
        labeler_id=labeler_id,
        site=site,
        vendor=vendor,
        team=team,
        queue=queue,
        policy=policy,
        values=intern(work.values),
    )


def read_facts(lines: Iterable[bytes]) -> FloorLog:
    """Return the facts of contract events, one JSON event a line, in the order of arrival.

    No clock is asked, so nothing is refused for a time in the future.
    """
    log = FloorLog()
    reader = FactsReader(log)
    for offset, line in enumerate(lines):
        raw = line.rstrip(b"\r\n")
        if raw.strip():
            reader.take(offset, raw)
    reader.finish()
    log.close()
    return log


def load_facts(events: Path | None, config: Path | None, var: Path | None) -> FloorLog:
    """Return the facts of ``--events FILE``, else of the log of the configured cluster as it is now.

    What cannot be used is told on standard error.

    Args:
        events: JSON lines of contract events, or None.
        config: The YAML given by the user, or None.
        var: Directory of a running ``floorwatch up``.

    Raises:
        typer.Exit: With a sentence: no such file, no such cluster, or nothing in it.
    """
    from floorwatch.cli.process import read_lines

    if events is None:
        return _load_cluster(config, var)
    if not events.is_file():
        say(f"{events}: no such file. Give a file of JSON lines; see floorwatch check-events.", err=True)
        raise typer.Exit(2)
    log = read_facts(read_lines(events))
    if log.refused or log.conflicts:
        say(
            f"{plural(log.refused + log.conflicts, 'event')} could not be used ({log.refused} refused, {log.conflicts} conflicting "
            f"duplicates): floorwatch check-events {events} says why",
            err=True,
        )
    if log.watermark_ms < 0:
        say(f"{events} holds no good event. floorwatch check-events {events} says why.", err=True)
        raise typer.Exit(2)
    return log


def _load_cluster(config: Path | None, var: Path | None) -> FloorLog:
    import asyncio
    import logging

    from aiokafka.errors import KafkaError

    from floorwatch.cli.away import Away, kafka_away
    from floorwatch.cli.common import exit_on_config_error, load_for_reader
    from floorwatch.replay.reader import NoLog

    with exit_on_config_error():
        settings = load_for_reader(config, var)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say is said below
    try:
        log = asyncio.run(_read_cluster(settings))
    except (KafkaError, NoLog, Away, OSError) as error:
        said = (
            f"{error}."
            if isinstance(error, NoLog)
            else str(error)
            if isinstance(error, Away)
            else kafka_away(settings, error)
        )
        say(f"{said} A file of events can be read instead: --events FILE.", err=True)
        raise typer.Exit(1) from None
    if log.watermark_ms < 0:
        say("the log holds no event yet", err=True)
        raise typer.Exit(2)
    return log


async def _read_cluster(settings: FloorwatchConfig) -> FloorLog:
    """Read every partition of the log of events up to its end as of now, one after the other.

    The whole retained log is read, also what is older than the correction horizon: tenure and learning curves need it.
    """
    from floorwatch.cli.away import check_kafka
    from floorwatch.replay.reader import open_log
    from streams.adapters.connections import kafka_settings
    from streams.models.topics import EVENTS

    await check_kafka(settings)
    log = FloorLog()
    async with open_log(kafka_settings(settings), settings.kafka.topic_prefix + EVENTS) as events:
        for partition in events.partitions:
            reader = FactsReader(log, checked=True)
            async for records in events.read(await events.extent(partition)):
                for record in records:
                    if record.value is not None:
                        reader.take(record.offset, record.value)
            reader.finish()
    log.close()
    return log
