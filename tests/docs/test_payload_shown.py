"""The payloads that README and docs/alerts.md show are what a webhook gets of this incident."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from msgspec import structs

from alerts.incident import Notify, ToldReceiver
from alerts.outgoing import encode_notification, notification
from alerts.routes import build_channels
from alerts.settings.channels import WebhookSettings
from floorwatch.settings.load import loads
from tests.alerts.machine import opened
from tests.alerts.rows import NOW_MS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "alerts.md").read_text()
README = (ROOT / "README.md").read_text()
README = README[README.index("## Alerts where you work") : README.index("## Send real work")]


def block(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found
    return found.group(1)


def sent() -> dict[str, Any]:
    name = "90e1e1b7f2a94c0b8f3f8f2e4c5d6a7b:5f139efc9463e946"
    told = ToldReceiver("channel:ops", ("ops",), name, "open", NOW_MS, "route default")
    incident = structs.replace(opened(), runbook_url="docs/runbooks/accuracy_low.md", told_people=(told,))
    note = notification(Notify(name, "open", "default", incident, channels=("ops",)))
    found: dict[str, Any] = json.loads(encode_notification(note))
    del found["format"]  # the outbox's own
    return found


def shown_in(part: Any, whole: Any, place: str = "") -> None:
    """Check that every field shown is there with that value."""
    if isinstance(part, dict):
        for name, value in part.items():
            assert name in whole, f"{place}.{name}"
            shown_in(value, whole[name], f"{place}.{name}")
    elif isinstance(part, list):
        assert len(part) == len(whole), place
        for one, its in zip(part, whole, strict=True):
            shown_in(one, its, place)
    elif isinstance(part, str) and part.endswith("…"):
        assert str(whole).startswith(part[:-1]), place
    else:
        assert part == whole, place


def test_readme_shows_what_is_sent() -> None:
    shown_in(json.loads(block(README, "json")), sent())


def test_the_page_shows_every_field_but_those_of_the_machine() -> None:
    shown, whole = json.loads(block(PAGE, "json")), sent()
    shown_in(shown, whole)
    assert shown.keys() == whole.keys()
    assert whole["incident"].keys() - shown["incident"].keys() == {"stamp", "machine"}


def test_readmes_webhook_can_be_built_and_serves_every_rule(tmp_path: Path) -> None:
    text = block(README, "yaml")
    config = loads(text, {}, name="README.md", base=tmp_path)
    channel = config.alerts.channels["ops"]
    assert isinstance(channel, WebhookSettings)
    assert channel.url.get_secret_value().startswith("https://")
    assert config.alerts.routes == {"default": ("ops",)}
    assert not build_channels(config.alerts, lambda: 0).faults
    assert {rule.route for rule in config.rules} == {"default"}
    (tmp_path / "ops.url").write_text("https://ops.example/floorwatch")
    by_file = re.sub(r'url: "[^"]*"', "url_file: ops.url", text)
    assert not build_channels(loads(by_file, {}, name="README.md", base=tmp_path).alerts, lambda: 0).faults
