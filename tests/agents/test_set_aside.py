"""A record or a row that a stage cannot process is set aside and told of; the others come out as ever."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import msgspec
import orjson
import pytest

from alerts.codec import encode_input
from streams.adapters.readmodel import ReadModel
from streams.adapters.topic_names import TopicNames
from streams.agents import aggregate as scopes_module
from streams.agents import intake as intake_module
from streams.agents.aggregate import AggregateStage
from streams.agents.intake import Intake, IntakePolicy
from streams.agents.ledger import LedgerStage
from streams.agents.shown_rows import Shown
from streams.core.ledger_store import new_store
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.rows import StateRow
from streams.core.segments import Segments
from streams.engine.errors import Invariant
from streams.engine.log import ProducerRecord
from streams.models import topics
from telemetry.exporter import ExportPolicy, FloorCollector
from telemetry.registry import build_registry
from tests.agents.publishing import Log, Model
from tests.core.harness import CoreRun, encode
from tests.oracle.case_events import event, label

POLICY = CorePolicy()
OUT = TopicNames("f.", 1)


class Meter:
    """Counts what was set aside, by stage."""

    def __init__(self) -> None:
        self.aside: Counter[str] = Counter()

    def set_aside(self, stage: str, records: int = 1) -> None:
        self.aside[stage] += records

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: 0.0


class Stored(Log):
    """A log that can be read: records by topic."""

    def __init__(self, held: dict[str, list[tuple[bytes, bytes | None]]]) -> None:
        super().__init__()
        self._held = held

    async def read(self, topic: str, partition: int) -> Any:
        records = self._held.get(topic, [])
        if records:
            yield [(offset, key, value) for offset, (key, value) in enumerate(records)]


def letters(log: Log) -> list[dict[str, Any]]:
    found = log.last("f." + topics.DEAD_LETTERS)
    return [orjson.loads(value) for value in found.values() if value is not None]


def test_intake(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("accept", "accept_plain"):
        original = getattr(intake_module, name)

        def faulty(raw: bytes, *args: Any, original: Any = original) -> Any:
            if b"l-2" in raw:
                raise OverflowError("planted")
            return original(raw, *args)

        monkeypatch.setattr(intake_module, name, faulty)
    log, meter = Log(), Meter()
    intake = Intake("raw", 0, OUT, log, log, IntakePolicy(), meter)
    values = [json.dumps(label(f"l-{n}", n)).encode() for n in range(1, 4)]
    intake.fold([Record(n, 1_795_430_000_000, None, value) for n, value in enumerate(values)])
    assert asyncio.run(intake.flush()) == 3
    assert [json.loads(v)["data"]["label_id"] for t, rs in log.appends if t == "f.events.v1" for _, v, _ in rs] == [
        "l-1",
        "l-3",
    ]
    (letter,) = letters(log)
    assert (letter["code"], letter["offset"]) == ("cannot_process", 1)
    assert json.loads(letter["value"]) == json.loads(values[1])
    assert "OverflowError" in letter["reason"]
    assert letter["hint"]
    assert meter.aside == {"intake": 1}


def partials() -> list[tuple[bytes, bytes | None]]:
    store = new_store(0, POLICY, "o")
    events = [label(f"l-{n}", n, task=f"t-{n}", queue=f"q{n}") for n in range(1, 4)]
    store.ledger.fold([Record(n, 0, *encode(event)) for n, event in enumerate(events)])
    flush = store.collect()
    assert flush is not None
    return [*flush.outputs, flush.watermark]


def stage_of(log: Log, model: Any, meter: Meter) -> AggregateStage:
    return AggregateStage(0, POLICY, OUT, log, log, model, meter, publish_interval_s=0.0, shown=Shown({"1h": None}))  # type: ignore[arg-type]


UNREADABLE: list[tuple[bytes, bytes | None]] = [
    (b"no bars at all", b"\x92\x01\x80"),
    (b"all|x|0|0|o", b"\x92\x01\x80"),
    (b"all|7|0|0|o", b"\x92\x01\x80"),
    (b"\xff\xfe|0|0|0|o", b"\x92\x01\x80"),
    (b"queue=q1|0|1795392000000|0|zz", b""),
    (b"queue=q1|0|1795392000000|0|zz", b"\xc1\xc1\xc1"),
    (b"~watermark|x|o", b"\x92\x01\x02"),
    (b"~watermark|0|o", b"not msgpack"),
]


@pytest.mark.parametrize("recovered", [True, False])
def test_partial_rows(recovered: bool) -> None:
    good = partials()
    expected, _ = asyncio.run(_published(good, recovered=recovered))
    shown, meter = asyncio.run(_published([*UNREADABLE, *good[:7], *UNREADABLE, *good[7:]], recovered=recovered))
    assert shown.last("f." + topics.ACCURACY) == expected.last("f." + topics.ACCURACY)
    told = letters(shown)
    assert told
    assert {letter["code"] for letter in told} == {"cannot_process"}
    assert {letter["stage"] for letter in told} == {"scopes"}
    assert meter.aside["scopes"] >= len(UNREADABLE)


async def _published(records: list[tuple[bytes, bytes | None]], *, recovered: bool) -> tuple[Log, Meter]:
    meter = Meter()
    log = Stored({"f." + topics.PARTIALS: records if recovered else []})
    stage = stage_of(log, Model(), meter)
    await stage.recover()
    if not recovered:
        stage.fold([Record(n, 0, key, value) for n, (key, value) in enumerate(records)])
    await stage.flush()
    await stage.flush()
    return log, meter


def test_incidents(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that is none, one that raises, and records of another version: the others open their incidents."""
    from streams.agents import incident_state, incidents
    from tests.alerts import test_operator_actions, test_requests

    original, meter = incident_state.step, Meter()

    def faulty(held: Any, given: Any, policy: Any, **more: Any) -> Any:
        if getattr(given, "scope_key", "") == "vendor=bad":
            raise KeyError("planted")
        return original(held, given, policy, **more)

    monkeypatch.setattr(incident_state, "step", faulty)
    log = test_requests.Log()
    unreadable = [b"{oops", b"{}", b'{"rule":1}']
    log.records = {"f.incidents.v1": [ProducerRecord(b"k", value) for value in unreadable]}
    log.records["f.audit-requests.v1"] = [ProducerRecord(b"k", value) for value in unreadable]
    stage = incidents.IncidentsStage(0, (test_operator_actions.VENDOR,), OUT, log, log, log, "f:", log, meter=meter)  # type: ignore[arg-type]

    async def go() -> None:
        await stage.recover()
        good = test_operator_actions.on()
        bad = msgspec.structs.replace(good, scope={"vendor": "bad"}, scope_key="vendor=bad")
        inputs = [b"{oops", encode_input(bad), b"\xff", encode_input(good)]
        stage.fold([Record(n, 0, b"x", value) for n, value in enumerate(inputs)])
        assert await stage.flush() == 4

    asyncio.run(go())
    assert len(stage._state._incidents) == 1
    told = [orjson.loads(out.value or b"") for out in log.records["f." + topics.DEAD_LETTERS]]
    assert [(one["source_topic"], one["offset"]) for one in told] == [
        *(("f.incidents.v1", n) for n in range(3)),
        *(("f.audit-requests.v1", n) for n in range(3)),
        *(("f.signals.v1", n) for n in range(3)),
    ]
    assert meter.aside == {"incidents": 9}


