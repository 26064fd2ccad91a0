"""The log as facts, from a running cluster or a file of contract events: what the commands on people and rosters read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any

import typer

from floorwatch.output.terminal import say, say_lines
from streams.core.formatting import plural
from streams.core.policy import DAY_MS
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits

if TYPE_CHECKING:
    from floorwatch.analysis.people.standing_labels import StandingLabel
    from floorwatch.analysis.roster.roster_rows import Arrival, ClaimEvent
    from floorwatch.settings.schema import FloorwatchConfig
    from streams.core.facts import Fact


@dataclass
class FloorLog:
    """What the commands on people and rosters need of a log. Facts are folded and dropped, one partition at a time.

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
        refused: Lines that are not a good event: dead letters.
        late: Events that change nothing within the correction horizon, as of the watermark of their partition or file.
        watermark_ms: Greatest event time; -1 of an empty log.
    """

    works: list[StandingLabel] = field(default_factory=list)
    signs: list[ClaimEvent] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)
    roster: list[Fact] = field(default_factory=list)
    events: int = 0
    duplicates: int = 0
    conflicts: int = 0
    refused: int = 0
    late: int = 0
    watermark_ms: int = -1

    def close(self) -> None:
        """Sort everything, so that the order does not depend on partitions."""
        self.works.sort(key=lambda work: (work.time_ms, work.task_id, work.label_id))
        self.signs.sort()
        self.arrivals.sort()


@dataclass(frozen=True)
class ReadingRules:
    """What is taken from a log, as intake and ledger take it.

    Attributes:
        max_event_bytes: Larger events are refused.
        limits: How far an event's times may be from its own.
        horizon_ms: Correction horizon: an event that changes only panes further behind the watermark than this is late.
    """

    max_event_bytes: int = 1_048_576
    limits: EventLimits = DEFAULT_LIMITS
    horizon_ms: int = 14 * DAY_MS

    @classmethod
    def of(cls, settings: FloorwatchConfig) -> ReadingRules:
        """Return the rules of a configuration."""
        from config.events import event_limits
        from floorwatch.settings.policies import core_policy

        limits = event_limits(settings.events)
        return cls(settings.engine.max_event_bytes, limits, core_policy(settings).horizon_ms)


class FactsReader:
    """Turns the events of one partition, or of one file, into facts and these into what a log needs."""

    def __init__(self, log: FloorLog, rules: ReadingRules | None = None, *, checked: bool = False) -> None:
        """Add to a log; ``finish`` must be called at the end.

        Args:
            log: Where it goes.
            rules: What is taken; the defaults' where none are given.
            checked: Lines come from ``events.v1``, so intake has accepted them already.
        """
        self._log, self._checked, self._rules = log, checked, rules or ReadingRules()
        self._tasks: dict[str, list[bytes]] = {}
        self._ended: list[tuple[str, list[bytes]]] = []
        self._spans: dict[str, tuple[int, int]] = {}
        self._watermark_ms = -1

    def take(self, offset: int, raw: bytes) -> None:
        """Take in one event; a bad one is counted, not fatal, as in the stream. About 10 microseconds."""
        from streams.core.facts import fact_of, pack
        from streams.models.timestamps import to_ms

        log, event = self._log, self._event(raw)
        if event is None:
            log.refused += 1
            return
        fact = fact_of(offset, event)
        if fact is None:
            self._watermark_ms = max(self._watermark_ms, to_ms(event.time))
            return  # clock events say nothing about people
        if self._is_late(event.subject, fact):
            log.late += 1
            return
        log.events += 1
        self._watermark_ms = max(self._watermark_ms, fact.time_ms)
        log.watermark_ms = max(log.watermark_ms, fact.time_ms)
        self._tasks.setdefault(event.subject, []).append(pack(fact))

    def _is_late(self, task_id: str, fact: Fact) -> bool:
        """Tell whether the ledger would find a fact late. Repeated identities are not late; they are sorted out at the end.

        A task whose facts are all beyond the horizon has ended for the ledger. A later event with its id begins a new
        task.
        """
        from streams.core.effects import contributions
        from streams.core.facts import Label, last_of, unpack_one
        from streams.core.policy import late_before_ms
        from streams.core.steps import all_before

        first_ms, last_ms = min(fact.time_ms, getattr(fact, "due_ms", None) or fact.time_ms), last_of(fact)
        limit_ms = late_before_ms(self._watermark_ms, self._rules.horizon_ms)
        if span := self._spans.get(task_id):
            if span[1] < limit_ms and self._watermark_ms >= 0:
                self._ended.append((task_id, self._tasks.pop(task_id, [])))
            else:
                first_ms, last_ms = min(first_ms, span[0]), max(last_ms, span[1])
        if first_ms >= limit_ms:
            self._spans[task_id] = first_ms, last_ms
            return False
        known: dict[str, Fact] = {}
        for packed in self._tasks.get(task_id, ()):
            one = unpack_one(packed)
            known.setdefault(one.identity, one)
        if fact.identity not in known:
            if type(fact) is Label and fact.time_ms < limit_ms:
                return True
            facts, now_ms = list(known.values()), self._watermark_ms
            before = contributions(task_id, facts, now_ms) if facts else {}
            if all_before(before, contributions(task_id, [*facts, fact], now_ms), limit_ms):
                return True
        self._spans[task_id] = first_ms, last_ms
        return False

    def _event(self, raw: bytes) -> Any:
        """Return the event, None where there is none that counts."""
        from streams.models.acceptance import UNREADABLE, Refusal, parse_event
        from streams.models.events import Tick, decode_log_event

        rules = self._rules
        if not self._checked:
            found = parse_event(raw, None, rules.max_event_bytes, limits=rules.limits)
            if not isinstance(found, Refusal):
                return found
        try:
            event = decode_log_event(raw)
        except UNREADABLE:
            return None
        return event if self._checked or isinstance(event, Tick) else None

    def finish(self) -> None:
        """Fold the facts of every task and drop them."""
        from floorwatch.analysis.people.standing_labels import standing_labels_of
        from floorwatch.analysis.people.waiting import waiting_labels
        from floorwatch.analysis.roster.activity import arrival_of, claims_of
        from streams.core.facts import Roster, unpack_one
        from streams.core.grants import permitted

        log = self._log
        roster: list[Fact] = []
        while self._tasks or self._ended:
            task_id, packed = self._ended.pop() if self._ended else self._tasks.popitem()
            facts = self._distinct([unpack_one(one) for one in packed])
            roster += [fact for fact in permitted(facts) if type(fact) is Roster]
            log.works += [_shared(work) for work in standing_labels_of(task_id, facts)]
            log.signs += claims_of(facts)
            arrival = arrival_of(facts)
            if arrival is not None:
                log.arrivals.append(arrival)
            for queue, count in waiting_labels({task_id: facts}).items():
                log.waiting[queue] = log.waiting.get(queue, 0) + count
        log.roster += sorted(roster, key=lambda fact: fact.offset)

    def _distinct(self, facts: list[Fact]) -> list[Fact]:
        """Return facts without repeats and conflicts: the first fact of each identity counts."""
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


def _shared(work: StandingLabel) -> StandingLabel:
    """Return a label that shares equal strings with other labels, because each fact comes with its own copies."""
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


def read_facts(lines: Iterable[bytes], rules: ReadingRules | None = None) -> FloorLog:
    """Return the facts of contract events, one JSON event a line, in the order of arrival.

    No clock is asked, so nothing is refused for a time in the future.

    Args:
        lines: One event each.
        rules: What is taken; the defaults' where none are given.
    """
    log = FloorLog()
    reader = FactsReader(log, rules)
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
    from floorwatch.cli.common import exit_on_config_error, load_for_reader
    from floorwatch.cli.process import read_lines

    if events is None:
        return _load_cluster(config, var)
    if not events.is_file():
        say_lines([f"{events}: no such file. Give a file of JSON lines; see floorwatch check-events."], err=True)
        raise typer.Exit(2)
    with exit_on_config_error():
        rules = ReadingRules.of(load_for_reader(config, var, needed=False))
    log = read_facts(read_lines(events), rules)
    if log.refused or log.conflicts:
        say(
            f"{plural(log.refused + log.conflicts, 'event')} could not be used ({log.refused} refused, {log.conflicts} conflicting "
            f"duplicates): floorwatch check-events {events} says why",
            err=True,
        )
    if log.late:
        say(
            f"{plural(log.late, 'event')} late: older than the correction horizon when their line came, so no number holds them. "
            "Sort the file by time to count them.",
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
    from streams.adapters.clients import kafka_settings
    from streams.models.topics import EVENTS

    await check_kafka(settings)
    log, rules = FloorLog(), ReadingRules.of(settings)
    async with open_log(kafka_settings(settings), settings.kafka.topic_prefix + EVENTS) as events:
        for partition in events.partitions:
            reader = FactsReader(log, rules, checked=True)
            async for records in events.read(await events.extent(partition)):
                for record in records:
                    if record.value is not None:
                        reader.take(record.offset, record.value)
            reader.finish()
    log.close()
    return log
