"""A row that may be a part only: rules and metrics leave it out, people see the mark, worker and doctor say why."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from floorwatch.cli.age import mark_of
from floorwatch.cli.doctor_var import scope_check
from floorwatch.settings.load import load
from floorwatch.settings.policies import core_policy
from streams.adapters.topic_names import TopicNames
from streams.agents.ledger import LedgerStage
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.recount import versioned
from streams.models import topics
from tests.agents.test_ledger import Nothing
from tests.agents.test_rule_runner import Redis, runner
from tests.core.harness import encode
from tests.oracle.case_events import label
from tests.telemetry.sample_rows import throughput_row
from tests.telemetry.test_telemetry_exporter import scrape


def test_metrics_leave_partial_rows_out_and_count_them() -> None:
    rows = [throughput_row({}), {**throughput_row({"queue": "q"}), "partial": True}]
    samples = scrape(rows)
    assert {dict(labels)["scope"] for name, labels in samples if name == "floorwatch_labels"} == {"all"}
    assert samples["floorwatch_export_rows_skipped", frozenset({("reason", "partial")})] == 1


def test_rules_do_not_look_at_partial_rows() -> None:
    redis = Redis()
    redis.table = {"all": throughput_row({}), "queue=q": {**throughput_row({"queue": "q"}), "partial": True}}
    view = asyncio.run(runner(redis)._view())
    assert view.rows("throughput", "15m").keys() == {"all"}


def test_people_see_the_mark() -> None:
    row = {"watermark": "2026-11-30T16:00:00Z", "partial": True}
    assert mark_of(row) == " (partial: tables.max_scopes)"


def test_people_see_that_audits_are_awaited_and_that_labels_never_came() -> None:
    row = {"watermark": "2026-11-30T16:00:00Z", "audited": 50, "correct": 50, "labels": 6_000}
    row |= {"weight_sum": 1_000.0, "sample_audited": {"16": 50}, "sample_weight": {"16": 1_000.0}}
    assert mark_of(row) == " (awaits audits: they stand for 17% of labels)"
    assert mark_of(row | {"labels": 1_100}) == ""
    silent = row | {"assumed": 1, "audited": 51, "correct": 51, "assumed_correct": 1}
    assert mark_of(silent) == " (audits that say nothing of sampling are taken for 83% of labels)"
    assert mark_of(silent | {"labels": 1_100}) == ""
    assert mark_of(row | {"labels": None}) == " (audits only: labels are not counted there)"
    assert mark_of(row | {"labels": None, "audited": 0}) == ""
    assert mark_of(row | {"labels": 300}) == " (audits stand for too many labels: a probability is named wrongly)"
    assert mark_of(row | {"labels": 700}) == "", "50 audits at 1/20 may well be drawn of 700 labels"
    assert mark_of(row | {"labels": 0}) == " (its labels never came)"
    assert mark_of(row | {"labels": 0, "audited": 0}) == ""


def test_the_doctor_warns_while_the_cap_bites() -> None:
    said = {"scopes": {"max_scopes": 2000, "refused_times_by_partition": {"0": 7, "3": 1}}}
    assert [(one.status, one.detail) for one in scope_check("worker-1", said)] == [
        ("warn", "partitions 0, 3 have reached tables.max_scopes (2000)")
    ]
    assert scope_check("worker-1", {"scopes": {"max_scopes": 2000, "refused_times_by_partition": {}}}) == []
    assert scope_check("worker-1", {}) == []


def test_what_the_configuration_names_is_always_admitted(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("""
tables: {zones: {KUL: Asia/Kuala_Lumpur}}
gateway:
  sources:
    a: {token: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", vendor: bpo-a, event_sources: [a/], may: [label.*]}
alerts:
  rules:
    - {name: hate, kind: accuracy_low, scope: {queue: hate}, target: 0.9, window: 24h}
""")
    policy = core_policy(load(path, {"FLOORWATCH_GATEWAY__GRANT_KEY": "ab" * 32}))
    assert policy.named >= {("vendor", "bpo-a"), ("queue", "hate"), ("site", "KUL")}
    assert policy.names({})
    assert policy.names({"queue": "hate", "vendor": "bpo-a"})
    assert not policy.names({"queue": "hate", "vendor": "bpo-b"})


class Written:
    """What was appended, by topic and partition, in order."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, int], list[bytes]] = {}

    async def append(self, topic: str, partition: int, records: Any) -> None:
        self.keys.setdefault((topic, partition), []).extend(record[0] for record in records)


def test_a_partition_that_is_full_says_so_before_its_rows_and_in_the_log_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    written, policy = Written(), CorePolicy(scopes=((), ("queue",)), audit_scopes=(), max_scopes=2)
    stage = LedgerStage(0, policy, TopicNames("f.", 2), written, written, Nothing(), owner="me")  # type: ignore[arg-type]

    async def run() -> None:
        for offset in range(6):
            event = label("l", offset, task=f"t{offset}", queue=f"q{offset}")
            stage.fold([Record(offset, 0, *encode(event))])
            await stage.flush()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    warnings = [record.getMessage() for record in caplog.records if "tables.max_scopes" in record.getMessage()]
    assert len(warnings) == 1
    assert "partition 0 has reached tables.max_scopes (2): new scopes are not counted (1 times so far)" in warnings[0]
    assert stage.scopes_refused >= 5
    for partition in range(2):
        keys = written.keys["f." + topics.PARTIALS, partition]
        assert f"~watermark|0|{versioned('me')}|full".encode() in keys
        first = keys.index(f"~watermark|0|{versioned('me')}|full".encode())
        assert keys[first + 1 :].count(f"~watermark|0|{versioned('me')}".encode()) == 5
