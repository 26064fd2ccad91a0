"""Log lines: one record is one line, whatever names and reasons it quotes. What follows of a fault's trace is indented."""

from __future__ import annotations

import logging
import sys

from alerts.words import printable

_FORMAT = "%(asctime)s %(levelname).1s %(name)s: %(message)s"


class LineFormatter(logging.Formatter):
    """Formats a record as one line without control characters; lines of a trace follow it, indented.

    So nothing that a record quotes can begin a line, which is where readers of logs look for the next record.
    """

    def __init__(self) -> None:
        """Use the format of all processes."""
        super().__init__(_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - name of the standard library
        """Return the record's own line."""
        record.message = _one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802 - name of the standard library
        """Return a trace, indented."""
        return _indented(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - name of the standard library
        """Return a stack, indented."""
        return _indented(super().formatStack(stack_info))


def _one_line(text: str) -> str:
    """Line breaks are written as in source text, so that messages of several lines stay readable."""
    return printable("\\n".join(text.splitlines()))


def _indented(trace: str) -> str:
    return "\n".join("    " + printable(line) for line in trace.splitlines())


def set_up_logging(level: str) -> None:
    """Log to standard error, one line a record; Faust's and aiokafka's chatter only from warnings up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=getattr(logging, level.upper(), logging.INFO), handlers=[handler], force=True)
    quiet = logging.DEBUG if level == "debug" else logging.ERROR
    for name in ("faust", "mode", "aiokafka", "kafka"):
        logging.getLogger(name).setLevel(quiet)
