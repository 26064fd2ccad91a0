"""Where nothing runs, or a server is away, each command says the same: what, where and how to mend it. Nothing hangs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.kafka import KafkaSettings
from config.redis import RedisSettings
from floorwatch.cli import build
from tests.support import missing

RUNNER = CliRunner()

READERS = (
    "table accuracy",
    "facts t-1",
    "why accuracy --window 1h",
    "quality",
    "explain accuracy",
    "explain accuracy --source log",
    "forecast",
    "whatif --from a --to b --people 2",
    "ack abcdef --by ana",
    "silence abcdef --by ana --for 1h",
    "incidents",
    "incidents show abcdef",
    "notifications list",
    "sources",
    "people",
    "people --incidents",
    "scorecard ana",
    "roster",
    "rescale",
    "topics create",
    "table accuracy --as-of 2026-11-23T10:00:00Z",
)


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody without a stack."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    for name in ("VAR", "CONFIG", "KAFKA__BROKERS", "REDIS__URL"):
        monkeypatch.delenv(f"FLOORWATCH_{name}", raising=False)


def said(command: str, env: dict[str, str] | None = None) -> str:
    """Return what a command that cannot work says; it leaves with 1 and no trace."""
    words = command.split()
    done = RUNNER.invoke(build(words[0]), words, env=env)
    assert done.exit_code == 1, f"{command}: {done.output}"
    assert isinstance(done.exception, SystemExit), f"{command}: {done.exception!r}"
    assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
    return done.output


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("command", READERS)
def test_servers_that_are_away_are_named_with_what_to_do(command: str) -> None:
    env = {"FLOORWATCH_KAFKA__BROKERS": "127.0.0.1:9", "FLOORWATCH_REDIS__URL": "redis://:hush@127.0.0.1:9/0"}
    shown = said(command, env)
    assert "127.0.0.1:9" in shown
    assert "nothing listens there" in shown
    assert "`floorwatch doctor` tells more" in shown
    assert "hush" not in shown


@pytest.mark.parametrize("command", ["table sla", "facts t-1", "topics create", "incidents", "people", "rescale"])
def test_a_server_that_says_nothing_is_not_waited_for_long(
    command: str, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import streams.adapters.clients as connections
    import streams.adapters.reachability as reach

    monkeypatch.setattr(reach.connection_fault_of, "__defaults__", (0.3,))
    monkeypatch.setattr(connections, "SOCKET_TIMEOUT_S", 0.3)
    monkeypatch.setattr("floorwatch.cli.incident_records.ANSWER_S", 0.3)
    env = {"FLOORWATCH_KAFKA__BROKERS": f"127.0.0.1:{silent}", "FLOORWATCH_REDIS__URL": f"redis://127.0.0.1:{silent}/0"}
    shown = said(command, env)
    assert f"127.0.0.1:{silent}" in shown
    assert "does not answer" in shown


@pytest.mark.parametrize("command", READERS)
def test_where_nothing_runs_every_command_says_the_same(command: str) -> None:
    from floorwatch.cli.away import nothing_runs

    for port in (6379, 9092):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                missing(f"something else listens on {port}: stop it")
    shown = said(command)
    default = [nothing_runs(RedisSettings().url), nothing_runs(KafkaSettings().brokers[0])]
    assert any(one in shown for one in default), shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--gateway http://127.0.0.1:9", "nothing listens there"),
        ("--gateway nonsense", "write it as http://host:port"),
        ("--to-brokers 127.0.0.1:9", "no broker answers at 127.0.0.1:9 (start the broker"),
    ],
)
def test_simulate_says_why_it_cannot_send(options: str, words: str) -> None:
    assert words in said(f"simulate --days 0.001 --speed max {options}")
