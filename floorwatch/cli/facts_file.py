"""The log as facts, from a running cluster or a file of contract events: what the commands on people and rosters read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, TypeVar

import typer

from floorwatch.output.terminal import say, say_lines
from streams.core.formatting import plural
from streams.core.policy import DAY_MS
from streams.models.sampling_plan import NO_PLAN, SamplingPlan
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits

if TYPE_CHECKING:
    from floorwatch.analysis.people.standing_labels import StandingLabel
    from floorwatch.analysis.roster.roster_rows import Arrival, ClaimEvent
    from floorwatch.replay.partition_facts import PartitionFacts
    from floorwatch.replay.partition_replay import PartitionReplay
    from floorwatch.settings.schema import FloorwatchConfig
    from streams.core.facts import Fact


T = TypeVar("T", bound="TaskLog")

_READING = "reading"
_TOLD_EVERY = 50_000
"""Events between two words about how far the reading is: a second or more."""


@dataclass(kw_only=True)
class TaskLog:
    """What became of the records of a log. What its tasks come to is taken in by subclasses, one partition at a time.

    Attributes:
        events: Good events, repeats among them.
        duplicates: Events that repeat one exactly.
        conflicts: Events with a known identity and other content: dead letters.
        refused: Lines that are not a good event: dead letters.
        late: Events that change nothing within the correction horizon, as of the watermark of their partition or file.
        watermark_ms: Greatest event time; -1 of an empty log.
        ended: Whether tasks are asked for that the ledger has dropped, because they are older than the correction horizon.
    """

    events: int = 0
    duplicates: int = 0
    conflicts: int = 0
    refused: int = 0
    late: int = 0
    watermark_ms: int = -1
    ended: bool = True

    def take(self, tasks: Iterable[tuple[str, list[Fact]]]) -> None:
        """Take in the tasks of a partition, each with its standing facts in log order."""

    def close(self) -> None:
        """Make the order independent of partitions, once all were taken in."""


@dataclass
class FloorLog(TaskLog):
    """What the commands on people and rosters need of a log. Facts are folded and dropped, one partition at a time.

    A label costs about a kilobyte here (measured over 764,000 events: 380 MB), so a week of a floor with 26 events/s,
    seven million labels, needs 7 GB: give a narrower log there.

    Attributes:
        works: Standing labels, by time once ``close`` was called.
        signs: Claims.
        arrivals: Tasks that came.
        waiting: Labels each queue waits for.
        roster: Shifts and breaks, in log order.
    """

    works: list[StandingLabel] = field(default_factory=list)
    signs: list[ClaimEvent] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)
    roster: list[Fact] = field(default_factory=list)

    def take(self, tasks: Iterable[tuple[str, list[Fact]]]) -> None:
        """Take in the labels, claims, arrivals, waiting labels and rosters of a partition's tasks."""
        from floorwatch.analysis.people.standing_labels import standing_labels_of
        from floorwatch.analysis.people.waiting import waiting_labels
        from floorwatch.analysis.roster.activity import arrival_of, claims_of
        from streams.core.facts import Roster
        from streams.core.grants import permitted

        roster: list[Fact] = []
        for task_id, facts in tasks:
            roster += [fact for fact in permitted(facts) if type(fact) is Roster]
            self.works += [_shared(work) for work in standing_labels_of(task_id, facts)]
            self.signs += claims_of(facts)
            arrival = arrival_of(facts)
            if arrival is not None:
                self.arrivals.append(arrival)
            for queue, count in waiting_labels({task_id: facts}).items():
                self.waiting[queue] = self.waiting.get(queue, 0) + count
        self.roster += sorted(roster, key=lambda fact: fact.offset)

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
        sampling: What is said of audits that name no probability.
    """

    max_event_bytes: int = 1_048_576
    limits: EventLimits = DEFAULT_LIMITS
    horizon_ms: int = 14 * DAY_MS
    sampling: SamplingPlan = field(default=NO_PLAN, hash=False)

    @classmethod
    def of(cls, settings: FloorwatchConfig) -> ReadingRules:
        """Return the rules of a configuration."""
        from config.events import event_limits
        from floorwatch.settings.policies import core_policy

        limits = event_limits(settings.events)
        horizon_ms, plan = core_policy(settings).horizon_ms, settings.sampling.plan()
        return cls(settings.engine.max_event_bytes, limits, horizon_ms, plan)


def _take_in(log: TaskLog, replayed: PartitionReplay, partition_facts: PartitionFacts) -> None:
    """Add a partition that was replayed to a log: what its tasks come to, and what became of its records."""
    from floorwatch.replay.partition_replay import RecordOutcome

    outcomes = partition_facts.outcomes
    log.duplicates += outcomes[RecordOutcome.duplicate]
    log.conflicts += outcomes[RecordOutcome.conflict]
    good = (RecordOutcome.counted, RecordOutcome.duplicate, RecordOutcome.conflict)
    log.events += sum(outcomes[one] for one in good)
    log.refused += outcomes[RecordOutcome.refused] + outcomes[RecordOutcome.set_aside]
    log.late += outcomes[RecordOutcome.late]
    log.watermark_ms = max(log.watermark_ms, partition_facts.last_ms)
    log.take(partition_facts.tasks(replayed.knows))


def _accepted(raw: bytes, rules: ReadingRules) -> bytes | None:
    """Return a line as intake would put it on the log of events, None where it would not.

    Clock events, which only Floorwatch writes, may stand in a file.
    """
    from streams.models.acceptance import UNREADABLE, Refusal, accept
    from streams.models.events import Tick, decode_log_event, encode_event
    from streams.models.sampling_plan import with_sampling

    found = accept(raw, None, rules.max_event_bytes, limits=rules.limits)
    if not isinstance(found, Refusal):
        event = with_sampling(found[0], rules.sampling, first=False)
        if isinstance(event, Refusal):
            return None
        value: bytes = raw if event is found[0] else encode_event(event)
        return value
    try:
        return raw if isinstance(decode_log_event(raw), Tick) else None
    except UNREADABLE:
        return None


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
    """Return the facts of contract events; see ``read_log``."""
    return read_log(FloorLog(), lines, rules)


def read_log(log: T, lines: Iterable[bytes], rules: ReadingRules | None = None) -> T:
    """Take contract events into a log, one JSON event a line, in the order of arrival, and return it.

    No clock is asked, so nothing is refused for a time in the future.

    Args:
        log: Takes them in.
        lines: One event each.
        rules: What is taken; the defaults' where none are given.
    """
    from floorwatch.replay.partition_facts import PartitionFacts
    from floorwatch.replay.partition_replay import PartitionReplay
    from streams.core.policy import CorePolicy
    from streams.core.records import Record

    rules, facts = rules or ReadingRules(), PartitionFacts(ended=log.ended)
    replayed = PartitionReplay(0, CorePolicy(horizon_ms=rules.horizon_ms), observer=facts.observer, rows=False)
    for offset, line in enumerate(lines):
        raw = line.rstrip(b"\r\n")
        if not raw.strip():
            continue
        value = _accepted(raw, rules)
        if value is not None:
            replayed.feed([Record(offset, 0, None, value)])
        else:
            log.refused += 1
    _take_in(log, replayed, facts)
    log.close()
    return log


def load_facts(events: Path | None, config: Path | None, var: Path | None) -> FloorLog:
    """Return the facts of ``--events FILE``, else of the log of the configured cluster as it is now; see ``load_log``."""
    return _loaded(FloorLog(), events, config, var, read_facts)


def load_log(log: T, events: Path | None, config: Path | None, var: Path | None) -> T:
    """Take ``--events FILE`` into a log, else the log of the configured cluster as it is now, and return it.

    What cannot be used is told on standard error.

    Args:
        log: Takes it in.
        events: JSON lines of contract events, or None.
        config: The YAML given by the user, or None.
        var: Directory of a running ``floorwatch up``.

    Raises:
        typer.Exit: With a sentence: no such file, no such cluster, or nothing in it.
    """
    return _loaded(log, events, config, var, lambda lines, rules: read_log(log, lines, rules))


def _loaded(
    empty: T,
    events: Path | None,
    config: Path | None,
    var: Path | None,
    read: Callable[[Iterable[bytes], ReadingRules], T],
) -> T:
    """Return what ``read`` makes of the file, or ``empty`` filled from the cluster."""
    from floorwatch.cli.common import exit_on_config_error, load_for_reader
    from floorwatch.cli.process import read_lines
    from floorwatch.cli.progress import phases

    if events is None:
        return _load_cluster(empty, config, var)
    if not events.is_file():
        say_lines([f"{events}: no such file. Give a file of JSON lines; see floorwatch check-events."], err=True)
        raise typer.Exit(2)
    with exit_on_config_error():
        rules = ReadingRules.of(load_for_reader(config, var, needed=False))
    with phases() as progress:
        log = read(_counted(read_lines(events), progress), rules)
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


def _counted(lines: Iterable[bytes], progress: Callable[[str, int, int | None], None]) -> Iterator[bytes]:
    """Yield lines, and tell now and then how many there were; a short file is read without a word."""
    for number, line in enumerate(lines, 1):
        yield line
        if number % _TOLD_EVERY == 0:
            progress(_READING, number, None)


def _load_cluster(log: T, config: Path | None, var: Path | None) -> T:
    import asyncio
    import logging

    from aiokafka.errors import KafkaError

    from floorwatch.cli.away import Away, kafka_away
    from floorwatch.cli.behind import tell_behind
    from floorwatch.cli.common import exit_on_config_error, load_target
    from floorwatch.replay.reader import NoLog

    with exit_on_config_error():
        settings, stack = load_target(config, var, process="reader")
    tell_behind(stack)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say is said below
    try:
        asyncio.run(_read_cluster(log, settings))
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


async def _read_cluster(log: TaskLog, settings: FloorwatchConfig) -> None:
    """Read every partition of the log of events up to its end as of now, one after the other.

    The whole retained log is read, also what is older than the correction horizon: tenure and learning curves need it.
    """
    from floorwatch.cli.away import check_kafka
    from floorwatch.cli.progress import phases
    from floorwatch.replay.reader import open_log
    from floorwatch.replay.replayer import replay
    from floorwatch.settings.policies import core_policy
    from streams.adapters.clients import kafka_settings
    from streams.models.topics import EVENTS

    await check_kafka(settings)
    with phases() as progress:

        def take_in(replayed: PartitionReplay, facts: PartitionFacts) -> None:
            _take_in(log, replayed, facts)
            if log.events >= _TOLD_EVERY:
                progress(_READING, log.events, None)

        async with open_log(kafka_settings(settings), settings.kafka.topic_prefix + EVENTS) as events:
            await replay(events, core_policy(settings), visit=take_in, rows=False, ended=log.ended)
    log.close()
