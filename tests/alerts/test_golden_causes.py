"""Messages with causes in them, from rows to text: what moved the number, by rate, mix and both; a breach foretold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from alerts.lifecycle import policy_of, step
from alerts.message.texts import plain
from alerts.rules import Rule
from alerts.view import Row
from tests.alerts.message.told import message_on
from tests.alerts.rows import accuracy, rule, signals, sla
from tests.alerts.test_kind_breach import forecast

GOLDEN = Path(__file__).parent / "golden"


def _accuracy() -> tuple[Rule, list[Row]]:
    """bpo-a: P1 fell, P2 did not; hate takes more of the audits than before."""
    the_rule = rule(
        "accuracy_low", scope={"by": "vendor"}, window="24h", reference="7d", method="interval", **{"for": 1}
    )
    parts = {  # (queue) -> of the day, of the week with it
        "hate": ((222, 300), (702, 800)),
        "ads": ((96, 100), (866, 900)),
    }
    rows: list[Row] = []
    for window, place in (("24h", 0), ("7d", 1)):
        counts = {queue: tallies[place] for queue, tallies in parts.items()}
        whole = tuple(sum(column) for column in zip(*counts.values(), strict=True))
        rows.append(accuracy({"vendor": "bpo-a"}, *whole, window=window))
        rows += [
            accuracy({"vendor": "bpo-a", "queue": queue}, *tally, window=window) for queue, tally in counts.items()
        ]
    return the_rule, rows


def _sla() -> tuple[Rule, list[Row]]:
    the_rule = rule(
        "sla_attainment", scope={"queue": "hate"}, window="1h", reference="8h", method="interval", **{"for": 1}
    )
    rows: list[Row] = []
    for window, counts in (
        ("1h", {"bpo-a": (40, 60), "inhouse": (95, 5)}),
        ("8h", {"bpo-a": (420, 80), "inhouse": (760, 40)}),
    ):
        met, missed = (sum(column) for column in zip(*counts.values(), strict=True))
        rows.append(_of(window, sla({"queue": "hate"}, met, missed)))
        rows += [_of(window, sla({"vendor": vendor, "queue": "hate"}, *tally)) for vendor, tally in counts.items()]
    return the_rule, rows


def _of(window: str, row: Row) -> Row:
    return {**row, "window": window}


def _breach() -> tuple[Rule, list[Row]]:
    open_work: dict[str, Any] = {"backlog": 1100, "oldest_open_age_ms": 5_400_000, "forecast": forecast()}
    part = sla({"queue": "hate", "policy": "P1"}, 1, 0, backlog=700, oldest_open_age_ms=5_400_000)
    return rule("sla_breach_predicted", **{"for": 1}), [sla({"queue": "hate"}, 90, 10, **open_work), part]


CASES = {"accuracy_causes": _accuracy, "sla_causes": _sla, "breach_predicted": _breach}


@pytest.mark.parametrize("name", sorted(CASES))
def test_text_is_golden(name: str) -> None:
    the_rule, rows = CASES[name]()
    (signal,) = (found for found in signals(the_rule, *rows) if found.firing)
    opened = step(None, signal, policy_of(the_rule))
    assert opened is not None
    message = message_on(opened)
    shown = "\n".join((plain(message), *message.details, ""))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("FLOORWATCH_UPDATE_GOLDEN"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
