"""Incidents on disk: what the incidents stage has written, for a broker that forgets (ADR 58).

Workers keep each flush of the stage in ``var/alerts/NNNNNNNN`` before anybody is told of it, in one frame, so all of it or nothing.
A new broker begins with the last value of each key, written to its topics before a worker runs; these values then are the
beginning of the next folder. The rules go on behind the watermark up to which they had looked: the events of the journal are counted
again, and not judged again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from msgspec import Struct

from alerts.append import ALERTS_KEY
from floorwatch.embedded.child_process import StartError
from floorwatch.embedded.frames import MAGIC, JournalRecord, encode
from floorwatch.embedded.journal import JournalError, JournalWriter, open_free_writer
from floorwatch.embedded.journal_segments import START, read_from, segment_path, writers_of
from streams.engine.log import BATCH_BYTES, Entry, KafkaLogWriter, LogWriter
from streams.models import formats, topics
from streams.models.kafka_error import said_by
from streams.models.kafka_producer import open_producer
from streams.models.topics import partition_of

_log = logging.getLogger(__name__)

KEPT = (topics.INCIDENTS, topics.NOTICES, topics.AUDIT_REQUESTS)
"""Topics whose records are kept: the whole state of the incidents stage."""

_NAME = "alerts"
"""Stands in a frame for its topic."""
_FRAME_BYTES = 8 * 1_048_576
_READ_BYTES = 16 * 1_048_576
_RETRY_S = 1.0
_LIMITS = {"batch_bytes": BATCH_BYTES, "request_bytes": 64 * 1_048_576}
_BEGINNING = "beginning"
_WORKER = "worker"


class KeptFlush(Struct, frozen=True):
    """What one flush of the incidents stage has written.

    Attributes:
        upto: Offset behind the last signal that was folded; -1 for the values with which a life of the broker begins.
        watermark_ms: Up to which the rules had looked by then, in event time; -1: they never looked.
        records: Topic without its prefix, key and value of each; None: it was removed.
        format: Version.
    """

    upto: int
    watermark_ms: int
    records: tuple[tuple[str, bytes, bytes | None], ...]
    format: int = formats.KEPT_ALERTS.version


_decode = msgspec.msgpack.Decoder(KeptFlush).decode


class AlertKeeper:
    """A worker's end: notes what the stage writes, and keeps it once for each flush."""

    def __init__(self, folder: Path, prefix: str, partitions: int) -> None:
        """Write below a folder that ``begin_life`` has made; nothing is opened yet.

        Args:
            folder: Of this life of the broker.
            prefix: Of topics.
            partitions: Of each topic.
        """
        self._folder, self._topics = folder, {prefix + name: name for name in KEPT}
        self._partition = partition_of(ALERTS_KEY, partitions)
        self._written: list[tuple[str, bytes, bytes | None]] = []
        self._looked_ms = -1
        self._journal: JournalWriter | None = None

    def over(self, writer: LogWriter) -> LogWriter:
        """Return a writer that notes what it writes."""
        return _Noting(self, writer)

    def note(self, topic: str, partition: int, records: Iterable[Entry]) -> None:
        """Note records that are on the log, until ``keep``."""
        name = self._topics.get(topic)
        if name is not None and partition == self._partition:
            self._written += [(name, entry[0] or b"", entry[1]) for entry in records]

    async def keep(self, upto: int | None, watermark_ms: int | None) -> None:
        """Keep what was noted; returns once it is on disk. A disk that is full is waited for.

        Args:
            upto: Offset behind the last signal that was folded.
            watermark_ms: Up to which the rules had looked by then.
        """
        looked_ms = max(self._looked_ms, -1 if watermark_ms is None else watermark_ms)
        if not self._written and looked_ms == self._looked_ms:
            return
        frames = _frames(self._written, 0 if upto is None else upto, looked_ms)
        while True:
            try:
                if self._journal is None:
                    self._journal = await open_free_writer(self._folder, _WORKER)
                await self._journal.publish([(b"", frame) for frame in frames], _NAME)
                break
            except (JournalError, OSError) as error:
                _log.warning("incidents are not kept, and nobody is told of anything new until they are: %s", error)
                await asyncio.sleep(_RETRY_S)
        self._written, self._looked_ms = [], looked_ms

    async def close(self) -> None:
        """Close the file."""
        if self._journal is not None:
            await self._journal.stop()
            self._journal = None


class _Noting:
    """Writes to the log, and has noted what was written."""

    def __init__(self, keeper: AlertKeeper, writer: LogWriter) -> None:
        self._keeper, self._writer = keeper, writer

    async def append(self, topic: str, partition: int, records: Iterable[Entry]) -> None:
        """Append records; see ``LogWriter``."""
        entries = list(records)
        await self._writer.append(topic, partition, entries)
        self._keeper.note(topic, partition, entries)


def looked_ms(folder: Path) -> int:
    """Return up to which watermark the rules had looked before this life of the broker began; -1: they never looked.

    Raises:
        NewerFormat: A newer version of Floorwatch wrote it.
    """
    return max((flush.watermark_ms for flush in _flushes(folder) if flush.upto < 0), default=-1)


async def bring_alerts(alerts: Path, bootstrap: str, prefix: str, partitions: int) -> Path:
    """Begin a life of the broker, with a producer of its own; see ``begin_life``.

    Raises:
        StartError: The broker does not take it, or a newer version of Floorwatch wrote what is kept.
        OSError: The disk is full, or cannot be written.
    """
    try:
        async with open_producer({"bootstrap_servers": bootstrap}, **_LIMITS) as producer:
            return await begin_life(alerts, KafkaLogWriter(producer), prefix, partitions)
    except formats.NewerFormat as error:
        raise StartError(str(error)) from error
    except KafkaError as error:
        raise StartError(f"the broker does not take the incidents of before: {said_by(error)}") from error


