"""Nasty names in links, PromQL, Redis keys, pictures, and the commands that read no file of events."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest
import yaml
from msgspec import structs
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from alerts.codec import incident_record
from alerts.deliveries import Delivery
from alerts.lifecycle import joined
from alerts.scopes import board_path, scope_key
from alerts.signals import Contributor
from floorwatch.cli import build
from floorwatch.output.terminal import DataConsole
from streams.adapters.readmodel import ReadModel
from streams.core.scopes import parse_scope_key
from tests.alerts.machine import opened
from tests.brokers import running_valkey
from tests.nasty import NASTY, WHAT
from tests.output.test_nasty_names import harmless, said, world
from tests.redis_clients import async_client

ROOT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("name", NASTY, ids=WHAT)
BREAKS = tuple(name for name in NASTY if "\n" in name or "\r" in name)
FORGED = re.compile(r"^(2026-01-01 INFO|All is well)", re.MULTILINE)


def shows(text: str) -> None:
    """Hold that a text only shows, and that no name has begun a line."""
    harmless(text)
    assert not FORGED.search(text), text


@EACH
def test_a_link_to_the_board_carries_the_name_and_nothing_else(name: str) -> None:
    scope = {"queue": name, "vendor": "v"}
    url = joined("https://grafana.example/root", board_path(scope, "1h"))
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == (
        "https",
        "grafana.example",
        "/root/d/floorwatch-live-floor",
        "",
    )
    assert re.fullmatch(r"[!-~]+", url)
    assert not set(url) & set("<>\"'`\\{}|[]()")
    assert parse_qs(parts.query, keep_blank_values=True) == {
        "var-queue": [name],
        "var-vendor": ["v"],
        "var-window": ["1h"],
        "var-by": ["vendor_queue"],
        "var-scope": [scope_key(scope)],
    }


@EACH
def test_prometheus_reads_the_name_back(name: str) -> None:
    """The exposition format is the only place where we write a name as PromQL's label value; queries of ours hold none."""
    from telemetry.exporter import ExportPolicy, FloorCollector
    from telemetry.registry import build_registry

    key = scope_key({"queue": name})
    row = {"table": "throughput", "window": "1h", "scope": {"queue": name}, "scope_key": key, "labels": 3}
    policy = ExportPolicy({"1h": frozenset({frozenset({"queue"})})}, max_scopes=10)
    text = generate_latest(build_registry(FloorCollector(lambda: [row], policy=policy))).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (sample,) = families["floorwatch_labels"].samples
    assert (sample.labels["queue"], sample.labels["scope"], sample.value) == (name, key, 3.0)
    assert parse_scope_key(sample.labels["scope"]) == {"queue": name}


def queries() -> list[str]:
    board = json.loads((ROOT / "grafana/generated/live-floor.json").read_text())
    return [found for found in _strings(board) if "floorwatch_" in found and "{" in found]


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _strings(one)]


def test_variables_of_the_board_stand_where_grafana_escapes_them() -> None:
    """Grafana escapes a variable of one value for ``="…"`` and one of several for ``=~"…"``; elsewhere it escapes nothing."""
    board = json.loads((ROOT / "grafana/generated/live-floor.json").read_text())
    several = {one["name"]: bool(one.get("multi") or one.get("includeAll")) for one in board["templating"]["list"]}
    of_names = {"scope", "site", "vendor", "queue"}
    used = set()
    for query in queries():
        for operator, variable in re.findall(r'(=~|!~|!=|=)\s*"[^"]*\$\{?(\w+)', query):
            if variable in of_names:
                used.add(variable)
                assert operator == ("=~" if several[variable] else "="), query
        outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)
        assert not set(re.findall(r"\$\{?(\w+)", outside)) & of_names, query
    assert used == of_names


def test_rules_of_prometheus_hold_no_name_of_the_floor() -> None:
    """They are static; a name comes only by ``$labels``, which Prometheus puts into texts and into no query."""
    rules = yaml.safe_load((ROOT / "prometheus/generated/floorwatch.rules.yml").read_text())
    found = [rule for group in rules["groups"] for rule in group["rules"]]
    assert found
    for rule in found:
        assert "{{" not in rule["expr"]
        assert "$" not in rule["expr"]


