"""``config check`` says what the gateway or a worker would refuse, and each process opens only the secrets it uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from config.errors import ConfigErrors
from floorwatch.cli.config_cmd import config_app
from floorwatch.settings.load import UNREAD, Process, load
from floorwatch.settings.review import faults, warnings
from floorwatch.settings.schema import FloorwatchConfig
from gateway.authenticator import Authenticator, TokenFault

TOKEN, OTHER = "0123456789abcdef", "fedcba9876543210"


def checked(tmp_path: Path, data: dict[str, Any]) -> tuple[int, str]:
    file = tmp_path / "fw.yaml"
    file.write_text(yaml.safe_dump(data))
    found = CliRunner().invoke(config_app, ["check", str(file)])
    return found.exit_code, found.stderr


def senders(**sources: dict[str, Any]) -> dict[str, Any]:
    return {"gateway": {"sources": sources}}


def test_one_token_for_two_sources_is_a_fault_as_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{OTHER}\n{TOKEN}\n")
    for second in ({"token": TOKEN}, {"token_file": str(file)}):
        code, said = checked(tmp_path, senders(a={"token": TOKEN}, b=second))
        assert code == 1
        assert "a and b have the same token; give each its own" in said
        assert TOKEN not in said


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("v/", "v/", 'both begin with "v/"'),
        ("vendor-1", "vendor-10", "end them with a separator, e.g. [vendor-1/]"),
        ("vendor-1/", "vendor-1/team-2/", "give each a beginning of its own"),
        ("vendor-10", "vendor-1", 'what begins with "vendor-10" also begins with "vendor-1"'),
    ],
)
def test_senders_whose_sources_overlap_are_told(tmp_path: Path, first: str, second: str, words: str) -> None:
    data = senders(a={"token": TOKEN, "event_sources": [first]}, b={"token": OTHER, "event_sources": ["x/", second]})
    code, said = checked(tmp_path, data)
    assert code == 0
    assert words in said
    assert "gateway.sources.a and gateway.sources.b: event_sources overlap" in said


def test_a_topic_and_a_sender_overlap_too_but_a_sender_with_itself_does_not() -> None:
    bound = {"event_sources": ["v/"], "vendor": "v"}
    raw = [{"topic": "one", "event_sources": ["v/x"], "vendor": "w", "may": ["label.*"]}]
    gateway = {"grant_key": "k" * 32, "sources": {"a": {"token": TOKEN, **bound}}}
    config = FloorwatchConfig.model_validate({"kafka": {"raw_topics": raw}, "gateway": gateway})
    assert sum("overlap" in said for said in warnings(config)) == 1
    raw = [{"topic": "one", "source": "a", **bound, "may": ["label.*"]}]
    config = FloorwatchConfig.model_validate({"kafka": {"raw_topics": raw}, "gateway": gateway})
    assert not [said for said in warnings(config) if "overlap" in said]


def test_beginnings_apart_are_not_told() -> None:
    data = senders(
        a={"token": TOKEN, "event_sources": ["vendor-1/"]}, b={"token": OTHER, "event_sources": ["vendor-10/"]}
    )
    assert not warnings(FloorwatchConfig.model_validate(data))


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_beginning_is_a_fault(tmp_path: Path, empty: str) -> None:
    code, said = checked(tmp_path, senders(a={"token": TOKEN, "event_sources": ["a/", empty]}))
    assert code == 1
    assert "gateway.sources.a.event_sources[1]: an empty beginning allows any source" in said


@pytest.mark.parametrize("host", ["https://floor.example", "floor.example:8080", "a b", "floor.example/"])
def test_a_host_that_never_matches_is_told(host: str) -> None:
    config = FloorwatchConfig.model_validate({"gateway": {"allowed_hosts": [host, "good.example", "*"]}})
    assert sum("never matches" in said for said in warnings(config)) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://a b/",
        "http://a/b c",
        "http://a\r\nb/",
        "http://a/\r\nX: y",
        "http://a\tb/",
        "http://a%20b/",
        "http://a<b/",
    ],
)
def test_a_webhook_url_that_cannot_be_called_is_a_fault(tmp_path: Path, url: str) -> None:
    channel = {"type": "webhook", "url": url}
    code, said = checked(tmp_path, {"alerts": {"channels": {"ops": channel}, "routes": {"default": ["ops"]}}})
    assert code == 1
    assert "alerts.channels.ops.url: the url of a webhook" in said


def test_an_apprise_url_has_no_line_end(tmp_path: Path) -> None:
    channel = {"type": "apprise", "url": "json://host/\r\nX"}
    code, said = checked(tmp_path, {"alerts": {"channels": {"ops": channel}, "routes": {"default": ["ops"]}}})
    assert code == 1
    assert "holds a line end" in said


SECRETS = {
    "gateway": "gateway: {sources: {a: {token_file: FILE}}}",
    "channels": "alerts: {channels: {ops: {type: webhook, url_file: FILE}}, routes: {default: [ops]}}",
    "signature": "alerts: {channels: {ops: {type: webhook, url: 'http://a/', secret_file: FILE}}, routes: {default: [ops]}}",
    "apprise": "alerts: {channels: {ops: {type: apprise, url_file: FILE}}, routes: {default: [ops]}}",
    "links": "web: {link_keys_file: FILE, url: 'https://fw.example'}",
    "redis": "redis: {password_file: FILE}",
    "kafka": "kafka: {security: {protocol: SASL_SSL, username: u, password_file: FILE}}",
}
USERS: dict[str, set[Process]] = {
    "gateway": {"all", "gateway"},
    "links": {"all", "worker", "web"},
    **{name: {"all", "worker"} for name in ("channels", "signature", "apprise")},
    **{name: {"all", "gateway", "worker", "web", "reader"} for name in ("redis", "kafka")},
}


@pytest.mark.parametrize("process", UNREAD)
@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"x" * 70_000])
def test_a_process_opens_only_the_secrets_it_uses(
    tmp_path: Path, secret: str, process: Process, content: bytes | None
) -> None:
    held, file = tmp_path / "secret", tmp_path / "fw.yaml"
    if content is not None:
        held.write_bytes(content)
    file.write_text(SECRETS[secret].replace("FILE", str(held)))
    if process in USERS[secret]:
        with pytest.raises(ConfigErrors, match=str(held)):
            load(file, {}, process=process)
    else:
        load(file, {}, process=process)


@pytest.mark.parametrize(
    "content", [b"x" * 70_000, b"\xff\xfe" * 8, b"", None], ids=["large", "binary", "empty", "none"]
)
def test_start_running_gateway_and_check_have_one_rule_for_a_token_file(tmp_path: Path, content: bytes | None) -> None:
    held, file = tmp_path / "token", tmp_path / "fw.yaml"
    file.write_text(f"gateway: {{sources: {{a: {{token_file: {held}}}}}}}")
    held.write_text(TOKEN)
    good = load(file, {}).gateway
    without = good.model_copy(update={"sources": {"a": good.sources["a"].model_copy(update={"token": None})}})
    clock = [0]
    running = Authenticator(good, lambda: clock[0])
    if content is None:
        held.unlink()
    else:
        held.write_bytes(content)
    with pytest.raises(ConfigErrors) as at_check:
        load(file, {}, process="gateway")
    with pytest.raises(TokenFault) as at_start:
        Authenticator(without)
    assert str(at_start.value).partition(f"{held} ")[2].split(";")[0] in str(at_check.value)
    clock[0] = 5000
    assert running.sender(f"Bearer {TOKEN}") is not None, "the token read before stays in force"


def test_nothing_is_wrong_with_the_defaults() -> None:
    assert faults(FloorwatchConfig()) == []
