"""What the doctor says of audits on the log: whose draw nobody tells, and which one weighs more than all others together."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.kafka import KafkaSettings
from config.sampling import SamplingSettings
from floorwatch.cli import doctor_sampling
from floorwatch.cli.doctor_check import Check
from floorwatch.cli.doctor_sampling import checks_of, drawn_by_source, sampling_checks, twice_checks
from floorwatch.embedded.servers import Servers
from streams.adapters.admin import create_topics
from streams.engine.log import KafkaLogWriter, ProducerRecord
from streams.models.kafka_producer import started_producer
from streams.models.sampling_plan import NO_PLAN
from streams.models.topics import topic_specs
from tests.oracle.case_events import audit, label


def told(events: list[dict[str, Any]], **sources: Any) -> list[Check]:
    plan = SamplingSettings.model_validate({"sources": sources}).plan()
    return checks_of(drawn_by_source([json.dumps(one).encode() for one in events]), plan)


def test_a_source_that_says_nothing_is_named_with_the_setting_that_mends_it() -> None:
    silent = [audit(f"a-{n}", 7, "l", "correct") for n in range(180)]
    named = [audit(f"b-{n}", 7, "l", "correct", p=0.05) for n in range(20)]
    (check,) = told([*silent, *named, label("l", 5)])
    assert (check.status, check.name) == ("warn", "sampling")
    assert check.detail == "180 of 200 audits of source case carry no probability: assumed random"
    assert 'sampling: {sources: {"case": {method: random, probability: 0.05}}}' in (check.fix or "")


@pytest.mark.parametrize("said", ["unset", "targeted", {"probability": 0.05}])
def test_where_the_configuration_speaks_of_a_source_nothing_is_asked(said: Any) -> None:
    assert [check.status for check in told([audit("a", 7, "l", "correct")], case=said)] == ["ok"]


def test_a_source_of_nothing_but_targeted_audits_is_named() -> None:
    (check,) = told([audit(f"a-{n}", 7, "l", "correct", how="review", by="event") for n in range(40)])
    assert (check.status, "all 40 audits of source case are targeted" in check.detail) == ("warn", True)
    few = told([audit(f"a-{n}", 7, "l", "correct", how="review") for n in range(5)])
    assert [one.status for one in few] == ["ok"]


def test_one_audit_that_weighs_more_than_all_others_is_told() -> None:
    honest = [audit(f"a-{n}", 7, "l", "correct", p=0.05) for n in range(500)]
    assert [check.status for check in told(honest)] == ["ok"]
    by_risk = [audit(f"b-{n}", 7, "l", "correct", p=(0.01, 0.2)[n % 2]) for n in range(60)]
    assert [check.status for check in told(by_risk)] == ["ok"]
    (check,) = told([*honest, audit("lie", 8, "l", "incorrect", p=1e-6)])
    assert (check.status, check.name) == ("warn", "weights")
    assert "probability 1e-06: it stands for 1,000,000 labels, 99% of what all 501 stand for" in check.detail
    assert "min_probability" in (check.fix or "")


def drawn_twice(chances: tuple[float, ...], sent: Callable[[float], float], seed: int = 5) -> list[Check]:
    """What is told where programmes with these chances draw from the same 3,000 labels and send a probability each."""
    random_draws = random.Random(seed)
    events = []
    for n in range(3_000):
        events.append(label(f"l-{n}", 5))
        drawn = [p for p in chances if random_draws.random() < p]
        events += [audit(f"a-{n}-{p}", 7, f"l-{n}", "correct", p=sent(p)) for p in drawn]
    return twice_checks([json.dumps(one).encode() for one in [*events[1_000:], *events[:1_000]]])


def test_two_programmes_that_name_their_own_probability_are_told() -> None:
    """The fault planted: each label speaks for itself twice; nothing told of it."""
    (check,) = drawn_twice((0.05, 0.1), lambda p: p)
    assert (check.status, check.name) == ("warn", "weights")
    assert "latest 3,000 labels stand for 5," in check.detail
    assert "by any programme" in (check.fix or "")
    assert drawn_twice((0.05, 0.1), lambda _: 1 - 0.95 * 0.9) == []


@pytest.mark.parametrize("chance", [0.004, 0.02, 0.3, 1.0])
def test_one_programme_is_not_told_to_count_twice(chance: float) -> None:
    assert [drawn_twice((chance,), lambda p: p, seed) for seed in range(5)] == [[]] * 5


def test_audits_of_labels_that_are_not_among_the_latest_events_say_nothing() -> None:
    late = [audit(f"a-{n}", 7, f"old-{n}", "correct", p=0.01) for n in range(500)]
    events = [label("l", 5), *late, audit("x", 7, "l", "incomparable", p=0.01), audit("y", 7, None, "correct", p=0.01)]
    assert twice_checks([b"label.submitted", *(json.dumps(one).encode() for one in events)]) == []


def test_many_sources_are_cut_and_counted_and_what_is_no_event_is_passed_over() -> None:
    events = [audit("a", 7, "l", "correct") | {"source": f"tool-{n}"} for n in range(25)]
    checks = told(events)
    assert len(checks) == 11
    assert checks[-1].detail.startswith("15 more")
    assert drawn_by_source([b"audit.completed", b"{}", b"\xff audit.completed"]) == {}
    assert checks_of({}, NO_PLAN)[0].status == "ok"


@pytest.mark.servers
def test_the_latest_audits_of_every_partition_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_sampling, "LATEST", 50)

    async def run() -> tuple[list[Check], list[Check]]:
        async with Servers(tmp_path / "servers") as servers:
            connection = {"bootstrap_servers": servers.brokers}
            await create_topics(connection, topic_specs("floorwatch.", 2))
            kafka = KafkaSettings(brokers=[servers.brokers], partitions=2)
            empty = await sampling_checks(kafka, NO_PLAN)
            producer = await started_producer(connection)
            writer = KafkaLogWriter(producer)
            old = audit("old", 7, "l", "correct") | {"source": "old-tool"}
            for events in ([old], [label(f"l-{n}", 5) for n in range(200)], [audit("a", 8, "l", "correct")]):
                records = [ProducerRecord(b"t", json.dumps(one).encode()) for one in events]
                for partition in range(2):
                    await writer.append("floorwatch.events.v1", partition, records)
            await producer.stop()
            return empty, await sampling_checks(kafka, NO_PLAN)

    empty, found = asyncio.run(run())
    assert [check.detail for check in empty] == ["there are no audits among the latest events"]
    assert [check.detail for check in found] == ["2 of 2 audits of source case carry no probability: assumed random"]
