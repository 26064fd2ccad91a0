"""docs/channels.md: every example can be copied, is built without a fault, and names a type of channel."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from alerts.channels.webhook import signature
from alerts.routes import build_channels
from floorwatch.settings.load import loads

PAGE = (Path(__file__).parents[2] / "docs" / "channels.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"## (\w+)\n```yaml\n(.*?)```", PAGE, re.DOTALL))
SECRETS = {
    "smtp.password": "hush-hush",
    "slack.url": "https://hooks.slack.com/services/T0/B0/hush",
    "slack.token": "xoxb-1-hush",
    "pagerduty.key": "a1" * 16,
}


def test_there_is_one_of_each() -> None:
    assert {kind for text in EXAMPLES.values() for kind in re.findall(r"type: (\w+)", text)} == {
        "email",
        "slack",
        "pagerduty",
        "alertmanager",
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_works_as_it_stands(name: str, tmp_path: Path) -> None:
    for file, secret in SECRETS.items():
        (tmp_path / file).write_text(secret + "\n", encoding="utf-8")
    config = loads(EXAMPLES[name], {}, name="channels.md", base=tmp_path)
    built = build_channels(config.alerts, lambda: 0)
    assert built.faults == ()
    assert built.by_name.keys() == {channel for route in config.alerts.routes.values() for channel in route}
    assert "hush" not in repr(config)


def test_a_receiver_checks_a_webhook_as_shown() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    shown: dict[str, Any] = {}
    exec(code, shown)
    now_s = int(time.time())
    header = signature("hush", b'{"a":1}', now_s)
    assert shown["is_genuine"](header, b'{"a":1}', "hush")
    assert not shown["is_genuine"](header, b'{"a":2}', "hush")
    assert not shown["is_genuine"](header, b'{"a":1}', "rush")
    assert not shown["is_genuine"](signature("hush", b"{}", now_s - 400), b"{}", "hush")
