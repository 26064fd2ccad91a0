"""What the accuracy table shows: the estimate that rules judge, what it rests on, and the raw share last."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.kinds.accuracy_low import read
from floorwatch.cli.table_text import COLUMNS
from streams.core.estimates import accuracy_share
from tests.alerts.rows import accuracy


def shown(row: dict[str, Any]) -> dict[str, str]:
    share = accuracy_share(row)
    value, low, high = share.estimate if share else (None, None, None)
    filled = {"accuracy_estimate_ratio": value, "accuracy_low_ratio": low, "accuracy_high_ratio": high}
    raw = row["correct"] / row["audited"] if row["audited"] else None
    return {name: said({**row, **filled, "raw_accuracy_ratio": raw}) for name, said in COLUMNS["accuracy"]}


def test_technical_errors_are_in_the_raw_share_only() -> None:
    row = accuracy({}, 90, 100, technical=4)
    assert (shown(row)["accuracy"], shown(row)["raw"]) == ("93.8%", "90.0%")
    assert shown(row)["accuracy"] == f"{100 * read(row).good / read(row).total:.1f}%"


def test_the_raw_share_stands_last() -> None:
    assert [name for name, _ in COLUMNS["accuracy"]][-1] == "raw"


@pytest.mark.parametrize(
    ("fields", "accuracy_shown", "interval", "rests_on"),
    [
        ({}, "95.0%", "89.1% – 98.2%", "100"),
        ({"assumed": 100, "assumed_correct": 95}, "95.0%", "89.1% – 98.2%", "100 assumed"),
        ({"targeted": 100, "targeted_correct": 95}, "n/a", "no random audits", "0"),
        ({"assumed": 60, "assumed_correct": 57, "targeted": 40, "targeted_correct": 38}, "95.0%", "86.6% – 98.8%", "60 assumed"),
    ],
)  # fmt: skip
def test_what_the_number_rests_on_stands_beside_it(
    fields: dict[str, int], accuracy_shown: str, interval: str, rests_on: str
) -> None:
    said = shown(accuracy({}, 95, 100, **fields))
    assert (said["accuracy"], said["95% interval"], said["random audits"]) == (accuracy_shown, interval, rests_on)


def test_without_audits_there_is_none() -> None:
    said = shown(accuracy({}, 0, 0))
    assert (said["accuracy"], said["95% interval"], said["random audits"]) == ("n/a", "n/a", "0")
