"""Reads the small files that a user names: never more than a bound, and never for ever.

A path may be mistyped, or be a device, a folder or a pipe that nobody writes into. Files of events are not read here:
they may be of any length.
"""

from __future__ import annotations

import os
import select
import stat
import time
from pathlib import Path

MAX_SECRET_BYTES = 65_536
"""Of a secret: one line, or a few tokens."""

MAX_LIST_BYTES = 64 * 1024 * 1024
"""Of a list that a command reads, e.g. one line for each labeler."""

PIPE_WAIT_S = 10.0
"""How long a pipe, e.g. ``<(command)`` of a shell, may stay silent."""

_CHUNK_BYTES = 262_144


class FileFault(Exception):
    """A file cannot be read. Operator: mend what the reason says.

    Attributes:
        reason: What is wrong, without the path.
        hint: How to mend it.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"{reason}; {hint}")
        self.reason, self.hint = reason, hint


def read_bytes(path: Path, most_bytes: int, *, pipes: bool = True) -> bytes:
    """Return the content of a file.

    Args:
        path: A file, a pipe or a device.
        most_bytes: The most it may hold; one byte more at most is read.
        pipes: Whether it may be a pipe or a device: what can be read once only.

    Raises:
        FileFault: It cannot be opened or read, is a folder, holds more, or says nothing.
    """
    try:
        # O_NONBLOCK: to open a pipe without it waits for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise FileFault("cannot be read: it is a folder", "name a file in it")
        if not stat.S_ISREG(mode) and not pipes:
            raise FileFault(
                "cannot be read: it is not an ordinary file", "write the content into a file, and name that"
            )
        return _read(fd, most_bytes, 0.0 if stat.S_ISREG(mode) else PIPE_WAIT_S)
    except OSError as error:
        raise _unreadable(error) from error
    finally:
        os.close(fd)


def _read(fd: int, most_bytes: int, wait_s: float) -> bytes:
    found = bytearray()
    while len(found) <= most_bytes:
        if wait_s and not _something_to_read(fd, wait_s):
            raise FileFault(f"cannot be read: nothing came for {wait_s:g} s", "is this the right file?")
        try:
            part = os.read(fd, min(_CHUNK_BYTES, most_bytes + 1 - len(found)))
        except BlockingIOError:
            continue
        if not part:
            return bytes(found)
        found += part
    raise FileFault(f"larger than {size_words(most_bytes)}", "is this the right file?")


def _something_to_read(fd: int, wait_s: float) -> bool:
    until_s = time.monotonic() + wait_s
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    while (left_s := until_s - time.monotonic()) > 0:
        if waiting.poll(left_s * 1000):
            return True
    return False


def read_text(path: Path, most_bytes: int, *, pipes: bool = True) -> str:
    """Return the content of a UTF-8 file, without a byte order mark. See :func:`read_bytes`.

    Raises:
        FileFault: As there, or it is not UTF-8.
    """
    raw = read_bytes(path, most_bytes, pipes=pipes)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise FileFault(f"is not UTF-8 text (line {line})", "save the file as UTF-8") from error


def read_secret(path: Path, *, pipes: bool = True) -> str:
    """Return the secret in a file, without the line end behind it: the one rule for every secret's file.

    Raises:
        FileFault: It cannot be read, holds more than ``MAX_SECRET_BYTES``, nothing, or no text.
    """
    text = read_text(path, MAX_SECRET_BYTES, pipes=pipes).rstrip("\r\n")
    if not text:
        raise FileFault("is empty", "write the secret into it")
    return text


def size_words(size_bytes: int) -> str:
    """Return a size as people write it: ``64 KiB``, ``1 MiB``."""
    for unit, factor in (("MiB", 1024 * 1024), ("KiB", 1024)):
        if size_bytes % factor == 0:
            return f"{size_bytes // factor} {unit}"
    return f"{size_bytes} bytes"


def _unreadable(error: Exception) -> FileFault:
    said = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
    return FileFault(f"cannot be read: {said}", "check the path and that this user may read it")
