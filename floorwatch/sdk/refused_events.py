"""Events that a gateway has refused, kept beside the spool with its reason until somebody has looked at them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from streams.models.refusal import Refusal

FILE, OLDER = "refused.jsonl", "refused.older.jsonl"
MAX_BYTES = 8 * 1024 * 1024
"""Size at which the file becomes the older one, in place of that which was: a tool that sends only rubbish fills no disk."""


class RefusedEvent(msgspec.Struct, frozen=True):
    """An event that the gateway refused for what it holds; it is not sent again.

    Attributes:
        at: When it was refused.
        refusal: Code, field, reason and hint, in the gateway's words.
        event: The event as it was sent.
    """

    at: datetime
    refusal: Refusal
    event: dict[str, Any]


class RefusedEvents:
    """The file of refused events of one spool folder."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        """Name the folder; nothing is opened yet."""
        self.path = folder / FILE
        self._older = folder / OLDER
        self._max_bytes = max_bytes

    def add(self, refused: Sequence[RefusedEvent]) -> None:
        """Keep events; returns once they are on disk.

        Raises:
            OSError: Nothing may be assumed of what was kept.
        """
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size > self._max_bytes:
                self.path.replace(self._older)
                self.add(refused)
                return
            cut = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            data = (b"\n" if cut else b"") + b"".join(msgspec.json.encode(one) + b"\n" for one in refused)
            while data:
                data = data[file.write(data) :]
            os.fsync(fd)

    def read(self) -> list[RefusedEvent]:
        """Return what was refused, in order; an event refused twice (a crash came between) once, as it was last."""
        found: dict[tuple[Any, Any], RefusedEvent] = {}
        for path in (self._older, self.path):
            try:
                lines = path.read_bytes().splitlines()
            except FileNotFoundError:
                continue
            for line in lines:
                try:
                    one = msgspec.json.decode(line, type=RefusedEvent)
                except msgspec.DecodeError:
                    continue  # the end of a write that a crash has cut; the event was sent again
                found[one.event.get("source"), one.event.get("id")] = one
        return list(found.values())
