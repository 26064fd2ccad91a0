"""Cold store on disk: RocksDB by its Python package.

It holds what does not fit into memory. Nothing in it survives a restart: the changelog is read instead. So it needs no
    log and no syncing, and a directory that cannot be trusted is emptied.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec
from rocksdict import AccessType, BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteOptions

from streams.core.facts import Packed
from streams.engine.errors import Invariant

log = logging.getLogger(__name__)

_CACHE_BYTES = 16 * 1_048_576
_BUFFER_BYTES = 16 * 1_048_576
_BLOOM_BITS = 10

_encode = msgspec.msgpack.Encoder().encode
_decode: Any = msgspec.msgpack.Decoder(list[bytes]).decode


class StateDirectory:
    """A worker's own directory for cold stores. Directories that killed workers left beside it are removed.

    Attributes:
        path: The directory; it lives as long as this object is open.
    """

    _PATTERN = "floorwatch-state-*"

    def __init__(self, parent: Path | None) -> None:
        """Make the directory.

        Args:
            parent: Where; None means the system's temporary directory.

        Raises:
            Invariant: Nothing can be written there.
        """
        place = parent or Path(tempfile.gettempdir())
        try:
            place.mkdir(parents=True, exist_ok=True)
            for left in place.glob(self._PATTERN):
                self._remove_unlocked(left)
            self.path = Path(tempfile.mkdtemp(prefix=self._PATTERN[:-1], dir=place))
            # A lock, not a process id: workers in containers may share a volume and have equal ids.
            self._lock: IO[bytes] = (self.path / "lock").open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Invariant(
                f"no state can be kept in {place}: {error}. Set engine.state_dir to another place."
            ) from error

    @staticmethod
    def _remove_unlocked(directory: Path) -> None:
        with suppress(OSError), (directory / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)

    def close(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


class RocksStore:
    """Packed tasks of one partition in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        """Open empty.

        Args:
            directory: Emptied first; two partitions must not share one.

        Raises:
            Invariant: The directory cannot be made or RocksDB cannot open it.
        """
        self._directory = directory
        try:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            self._db = Rdict(str(directory), _options(), access_type=AccessType.read_write())
        except Exception as error:
            raise Invariant(
                f"no cold store can be opened in {directory}: {error}. Free or mount the disk, set engine.state_dir to "
                "another place, or set engine.hot_tasks to 0 to keep all tasks in memory."
            ) from error
        self._write = WriteOptions()
        self._write.disable_wal = True  # type: ignore[method-assign, assignment]  # its stub is wrong: a property
        self._db.set_write_options(self._write)

    def get(self, task_id: str) -> Packed | None:
        """Return a task, None where there is none.

        Raises:
            Invariant: The store is damaged: the worker must be started again, and rebuilds it from the changelog.
        """
        try:
            value: Any = self._db.get(task_id.encode())
            return None if value is None else _unpacked(value)
        except Exception as error:
            raise self._damaged(error) from error

    def put_many(self, tasks: Iterable[tuple[str, Packed]]) -> bool:
        """Store tasks; False, with a line in the log, when the disk does not take them."""
        batch = WriteBatch(raw_mode=True)
        for task_id, packed in tasks:
            batch.put(task_id.encode(), _encode((packed,) if type(packed) is bytes else packed))
        try:
            self._db.write(batch, self._write)
        except Exception as error:  # noqa: BLE001 - RocksDB's own class of error is not exported
            log.warning("the cold store in %s takes no more tasks (%s); they stay in memory", self._directory, error)
            return False
        return True

    def delete(self, task_id: str) -> None:
        """Forget a task."""
        try:
            self._db.delete(task_id.encode())
        except Exception as error:
            raise self._damaged(error) from error

    def items(self) -> Iterator[tuple[str, Packed]]:
        """Yield every task."""
        pairs: Any = self._db.items()
        for key, value in pairs:
            yield key.decode(), _unpacked(value)

    def close(self) -> None:
        """Close and remove the directory."""
        self._db.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _damaged(self, error: Exception) -> Invariant:
        return Invariant(
            f"the cold store in {self._directory} cannot be read: {error}. Nothing is lost: start the worker again, it "
            "empties the directory and rebuilds it from the changelog. Look after the disk if this comes back."
        )


def _unpacked(value: bytes) -> Packed:
    facts: list[bytes] = _decode(value)
    return facts[0] if len(facts) == 1 else tuple(facts)


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_BUFFER_BYTES)
    options.set_max_write_buffer_number(3)
    table = BlockBasedOptions()
    table.set_block_cache(Cache(_CACHE_BYTES))
    table.set_bloom_filter(_BLOOM_BITS, block_based=False)
    options.set_block_based_table_factory(table)
    return options
