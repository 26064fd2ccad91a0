"""``floorwatch table`` over a real Valkey: every form, and faults that say what to do."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator

import orjson
import pytest
from typer.testing import CliRunner

from floorwatch.cli import build
from streams.adapters.readmodel import ReadModel
from streams.core.tables import window_rows
from tests.brokers import running_valkey
from tests.core.harness import CoreRun
from tests.oracle.case_events import audit, created, label
from tests.redis_clients import async_client

pytestmark = pytest.mark.servers

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with running_valkey() as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        asyncio.run(_fill(url))
        yield url


async def _fill(url: str) -> None:
    run = CoreRun()
    run.send(
        [
            created(0, due_at="2026-11-23T10:30:00Z", queue="hate"),
            label("l-1", 5, queue="hate", vendor="bpo-a", started_at="2026-11-23T10:04:00Z"),
            audit("a-1", 6, "l-1", "correct", p=0.5),
            label("l-2", 7, task="t-2", queue="spam", vendor="inhouse"),
        ]
    )
    run.finish()
    redis = async_client(url)
    rows: dict[tuple[str, str], dict[str, bytes | None]] = {}
    for window in run.floor.all_windows():
        for table, row in window_rows(window, run.floor.watermark_ms).items():
            rows.setdefault((table, window.window), {})[window.state.key] = orjson.dumps(row)
    await ReadModel(redis, "floorwatch:").put(0, rows, run.floor.watermark_ms)
    await redis.aclose()


def table(redis_url: str, *arguments: str) -> str:
    done = RUNNER.invoke(
        build("table"), ["table", *arguments], env={"FLOORWATCH_REDIS__URL": redis_url, "COLUMNS": "160"}
    )
    assert done.exit_code == 0, done.output
    return done.output


def test_json_holds_whole_rows(redis_url: str) -> None:
    rows = [json.loads(line) for line in table(redis_url, "accuracy", "--by", "queue", "--json").splitlines()]
    assert {row["scope_key"]: (row["labels"], row["audited"], row["weight_sum"]) for row in rows} == {
        "queue=hate": (1, 1, 2.0),
        "queue=spam": (1, 0, 0.0),
    }


def test_csv_is_csv(redis_url: str) -> None:
    (row,) = csv.DictReader(io.StringIO(table(redis_url, "throughput", "--csv")))
    assert (row["scope_key"], row["labels"], row["handle_ms_sum"], row["active_labelers"]) == ("all", "2", "60000", "1")


def test_people_see_the_interval_and_the_watermark(redis_url: str) -> None:
    shown = table(redis_url, "accuracy", "--by", "vendor")
    assert "bpo-a" in shown
    assert "100.0%" in shown
    assert "2026-11-23T10:07:00Z" in shown
    assert "met" in table(redis_url, "sla", "--by", "queue")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--by", "colour"), "no such scope"), (("--window", "3h"), "not kept")],
)
def test_wrong_arguments_are_explained(redis_url: str, arguments: tuple[str, str], said: str) -> None:
    done = RUNNER.invoke(build("table"), ["table", "sla", *arguments], env={"FLOORWATCH_REDIS__URL": redis_url})
    assert done.exit_code == 2
    assert said in done.output


def test_no_redis_says_what_to_do() -> None:
    done = RUNNER.invoke(build("table"), ["table", "sla"], env={"FLOORWATCH_REDIS__URL": "redis://127.0.0.1:1/0"})
    assert done.exit_code == 1
    assert "floorwatch up" in done.output


def test_programs_get_the_age_and_an_exit_code(redis_url: str) -> None:
    (row,) = [json.loads(line) for line in table(redis_url, "sla", "--json").splitlines()]
    assert row["as_of"] == row["watermark"] == "2026-11-23T10:07:00Z"
    assert row["behind_s"] > 0
    env = {"FLOORWATCH_REDIS__URL": redis_url, "COLUMNS": "160"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("floorwatch.cli.age.time.time", lambda: 1_795_428_420.0 + 26 * 3600)  # 10:07 and 26 hours
        done = RUNNER.invoke(build("table"), ["table", "sla", "--max-behind", "5m"], env=env)
        assert done.exit_code == 3
        assert "1 d 2 h behind" in done.output
        assert RUNNER.invoke(build("table"), ["table", "sla", "--max-behind", "2d"], env=env).exit_code == 0


def test_a_table_says_whether_anything_newer_has_come(redis_url: str) -> None:
    """Right after something was sent rows are partial, and one that waited for the first row is told so."""
    shown = table(redis_url, "accuracy", "--wait", "5")
    assert "behind the clock" in shown
    assert "Events are still being counted" in shown
    assert "Events are still being counted" not in table(redis_url, "accuracy")

    async def idle(watermark_ms: int | None) -> None:
        redis = async_client(redis_url)
        await ReadModel(redis, "floorwatch:").say_idle(watermark_ms)
        await redis.aclose()

    asyncio.run(idle(1_795_428_420_000))  # 2026-11-23T10:07:00Z, as the rows are
    shown = table(redis_url, "accuracy", "--wait", "5")
    assert "ago, complete: no event is newer" in shown
    assert "Events are still being counted" not in shown
    asyncio.run(idle(1_795_428_420_000 - 1))
    assert "behind the clock" in table(redis_url, "accuracy"), "something newer has come since"
    asyncio.run(idle(1_795_428_420_000))
    asyncio.run(idle(None))
    assert "behind the clock" in table(redis_url, "accuracy"), "something older is being counted"