def test_a_row_whose_counters_cannot_be_read_counts_as_nothing() -> None:
    good = partials()
    damaged = [
        (key, value[:-3] + b"\xc1\xc1\xc1" if value and key.startswith(b"queue=q1|") else value) for key, value in good
    ]
    log, meter = asyncio.run(_published(damaged, recovered=False))
    rows = {key: orjson.loads(value) for key, value in log.last("f." + topics.THROUGHPUT).items() if value}
    assert rows[b"queue=q2|1h"]["labels"] == 1
    assert rows[b"all|1h"]["labels"] == 3
    assert rows.get(b"queue=q1|1h", {"labels": 0})["labels"] == 0
    assert meter.aside["scopes"] >= 1
    assert {letter["value_encoding"] for letter in letters(log)} == {"base64"}


@pytest.mark.parametrize(("broken", "whole"), [("1h", "24h"), ("24h", "1h")])
def test_a_table_row_that_cannot_be_worked_out_is_withdrawn(
    broken: str, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = scopes_module.window_json

    def faulty(window: Any, watermark_ms: int, *more: Any) -> Any:
        if window.state.key == "queue=q2" and window.window == broken:
            raise ZeroDivisionError("planted")
        return original(window, watermark_ms)

    monkeypatch.setattr(scopes_module, "window_json", faulty)
    log, meter = asyncio.run(_published(partials(), recovered=False))
    rows = log.last("f." + topics.THROUGHPUT)
    assert rows[f"queue=q2|{broken}".encode()] is None
    assert rows[f"queue=q1|{broken}".encode()] is not None
    assert rows[f"queue=q2|{whole}".encode()] is not None
    assert meter.aside["scopes"] >= 1


def test_the_ledger_stops_at_a_changelog_it_cannot_read() -> None:
    """Its rows are what numbers are made of: without one they would be wrong, and nobody would know."""
    log = Stored({"f." + topics.LEDGER: [(b"r|all|0|0|o", b"\xc1\xc1")]})
    stage = LedgerStage(0, POLICY, OUT, log, log, Meter())
    with pytest.raises(Invariant, match="cannot be read.*rebuild"):
        asyncio.run(stage.recover())
    with pytest.raises(ValueError, match="a row of the changelog cannot be read"):
        _ = StateRow(None, 1, record=b"\x92\x01\xc1").counters


def test_redis() -> None:
    class Redis:
        async def hgetall(self, _: str) -> dict[bytes, bytes]:
            return {b"all": b'{"labels":1}', b"queue=q": b"{oops", b"\xff": b"{}"}

    model = ReadModel(Redis(), "f:")  # type: ignore[arg-type]
    assert asyncio.run(model.rows("accuracy", "1h")) == {"all": {"labels": 1}}


def test_a_scrape() -> None:
    class Odd:
        def __ge__(self, _: object) -> bool:
            raise TypeError

    from prometheus_client.exposition import generate_latest

    good = {"table": "throughput", "window": "1h", "scope": {"queue": "q"}, "scope_key": "queue=q", "labels": 3}
    bad = [
        None,
        {},
        {**good, "scope": {"queue": "\ud800"}, "scope_key": "queue=\ud800", "labels": 5},
        {**good, "scope": {"queue": "big"}, "scope_key": "queue=big", "labels": 10**400},
        {**good, "scope": {"queue": "nan"}, "scope_key": "queue=nan", "labels": float("nan")},
        {**good, "scope": [], "scope_key": "x"},
        {**good, "scope": {"queue": Odd()}, "scope_key": "queue=odd"},
    ]
    collector = FloorCollector(lambda: [*bad, good], policy=ExportPolicy())  # type: ignore[list-item]
    text = generate_latest(build_registry(collector)).decode()
    assert 'floorwatch_labels{queue="q",scope="queue=q"' in text
    assert 'floorwatch_export_rows_skipped{reason="malformed"}' in text


@pytest.mark.slow
def test_segments_are_bounded_in_bytes() -> None:
    """One label of 64 values of 256 characters is 66 kB: four thousand of them would not fit into a record of any topic."""
    facts = [(n, f"t{n}", True, False, 0, bytes(66_000)) for n in range(4_000)]
    records = Segments().add(facts, 0, 4_000, "o")
    assert max(len(value) for _, value in records) < 1_300_000
    back = Segments()
    found = [fact for key, value in records for fact in back.recall(key, value, 4_000)]
    assert [fact[0] for fact in found] == list(range(4_000))
    alone = Segments().add([(0, "t", True, False, 0, bytes(3_000_000))], 0, 1, "o")
    assert len(alone) == 1


def test_a_core_run_reads_rows_beyond_64_bits() -> None:
    """Go's zero time as started_at: 184 million labels a week of it pass 64 bits, a hundred thousand in one row do."""
    run = CoreRun()
    event = label("l", 5, task="t", queue="q")
    event["data"]["started_at"] = "0001-01-01T00:00:00Z"
    run.send([event])
    ledger = run.stores[0].ledger
    ledger.drain()
    for _, row in ledger.rows.places():
        for counter in (3, 13):
            row.counters[counter] = row.counters.get(counter, 0) + (1 << 70)
    run.finish()
    row = run.windows()["throughput"]["all", "1h"]
    assert row["handle_ms_sum"] > 1 << 70
    assert msgspec.json.decode(msgspec.json.encode(row["handle_ms_mean"])) > 0


def test_rows_stay_records_however_long_decisions_are() -> None:
    """33 of them were more than a topic's 8 MiB before."""
    run = CoreRun()
    for number in range(40):
        sent = label(f"l{number}", 5, task=f"t{number}", queue="q")
        sent["data"]["values"] = [f"{number}-{n}-" + "😀" * 240 for n in range(64)]
        wrong = ["x" * 200 + f"{number}{n}" for n in range(64)]
        audit = event(
            "audit.completed", 6, {"audit_id": f"a{number}", "verdict": "incorrect", "values": wrong}, task=f"t{number}"
        )
        run.send([sent, audit])
    flush = run.stores[0].collect()
    assert flush is not None
    assert max(len(value or b"") for _, value in flush.outputs) < 200_000
    run.floor.apply([*flush.outputs, flush.watermark])
    row = run.windows()["accuracy"]["all", "1h"]
    assert len(row["confusion"]) == 40
    assert len(json.dumps(row)) < 200_000
