"""As known at: any cut equals a run that got only that prefix; too short a log is said, not guessed around."""

from __future__ import annotations

import asyncio
import functools

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from floorwatch.replay.as_of import LogTooShort, differences, known_at, require_reach, same_ranges_now
from floorwatch.replay.replayer import cut_at, replay
from streams.core.policy import DAY_MS, HOUR_MS, CorePolicy
from streams.core.records import Record
from streams.models.timestamps import BadTimestamp, parse_rfc3339_ms
from tests.oracle.case_events import START_MS as CASE_MS
from tests.oracle.case_events import audit, created, label
from tests.replay.memory import START_MS, MemoryLog, PlainRun, floor_log, log_of

POLICY = CorePolicy()


def known(log: MemoryLog, table: str = "accuracy", window: str = "24h", until_ms: int | None = None, **options):
    names = options.pop("names", frozenset({"vendor"}))
    return asyncio.run(known_at(log, options.pop("policy", POLICY), table, names, window, until_ms, **options))


def logged() -> MemoryLog:
    return floor_log(5, days=0.5)


@functools.cache
def present() -> PlainRun:
    return PlainRun(logged())


@pytest.mark.slow
@pytest.mark.parametrize("table", ["accuracy", "throughput", "sla"])
@pytest.mark.parametrize("window", ["1h", "24h", "day"])
def test_at_the_end_it_is_the_present_table(table: str, window: str) -> None:
    found = known(logged(), table, window)
    shown = {key: row for key, row in present().windows(table, window).items() if set(row["scope"]) == {"vendor"}}
    assert {row["scope_key"]: row for row in found.rows} == shown
    assert found.replay.events == sum(len(part) for part in logged().parts)


@pytest.mark.slow
@hypothesis_settings(max_examples=12)
@given(st.integers(-HOUR_MS, 14 * HOUR_MS), st.sampled_from(["accuracy", "throughput", "sla"]))
def test_at_any_cut_it_is_what_a_run_of_that_prefix_shows(after_ms: int, table: str) -> None:
    until_ms = START_MS + after_ms
    found = known(logged(), table, "24h", until_ms, names=frozenset({"queue", "policy"}))
    prefix = PlainRun(logged(), until_ms).windows(table, "24h")
    assert {r["scope_key"]: r for r in found.rows} == {
        key: row for key, row in prefix.items() if set(row["scope"]) == {"queue", "policy"}
    }


def test_an_overturned_audit_shows_in_the_past_table_not_at_all_and_in_the_difference_to_now() -> None:
    events = [
        (CASE_MS, created(0, due_at="2026-11-23T12:00:00Z", queue="hate", vendor="bpo-a")),
        (CASE_MS + 300_000, label("l-1", 5, vendor="bpo-a", started_at="2026-11-23T10:04:00Z")),
        (CASE_MS + 600_000, audit("a-1", 10, "l-1", "correct", p=0.5)),
        (CASE_MS + 3_600_000, audit("a-2", 60, "l-1", "incorrect", p=0.5, error_class="false_positive")),
    ]
    log = _cases(events)
    then = known(log, until_ms=CASE_MS + 1_000_000)
    (row,) = then.rows
    assert (row["audited"], row["correct"], row["watermark"]) == (1, 1, "2026-11-23T10:10:00Z")
    (now,) = asyncio.run(same_ranges_now(log, POLICY, "accuracy", then))
    assert differences(row, now) == {"correct": (1, 0), "wrong.false_positive": (0, 1), "severity.unspecified": (0, 1)}


@pytest.mark.slow
@pytest.mark.parametrize("table", ["accuracy", "throughput", "sla"])
def test_without_anything_later_there_is_no_difference_to_now(table: str) -> None:
    then = known(logged(), table, names=frozenset({"labeler"}))
    now = asyncio.run(same_ranges_now(logged(), POLICY, table, then))
    assert then.rows
    assert [differences(one, other) for one, other in zip(then.rows, now, strict=True)] == [{}] * len(now)


