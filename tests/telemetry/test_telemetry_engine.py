"""The engine's metrics: counting, bounds, and taking a partition's series away."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from telemetry.catalogue import CATALOGUE, DEAD_LETTER_CODES, ENGINE_METRICS, UNFLUSHED
from telemetry.engine_metrics import EngineMetrics
from telemetry.registry import build_registry


def build() -> EngineMetrics:
    return EngineMetrics(component="worker", version="0.1.0", stages=("intake", "ledger", "scopes"))


def samples(metrics: EngineMetrics) -> dict[tuple[str, tuple[str, ...]], float]:
    found = (sample for family in metrics.collect() for sample in family.samples)
    return {(s.name, tuple(s.labels.values())): s.value for s in found}


def fill(metrics: EngineMetrics, partition: int) -> None:
    for stage in ("intake", "ledger", "scopes"):
        metrics.folded(stage, partition, 10)
        metrics.lag(stage, partition, 5)
        metrics.rows(stage, partition, 7)
        metrics.flushed(stage, 0.03)
        metrics.recovered(stage, 1.5)
        metrics.unflushed(stage, partition, 30, 9000)
        metrics.batches_in_hand(stage, partition, 2)
        metrics.not_committed(stage)
        metrics.fenced(stage)
    metrics.duplicates(partition, 2)
    metrics.late(partition, 1)
    metrics.watermark(partition, 1_772_359_200_500)
    metrics.floor_watermark(partition, 1_772_359_200_500)
    metrics.tasks(partition, 99)
    metrics.scopes(12)
    metrics.scopes_refused(4)
    metrics.rule_failed("vendor")
    metrics.rule_faults("vendor", "not_judged", 2)
    metrics.dead_letter("intake", "not_json")
    metrics.in_flight(700)
    metrics.large_record("f.partials.v1", 900_000)
    metrics.interned(partition, 8)
    metrics.outbox(1)
    metrics.mirrored("ops", 3, "sent")
    metrics.heartbeat("url", "alive", 1_000)
    metrics.channels({"ops": True, "mail": False}, 1)
    metrics.notification("ops", "sent")
    metrics.notification("mail", "failed")
    metrics.notifications("ops", 2, 1, 30.5)
    metrics.background("notifier: routing", None)
    metrics.redis_retry()
    metrics.limit(UNFLUSHED, 200_000)


def test_counts_add_up_and_gauges_hold_the_last_value() -> None:
    metrics = build()
    fill(metrics, 0)
    fill(metrics, 0)
    found = samples(metrics)
    assert found["floorwatch_events_folded_total", ("ledger", "0")] == 20
    assert found["floorwatch_duplicates_total", ("0",)] == 4
    assert found["floorwatch_lag_records", ("ledger", "0")] == 5
    assert found["floorwatch_watermark_timestamp_seconds", ("0",)] == 1_772_359_200.5
    assert found["floorwatch_dead_letters_total", ("intake", "not_json")] == 2


def test_every_channel_is_shown_from_the_start_and_their_number_is_bound() -> None:
    metrics = build()
    metrics.channels({f"c{number}": True for number in range(200)} | {"bad": False}, 0)
    found = samples(metrics)
    assert found["floorwatch_notifications_sent_total", ("c0",)] == 0
    assert found["floorwatch_notification_failures_total", ("c0",)] == 0
    for number in range(200):
        metrics.notification(f"c{number}", "failed")
        metrics.notifications(f"c{number}", 1, 0, 1.0)
    found = samples(metrics)
    assert found["floorwatch_notification_failures_total", ("other",)] == 136
    assert len([name for name, _ in found if name == "floorwatch_notification_failures_total"]) == 65
    metrics.forget_notifications({"c1"})
    assert [labels for name, labels in samples(metrics) if name == "floorwatch_notifications_waiting"] == [("c1",)]


def test_flush_times_fall_in_cumulative_buckets() -> None:
    metrics = build()
    for seconds in (0.03, 0.05, 20.0):
        metrics.flushed("ledger", seconds)
    found = samples(metrics)
    name = "floorwatch_flush_seconds"
    assert found[f"{name}_bucket", ("ledger", "0.025")] == 0
    assert found[f"{name}_bucket", ("ledger", "0.05")] == 2
    assert found[f"{name}_bucket", ("ledger", "10.0")] == 2
    assert found[f"{name}_bucket", ("ledger", "+Inf")] == found[f"{name}_count", ("ledger",)] == 3
    assert found[f"{name}_sum", ("ledger",)] == pytest.approx(20.08)


def test_every_engine_metric_can_be_set_and_is_exported_as_declared() -> None:
    metrics = build()
    fill(metrics, 0)
    exported = {(family.name, family.type) for family in metrics.collect() if family.samples}
    assert exported == {(m.name.removesuffix("_total"), m.kind) for m in ENGINE_METRICS}
    assert set(ENGINE_METRICS) <= set(CATALOGUE)


def test_known_dead_letters_start_at_zero_for_the_stages_that_have_them() -> None:
    found = samples(build())
    name = "floorwatch_dead_letters_total"
    assert all(found[name, ("intake", code)] == 0 for code in DEAD_LETTER_CODES)
    assert not any(key[0] == name and key[1][0] == "scopes" for key in found)


def test_codes_are_bounded() -> None:
    metrics = build()
    metrics.dead_letter("intake", "Not a Code\n")
    for n in range(200):
        metrics.dead_letter("intake", f"code_{n}")
    found = {key[1][1]: value for key, value in samples(metrics).items() if key[0] == "floorwatch_dead_letters_total"}
    assert len({code for code in found if not code.startswith("Not")}) <= 65
    assert sum(found.values()) == 201
    assert found["other"] > 100


def test_a_partition_that_leaves_takes_its_series_along_and_no_others() -> None:
    metrics = build()
    fill(metrics, 0)
    fill(metrics, 1)
    before = samples(metrics)
    metrics.drop_partition("ledger", 1)
    gone = set(before) - set(samples(metrics))
    assert gone == {
        ("floorwatch_events_folded_total", ("ledger", "1")),
        ("floorwatch_lag_records", ("ledger", "1")),
        ("floorwatch_rows", ("ledger", "1")),
        ("floorwatch_unflushed_records", ("ledger", "1")),
        ("floorwatch_unflushed_bytes", ("ledger", "1")),
        ("floorwatch_batches_in_hand", ("ledger", "1")),
        ("floorwatch_interned_tuples", ("1",)),
        ("floorwatch_cold_tasks", ("1",)),
        ("floorwatch_cold_refused_total", ("1",)),
        ("floorwatch_duplicates_total", ("1",)),
        ("floorwatch_late_events_total", ("1",)),
        ("floorwatch_watermark_timestamp_seconds", ("1",)),
        ("floorwatch_partition_idle", ("1",)),
        ("floorwatch_tasks", ("1",)),
    }
    metrics.drop_partition("ledger", 7)


def test_another_stage_leaving_does_not_take_the_ledgers_series() -> None:
    metrics = build()
    fill(metrics, 1)
    before = samples(metrics)
    metrics.drop_partition("scopes", 1)
    gone = set(before) - set(samples(metrics))
    assert gone == {
        ("floorwatch_events_folded_total", ("scopes", "1")),
        ("floorwatch_lag_records", ("scopes", "1")),
        ("floorwatch_rows", ("scopes", "1")),
        ("floorwatch_unflushed_records", ("scopes", "1")),
        ("floorwatch_unflushed_bytes", ("scopes", "1")),
        ("floorwatch_batches_in_hand", ("scopes", "1")),
        ("floorwatch_floor_watermark_timestamp_seconds", ("1",)),
    }


def test_a_counter_refuses_to_fall() -> None:
    with pytest.raises(ValueError, match="pass the increase"):
        build().folded("ledger", 0, -1)


def test_waits_are_seen_while_they_last_and_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr("telemetry.engine_metrics.time.monotonic", lambda: now_s)
    metrics = build()
    first = metrics.wait_began("redis")
    now_s = 103.0
    second = metrics.wait_began("redis")
    now_s = 105.0
    found = samples(metrics)
    assert found["floorwatch_waiting_seconds", ("redis",)] == 5
    assert found["floorwatch_wait_seconds_total", ("redis",)] == 7
    metrics.wait_ended("redis", first)
    now_s = 106.0
    found = samples(metrics)
    assert found["floorwatch_waiting_seconds", ("redis",)] == 3
    assert found["floorwatch_wait_seconds_total", ("redis",)] == 8
    metrics.wait_ended("redis", second)
    found = samples(metrics)
    assert found["floorwatch_waiting_seconds", ("redis",)] == found["floorwatch_waiting_seconds", ("broker",)] == 0
    assert found["floorwatch_wait_seconds_total", ("redis",)] == 8


def test_sampled_gauges_are_asked_for_at_each_scrape() -> None:
    metrics = build()
    metrics.on_collect(lambda: metrics.batches_in_hand("ledger", 0, 3))
    assert samples(metrics)["floorwatch_batches_in_hand", ("ledger", "0")] == 3


def test_two_workers_of_one_process_share_nothing() -> None:
    one, other = build(), build()
    one.folded("ledger", 0, 3)
    text = generate_latest(build_registry(other)).decode()
    assert 'stage="ledger",partition="0"' not in text
    assert "python_gc" not in text
