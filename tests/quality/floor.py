"""Facts of tasks from cases and from simulated floors, for the quality framework."""

from __future__ import annotations

import json
from typing import Any

from floorwatch.analysis.quality.counts import Counts
from floorwatch.analysis.quality.tally import Tallies, count_task
from floorwatch.replay.partition_facts import PartitionFacts
from floorwatch.replay.partition_replay import PartitionReplay
from streams.core.facts import Fact, fact_of
from streams.core.policy import CorePolicy
from streams.models.events import decode_log_event
from tests.replay.memory import MemoryLog


def facts_of(events: list[dict[str, Any]]) -> dict[str, list[Fact]]:
    """Facts by task of events in log order; no duplicates, nothing late."""
    found: dict[str, list[Fact]] = {}
    for offset, event in enumerate(events):
        decoded = decode_log_event(json.dumps(event).encode())
        fact = fact_of(offset, decoded)
        if fact is not None:
            found.setdefault(decoded.subject, []).append(fact)
    return found


def tasks_of(log: MemoryLog) -> dict[str, list[Fact]]:
    """Standing facts by task of a whole log."""
    found: dict[str, list[Fact]] = {}
    for partition, records in enumerate(log.parts):
        partition_facts = PartitionFacts()
        partition_replay = PartitionReplay(partition, CorePolicy(), None, partition_facts.observer)
        partition_replay.feed(records)
        found.update(partition_facts.tasks(partition_replay.knows))
    return found


def counted(tasks: dict[str, list[Fact]]) -> Counts:
    """Counts of all labels as one group."""
    tallies: Tallies = {}
    for task_id, facts in tasks.items():
        count_task(tallies, task_id, facts, lambda _: ["all"])
    return tallies.get("all", {})
