"""The running stack is found from any folder, by every command and the SDK; what is named wins; errors say what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer
from aiokafka.errors import KafkaConnectionError

from floorwatch import sdk
from floorwatch.cli.common import load_target
from floorwatch.embedded.stack_register import forget, register
from floorwatch.embedded.state import Paths, environment_of, write_state
from floorwatch.sdk.stacks import ProcessMark, StackNotFound, StackState, find_stack, locate, mark_of, running
from streams.models.kafka_error import said_by


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name in list(os.environ):
        if name.startswith("FLOORWATCH_"):
            monkeypatch.delenv(name)


def stack(var: Path, port: int = 1, *, config: str = "", alive: bool = True) -> Path:
    """Write what a running stack writes."""
    var.mkdir(parents=True, exist_ok=True)
    Paths(var).run.mkdir(exist_ok=True)
    me = mark_of(os.getpid())
    mark = me if alive else ProcessMark(me.pid, "another start")
    urls = {
        "kafka": f"127.0.0.1:{port}",
        "redis": f"redis://127.0.0.1:{port}/0",
        "gateway": f"http://127.0.0.1:{port}",
    }
    ports = {"broker": port, "valkey": port, "gateway": port, "worker-1": port}
    secret = var / "run/redis.password"
    secret.write_text("secret\n")
    state = StackState(
        mark, {"broker": mark}, ports, urls, str(var / "journal"), "other.", 7, "e", str(secret), "keys:", config
    )
    write_state(Paths(var), state)
    return var


def test_it_is_found_from_another_folder_and_forgotten(tmp_path: Path) -> None:
    var = stack(tmp_path / "a")
    assert locate() is None
    assert register(var)
    found = locate()
    assert found is not None
    assert found.var == var
    entries = list((tmp_path / "home/floorwatch/stacks").iterdir())
    assert [entry.stat().st_mode & 0o077 for entry in entries] == [0]
    forget(var)
    assert running() == []


def test_the_one_in_this_folder_comes_first_and_a_named_one_before_it(tmp_path: Path) -> None:
    other, here = stack(tmp_path / "a"), stack(Path("var"), 2)
    register(other)
    assert locate().state.urls["kafka"].endswith(":2")  # type: ignore[union-attr]
    assert locate(other).var == other  # type: ignore[union-attr]
    assert locate(env={"FLOORWATCH_VAR": str(other)}).var == other  # type: ignore[union-attr]
    assert here == Path("var")


def test_several_that_run_are_named_and_none_is_guessed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        register(stack(tmp_path / name))
    with pytest.raises(StackNotFound, match=rf"{tmp_path}/a, {tmp_path}/b; name one with --var"):
        locate()
    with pytest.raises(
        StackNotFound, match=rf"no stack runs on /nowhere \(named by --var\); name one that runs \({tmp_path}/a"
    ):
        locate(Path("/nowhere"))


def test_one_that_was_killed_is_not_found_and_taken_out_by_the_next(tmp_path: Path) -> None:
    register(stack(tmp_path / "a"))
    stack(tmp_path / "a", alive=False)
    assert find_stack(tmp_path / "a") is None
    assert locate() is None
    register(stack(tmp_path / "b"))
    assert len(list((tmp_path / "home/floorwatch/stacks").iterdir())) == 1


@pytest.mark.parametrize("content", ["", "\0", "relative", "/" + "x" * 5000])
def test_a_damaged_entry_is_passed_over(tmp_path: Path, content: str) -> None:
    register(stack(tmp_path / "a"))
    (tmp_path / "home/floorwatch/stacks/zz.path").write_text(content)
    assert [one.var for one in running()] == [tmp_path / "a"]
    assert register(tmp_path / "a")


def test_a_home_that_cannot_be_written_only_means_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert not register(stack(tmp_path / "a"))
    forget(tmp_path / "a")
    assert running() == []


def test_commands_take_its_servers_its_prefixes_and_its_configuration(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("tables:\n  scopes: [[], [vendor]]\n")
    register(stack(tmp_path / "a", config=str(config)))
    settings, found = load_target(None, None, {})
    assert found is not None
    assert settings.kafka.brokers == ["127.0.0.1:1"]
    assert (settings.kafka.topic_prefix, settings.redis.prefix) == ("other.", "keys:")
    assert len(settings.tables.scopes) == 2


def test_a_configuration_that_names_no_server_is_used_with_the_stack(tmp_path: Path) -> None:
    config = tmp_path / "floorwatch.yaml"
    config.write_text("tables:\n  scopes: [[], [vendor]]\n")
    register(stack(tmp_path / "a"))
    for given, env in ((config, {}), (None, {"FLOORWATCH_CONFIG": str(config)})):
        settings, found = load_target(given, None, env)
        assert found is not None
        assert settings.redis.url == "redis://127.0.0.1:1/0"
        assert len(settings.tables.scopes) == 2


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("kafka: {brokers: ['kafka:9092']}", {}),
        ("redis: {url: 'redis://redis:6379/0'}", {}),
        ("{}", {"FLOORWATCH_KAFKA__BROKERS": "127.0.0.1:9092"}),
        ("{}", {"FLOORWATCH_REDIS__URL": "redis://127.0.0.1:6379/0"}),
    ],
)
def test_servers_that_are_named_are_used_alone(tmp_path: Path, text: str, env: dict[str, str]) -> None:
    config = tmp_path / "floorwatch.yaml"
    config.write_text(text)
    register(stack(tmp_path / "a"))
    settings, found = load_target(config, None, env)
    assert found is None
    assert "127.0.0.1:1" not in (settings.kafka.brokers[0], settings.redis.url)
    assert settings.kafka.topic_prefix == "floorwatch."


def test_a_command_says_which_stacks_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        register(stack(tmp_path / name))
    with pytest.raises(typer.Exit):
        load_target(None, None, {})
    assert "Several stacks run" in capsys.readouterr().err


def test_a_stack_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    var = stack(tmp_path / "a")
    state = find_stack(var)
    assert state is not None
    older = StackState(**{**vars(state), "redis_prefix": ""})
    assert "FLOORWATCH_REDIS__PREFIX" not in environment_of(older, {})


def test_emit_goes_to_the_running_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str | None]] = []
    monkeypatch.setattr(
        "floorwatch.sdk.blocking.emit_http", lambda events, *, url, token: sent.append((url, token)) or 1
    )
    register(stack(tmp_path / "a"))
    sdk.emit([])
    monkeypatch.setenv("FLOORWATCH_TOKEN", "t")
    sdk.emit([])
    monkeypatch.setenv("FLOORWATCH_URL", "https://gateway")
    sdk.emit([])
    sdk.emit([], url="https://other")
    assert sent == [
        ("http://127.0.0.1:1", None),
        ("http://127.0.0.1:1", "t"),
        ("https://gateway", "t"),
        ("https://other", None),  # a token of the environment is for the gateway of the environment
    ]


def test_emit_without_anywhere_to_send_says_what_to_do() -> None:
    with pytest.raises(sdk.NotEmitted, match=r"no `floorwatch up` runs; start one, or give url= or brokers="):
        sdk.emit([])
    with pytest.raises(ValueError, match="not both"):
        sdk.emit([], brokers="a:1", url="http://b")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            KafkaConnectionError(
                "Unable to bootstrap from [('a', 9092, <AddressFamily.AF_INET: 2>), ('::1', 1, <AddressFamily.AF_INET6: 10>)]"
            ),
            "no broker answers at a:9092, ::1:1",
        ),
        (TimeoutError(), "TimeoutError"),
        (KafkaConnectionError("no"), "no"),
    ],
)
def test_errors_of_the_library_in_words(error: Exception, said: str) -> None:
    assert said_by(error) == said


def test_the_sdk_says_so_too() -> None:
    with pytest.raises(sdk.NotEmitted) as caught:
        sdk.emit([], brokers="127.0.0.1:9")
    assert "AddressFamily" not in str(caught.value)
    assert "no broker answers at 127.0.0.1:9" in str(caught.value)


@pytest.mark.parametrize(
    ("var", "env", "origin"),
    [
        ("{}", {}, "--var"),
        (None, {"FLOORWATCH_VAR": "{}"}, "--var or FLOORWATCH_VAR"),
        ("{}", {"FLOORWATCH_VAR": "{}"}, "--var or FLOORWATCH_VAR"),
    ],
)
def test_a_folder_without_a_stack_is_told_in_one_message(
    var: str | None, env: dict[str, str], origin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = {name: value.format(tmp_path) for name, value in env.items()}
    with pytest.raises(typer.Exit) as left:
        load_target(None, tmp_path if var else None, env)
    assert left.value.exit_code == 1
    assert capsys.readouterr().err == (
        f"No stack runs on {tmp_path} (named by {origin}); start it with `floorwatch up --var {tmp_path}`.\n"
    )


def test_a_folder_beside_named_servers_is_said_not_to_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    var = stack(tmp_path / "a")
    for env, named in (
        ({"FLOORWATCH_REDIS__URL": "redis://a:1"}, "FLOORWATCH_REDIS__URL"),
        ({}, "the configuration file"),
    ):
        config = tmp_path / "named.yaml"
        config.write_text("kafka: {brokers: ['kafka:9092']}")
        assert load_target(None if env else config, var, env)[1] is None
        assert f"--var {var} is not used: {named} names Kafka or Redis" in capsys.readouterr().err
    # One that is set for every command means nothing by it.
    env = {"FLOORWATCH_REDIS__URL": "redis://a:1", "FLOORWATCH_VAR": str(var)}
    assert load_target(None, var, env)[1] is None
    assert capsys.readouterr().err == ""


def test_emit_with_two_stacks_advises_what_emit_has(tmp_path: Path) -> None:
    for name in ("a", "b"):
        register(stack(tmp_path / name))
    with pytest.raises(sdk.NotEmitted) as caught:
        sdk.emit([])
    assert "several stacks run" in str(caught.value)
    assert "FLOORWATCH_VAR=FOLDER" in str(caught.value)
    assert "--var" not in str(caught.value)


def test_who_reads_a_file_is_not_told_of_stacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        register(stack(tmp_path / name))
    assert load_target(None, None, {}, needed=False)[1] is None
    assert capsys.readouterr().err == ""


def test_the_doctor_looks_at_the_running_stack(tmp_path: Path) -> None:
    import asyncio

    from floorwatch.cli.doctor import diagnose

    register(stack(tmp_path / "a"))
    checks = {check.name: check for check in asyncio.run(diagnose(None, {}, None))}
    assert checks["embedded stack"].detail == f"runs on {tmp_path / 'a'}: broker"
    assert f"disk {tmp_path / 'a'}" in checks
    assert "broker 127.0.0.1:1" in checks
    assert {"gateway", "worker-1"} < set(checks)
    register(stack(tmp_path / "b"))
    checks = {check.name: check for check in asyncio.run(diagnose(None, {}, None))}
    assert "several stacks run" in checks["embedded stack"].detail
    assert checks["embedded stack"].status == "fail"
    assert checks["embedded stack"].fix == "name one with --var or FLOORWATCH_VAR"
    assert not [name for name in checks if name.startswith(("broker", "redis"))], "those of the defaults are not meant"
    checks = {
        check.name: check for check in asyncio.run(diagnose(None, {"FLOORWATCH_REDIS__URL": "redis://a:1"}, None))
    }
    assert "embedded stack" not in checks
