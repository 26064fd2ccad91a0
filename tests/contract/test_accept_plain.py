"""The short way of intake answers as ``accept`` does: event by event, and whatever else is in a batch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.workload import START_MS, open_tasks, workload
from streams.adapters.topic_names import TopicNames
from streams.agents import intake as intake_module
from streams.agents.intake import Intake, IntakePolicy
from streams.core.records import Record
from streams.models.acceptance import UNTOLD, accept, accept_plain, latest_time, surely_plain
from streams.models.events import decode_event
from streams.models.grants import SenderGrant, sealed
from streams.models.refusal import Refusal
from streams.models.time_rules import EventLimits, first_broken, keeps_rules
from streams.models.timestamps import DAY_MS
from tests.contract.test_agreement import LABEL, TIME, events, written
from tests.support import size

NOW_MS = int(TIME.timestamp() * 1000)
KEY = b"k" * 32
EXAMPLES = (Path(__file__).parents[2] / "contract" / "examples.jsonl").read_bytes().splitlines()
LENGTHS = st.sampled_from([1, 999, 1000, 1001, 60_000, DAY_MS - 1, DAY_MS, DAY_MS + 1, 7 * DAY_MS, 400 * DAY_MS])
LIMITS = st.builds(EventLimits, LENGTHS, LENGTHS, LENGTHS, LENGTHS, LENGTHS)


@pytest.mark.slow
@settings(max_examples=size(150, 1000), deadline=None)
@given(events(), LIMITS, st.integers(-(10**9), 10**9) | st.sampled_from([0, -1, -1000, 86_400_000]), LENGTHS)
@example({**LABEL, "datacontenttype": "x" * 256}, EventLimits(), 0, 1000)
@example({**LABEL, "datacontenttype": "x" * 257}, EventLimits(), 0, 1000)
def test_what_the_short_way_takes_is_what_accept_takes(
    event: Any, limits: EventLimits, ahead_ms: int, future_ms: int
) -> None:
    raw = written(event).encode()
    now_ms = NOW_MS + ahead_ms
    for most in (1_048_576, len(raw), len(raw) - 1):
        if surely_plain(raw):
            taken = accept_plain(raw, latest_time(now_ms + future_ms), most, limits)
            assert taken is None or accept(raw, now_ms, most, future_ms, limits) == (taken, raw)


@pytest.mark.slow
@settings(max_examples=size(150, 1000), deadline=None)
@given(events(), LIMITS)
def test_rules_that_are_surely_kept_are_kept_by_the_table(event: Any, limits: EventLimits) -> None:
    found = accept(written(event).encode(), None, limits=EventLimits(*[10**12] * 5))
    if isinstance(found, tuple) and keeps_rules(found[0], limits):
        assert first_broken(found[0], limits) is None


def test_common_events_go_the_short_way() -> None:
    common = [raw for _, raw in [*workload(300), *open_tasks(100)]]
    assert surely_plain(b"\n".join(common))
    latest = latest_time(START_MS + 10 * DAY_MS)
    assert all(accept_plain(raw, latest, 1_048_576, EventLimits()) == decode_event(raw) for raw in common)


ODD = [
    b"", b"}", b'"}', b"{", b"\xff\xfe", b"[1]", EXAMPLES[0][:-1], sealed(EXAMPLES[0], KEY), sealed(EXAMPLES[1], b"other"),
    EXAMPLES[0].replace(b'"source":"', b'"source":"S\xc3\xa3o ', 1), EXAMPLES[0].replace(b'"id":"', b'"id":"\x7f', 1),
    EXAMPLES[0].replace(b'"id":"', b'"id":"\\n', 1), EXAMPLES[0].replace(b'Z"', b'.9999999Z"', 1),
    EXAMPLES[0].replace(b'"id":', b'"traceparent":"00-a","id":', 1), EXAMPLES[0].replace(b"2026-", b"2099-"),
    EXAMPLES[0].replace(b'"id":', b'"floorwatchgrant":"a?vendor=x","id":', 1), b" " * 2000 + EXAMPLES[0],
]  # fmt: skip


class Kept:
    """Meter and writer of an intake that is never flushed."""

    def dead_letter(self, stage: str, code: str) -> None:
        pass


def folded(values: list[bytes], policy: IntakePolicy, arrived: list[int]) -> tuple[Any, Any]:
    none: Any = Kept()
    intake = Intake("raw", 0, TopicNames("f.", 4), none, none, policy, none)
    intake.fold([Record(n, arrived[n], None, value) for n, value in enumerate(values)])
    return dict(intake._events), intake._dead


def policies() -> Iterator[IntakePolicy]:
    yield IntakePolicy(max_event_bytes=1500)
    yield IntakePolicy(max_event_bytes=1500, grant_keys=(KEY,), sla_classes_ms={"fast": 1})
    yield IntakePolicy(max_event_bytes=1500, grants={"raw": SenderGrant("a", bound={"vendor": ("bpo-a",)})})


@pytest.mark.parametrize("policy", [*policies()])
@pytest.mark.parametrize("odd", [0, 1, 17])
def test_a_batch_is_folded_as_its_events_one_by_one_without_the_short_way(
    policy: IntakePolicy, odd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(odd)
    common = [raw for _, raw in [*workload(150), *open_tasks(20)]]
    for one in range(len(ODD) if odd == 1 else 1):
        values = [*common, *EXAMPLES, *(ODD[one : one + 1] if odd == 1 else ODD[:odd])]
        rng.shuffle(values)
        arrived = [START_MS + rng.choice([0, 1, -400_000, 10 * DAY_MS]) for _ in values]
        short = folded(values, policy, arrived)
        with monkeypatch.context() as patch:
            patch.setattr(intake_module, "surely_plain", lambda raw: False)
            assert short == folded(values, policy, arrived)
        assert short[0]
        assert short[1]


def _bytes_of(event: Any, cut: int, rng: random.Random) -> Iterator[bytes]:
    """Yield an event as written, and as somebody may spoil it."""
    raw = written(event).encode()
    yield raw
    yield raw[:cut]
    yield b" \t\r\n" + raw + b"\n"
    yield b"\x0c" + raw
    yield b"[" + raw + b"]"
    yield raw.replace(b":", b": ", 1).replace(b"-", b"\xff", 1)
    place = rng.randrange(len(raw))
    yield raw[:place] + bytes([rng.randrange(256)]) + raw[place + 1 :]


@settings(max_examples=60, deadline=None)
@given(events(), st.integers(0, 300), st.randoms(use_true_random=False))
def test_who_is_not_told_why_is_refused_all_the_same(event: Any, cut: int, rng: random.Random) -> None:
    for raw in (*_bytes_of(event, cut, rng), b"", b"1", b"null", b"{}", b"{" * 100, b'"\xff"'):
        told, untold = accept(raw, NOW_MS), accept(raw, NOW_MS, explained=False)
        if isinstance(told, Refusal):
            assert untold in (told, UNTOLD)
        else:
            assert untold == told
