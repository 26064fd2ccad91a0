"""Accuracy stands in the table both ways: of all audits, and as alert rules have it, without technical errors."""

from __future__ import annotations

from alerts.kinds.accuracy_low import read
from floorwatch.cli.table_text import COLUMNS
from tests.telemetry.sample_rows import accuracy_row


def test_both_are_shown_and_named() -> None:
    row = accuracy_row({}, audited=100, correct=90, raw_accuracy_ratio=0.9, wrong={"technical": 4, "wrong_policy": 6})
    shown = {name: said(row) for name, said in COLUMNS["accuracy"]}
    assert (shown["accuracy"], shown["less technical errors"]) == ("90.0%", "93.8%")
    cell = read(row)
    assert shown["less technical errors"] == f"{100 * cell.good / cell.total:.1f}%"


def test_without_audits_there_is_none() -> None:
    row = accuracy_row({}, audited=0, correct=0, wrong={})
    assert dict(COLUMNS["accuracy"])["less technical errors"](row) == "n/a"
