"""The doctor says whether the broker gives producer ids, and what to set where it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from floorwatch.cli.doctor_check import Check
from floorwatch.cli.doctor_kafka import kafka_checks
from floorwatch.settings.load import load
from tests.embedded.tansu import running_broker

pytestmark = pytest.mark.servers


async def found(bootstrap: str, *, idempotent: bool) -> Check:
    """Return the doctor's line about it."""
    env = {
        "FLOORWATCH_KAFKA__BROKERS": bootstrap,
        "FLOORWATCH_KAFKA__IDEMPOTENT_PRODUCER": "true" if idempotent else "false",
    }
    checks = await kafka_checks(load(None, env).kafka, 14)
    return next(check for check in checks if check.name == "idempotent producer")


def test_a_broker_that_has_none_fails_only_where_one_is_asked_for(tmp_path: Path) -> None:
    async def go() -> tuple[Check, Check]:
        async with running_broker(tmp_path) as (_, bootstrap):
            return await found(bootstrap, idempotent=True), await found(bootstrap, idempotent=False)

    asked, not_asked = asyncio.run(go())
    assert asked.status == "fail"
    assert "kafka.idempotent_producer: false" in (asked.fix or "")
    assert not_asked.status == "ok"


def test_a_broker_that_has_them_is_best_asked_for_them(kafka_bootstrap: str) -> None:
    assert asyncio.run(found(kafka_bootstrap, idempotent=True)).status == "ok"
    unasked = asyncio.run(found(kafka_bootstrap, idempotent=False))
    assert unasked.status == "warn"
    assert "kafka.idempotent_producer: true" in (unasked.fix or "")
