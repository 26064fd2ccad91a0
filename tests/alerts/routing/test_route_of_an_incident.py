"""`floorwatch rules route INCIDENT` against a Valkey that holds an incident and what people have planned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs
from typer.testing import CliRunner

from alerts.codec import encode_incident, encode_input
from alerts.incident import Maintenance, Override
from alerts.oncall.kept import SHOWN, plan_key
from alerts.text import title_of
from floorwatch.cli import build
from streams.models.timestamps import parse_rfc3339_ms as ms
from tests.alerts.machine import opened
from tests.redis_clients import blocking_client

CONFIG = Path("examples/alerts/oncall.yaml")
AT = "2026-12-03T10:00+08:00"


def told(config: Path) -> tuple[list[str], list[str]]:
    """Return the receivers, and what holds them, of the incident at a time."""
    ran = CliRunner().invoke(build("rules"), ["rules", "route", "abc123", "--at", AT, "--json", "-c", str(config)])
    assert ran.exit_code == 0, ran.output
    (route,) = json.loads(ran.output)["routes"]
    return [one["receiver"] for one in route["told"]], [one["by"] for one in route["held"]]


@pytest.mark.slow
def test_what_people_have_planned_decides_too(redis_url: str, tmp_path: Path) -> None:
    config = tmp_path / "floorwatch.yaml"
    config.write_text(f"{CONFIG.read_text()}redis: {{url: '{redis_url}'}}\n")
    client = blocking_client(redis_url)
    incident = structs.replace(opened(), key="abc123def", rule="site-accuracy", scope={"site": "kul"})
    client.hset("floorwatch:incidents", incident.key, encode_incident(incident, title_of(incident)))
    assert told(config) == (["channel:desk", "person:mei"], [])
    begin_ms, end_ms = ms("2026-12-03T08:00+08:00"), ms("2026-12-03T12:00+08:00")
    turn = Override("o1", "kul-lead", "arif", begin_ms, end_ms, "mei", begin_ms)
    client.hset("floorwatch:plans", mapping={SHOWN: b"", plan_key(turn): encode_input(turn)})
    assert told(config) == (["channel:desk", "person:arif"], [])
    window = Maintenance("deploy", ("site=kul",), begin_ms, end_ms, "mei", begin_ms)
    client.hset("floorwatch:plans", plan_key(window), encode_input(window))
    assert told(config) == (["channel:desk", "person:mei"], ["deploy"])  # when it ends, the override has ended
    client.close()