async def begin_life(alerts: Path, writer: LogWriter, prefix: str, partitions: int) -> Path:
    """Bring the incidents of the last life to a new broker, before a worker runs.

    Args:
        alerts: Folder of all lives, ``var/alerts``.
        writer: Writes to the new broker.
        prefix: Of topics.
        partitions: Of each topic.

    Returns:
        The folder of the new life.

    Raises:
        OSError: The disk is full, or cannot be written.
        NewerFormat: A newer version of Floorwatch wrote what is there.
    """
    lives = await asyncio.to_thread(_lives, alerts)
    last = alerts / f"{lives[-1]:08d}" if lives else None
    values, watermark_ms = ({}, -1) if last is None else await asyncio.to_thread(_last_values, last)
    place = partition_of(ALERTS_KEY, partitions)
    for name in KEPT:
        records = [(key, value, None) for (topic, key), value in values.items() if topic == name]
        if records:
            await writer.append(prefix + name, place, records)
    folder = alerts / f"{(lives[-1] if lives else 0) + 1:08d}"
    kept = [(topic, key, value) for (topic, key), value in values.items()]
    await asyncio.to_thread(_write_beginning, folder, _frames(kept, -1, watermark_ms))
    for number in lives:
        await asyncio.to_thread(shutil.rmtree, alerts / f"{number:08d}", ignore_errors=True)
    return folder


def _lives(alerts: Path) -> list[int]:
    return sorted(int(path.name) for path in alerts.glob("[0-9]*") if path.name.isdigit())


def _write_beginning(folder: Path, frames: list[bytes]) -> None:
    """Make a folder with the values of its beginning; it appears whole or not at all."""
    made = folder.with_suffix(".tmp")
    shutil.rmtree(made, ignore_errors=True)
    (made / _BEGINNING).mkdir(mode=0o700, parents=True)
    for path in (folder.parent, made):
        path.chmod(0o700)
    fd = os.open(segment_path(made / _BEGINNING, 1), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(MAGIC)
        out.writelines(encode(0, _NAME.encode(), b"", frame) for frame in frames)
        out.flush()
        os.fsync(out.fileno())
    made.rename(folder)


def _frames(records: Sequence[tuple[str, bytes, bytes | None]], upto: int, watermark_ms: int) -> list[bytes]:
    """Return records as frames: one, unless they are very many."""
    parts: list[list[tuple[str, bytes, bytes | None]]] = [[]]
    size = 0
    for one in records:
        size += len(one[1]) + len(one[2] or b"")
        if size > _FRAME_BYTES and parts[-1]:
            parts.append([])
            size = len(one[1]) + len(one[2] or b"")
        parts[-1].append(one)
    return [msgspec.msgpack.encode(KeptFlush(upto, watermark_ms, tuple(part))) for part in parts]


def _last_values(folder: Path) -> tuple[dict[tuple[str, bytes], bytes], int]:
    """Return the last value of each key, without places on the log that is gone, and up to where the rules had looked."""
    values: dict[tuple[str, bytes], bytes] = {}
    watermark_ms = -1
    # A worker that lost its partition may have kept an older flush behind a newer one of another worker.
    for flush in sorted(_flushes(folder), key=lambda one: one.upto):
        watermark_ms = max(watermark_ms, flush.watermark_ms)
        for topic, key, value in flush.records:
            values.pop((topic, key), None)
            if value is not None:
                values[topic, key] = value
    return {(topic, key): placeless(topic, key, value) for (topic, key), value in values.items()}, watermark_ms


def _flushes(folder: Path) -> Iterator[KeptFlush]:
    """Yield all flushes of a folder, writer by writer, each in its order. What is damaged is logged and passed over."""
    for name in writers_of(folder):
        for record in _records(folder / name):
            formats.check_msgpack(formats.KEPT_ALERTS, record.value)
            try:
                yield _decode(record.value)
            except msgspec.DecodeError as error:
                _log.error("%s: a record is passed over: %s", folder / name, error)


def _records(folder: Path) -> Iterator[JournalRecord]:
    position = START
    while True:
        chunk = read_from(folder, position, _READ_BYTES, no_writer=True)
        yield from chunk.records
        if chunk.damage is not None and chunk.damage.acknowledged:
            _log.error("%s, byte %d: %s; passed over", chunk.damage.path, chunk.damage.offset, chunk.damage.said)
        if not chunk.records and chunk.damage is None:
            return
        position = chunk.position


_PLACES: Mapping[str, Mapping[str, Any]] = {
    "incident": {"stamp": None},
    "group": {"stamp": None, "notices": []},
    "~": {"offset": -1, "earlier": []},
    "!": {"offset": -1},
}
"""Members that name places on the log of signals, with what stands there where that log is gone."""


def placeless(topic: str, key: bytes, value: bytes) -> bytes:
    """Return a value as it is for a log that begins anew: it names no place of the old one.

    Args:
        topic: Without prefix.
        key: Of the record.
        value: As the stage wrote it.
    """
    first = key[:1].decode(errors="replace")
    if topic == topics.AUDIT_REQUESTS or first in ("+", "="):
        return value
    kind = "incident" if topic == topics.INCIDENTS else first if first in _PLACES else "group"
    try:
        found = json.loads(value)
    except ValueError:  # the stage sets it aside, as it would have
        return value
    return msgspec.json.encode({**found, **_PLACES[kind]}) if isinstance(found, dict) else value