@pytest.mark.servers
def test_no_key_of_redis_is_made_of_a_name() -> None:
    """Rows are fields of one hash a table and window, so a name can be no other key, no pattern and no command."""
    keys = {name: scope_key({"queue": name}) for name in NASTY}
    rows = {("accuracy", "1h"): {key: json.dumps({"n": n}).encode() for n, key in enumerate(keys.values())}}

    async def go(url: str) -> tuple[dict[str, Any], set[str]]:
        async with async_client(url) as client:
            model = ReadModel(client, "nasty:")
            assert await model.put(0, rows, 1)
            return await model.rows("accuracy", "1h"), {key.decode() for key in await client.keys("nasty:*")}

    with running_valkey() as server:
        found, made = asyncio.run(go(f"redis://127.0.0.1:{server.port}/0"))
    assert found == {key: {"n": n} for n, key in enumerate(keys.values())}
    assert made
    assert all(re.fullmatch(r"nasty:[a-z0-9:_]+", key) for key in made), made


@EACH
def test_a_picture_of_a_table_is_xml_and_shows_the_name(name: str) -> None:
    from floorwatch.cli.table_text import rich_table

    row = next(row for row in world(name).rows["accuracy", "24h"].values() if set(row["scope"]) == {"queue"})
    console = DataConsole(record=True, width=400, file=io.StringIO())
    console.print(rich_table("accuracy", [row], "24h"))
    svg = ET.fromstring(console.export_svg(title="Floorwatch"))
    elements = {one.tag.rpartition("}")[2] for one in svg.iter()}
    assert elements <= {"svg", "style", "defs", "clipPath", "rect", "g", "text", "circle"}
    assert not any(attribute.startswith("on") or "href" in attribute for one in svg.iter() for attribute in one.attrib)


@EACH
def test_explain(name: str) -> None:
    from floorwatch.cli.explain import _print, explain_rows

    made = world(name)
    rows = {window: made.rows["accuracy", window] for window in ("1h", "24h")}
    found = explain_rows("accuracy", {}, ("vendor", "queue"), rows, ("1h", "24h"))
    shows(said(lambda: _print(found, 5)))


@EACH
def test_whatif_demo_doctor_notifications(name: str) -> None:
    from floorwatch.cli.demo_view import incident_text, screen
    from floorwatch.cli.doctor import Check, as_text
    from floorwatch.cli.notifications import line_of
    from floorwatch.output.terminal import say
    from floorwatch.simulate.compare import Difference, report

    part = Contributor("vendor", name, -1.0, 5, name)
    found = structs.replace(opened(), scope={"queue": name}, evidence=name, contributors=(part,), examples=(name,))
    incident = incident_record(found, name)
    console = DataConsole(width=200, file=io.StringIO())
    console.print(screen([incident_text(incident)], [incident], "up"))
    shows(console.file.getvalue())  # type: ignore[attr-defined]
    shows(said(lambda: say(as_text([Check("fail", f"channel {name}", f"{name} is away", f"mend {name}")]))))
    shows(said(lambda: say(line_of(Delivery(name, name, "dead", 3, name, 0, 0)))))
    difference = Difference("accuracy", scope_key({"queue": name}), "1h", "labels", 1, 2)
    shows(said(lambda: say(report([difference], 1))))


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize(
    "words",
    [
        ["whatif", "--from", "{}", "--to", "x", "--people", "1"],
        ["whatif", "--from", "a", "--to", "b", "--people", "{}"],
        ["doctor", "--config", "{}"],
        ["doctor", "--var", "{}"],
        ["config", "show", "--config", "{}"],
        ["config", "check", "{}"],
        ["notifications", "list", "--config", "{}"],
        ["notifications", "list", "--var", "{}"],
        ["notifications", "show", "--var", "{}", "{}"],
        ["rescale", "--var", "{}"],
        ["process", "{}", "--dump", "out"],
        ["explain", "accuracy", "--scope", "{}"],
        ["explain", "{}"],
        ["demo", "--scenario", "{}"],
        ["scorecard", "--events", "{}", "ana"],
        ["facts", "--var", "{}", "t"],
        ["incidents", "--var", "{}"],
    ],
    ids=" ".join,
)
def test_what_is_typed_begins_no_line(
    name: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = [word.replace("{}", name) for word in words]
    done = CliRunner().invoke(build(words[0]), filled, env={"COLUMNS": "400"})
    assert done.exit_code != 0
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    shows(done.stdout)
    shows(done.stderr)


@EACH
def test_config_show_and_errors(name: str, tmp_path: Path) -> None:
    file = tmp_path / "floorwatch.yaml"
    file.write_text(yaml.safe_dump({"zones": {name: "Europe/Lisbon"}, "kafka": {"group": name}}, allow_unicode=True))
    for words in (["config", "show", "--config", str(file)], ["config", "show", "--json", "--config", str(file)]):
        done = CliRunner().invoke(build("config"), words)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        shows(done.stdout)
        shows(done.stderr)
