"""Requests for audits: made once a day at most, and once only however often their signals are folded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.audit_requests import STANDS_MS, LastRequest, decode_standing, encode_request, request_id, step
from alerts.codec import encode_input
from alerts.signal_filter import SignalFilterState, filter_signals
from alerts.signals import AuditSuggestion, Signal
from streams.adapters.topic_names import TopicNames
from streams.agents.incidents import IncidentsStage
from streams.core.detectors.bets import PaneClass, ShareBets
from streams.core.detectors.dispersion import NANO
from streams.core.detectors.fleet import audits_to_decide
from streams.core.detectors.fold import begin, fold_pane
from streams.core.records import Record
from streams.engine.log import ProducerRecord
from tests.alerts.machine import signal
from tests.alerts.outboxes import OutboxOfIds
from tests.alerts.rows import MINUTE_MS, NOW_MS, accuracy, one, rule, signals

TOPIC = "f.audit-requests.v1"
RULE = rule("accuracy_low", scope={"by": "vendor"}, **{"for": 1}, resolve_for=3)
WISH = AuditSuggestion(audits=71, score=1000.0, bar=140_000.0, units=60, bad=9)


def wishing(at_ms: int = NOW_MS, **more: Any) -> Signal:
    return signal(False, at_ms, **{"rule": "the-rule", "wish": WISH, **more})


def reading(**fields: Any) -> dict[str, Any]:
    found = {"score": 1000.0, "bar": 140_000.0, "firing": False, "since_ms": NOW_MS - MINUTE_MS, "fired_ms": None}
    return {"the-rule": found | {"units": 60, "bad": 9, "wants_audits": True} | fields}


def test_a_rule_wishes_audits_where_its_detector_does() -> None:
    assert one(RULE, accuracy({"vendor": "bpo-a"}, 90, 100, evidence=reading())).wish == WISH
    for quiet in (reading(wants_audits=False), reading(bad=1)):
        assert one(RULE, accuracy({"vendor": "bpo-a"}, 90, 100, evidence=quiet)).wish is None
    most = one(RULE, accuracy({"vendor": "bpo-a"}, 90, 100, evidence=reading(units=100, bad=6)))
    assert most.wish is not None
    assert most.wish.audits == 500


def test_a_wish_passes_the_gate_when_quiet_signals_no_longer_do() -> None:
    state = SignalFilterState()
    for _ in range(5):
        sent, state = filter_signals(state, signals(RULE, accuracy({"vendor": "bpo-a"}, 90, 100)), [RULE])
    assert not sent
    sent, after = filter_signals(
        state, signals(RULE, accuracy({"vendor": "bpo-a"}, 90, 100, evidence=reading())), [RULE]
    )
    assert [one.wish for one in sent] == [WISH]
    assert after == state


def test_a_signal_that_holds_is_heard_again_each_hour_so_that_its_incident_does_not_go_stale() -> None:
    state, heard = SignalFilterState(), []
    for minute in range(0, 240, 10):
        holding = signal(False, NOW_MS + minute * MINUTE_MS, rule="the-rule", holds=True)
        sent, state = filter_signals(state, [holding], [RULE])
        heard += [one.watermark_ms for one in sent]
    assert 4 <= len(heard) <= 5
    ends = []
    for _ in range(6):
        sent, state = filter_signals(state, [signal(False, rule="the-rule")], [RULE])
        ends += sent
    assert len(ends) == RULE.resolve_for
    assert not state.held


@pytest.mark.parametrize(("share", "target"), [(0.15, 0.95), (0.25, 0.9), (0.4, 0.9)])
def test_so_many_audits_do_decide(share: float, target: float) -> None:
    """Errors spread evenly at the share seen so far carry the score to the bar in about the number promised."""
    model, bar = ShareBets.of(1 - target), 140_000.0
    state, units, bad, promised, asked_at = begin(model.bets), 0, 0, None, 0
    while state.firing is None and units < 5000:
        wrong = int((units + 1) * share) - int(units * share)
        state, _ = fold_pane(model, state, units, (PaneClass(NANO, 1, wrong),), bar)
        units, bad = units + 1, bad + wrong
        if promised is None and state.score > bar**0.5:
            promised, asked_at = audits_to_decide(model, (units, bad), state.score, bar, model.phi(state.learnt)), units
    assert promised is not None
    assert 0.6 * promised <= units - asked_at <= 1.4 * promised


def test_a_request_reads_as_the_contract_says() -> None:
    made = step(None, wishing())
    assert made is not None
    event = json.loads(encode_request(made))
    assert event == {
        "specversion": "1.0",
        "id": request_id("the-rule", "vendor=bpo-a", 1),
        "source": "floorwatch",
        "type": "floorwatch.audit.requested.v1",
        "subject": "vendor=bpo-a",
        "time": "2026-11-23T10:02:00.000Z",
        "datacontenttype": "application/json",
        "data": {
            "rule": "the-rule",
            "kind": "accuracy_low",
            "scope": {"vendor": "bpo-a"},
            "scope_key": "vendor=bpo-a",
            "number": 1,
            "audits": 71,
            "until": "2026-11-24T10:02:00.000Z",
            "since": "2026-11-23T09:03:00.000Z",
            "units": 60,
            "bad": 9,
            "score": 1000.0,
            "bar": 140_000.0,
        },
    }
    assert decode_standing(encode_request(made)) == ("the-rule", "vendor=bpo-a", LastRequest(1, NOW_MS + STANDS_MS))


def test_the_next_is_made_only_when_the_last_has_ended() -> None:
    held = LastRequest(1, NOW_MS + STANDS_MS)
    assert step(held, wishing(NOW_MS + STANDS_MS - 1)) is None
    second = step(held, wishing(NOW_MS + STANDS_MS))
    assert second is not None
    assert second.number == 2
    assert step(None, signal(False)) is None


class Log(OutboxOfIds):
    """Records by topic, offsets committed and the outbox: what outlives a killed worker."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, list[ProducerRecord]] = {}
        self.committed = 0

    async def append(self, topic: str, _partition: int, records: Any) -> None:
        self.records.setdefault(topic, []).extend(ProducerRecord(*record) for record in records)

    async def read(self, topic: str, _partition: int) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:
        yield [(n, out.key or b"", out.value) for n, out in enumerate(self.records.get(topic, []))]

    async def hset(self, *_: Any, **__: Any) -> None:
        pass

    async def hdel(self, *_: Any) -> None:
        pass

    async def delete(self, *_: Any) -> None:
        pass


