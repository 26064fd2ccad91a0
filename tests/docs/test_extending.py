"""docs/extending.md: its modules work as they stand there, and what it names is there."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from alerts.channels.base import ChannelFault
from alerts.channels.http_post import HttpPost
from alerts.kinds.registry import KIND_OF
from alerts.outgoing import Notification
from alerts.settings import channels
from gateway.sources.argilla.tool import ARGILLA
from gateway.sources.registry import TOOLS
from tests.alerts.rows import one, throughput

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```python\n# (\S+)\n(.*?)\n```", PAGE, re.DOTALL))
MADE = {"alerts/kinds/handle_time_up.py", "alerts/channels/splunk_on_call.py"}


@pytest.fixture
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that the page shows under a path."""
    monkeypatch.setattr(channels, "SplunkOnCallSettings", SimpleNamespace, raising=False)
    module = ModuleType(Path(request.param).stem)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(BLOCKS[request.param], request.param, "exec"), vars(module))
    return module


@pytest.mark.parametrize("shown", ["alerts/kinds/handle_time_up.py"], indirect=True)
def test_the_kind_shown_fires(shown: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = shown.KIND
    assert kind.name == "handle_time_up"
    monkeypatch.setitem(KIND_OF, kind.name, kind)
    rule = kind.rule.model_validate({"name": "slow", "kind": kind.name, "scope": {"by": "queue"}, "window": "1h"})
    assert rule.windows_read() == {"1h", "7d"}

    def rows(now_ms: int, handled: int = 200) -> list[dict[str, Any]]:
        scope, times = {"queue": "hate"}, {"1h": now_ms, "7d": 30_000}
        return [
            {**throughput(scope, handled, window=window), "handled": handled, "handle_ms_p50": p50}
            for window, p50 in times.items()
        ]

    signal = one(rule, *rows(45_000))
    assert (signal.firing, signal.value, signal.runbook_path) == (True, 1.5, f"docs/runbooks/{kind.name}.md")
    assert signal.evidence == "200 timed labels in the last 1h: 1.50× the median of the last 7d"
    assert not one(rule, *rows(44_999)).firing
    assert not one(rule, *rows(90_000, handled=199)).firing


@pytest.mark.parametrize("shown", ["alerts/channels/splunk_on_call.py"], indirect=True)
def test_the_channel_shown_sends(shown: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    async def post(_self: HttpPost, body: bytes, headers: object = None) -> None:
        sent.append(json.loads(body))

    monkeypatch.setattr(HttpPost, "post", post)

    def settings(url: str) -> SimpleNamespace:
        return SimpleNamespace(url=SecretStr(url))

    channel = shown.SplunkOnCallChannel(
        "ops", settings("https://alert.example/integrations/generic/1/alert/k/floor"), lambda: 0
    )
    for step in ("open", "resolved-0"):
        note = Notification(f"k:{step}", step, "default", "page", "Title", "Body", {"key": "k"})
        asyncio.run(channel.send(note, note.id))
    assert [(event["message_type"], event["entity_id"], event["entity_display_name"]) for event in sent] == [
        ("CRITICAL", "k", "Title"),
        ("RECOVERY", "k", "Title"),
    ]
    with pytest.raises(ChannelFault):
        shown.SplunkOnCallChannel("ops", settings("https://alert.example/alert/k/$routing_key"), lambda: 0)


def test_what_is_shown_of_files_that_are_there_is_there() -> None:
    there = [path for path in BLOCKS if path not in MADE and path != "alerts/settings/channels.py"]
    assert there
    for path in there:
        assert BLOCKS[path].strip().splitlines()[-1] in (ROOT / path).read_text(encoding="utf-8"), path
    assert TOOLS["argilla"] is ARGILLA


def test_every_path_and_name_is_there() -> None:
    paths = set(re.findall(r"`([\w./-]+/[\w./-]+\.(?:py|yaml|md))`", PAGE)) - MADE
    assert len(paths) > 20
    assert [path for path in sorted(paths) if not (ROOT / path).is_file()] == []
    named = {
        "alerts.rules:Rule": ("windows_read", "on_windows", "completed", "unmet"),
        "alerts.kinds.registry": ("KINDS",),
        "alerts.kinds.base": ("KindSpec",),
        "alerts.kinds.share_rule": ("evaluate_share",),
        "alerts.contributors": ("share_contributors", "children", "rank"),
        "alerts.channels.base": ("Channel", "ChannelError", "ChannelFault"),
        "alerts.escape": ("Sink",),
        "alerts.settings.channels": ("ChannelSettings",),
        "alerts.routes": ("_build",),
        "gateway.sources.base": ("Tool", "Signature"),
        "gateway.sources.registry": ("TOOLS", "SignedTool", "ToolSections"),
        "gateway.sources.argilla.read": ("redact",),
        "gateway.sources.argilla.translate": ("lookups", "translate"),
    }
    for place, names in named.items():
        module, _, owner = place.partition(":")
        found = importlib.import_module(module)
        found = getattr(found, owner) if owner else found
        assert [name for name in names if not hasattr(found, name) or f"`{name}`" not in PAGE] == [], place
