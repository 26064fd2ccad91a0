"""The journal: keeps on disk what the embedded stack has accepted, because the broker keeps nothing.

Accepted means written to the journal and synced. The shipper (shipper.py) sends it to the broker, and to a new broker
    from the beginning.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from floorwatch.embedded.disk_space import is_full, no_room
from floorwatch.embedded.frames import MAGIC, encode, frame_ends
from floorwatch.embedded.journal_segments import LOCK, Position, end_of, mend, segment_numbers, segment_path
from streams.models.topics import RAW

_log = logging.getLogger(__name__)

_DATA_SYNC = os.fdatasync if hasattr(os, "fdatasync") else os.fsync

DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024
MAX_PENDING_BYTES = 64 * 1024 * 1024
"""Beyond this, appends wait, so that a slow disk slows its callers and does not fill the memory."""


class JournalError(Exception):
    """Records could not be made durable. Operator: the message names the file and the cause, usually a full disk."""


class JournalBusy(JournalError):
    """Another process writes under this name. Operator: stop it, or give this writer another name."""


def wall_ms() -> int:
    """Return the wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass
class _Group:
    """Appends waiting for one sync."""

    frames: list[bytes]
    waiting: list[asyncio.Future[None]]
    size_bytes: int = 0


class JournalWriter:
    """Appends records durably, many callers to one sync. One process per writer name; implements the Publisher port.

    Use as ``async with JournalWriter(Path("var/journal"), "gateway") as journal: await journal.publish([...])``.
    """

    def __init__(
        self,
        journal: Path,
        writer_name: str,
        *,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        now_ms: Callable[[], int] = wall_ms,
        sync: Callable[[int], None] = _DATA_SYNC,
    ) -> None:
        """Name the writer; nothing is opened yet.

        Args:
            journal: Folder of all writers, ``var/journal``.
            writer_name: This writer's own folder in it.
            segment_bytes: A new file is begun beyond this size.
            now_ms: Clock of ``accepted_ms``, Unix milliseconds.
            sync: Makes a file descriptor's content durable; replaced in tests that break it.
        """
        self.folder = journal / writer_name
        self._segment_bytes = segment_bytes
        self._now_ms = now_ms
        self._sync = sync
        self._last_ms = 0
        self._lock_fd: int | None = None
        self._fd: int | None = None
        self._number = 0
        self._size = 0
        self._group = _Group([], [])
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._flusher: asyncio.Task[None] | None = None
        self._stopping = False
        self._fault: str | None = None
        self._full = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Lock the folder, repair a torn end and open a segment. On a full disk, the first append that finds room opens it.

        Raises:
            JournalBusy: Another process holds this writer's folder.
            OSError: The folder cannot be written.
        """
        self._lock_fd = _lock(self.folder)
        try:
            await asyncio.to_thread(self._open)
        except BaseException:
            os.close(self._lock_fd)
            self._lock_fd = None
            raise
        self._stopping = False
        self._flusher = asyncio.create_task(self._flush_forever(), name=f"journal {self.folder.name}")

    async def stop(self) -> None:
        """Sync what is pending, close the files and release the folder."""
        if self._flusher is not None:
            self._stopping = True
            self._wake.set()
            await self._flusher
            self._flusher = None
        for fd in (self._fd, self._lock_fd):
            if fd is not None:
                os.close(fd)
        self._fd = self._lock_fd = None

    async def publish(self, records: Sequence[tuple[bytes, bytes]], topic: str = RAW) -> None:
        """Accept records: returns once they are on disk.

        Args:
            records: (key, value) pairs, kept in this order; the key is the task id.
            topic: Where the shipper brings them, without the prefix.

        Raises:
            JournalError: They could not be made durable; send them again.
            ValueError: A record is too large for the journal.
        """
        if not records:
            return
        await self._room.wait()
        if self._flusher is None or self._stopping:
            raise JournalError(f"the journal {self.folder} is not open; call start() first")
        self._last_ms = accepted_ms = max(self._last_ms, self._now_ms())
        name = topic.encode()
        frames = [encode(accepted_ms, name, key, value) for key, value in records]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        group = self._group
        group.frames += frames
        group.waiting.append(done)
        group.size_bytes += sum(map(len, frames))
        if group.size_bytes > MAX_PENDING_BYTES:
            self._room.clear()
        self._wake.set()
        await done

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Accept records into the raw topic; see :meth:`publish`."""
        await self.publish(records)

    @property
    def fault(self) -> str | None:
        """Why appends are refused; None if they are not, or if the disk has room again."""
        if self._fault is not None and self._full and not is_full(self.folder):
            return None
        return self._fault

    @property
    def end(self) -> Position:
        """Position behind everything this writer has accepted."""
        return end_of(self.folder)

    async def _flush_forever(self) -> None:
        # A flag ends it, not a cancellation, so that a stop during a sync does not leave callers without an answer.
        while not self._stopping or self._group.frames:
            await self._wake.wait()
            await self._flush()

    async def _flush(self) -> None:
        self._wake.clear()
        self._room.set()
        group, self._group = self._group, _Group([], [])
        if not group.frames:
            return
        fault: JournalError | None = JournalError(f"the journal {self.folder} was interrupted; send the records again")
        try:
            await asyncio.to_thread(self._write, group.frames)
            fault = None
            self._told(None)
        except OSError as error:
            where = segment_path(self.folder, self._number)
            self._told(f"cannot write {where}: {error.strerror or error}", full=no_room(error))
            fault = JournalError(f"{self._fault}; send the records again once that is mended")
        finally:
            for done in group.waiting:
                if not done.done():
                    _resolve(done, fault)

    def _told(self, fault: str | None, *, full: bool = False) -> None:
        """Note the result of the last append, and log it if it is new."""
        if fault is not None and self._fault is None:
            _log.error("%s; appends are refused until that is mended", fault)
        elif fault is None and self._fault is not None:
            _log.warning("%s: appends are taken again", self.folder)
        self._fault, self._full = fault, full

    def _open(self) -> None:
        numbers = segment_numbers(self.folder)
        if numbers:
            last = segment_path(self.folder, numbers[-1])
            found = mend(last)
            if found.cut:
                _log.warning(
                    "%s: cut %d bytes of a record that a crash left unfinished; it was never acknowledged",
                    last,
                    found.cut,
                )
            if found.damaged:
                _log.error(
                    "%s: records in it that were acknowledged fail their check. Writing goes on in a new segment; the shipper "
                    "sets the damaged part aside and says where it is",
                    last,
                )
            self._last_ms = max(self._last_ms, found.last_ms)
            self._number = numbers[-1]
            if found.size <= len(MAGIC) and not found.cut and not found.damaged:
                self._number -= 1  # still empty: use it, so that restarts do not leave empty files
        try:
            self._begin(self._number + 1)
        except OSError as error:
            if not no_room(error):
                raise
            self._told(f"cannot write {segment_path(self.folder, self._number + 1)}: {error.strerror}", full=True)

    def _begin(self, number: int) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        path = segment_path(self.folder, number)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size < len(MAGIC):
                os.ftruncate(fd, 0)
                _write_whole(fd, MAGIC)
            self._sync(fd)
            _sync_folder(self.folder)
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._number, self._size = fd, number, len(MAGIC)

    def _write(self, frames: list[bytes]) -> None:
        """Write and sync. After any fault the segment is ended at a frame's end and a new one is begun next time."""
        if self._fd is None or self._size >= self._segment_bytes:
            self._begin(self._number + 1)
        fd = self._fd
        if fd is None:
            raise OSError("no segment is open")
        data = memoryview(b"".join(frames))
        written = 0
        try:
            while written < len(data):
                written += os.write(fd, data[written:])
            self._size += written
            self._sync(fd)
        except OSError:
            # Complete frames stay, since a reader may have passed them. They may be sent twice, which the ledger
            # ignores.
            if written < len(data):
                os.ftruncate(fd, self._size + frame_ends(frames, written))
            os.close(fd)
            self._fd = None
            raise


def _resolve(done: asyncio.Future[None], fault: JournalError | None) -> None:
    if fault is None:
        done.set_result(None)
    else:
        done.set_exception(fault)


def _write_whole(fd: int, data: bytes) -> None:
    """Write all of the bytes. A disk with room for only some of them counts as full."""
    if os.write(fd, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _lock(folder: Path) -> int:
    for made in (folder.parent, folder):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise JournalBusy(
            f"{folder} is being written by another process; stop it or choose another writer name"
        ) from error
    return fd


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


async def open_free_writer(journal: Path, base_name: str, *, limit: int = 64) -> JournalWriter:
    """Open a writer named ``base_name``, or ``base_name-2``, -3 … while earlier names are in use; it is started.

    Args:
        journal: Folder of all writers.
        base_name: Such as ``simulate``.
        limit: How many names to try.

    Raises:
        JournalBusy: All names are in use.
    """
    for number in range(1, limit + 1):
        writer = JournalWriter(journal, base_name if number == 1 else f"{base_name}-{number}")
        try:
            await writer.start()
        except JournalBusy:
            continue
        return writer
    raise JournalBusy(f"{limit} writers named {base_name} are at work in {journal}; stop some")
