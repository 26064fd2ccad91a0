"""The configuration in docs/alerts.md is one, and says what the page says of it."""

from __future__ import annotations

import re
from pathlib import Path

from floorwatch.settings.load import loads

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"


def test_the_configuration_is_one(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    for name, text in (("ops.url", "https://ops.example/hook"), ("phone.url", "json://phone.example")):
        (tmp_path / name).write_text(text)
    config = loads(found.group(1), {}, name="alerts.md", base=tmp_path)
    (rule,) = config.rules
    assert [(tier.after, tier.route) for tier in rule.escalate or ()] == [(300, "default"), (1800, "lead")]
    assert [(tier.after, tier.route) for tier in config.alerts.escalate["page"]] == [(900, "lead")]


def test_the_zones_shown_are_a_configuration(tmp_path: Path) -> None:
    text = next(one for one in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL) if "route_zones" in one)
    alerts = loads(text, {}, name="alerts.md", base=tmp_path).alerts
    assert (alerts.channels["ana"].zone, alerts.route_zones) == ("Europe/Lisbon", {"default": "Asia/Kuala_Lumpur"})
