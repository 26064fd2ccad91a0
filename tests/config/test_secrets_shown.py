"""Secrets in URLs are shown nowhere, and what is not a secret is not masked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from config.errors import ConfigErrors
from config.masking import redacted, without_secrets
from floorwatch.cli import build
from floorwatch.cli.common import exit_on_redis_error
from floorwatch.settings.load import load
from floorwatch.settings.review import faults, warnings

SECRET = "S3CRET-value"
URLS = [
    f"redis://localhost:9/0?password={SECRET}",
    f"redis://localhost:9/0?db=1&Password={SECRET}&x=2",
    f"rediss://user:{SECRET}@localhost:9/0",
    f"redis://:{SECRET}@localhost:9",
    f"redis://:a@{SECRET}@localhost:9/0",
    f"redis://:a/{SECRET}@localhost/0",
    f"redis://:a?{SECRET}#x@localhost/0",
    f"unix:///run/redis.sock?password={SECRET}",
    f"https://chat.example/hook?api_key={SECRET}",
    f"https://chat.example/hook?access_token={SECRET}#part",
    f"https://mail.example/?sig={SECRET}",
    f"kafka://a:9092/?sasl.password={SECRET}",
]


@pytest.mark.parametrize("url", URLS)
def test_a_secret_in_a_url_is_masked_and_the_rest_is_shown(url: str) -> None:
    for text in (url, f"cannot reach {url}, tried twice", f'"{url}"'):
        assert SECRET not in without_secrets(text)
        assert "****" in without_secrets(text)
        assert SECRET not in json.dumps(redacted({"a": [text]}))
    assert without_secrets(url).startswith(url.split("//", maxsplit=1)[0])


@pytest.mark.parametrize(
    "text",
    [
        "redis://localhost:6379/0?db=1",
        "redis://localhost:6379/0?socket_timeout=5&max_connections=3",
        "https://grafana.example/d/live-floor?orgId=1&var-vendor=bpo-a",
        "https://chat.example:8443/hooks/x",
        "min_samples: 50",
        "a@b.example",
        "http://[::1]:8090/v1/events",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert without_secrets(text) == text


@given(st.text(alphabet="ab:/@?#&=%. '\"", max_size=40))
def test_masking_anything_ends_and_is_stable(text: str) -> None:
    once = without_secrets("redis://" + text)
    assert without_secrets(once).count("****") >= once.count("****") - 1


@pytest.mark.parametrize("url", [url for url in URLS if url.startswith(("redis", "unix"))][:4])
def test_config_show_doctor_and_errors_hide_it(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(f"redis:\n  url: '{url}'\n  prefx: x\n")
    with pytest.raises(ConfigErrors) as fault:
        load(file, {})
    assert SECRET not in fault.value.render()
    file.write_text(f"redis:\n  url: '{url}'\n")
    for command in (["config", "show", "-c", str(file)], ["doctor", "-c", str(file), "--var", str(tmp_path)]):
        done = CliRunner().invoke(build(), command, env={"FLOORWATCH_KAFKA__BROKERS": "127.0.0.1:9"})
        assert SECRET not in done.output
        assert done.exception is None or isinstance(done.exception, SystemExit)
        # User information is taken out of the URL when it is loaded, parameters are masked when it is shown.
        assert "****" in done.output or ("?" not in url and "doctor" in command)
    with pytest.raises(Exception, match=""), exit_on_redis_error(url):
        raise OSError(f"no such host {url}")
    assert SECRET not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("min_samples: 50", True),
        ("max_unflushed: 1000000", True),
        ("hot_taks: 5", True),
        ("pasword: 12345678", False),
        ("passwort: hunter22", False),
        ("pass_word: hunter22", False),
        ("tokn: hunter22", False),
        ("anything: hunter22", False),
        ("hot_taks: many", True),
    ],
)
def test_an_unknown_setting_is_masked_only_if_it_may_be_a_secret(line: str, shown: bool, tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(f"engine:\n  {line}\n")
    with pytest.raises(ConfigErrors) as fault:
        load(file, {})
    value = line.partition(": ")[2]
    assert (value in fault.value.render()) is shown
    assert ("****" in fault.value.render()) is not shown


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("targets: {accuracy_ratio: 95}", "write 0.95 for 95 percent"),
        ("targets: {accuracy_ratio: 95%}", "write 0.95 for 95 percent"),
        ("targets: {accuracy_ratio: '97.5 %'}", "write 0.975 for 97.5 percent"),
        ("roster: {occupancy_ratio: 85}", "write 0.85 for 85 percent"),
        ("roster: {shrinkage_ratio: 30%}", "write 0.3 for 30 percent"),
        (
            "alerts: {rules: [{kind: accuracy_low, name: a, scope: {by: vendor}, target: 95, min_sample: 50}]}",
            "write 0.95 for 95 percent",
        ),
        (
            "alerts: {rules: [{kind: accuracy_low, name: a, scope: {by: vendor}, target: 95%, min_sample: 50}]}",
            "write 0.95 for 95 percent",
        ),
        ("targets: {accuracy_ratio: 95 percent}", "write 0.95 for 95 percent"),
        ("targets: {accuracy_ratio: '95,5'}", "write 0.955 for 95.5 percent"),
        ("targets: {accuracy_ratio: 950}", None),
        ("targets: {accuracy_ratio: 1.5}", None),
        ("tables: {max_scopes: 95%}", None),  # whole numbers are not ratios
        ("kafka: {partitions: 50%}", None),
    ],
)
def test_a_percentage_gets_a_hint(text: str, hint: str | None, tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(text)
    with pytest.raises(ConfigErrors) as fault:
        load(file, {})
    said = fault.value.render()
    assert (hint in said) if hint else (" percent" not in said)


def test_a_comma_in_a_number_gets_a_hint(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("targets: {accuracy_ratio: '0,95'}")
    with pytest.raises(ConfigErrors) as fault:
        load(file, {})
    assert "write 0.95, with a point" in fault.value.render()


def test_what_is_valid_and_yet_wrong_or_risky_is_told(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("gateway: {host: 0.0.0.0}\nmetrics: {scopes: [[labeler], [vendor]]}\n")
    config = load(file, {})
    assert "would not start" in faults(config)[0]
    assert "people's ids" in warnings(config)[0]
    file.write_text("gateway: {host: 0.0.0.0, allow_unauthenticated: true, allowed_hosts: ['*']}\n")
    config = load(file, {})
    assert faults(config) == []
    assert len(warnings(config)) == 2
    assert (faults(load(None, {})), warnings(load(None, {}))) == ([], [])
    file.write_text("gateway: {host: 0.0.0.0}\n")
    done = CliRunner().invoke(build(), ["config", "check", str(file)])
    assert (done.exit_code, "gateway.host" in done.output, "is valid" in done.output) == (1, True, False)
