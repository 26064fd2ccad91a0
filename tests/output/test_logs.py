"""A record of the log is one line, whatever it quotes."""

from __future__ import annotations

import logging
import re

import pytest

from floorwatch.output.logs import LineFormatter, set_up_logging
from tests.nasty import NASTY, WHAT

_BEGIN = re.compile(r"^\d{4}-\d\d-\d\d ", re.MULTILINE)


def formatted(message: str, *values: object, fault: BaseException | None = None) -> str:
    info = None if fault is None else (type(fault), fault, fault.__traceback__)
    return LineFormatter().format(logging.LogRecord("x", logging.INFO, __file__, 1, message, values, info))


@pytest.mark.parametrize("name", NASTY, ids=WHAT)
def test_one_record_is_one_line(name: str) -> None:
    text = formatted("refused: %s", name)
    assert text.isprintable()
    assert len(_BEGIN.findall(text)) == 1


@pytest.mark.parametrize("name", NASTY, ids=WHAT)
def test_lines_of_a_trace_are_indented(name: str) -> None:
    text = formatted("failed", fault=ValueError(name))
    first, *rest = text.split("\n")
    assert first.endswith("failed")
    assert rest
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


def test_own_line_breaks_stay_readable() -> None:
    assert formatted("two\nlines").endswith(r"two\nlines")


def test_processes_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.root.handlers[:]
    try:
        set_up_logging("info")
        logging.getLogger("floor").info("queue %s", "x\n2026-01-01 INFO all is well")
    finally:
        logging.root.handlers[:] = before
    assert len(capsys.readouterr().err.splitlines()) == 1
