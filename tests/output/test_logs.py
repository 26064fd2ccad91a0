"""A record of the log is one line, whatever it quotes."""

from __future__ import annotations

import logging
import re

import pytest

from floorwatch.output.logs import LineFormatter, Repeats, set_up_logging
from tests.nasty import NASTY, WHAT

_BEGIN = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", re.MULTILINE)


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


def test_times_are_in_utc_and_say_so() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "m", (), None)
    record.created, record.msecs = 1_796_148_360.25, 250.0
    assert LineFormatter().format(record).startswith("2026-12-01T18:06:00.250Z I x: m")


def test_a_library_says_the_same_only_now_and_then() -> None:
    repeats = Repeats(["aiokafka"])

    def written(name: str, at_s: float, text: str = "Unable connect to %s") -> str | None:
        record = logging.LogRecord(name, logging.ERROR, __file__, 1, text, ("a:1",) if "%s" in text else (), None)
        record.created = 1_000_000.0 + at_s
        return record.getMessage() if repeats.filter(record) else None

    told = [(second, said) for second in range(200) if (said := written("aiokafka.client", second)) is not None]
    assert [second for second, _ in told] == [0, 10, 30, 70, 150]
    assert told[0][1] == "Unable connect to a:1"
    assert told[1][1] == "Unable connect to a:1 (and 9 more like it since)"
    assert written("aiokafka.client", 151, "another thing") == "another thing"
    assert written("gateway.serve", 151) == written("gateway.serve", 151) == "Unable connect to a:1"
    assert written("aiokafka.client", 5_000) == "Unable connect to a:1 (and 49 more like it since)"
    assert written("aiokafka.client", 5_010) == "Unable connect to a:1"
