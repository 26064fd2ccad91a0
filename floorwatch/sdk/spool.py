"""Keeps on disk what was promised until it is delivered. A kill -9 loses none of it.

The gateway keeps webhooks so, from before they are answered until their events are published; an ``Emitter`` keeps
events, from before ``send`` returns until a gateway has them. One line a record, with a checksum
(``floorwatch.sdk.spool_records``). A file is named after the number of its first record and deleted when all its records are
done. A crash can cut only the end of the last file, and nobody was promised what stood there. Damage is set aside in a
file ending in ``.damaged`` and reported; every other record is delivered.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from floorwatch.sdk.spool_records import SpoolDamage, framed, framed_number, read_number, read_records

_log = logging.getLogger(__name__)

SEGMENT_BYTES = 8 * 1024 * 1024
_LEAST_RECORD = 16
"""Bytes of the shortest record. Damage may have hidden one number for each so many bytes."""

_DATA_SYNC = os.fdatasync if hasattr(os, "fdatasync") else os.fsync


class SpoolUse(NamedTuple):
    """What a spool is for, in its file names and in what it says.

    Attributes:
        file: How names of its files begin.
        things: What a record is, in the plural.
        user: Who uses a folder, one at a time.
        setting: What names the folder.
    """

    file: str
    things: str
    user: str
    setting: str


WEBHOOKS = SpoolUse("hooks", "webhooks", "gateway", "gateway.spool_dir")


class SpoolBusy(Exception):
    """Another process uses the folder. Operator: stop it, or give each a folder of its own."""


class DiskSpool:
    """Appends records, and returns after a restart those that were not done. Its methods block: call them in a thread.

    Attributes:
        folder: Where it keeps them.
        id: The folder's own name for itself.
        next_number: Number of the next record after ``open``. It is greater than any that was ever used here.
        damage: What ``open`` could not read, as sentences, without writes that were cut off by a crash.
        damaged_bytes: Size of everything set aside here that still exists.
    """

    def __init__(
        self,
        folder: Path,
        *,
        use: SpoolUse = WEBHOOKS,
        segment_bytes: int = SEGMENT_BYTES,
        sync: Callable[[int], None] = _DATA_SYNC,
    ) -> None:
        """Name the folder; nothing is opened yet.

        Args:
            folder: Made if missing; used by one process at a time.
            use: What it is for.
            segment_bytes: A new file is begun beyond this size.
            sync: Makes a file's content durable; replaced in tests that break it.
        """
        self.folder = folder
        self.id = ""
        self._use = use
        self._segment_bytes = segment_bytes
        self._sync = sync
        self._lock_fd: int | None = None
        self._fd: int | None = None
        self._size = 0
        self._segments: list[int] = []
        self.next_number = 1
        self.damage: tuple[str, ...] = ()
        self.damaged_bytes = 0

    def open(self) -> list[tuple[int, bytes]]:
        """Lock the folder and return what was not done: (number, JSON), in order.

        Raises:
            SpoolBusy: Another process uses the folder.
            OSError: The folder cannot be used.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock_fd = self._lock()
        self.id = self._identity()
        file = re.compile(rf"{re.escape(self._use.file)}-(\d{{1,19}})\.jsonl")
        names = [file.fullmatch(path.name) for path in self.folder.iterdir()]
        self._segments = sorted(int(name[1]) for name in names if name is not None)
        done = self._done()
        kept: list[tuple[int, bytes]] = []
        highest, hidden = max([done, *self._segments], default=0), 0
        for first in self._segments:
            found, damaged = read_records(self._path(first).read_bytes())
            kept += found
            hidden += sum(len(one.data) // _LEAST_RECORD + 1 for one in damaged)
            self._tell(self._path(first), damaged)
        highest = max([highest, *(number for number, _ in kept)])
        # A number that is used again would count as done, so numbers that damage may hide are skipped.
        self.next_number = highest + hidden + 1
        self.damaged_bytes = sum(path.stat().st_size for path in self.folder.glob("*.damaged"))
        return [(number, text) for number, text in sorted(kept, key=lambda one: one[0]) if number > done]

    def append(self, records: Sequence[tuple[int, bytes]]) -> None:
        """Keep records: (number, JSON), numbers ascending; returns once they are on disk.

        Raises:
            OSError: Nothing may be assumed of what was kept.
        """
        data = b"".join(framed(number, text) for number, text in records)
        fd = self._fd
        if fd is None or self._size >= self._segment_bytes:
            fd = self._begin(records[0][0])
        try:
            written = 0
            while written < len(data):
                written += os.write(fd, data[written:])
            self._sync(fd)
            self._size += len(data)
        except OSError:
            # The file may end with a cut line now, so what follows goes to a new file.
            os.close(fd)
            self._fd = None
            raise

    def done(self, number: int) -> None:
        """Note that all up to a number are done, and delete files that hold only such records."""
        beside = self.folder / "done.tmp"
        beside.write_bytes(framed_number(number))
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
        return self.folder / f"{self._use.file}-{first:016d}.jsonl"

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
        """Return the folder's id, under which the tool state notes how far the spool has been worked off."""
        path = self.folder / "id"
        with contextlib.suppress(FileNotFoundError):
            text = path.read_bytes().strip()
            if re.fullmatch(rb"[0-9a-f]{32}", text):
                return text.decode()
            if text:
                self._set_aside(path, text, "the spool's name is damaged: what waits is worked off once more")
        name = uuid.uuid4().hex
        path.write_text(name)
        return name

    def _done(self) -> int:
        path = self.folder / "done"
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return 0
        number = read_number(text)
        if number is None:
            self._set_aside(path, text, "how far it was done is damaged: what is kept is worked off once more")
        return number or 0

    def _tell(self, path: Path, damaged: Sequence[SpoolDamage]) -> None:
        lost = [one for one in damaged if not one.torn]
        for one in damaged:
            if one.torn:
                said = "the last write was cut, at byte %d (%d bytes); nobody was promised it"
                _log.warning(f"%s: {said}", path, one.offset, len(one.data))
        if lost:
            places = ", ".join(f"{len(one.data)} bytes at {one.offset}" for one in lost[:5])
            more = f" and {len(lost) - 5} other places" if len(lost) > 5 else ""
            reason = (
                f"{places}{more} cannot be read; {self._use.things} that were promised may be in them, "
                "all others are delivered"
            )
            self._set_aside(path, b"\n".join(one.data for one in lost) + b"\n", reason)

    def _set_aside(self, path: Path, data: bytes, reason: str) -> None:
        """Keep damaged bytes in a file beside and tell."""
        beside = path.with_name(path.name + ".damaged")
        said = f"{path}: {reason}; the bytes are kept in {beside.name}"
        _log.error("%s", said)
        self.damage = (*self.damage, said)
        try:
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
        except OSError as error:
            _log.error("%s cannot be written: %s", beside, error)

    def _lock(self) -> int:
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            user, setting = self._use.user, self._use.setting
            raise SpoolBusy(f"{self.folder} is in use by another {user}; give each its own {setting}") from error
        return fd
