"""What a webhook gets: every link in it can be followed, what cannot be built is null or missing, and nothing is left unsaid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec import convert, structs

from alerts.codec import decode_incident, encode_incident, incident_record
from alerts.incident import Incident, Notify
from alerts.lifecycle import IncidentPolicy, step
from alerts.outgoing import encode_notification, notification
from alerts.text import Links, title_of
from tests.alerts.machine import POLICY, opened, signal
from tests.alerts.message.told import message_on

BOARD, RUNBOOKS = "https://grafana.example", "https://wiki.example/runbooks"


def incident_with(**bases: str) -> Incident:
    without = {"board_base_url": "", "runbook_base_url": ""}
    policy: IncidentPolicy = structs.replace(POLICY, open_after=1, **(without | bases))
    incident = step(None, signal(True), policy)
    assert incident is not None
    return incident


def payload(incident: Incident, links: Links | None = None) -> dict[str, Any]:
    note = notification(Notify(f"{incident.key}:open", "open", "default", incident), links)
    found: dict[str, Any] = json.loads(encode_notification(note))
    return found


def links_in(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what is called a link or url anywhere in a payload."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield from links_in(held, f"{name}.{key}")
    elif name.endswith("_url") or name.startswith(".links."):
        yield name, value


@pytest.mark.parametrize("bases", [{}, {"board_base_url": BOARD}, {"runbook_base_url": RUNBOOKS}])
@pytest.mark.parametrize("links", [None, Links(), Links(ack="https://fw.example/l/ack")])
def test_every_link_names_a_host_or_is_null(bases: dict[str, str], links: Links | None) -> None:
    found = dict(links_in(payload(incident_with(**bases), links)))
    assert {".incident.board_url", ".incident.runbook_url"} <= found.keys()
    for name, url in found.items():
        assert url is None or (urlsplit(url).scheme == "https" and urlsplit(url).hostname), name
    assert (found[".incident.board_url"] is not None) == ("board_base_url" in bases)
    assert (".links.ack" in found) == (links is not None and links.ack != "")


def test_without_a_base_the_page_in_the_repository_is_named() -> None:
    record = payload(incident_with())["incident"]
    assert (record["runbook_url"], record["runbook_page"]) == (None, "docs/runbooks/accuracy_low.md")
    record = payload(incident_with(runbook_base_url=RUNBOOKS))["incident"]
    assert (record["runbook_url"], record["runbook_page"]) == (f"{RUNBOOKS}/docs/runbooks/accuracy_low.md", None)


@pytest.mark.parametrize("bases", [{}, {"board_base_url": BOARD, "runbook_base_url": RUNBOOKS}])
def test_a_record_read_back_is_the_same_incident(bases: dict[str, str]) -> None:
    incident = incident_with(**bases)
    assert decode_incident(encode_incident(incident, title_of(incident))) == incident


def test_a_record_of_before_with_a_path_for_a_link_is_read() -> None:
    record = incident_record(incident_with(), "t")
    del record["runbook_page"], record["contributors_say"]
    record |= {"board_url": "/d/floorwatch-live-floor?x", "runbook_url": "docs/runbooks/accuracy_low.md"}
    read = decode_incident(json.dumps(record))
    assert payload(read)["incident"]["board_url"] is None
    assert payload(read)["incident"]["runbook_page"] == "docs/runbooks/accuracy_low.md"


def test_without_contributors_it_says_so_in_text_and_json() -> None:
    none = structs.replace(opened(), contributors=())
    said = payload(none)["incident"]
    assert said["contributors"] == []
    assert said["contributors_say"].startswith("No part can be named")
    assert said["contributors_say"] in message_on(none).details
    doubtful = structs.replace(
        opened(), contributors=tuple(structs.replace(one, clear=False) for one in opened().contributors)
    )
    assert payload(doubtful)["incident"]["contributors_say"] == "Nothing stands out clearly. Largest parts:"
    assert payload(opened())["incident"]["contributors_say"] == "What contributes most:"


def test_a_worker_of_before_reads_the_record_during_a_rolling_upgrade() -> None:
    """It takes each plain field that is there, as it is: a null would not be a text."""
    record = json.loads(encode_incident(incident_with(), "t"))
    assert "board_url" not in record
    assert "runbook_url" not in record
    names = ("key", "rule", "kind", "severity", "scope", "scope_key", "episode", "state", "evidence", "value", "target")
    plain = {
        name: record[name] for name in (*names, "window", "board_url", "runbook_url", "contributors") if name in record
    }
    read = convert({**plain, "since_ms": 0, "updated_ms": 0, **record["machine"]}, Incident)
    assert read.board_url == ""
    assert "board_url" in json.loads(encode_incident(incident_with(board_base_url=BOARD), "t"))
