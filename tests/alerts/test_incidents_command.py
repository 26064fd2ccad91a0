"""``floorwatch incidents`` against an embedded Valkey."""

from __future__ import annotations

import json

import pytest
import redis
import typer
from msgspec import structs
from typer.testing import CliRunner

from alerts.incident import Incident
from alerts.records import encode_incident
from alerts.text import title_of
from floorwatch.cli.incidents import incidents
from tests.alerts.machine import opened, run, signal

app = typer.Typer()
app.command()(incidents)


@pytest.fixture
def filled(redis_url: str) -> str:
    """A read model with an open page, an acknowledged warning, a resolved and a pending incident."""
    client = redis.Redis.from_url(redis_url)
    page = structs.replace(opened(), scope={"queue": "[red]x\x1b[2J"})
    warn = structs.replace(opened(), key="warn", severity="warn", state="acknowledged", opened_ms=page.updated_ms + 5)
    resolved, _ = run([signal(False)] * 2, structs.replace(opened(), key="resolved"))
    pending, _ = run([signal(True)])
    for incident in (warn, page, resolved, pending):
        if isinstance(incident, Incident):
            name = "pending" if incident is pending else incident.key
            client.hset("floorwatch:incidents", name, encode_incident(incident, title_of(incident)))
    client.close()
    return redis_url


def _lines(url: str, *options: str) -> list[dict[str, object]]:
    result = CliRunner().invoke(app, ["--redis", url, "--json", *options])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_json_lists_live_ones_pages_first(filled: str) -> None:
    assert [(line["severity"], line["state"]) for line in _lines(filled)] == [
        ("page", "open"),
        ("warn", "acknowledged"),
    ]
    assert [line["state"] for line in _lines(filled, "--all")] == ["open", "acknowledged", "resolved"]


def test_table_shows_evidence_and_no_markup_or_control_characters(filled: str) -> None:
    result = CliRunner().invoke(app, ["--redis", filled], env={"COLUMNS": "300"})
    assert result.exit_code == 0
    assert "accuracy 88.1% (Wilson 85.0–90.6%)" in result.output
    assert "queue hate -5.2 pp" in result.output
    assert "[red]x" in result.output
    assert "\x1b[2J" not in result.output


def test_none(redis_url: str) -> None:
    assert "No open incidents" in CliRunner().invoke(app, ["--redis", redis_url]).output
    assert "No incidents." in CliRunner().invoke(app, ["--redis", redis_url, "--all"]).output


def test_redis_that_does_not_answer_is_said_without_its_password() -> None:
    result = CliRunner().invoke(app, ["--redis", "redis://:hush@127.0.0.1:1/0"])
    assert result.exit_code == 1
    assert "Redis does not answer" in result.output
    assert "hush" not in result.output
    assert CliRunner().invoke(app, ["--redis", "hush"]).exit_code == 2