def test_before_the_first_record_nothing_was_known() -> None:
    found = known(logged(), until_ms=START_MS - 1)
    assert (found.rows, found.replay.events, found.replay.floor.watermark_ms) == ([], 0, -1)


def test_the_cut_is_kafkas_own_for_a_time_and_records_stamped_out_of_order_behind_it_are_counted() -> None:
    stamps = [10, 20, 15, 31, 29, 40]
    records = [Record(i, ms, None, b"") for i, ms in enumerate(stamps)]
    # What is stamped exactly at the moment was known then.
    assert [cut_at(records, moment) for moment in (9, 10, 30, 31, 40, None)] == [0, 1, 3, 5, 6, 6]
    values = [label(f"l-{i}", i, task=f"t-{i}") for i in range(6)]
    done = asyncio.run(replay(_cases(list(zip(stamps, values, strict=True))), POLICY, until_ms=30))
    assert (done.events, done.stragglers, done.parts[0].cut) == (3, 1, 3)


def test_time_is_that_of_the_partition_furthest_behind_whichever_is_read_first() -> None:
    ahead, behind = label("l-1", 90, vendor="v", task="t-0"), label("l-2", 7, vendor="v", task="t-1")
    log = _cases([(CASE_MS + 2 * HOUR_MS, ahead), (CASE_MS + 2 * HOUR_MS, behind)])
    for parts in ((0, 1), (1, 0)):
        records = [[msgspec.structs.replace(log.parts[0][at], offset=0)] for at in parts]
        (row,) = known(MemoryLog(records), window="5m").rows
        assert (row["watermark"], row["end"], row["labels"]) == ("2026-11-23T10:07:00Z", "2026-11-23T10:08:00Z", 1)


def test_a_log_cut_off_by_retention_is_refused_until_a_horizon_after_its_beginning() -> None:
    policy = CorePolicy(horizon_ms=6 * HOUR_MS)
    short = logged().without_first(40)
    begins_ms = max(part[0].timestamp_ms for part in short.parts)
    with pytest.raises(LogTooShort, match="Nothing is shown rather than a wrong number"):
        known(short, until_ms=begins_ms + 6 * HOUR_MS - 1, policy=policy)
    assert known(short, until_ms=begins_ms + 6 * HOUR_MS, policy=policy).rows
    assert known(short, until_ms=begins_ms + HOUR_MS, policy=policy, partial=True).rows


def test_a_day_old_log_reaches_back_when_it_is_whole() -> None:
    done = asyncio.run(replay(logged(), POLICY, until_ms=START_MS + HOUR_MS))
    require_reach(done, 14 * DAY_MS)


@pytest.mark.slow
def test_the_retention_rule_is_enough_for_tasks_begun_within_the_horizon() -> None:
    """From a horizon after its beginning on, a cut-off log gives what the whole one gives.

    Every task of this floor lives shorter than the horizon: audits are scaled down to a tenth, due times are hours.
    """
    policy = CorePolicy(horizon_ms=30 * HOUR_MS)
    log = floor_log(9, days=3, rate=0.01, audit_delay_scale=0.01)
    short = log.without_first(60)
    begins_ms = max(part[0].timestamp_ms for part in short.parts)
    until_ms = begins_ms + policy.horizon_ms
    for table in ("accuracy", "throughput"):
        whole = known(log, table, "15m", until_ms, policy=policy)
        assert known(short, table, "15m", until_ms, policy=policy).rows == whole.rows


@pytest.mark.parametrize(("text", "said"), [("yesterday", "is not a time"), ("2026-11-22T18:00:00", "has no zone")])
def test_moments_without_a_zone_are_refused(text: str, said: str) -> None:
    with pytest.raises(BadTimestamp, match=said):
        parse_rfc3339_ms(text)


def _cases(stamped: list[tuple[int, dict]]) -> MemoryLog:
    import json

    return log_of((stamp, json.dumps(event).encode()) for stamp, event in stamped)
