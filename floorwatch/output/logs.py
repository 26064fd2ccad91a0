"""Log lines: one record is one line, whatever names and reasons it quotes. What follows of a fault's trace is indented."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

from streams.core.formatting import printable

_LIBRARIES = ("faust", "mode", "aiokafka", "kafka")
_FORMAT = "%(asctime)s %(levelname).1s %(name)s: %(message)s"


class LineFormatter(logging.Formatter):
    """Formats a record as one line without control characters, its time in UTC; lines of a trace follow it, indented.

    So nothing that a record quotes can begin a line, which is where readers of logs look for the next record.
    """

    def __init__(self) -> None:
        """Use the format of all processes."""
        super().__init__(_FORMAT)
        self.converter = time.gmtime
        self.default_time_format, self.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"

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


class Repeats(logging.Filter):
    """Lets libraries say the same only now and then: again after 10 s, 20 s, 40 s … and at last every five minutes.

    A Kafka client without its broker logs each attempt, several a second. What is held back is counted in the next line that is
    let through. Records of ours always pass.
    """

    _FIRST_S, _MOST_S = 10.0, 300.0

    def __init__(self, names: Sequence[str]) -> None:
        """Watch the loggers of these packages."""
        super().__init__()
        self._names = tuple(names)
        self._said: dict[tuple[str, str], tuple[float, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is written."""
        if record.name.partition(".")[0] not in self._names:
            return True
        key = (record.name, str(record.msg))
        due_s, pause_s, held = self._said.get(key, (0.0, self._FIRST_S / 2, 0))
        if record.created < due_s:
            self._said[key] = (due_s, pause_s, held + 1)
            return False
        # What was not said for long begins anew.
        fresh = record.created > due_s + self._MOST_S
        pause_s = self._FIRST_S if fresh else min(self._MOST_S, 2 * pause_s)
        self._said[key] = (record.created + pause_s, pause_s, 0)
        if held:
            record.msg, record.args = f"{record.getMessage()} (and {held} more like it since)", ()
        return True


def _one_line(text: str) -> str:
    """Line breaks are written as in source text, so that messages of several lines stay readable."""
    return printable("\\n".join(text.splitlines()))


def _indented(trace: str) -> str:
    return "\n".join("    " + printable(line) for line in trace.splitlines())


def set_up_logging(level: str) -> None:
    """Log to standard error, one line a record; Faust's and aiokafka's chatter only from warnings up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    handler.addFilter(Repeats(_LIBRARIES))
    logging.basicConfig(level=getattr(logging, level.upper(), logging.INFO), handlers=[handler], force=True)
    quiet = logging.DEBUG if level == "debug" else logging.ERROR
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(quiet)
