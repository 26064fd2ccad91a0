"""Webhooks on disk from before they are answered until their events are published: kill -9 loses none of them.

One line a hook: CRC-32 in hex, a space, JSON. A file is named after the number of its first hook and deleted when all
its hooks are done. What a crash tears is the end of the last file, which nobody was told had been kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from zlib import crc32

_log = logging.getLogger(__name__)

SEGMENT_BYTES = 8 * 1024 * 1024
_NAME = "hooks-{:016d}.jsonl"
_DATA_SYNC = os.fdatasync if hasattr(os, "fdatasync") else os.fsync


class SpoolBusy(Exception):
    """Another gateway uses the folder. Operator: stop it, or give each gateway its own gateway.spool_dir."""


class DiskSpool:
    """Appends, and tells after a restart what was not done. Its methods block: call them in a thread."""

    def __init__(
        self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, sync: Callable[[int], None] = _DATA_SYNC
    ) -> None:
        """Name the folder; nothing is opened yet.

        Args:
            folder: Made if missing; used by one gateway at a time.
            segment_bytes: A new file is begun beyond this size.
            sync: Makes a file's content durable; replaced in tests that break it.
        """
        self.folder = folder
        self.id = ""
        self._segment_bytes = segment_bytes
        self._sync = sync
        self._lock_fd: int | None = None
        self._fd: int | None = None
        self._size = 0
        self._segments: list[int] = []

    def open(self) -> list[tuple[int, bytes]]:
        """Lock the folder and return what was not done: (number, JSON), in order.

        Raises:
            SpoolBusy: Another gateway uses the folder.
            OSError: The folder cannot be used.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock_fd = _lock(self.folder)
        self.id = self._identity()
        self._segments = sorted(int(path.stem.split("-")[1]) for path in self.folder.glob("hooks-*.jsonl"))
        done = self._done()
        found: list[tuple[int, bytes]] = []
        for first in self._segments:
            found += [(number, text) for number, text in _read(self._path(first)) if number > done]
        return found

    @property
    def next_number(self) -> int:
        """Number for the next hook after ``open``: above all that were ever used here."""
        read = [number for first in self._segments for number, _ in _read(self._path(first))]
        return max([self._done(), *(first - 1 for first in self._segments), *read]) + 1

    def append(self, hooks: Sequence[tuple[int, bytes]]) -> None:
        """Keep hooks: (number, JSON), numbers ascending; returns once they are on disk.

        Raises:
            OSError: Nothing may be assumed of what was kept.
        """
        data = b"".join(_framed(number, text) for number, text in hooks)
        fd = self._fd
        if fd is None or self._size >= self._segment_bytes:
            fd = self._begin(hooks[0][0])
        try:
            written = 0
            while written < len(data):
                written += os.write(fd, data[written:])
            self._sync(fd)
            self._size += len(data)
        except OSError:
            # A torn line may stand there now: whatever follows goes to a file of its own.
            os.close(fd)
            self._fd = None
            raise

    def done(self, number: int) -> None:
        """Note that all hooks up to a number are done, and delete files that hold none but such."""
        beside = self.folder / "done.tmp"
        beside.write_text(str(number))
        beside.replace(self.folder / "done")
        while len(self._segments) > 1 and self._segments[1] <= number + 1:
            self._path(self._segments.pop(0)).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files and release the folder."""
        for fd in (self._fd, self._lock_fd):
            if fd is not None:
                os.close(fd)
        self._fd = self._lock_fd = None

    def _path(self, first: int) -> Path:
        return self.folder / _NAME.format(first)

    def _begin(self, first: int) -> int:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        fd = os.open(self._path(first), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError:
            os.close(fd)
            raise
        if first not in self._segments:
            self._segments.append(first)
        self._fd, self._size = fd, 0
        return fd

    def _identity(self) -> str:
        """Return the folder's own name for itself, under which the memory notes how far it has come."""
        path = self.folder / "id"
        with contextlib.suppress(FileNotFoundError):
            if text := path.read_text().strip():
                return text
        name = uuid.uuid4().hex
        path.write_text(name)
        return name

    def _done(self) -> int:
        try:
            return int((self.folder / "done").read_text())
        except (FileNotFoundError, ValueError):
            return 0


def _framed(number: int, text: bytes) -> bytes:
    body = b"%d %s" % (number, text)
    return b"%08x %s\n" % (crc32(body), body)


def _read(path: Path) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    for place, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line:
            continue
        checksum, _, body = line.partition(b" ")
        if checksum == b"%08x" % crc32(body):
            number, _, text = body.partition(b" ")
            found.append((int(number), text))
        else:
            _log.warning("%s:%d is not whole and is left out; a crash leaves such an end", path, place)
    return found


def _lock(folder: Path) -> int:
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise SpoolBusy(f"{folder} is in use by another gateway; give each its own gateway.spool_dir") from error
    return fd
