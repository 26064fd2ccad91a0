"""Console channel: notifications on a text stream, for the demo and for logs."""

from __future__ import annotations

import sys
from typing import TextIO

from alerts.outgoing import Notification


class ConsoleChannel:
    """Writes title and body to a stream (standard output unless given). The text holds no control characters."""

    idempotent = False

    def __init__(self, name: str = "console", stream: TextIO | None = None) -> None:
        self.name = name
        self._stream = stream

    async def send(self, note: Notification, idempotency_key: str) -> None:  # noqa: ARG002 - part of the protocol
        """Write it in one call, so that lines of others do not come between."""
        stream = sys.stdout if self._stream is None else self._stream
        body = "".join(f"  {line}\n" if line else "\n" for line in note.body.splitlines())
        stream.write(f"\n{note.title}\n{body}")
        stream.flush()

    async def close(self) -> None:
        """Does nothing, since the caller owns the stream."""
