"""The forecast and whatif commands over rows in a read model."""

import asyncio
import json

import orjson
import pytest
from typer.testing import CliRunner

from floorwatch.cli import build
from streams.adapters.readmodel import ReadModel
from streams.core.scopes import scope_key
from streams.core.time_text import rfc3339
from tests.brokers import running_valkey
from tests.redis_clients import async_client

pytestmark = pytest.mark.servers

NOW_MS = 1_795_428_120_000
HOUR_MS = 3_600_000
MIN_MS = 60_000


def forecast(rate, due, breach_ms=None, shortfall=0.0, spare=None):
    return {
        "open_by_due": [[rfc3339(NOW_MS + ahead_ms), tasks] for ahead_ms, tasks in due],
        "basis": "recent rate",
        "tasks_per_hour": rate,
        "pace_ahead": [] if rate is None else [[rfc3339(NOW_MS), rate]],
        "breach_at": None if breach_ms is None else rfc3339(NOW_MS + breach_ms),
        "shortfall": shortfall,
        "shortfall_at": None if breach_ms is None else rfc3339(NOW_MS + breach_ms),
        "spare": spare,
        "overdue": 0,
    }


def queue_rows(name, found, *, audits=(0, 0), completed=600):
    """SLA, throughput and accuracy rows of a queue: one label a task, 6 minutes of handling each."""
    common = {"scope": {"queue": name}, "scope_key": f"queue={name}", "watermark": rfc3339(NOW_MS)}
    correct, audited = audits
    return {
        ("sla", "1h"): common | {"backlog": 1, "completed": completed, "forecast": found},
        ("throughput", "1h"): common
        | {"labels": completed, "handled": 100, "handle_ms_sum": 600 * MIN_MS}
        | {"active_labelers": 20},
        ("accuracy", "7d"): common | {"correct": correct, "audited": audited, "wrong": {"technical": 0}},
    }


QUEUES = (
    queue_rows("ads", forecast(200.0, [(2 * HOUR_MS, 100)], spare=300.0), audits=(950, 1000)),
    queue_rows("hate", forecast(100.0, [(2 * HOUR_MS, 260)], 2 * HOUR_MS, 60.0, -60.0), audits=(880, 1000)),
    queue_rows("idle", forecast(None, [(HOUR_MS, 3)]), completed=0),
    {("sla", "60m"): queue_rows("spam", forecast(100.0, [(HOUR_MS, 3)], spare=97.0))["sla", "1h"]},
)


@pytest.fixture(scope="module")
def command():
    """Runs a command against a read model that holds the rows."""
    with running_valkey() as server:
        url = f"redis://127.0.0.1:{server.port}/0"

        async def fill():
            redis = async_client(url)
            rows = {}
            for queue in QUEUES:
                for place, row in queue.items():
                    rows.setdefault(place, {})[scope_key(("queue",), (row["scope"]["queue"],))] = orjson.dumps(row)
            await ReadModel(redis, "floorwatch:").put(0, rows, NOW_MS)
            await redis.aclose()

        asyncio.run(fill())

        def run(*arguments):
            name = arguments[0]
            return CliRunner().invoke(build(name), arguments, env={"FLOORWATCH_REDIS__URL": url, "COLUMNS": "160"})

        yield run


def test_the_nearest_breach_comes_first(command):
    done = command("forecast", "--json")
    assert done.exit_code == 0, done.output
    shown = [json.loads(line) for line in done.output.splitlines()]
    assert [row["queue"] for row in shown] == ["hate", "ads", "idle"]
    assert shown[0]["shortfall"] == 60.0


def test_the_forecast_is_found_whatever_the_window_of_an_hour_is_called(command, tmp_path):
    config = tmp_path / "floorwatch.yaml"
    config.write_text("tables: {windows: [60m, 8h]}\n")
    done = command("forecast", "--json", "--config", str(config))
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["queue"] for line in done.output.splitlines()] == ["spam"]


def test_a_queue_by_due_time(command):
    done = command("forecast", "--queue", "hate")
    assert done.exit_code == 0, done.output
    assert "breach at" in done.output
    assert "260" in done.output
    assert "ads" not in done.output
    assert command("forecast", "--queue", "nobody").exit_code == 1


def test_moving_people_clears_one_queue_and_costs_accuracy(command):
    done = command("whatif", "--from", "ads", "--to", "hate", "--people", "4")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "ads: no breach in sight now; no breach in sight with 4 people moved"
    assert lines[1] == "hate: breach in 2 h 00 min, short by 60 tasks now; no breach in sight with 4 people moved"
    assert lines[2].startswith("quality: 88.0% right on hate (peers on hate, who know the queue) against 95.0% on ads")
    assert lines[2].endswith("about 2.8 more wrong labels an hour")
    assert "ads loses 40.0 tasks an hour, what 4 of the 20 at work on it give it; hate gains 40.0" in lines[3]


def test_what_if_as_json_and_for_a_short_time(command):
    done = command("whatif", "--from", "ads", "--to", "hate", "--people", "4", "--for", "1h", "--json")
    found = json.loads(done.output)
    assert found["after"][1]["shortfall"] == pytest.approx(20.0)
    assert len(found["words"]) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["--from", "ads", "--to", "hate", "--people", "21"],
            2,
            "21 people cannot leave ads, where 20 are at work now",
        ),
        (["--from", "ads", "--to", "nowhere", "--people", "1"], 1, "no forecast of queue nowhere"),
        (["--from", "ads", "--to", "idle", "--people", "1"], 1, "the pace of queue idle is not known yet"),
        (["--from", "ads", "--to", "hate", "--people", "1", "--for", "long"], 2, "is not a duration"),
    ],
)
def test_misuse_is_explained(command, arguments, code, said):
    done = command("whatif", *arguments)
    assert (done.exit_code, said in done.output) == (code, True), done.output