async def recovered(log: Log) -> IncidentsStage:
    stage = IncidentsStage(0, (RULE,), TopicNames("f.", 1), log, log, log, "f:", log)  # type: ignore[arg-type]
    await stage.recover()
    return stage


async def run(log: Log, values: list[bytes], deaths: list[tuple[int, bool]]) -> None:
    """Fold all values, one a flush; at each (position, before its commit) the worker is killed and another goes on."""
    stage = await recovered(log)
    while log.committed < len(values):
        at = log.committed
        stage.fold([Record(at, NOW_MS, None, values[at])])
        if (at, False) in deaths:
            deaths.remove((at, False))
            stage = await recovered(log)
            continue
        upto = await stage.flush()
        if (at, True) in deaths:
            deaths.remove((at, True))
            stage = await recovered(log)
            continue
        if upto is not None:
            log.committed = upto


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from(["wish", "quiet", "fire"])), min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 29), st.booleans()), max_size=6),
)
def test_killed_anywhere_the_same_requests_stand_once(
    moves: list[tuple[int, str]], deaths: list[tuple[int, bool]]
) -> None:
    at_ms, values = NOW_MS, []
    for minutes, what in moves:
        at_ms += minutes * 10 * MINUTE_MS
        made = wishing(at_ms) if what == "wish" else signal(what == "fire", at_ms, rule="the-rule")
        values.append(encode_input(made))
    calm, rough = Log(), Log()
    asyncio.run(run(calm, values, []))
    asyncio.run(run(rough, values, list(deaths)))
    assert rough.records.get(TOPIC) == calm.records.get(TOPIC)
    asked = [json.loads(out.value or b"")["id"] for out in calm.records.get(TOPIC, [])]
    assert len(set(asked)) == len(asked)
    assert bool(asked) == any(what == "wish" for _, what in moves)


def test_quiet_signals_counted_before_a_move_count_on_after_it() -> None:
    """The rules send only ``resolve_for`` quiet signals: an owner that began to count anew would never resolve."""
    log = Log()
    values = [encode_input(signal(firing, rule="the-rule")) for firing in (True, False, False, False)]
    asyncio.run(run(log, values[:3], []))
    asyncio.run(run(log, values, []))
    last = json.loads(log.records["f.incidents.v1"][-1].value or b"")
    assert last["state"] == "resolved"
