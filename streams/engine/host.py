"""Stage host: owns the partitions of one stage and keeps the order fold, flush, commit.

A flush writes everything a partition has folded, waits for every acknowledgement and only then commits the source
offset. So a crash anywhere replays from an older offset, and stamped rows ignore what they already hold.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from streams.engine.batches import Batch, size_of
from streams.engine.errors import Fenced, Invariant
from streams.engine.gaps import Committed, Gaps, Seek
from streams.engine.meter import Meter
from streams.engine.partition_state import PartitionState, Phase, Processor, marked

log = logging.getLogger(__name__)


def _taken(task: asyncio.Future[bool]) -> None:
    """Log the error of a flush that nobody waits for any more, because another worker owns the partition."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("a flush broken off ended with %r", error)


Commit = Callable[[str, int, int], Awaitable[bool]]
"""(topic, partition, offset) -> whether the coordinator took it; False when it is away or busy with a rebalance, and
``Fenced`` when it does not know this member any more."""

_SOON_FULL = 0.75
"""Share of the bound on unflushed records at which a partition is flushed while it goes on folding."""

_AT_THE_END = 1_000
"""A partition that was far behind has caught up when it is fewer records behind than this."""

FAR_BEHIND = 10_000
"""A partition that is more records behind than this is flushed rarely."""

Fail = Callable[[BaseException], Awaitable[None]]


def _keeps_up(owned: PartitionState, limit: int) -> bool:
    """Tell whether a partition is not far behind.

    A partition that was far behind counts as such until it has caught up, because rows written near the end of a
    backlog would soon be written again.
    """
    if owned.behind >= limit:
        return False
    return owned.behind < _AT_THE_END or owned.behind + owned.unflushed < limit


class StageHost:
    """All partitions of one stage on this worker."""

    def __init__(
        self,
        name: str,
        topic: str,
        make: Callable[[int], Processor],
        commit: Commit,
        seek: Seek,
        meter: Meter,
        fail: Fail,
        *,
        max_unflushed: int = 200_000,
        max_unflushed_bytes: int = 128 * 1_048_576,
        far_behind: int = FAR_BEHIND,
        source_behind: Callable[[], bool] = lambda: False,
        catch_up_s: float = 8.0,
        fenced_patience_s: float = 60.0,
        revoke_patience_s: float | None = None,
        at_once: int = 1,
        commit_pause_s: float = 0.0,
        committed: Committed | None = None,
    ) -> None:
        """Create the host.

        Args:
            name: Stage name in logs and metrics.
            topic: Full name of the source topic.
            make: Makes the processor of a partition.
            commit: Commits an offset of the source.
            seek: Moves the source's read position.
            meter: Where counts go.
            fail: Stops the worker when a recovery fails.
            max_unflushed: Records folded but not flushed beyond which folding waits.
            max_unflushed_bytes: The same in bytes of their values.
            far_behind: From this many records behind, a partition is flushed only every ``catch_up_s``.
            source_behind: Tells whether what writes the source is far behind itself; its partitions are then flushed as such.
            catch_up_s: Seconds between two flushes of such a partition.
            fenced_patience_s: Seconds after which a worker that is fenced and not given its partitions anew must go.
            committed: Tells what the group has committed, for stages that keep no place of their own.
            at_once: Partitions flushed at the same time: while one waits for the broker, another makes its rows.
            commit_pause_s: Least seconds between two commits of a partition, but for its last.
            revoke_patience_s: Seconds that the last flushes of partitions given back may take together; None sets no limit.
        """
        self.name = name
        self.topic = topic
        self._make = make
        self._commit = commit
        self._meter = meter
        self._fail = fail
        self._committed = committed
        self._gaps = Gaps(name, topic, seek, committed)
        self._max_unflushed, self._max_unflushed_bytes = max_unflushed, max_unflushed_bytes
        self._fenced_patience_s, self._revoke_patience_s = fenced_patience_s, revoke_patience_s
        self._at_once, self._commit_pause_s = at_once, commit_pause_s
        self._far_behind, self._catch_up_s = far_behind, catch_up_s
        self._source_behind = source_behind
        self.owned: dict[int, PartitionState] = {}

    @property
    def fenced(self) -> list[int]:
        """Partitions that wait to be assigned anew."""
        return [partition for partition, owned in self.owned.items() if owned.phase is Phase.FENCED]

    @property
    def behind(self) -> int:
        """Records whose results are not on the log yet, of the partition with the most, as of its last batch."""
        return max((owned.behind + owned.unflushed + owned.writing for owned in self.owned.values()), default=0)

    @property
    def ready(self) -> bool:
        """Whether every owned partition has recovered."""
        return all(owned.ready.is_set() for owned in self.owned.values())

    def assign(self, partitions: Iterable[int]) -> None:
        """Take partitions.

        Recovery runs in the background and ``process`` waits for it. A partition that is already held continues.
        """
        for partition in partitions:
            if partition in self.owned:
                self.owned[partition].reassigned()
                continue
            owned = self.owned[partition] = PartitionState(partition, self._make(partition))
            owned.recovery = asyncio.create_task(self._recover(owned), name=f"recover-{self.name}-{partition}")

    async def _recover(self, owned: PartitionState) -> None:
        began = time.monotonic()
        try:
            await owned.processor.recover()
            if owned.processor.next is None and self._committed is not None:
                owned.begin = await self._committed(self.topic, owned.partition)
        except Exception as error:
            log.exception("%s[%d] cannot recover", self.name, owned.partition)
            await self._fail(error)
            raise
        self._meter.recovered(self.name, time.monotonic() - began)
        owned.recovered()
        log.info("%s[%d] recovered at offset %s", self.name, owned.partition, owned.processor.next)

    def folds(self, partition: int) -> bool:
        """Return whether records of a partition may be folded now: it is assigned."""
        owned = self.owned.get(partition)
        return owned is not None and owned.phase is not Phase.PARKED

    async def revoke(self, partitions: Iterable[int], *, flush: bool = True, park: bool = False) -> None:
        """Give partitions back: flush and commit what is folded, then drop the state.

        ``park`` keeps the state of the partitions whose last flush was completed. After a rebalance a worker gets most
        of its partitions back, and these then need no recovery. The caller revokes the others.

        A flush that waits for Redis or the broker must not hold up the group. After ``revoke_patience_s`` it is
        cancelled, which has the same effect as a crash: the next owner folds again what was not flushed.
        """
        patience_s = self._revoke_patience_s
        until_s = None if patience_s is None else time.monotonic() + patience_s
        for partition in list(partitions):
            owned = self.owned.get(partition)
            if owned is None:
                continue
            if owned.recovery is not None and not owned.recovery.done():
                owned.recovery.cancel()
            elif flush and await self._last_flush(owned, until_s, park=park):
                continue
            if owned.given_back:  # by another call, while this one waited; it may have been taken again since
                continue
            owned.close()
            self.owned.pop(partition, None)
            await owned.processor.close()
            self._meter.drop_partition(self.name, partition)

    async def _last_flush(self, owned: PartitionState, until_s: float | None, *, park: bool) -> bool:
        """Flush for the last time; return whether the flush came to its end and the partition is parked."""
        if until_s is None:
            return await self._flush_and_park(owned, park=park)
        flush = asyncio.ensure_future(self._flush_and_park(owned, park=park))
        done, _ = await asyncio.wait([flush], timeout=max(0.0, until_s - time.monotonic()))
        if done:
            return flush.result()
        log.warning("%s[%d] is given back unflushed; its next owner folds the rest", self.name, owned.partition)
        flush.add_done_callback(_taken)
        return False

    async def _flush_and_park(self, owned: PartitionState, *, park: bool) -> bool:
        """Flush for the last time and park before another flush can begin; return whether the partition is parked."""
        async with owned.flushing:
            await self._flush(owned, last=True)
            return park and owned.park()

    async def process(self, batch: Batch) -> None:
        """Fold a batch, checking that the partition is still owned and that nothing is missing or met twice.

        A batch that comes before its partition is assigned is dropped, and is then fetched again.
        """
        owned, records = await self._recovered(batch.partition), batch.records
        expected = None if owned is None else await self._gaps.expected(owned, records[0].offset)
        if owned is None or owned.phase is Phase.PARKED:
            batch.drop()
            return
        if owned.phase is not Phase.ACTIVE:
            self._check(owned)
            return  # it was given back, or will be: the next assignment reads again from the commit
        records = await self._gaps.in_order(owned, records, expected)
        if not owned.active:  # given back while the read position was moved
            batch.drop()
            return
        if not records:
            return
        self._meter.folded(self.name, batch.partition, len(records))
        owned.unflushed += len(records)
        owned.unflushed_bytes += size_of(records)
        with marked(owned):
            owned.processor.fold(records)
        owned.behind = max(0, batch.highwater - records[-1].offset - 1)
        self._meter.lag(self.name, batch.partition, owned.behind)
        self._meter.unflushed(self.name, batch.partition, owned.unflushed, owned.unflushed_bytes)
        if owned.unflushed >= self._max_unflushed or owned.unflushed_bytes >= self._max_unflushed_bytes:
            began = self._meter.wait_began("flush")
            try:
                await self.flush_one(owned)
            finally:
                self._meter.wait_ended("flush", began)

    def _check(self, owned: PartitionState) -> None:
        if owned.phase is Phase.FAILED:
            raise Invariant(
                f"{self.name}[{owned.partition}]: a fold or a flush was cut short. The worker must be started again: it "
                "recovers exactly."
            )

    async def _recovered(self, partition: int) -> PartitionState | None:
        """Return a partition once it has recovered; None when this worker does not own it."""
        while (owned := self.owned.get(partition)) is not None and not owned.ready.is_set():
            if owned.recovery is not None:
                await asyncio.wait([owned.recovery])
                if not owned.recovery.cancelled():
                    owned.recovery.result()
        return owned

    async def flush_one(self, owned: PartitionState) -> None:
        """Flush one partition and commit its offset. A partition that has failed or is fenced is left to its next owner."""
        async with owned.flushing:
            await self._flush(owned, last=False)

    async def _flush(self, owned: PartitionState, *, last: bool) -> None:
        """Flush and commit; the caller holds ``flushing``.

        Args:
            owned: The partition.
            last: The partition is being revoked, so the offset is committed even if the last commit was a moment ago.
        """
        if not owned.active:
            return
        began = time.monotonic()
        owned.writing, owned.unflushed, owned.unflushed_bytes, owned.flushed_s = owned.unflushed, 0, 0, began
        try:
            with marked(owned):
                owned.work = asyncio.ensure_future(owned.processor.flush())
                offset = await owned.work
        except asyncio.CancelledError:
            if owned.given_back:
                return
            raise
        finally:
            owned.work, owned.writing = None, 0
        if owned.given_back:
            return
        self._meter.unflushed(self.name, owned.partition, owned.unflushed, owned.unflushed_bytes)
        if offset is not None:
            owned.uncommitted = offset
        if owned.uncommitted is not None and (last or began - owned.committed_s >= self._commit_pause_s):
            owned.committed_s = began
            await self._commit_one(owned, owned.uncommitted)
        elif offset is None:
            return
        self._meter.flushed(self.name, time.monotonic() - began)

    async def _commit_one(self, owned: PartitionState, offset: int) -> None:
        """Commit an offset. If the coordinator is away, the next flush tries again. If the worker is fenced, it stops here."""
        try:
            taken = await self._commit(self.topic, owned.partition, offset)
        except Fenced as error:
            self.fence(str(error))
            return
        if taken and owned.uncommitted == offset:
            owned.uncommitted = None
        elif not taken:
            self._meter.not_committed(self.name)

    def fence(self, reason: str) -> None:
        """Stop folding and flushing every partition, because the group no longer knows this worker and others may own them.

        The state in memory is dropped when the partitions are revoked, which happens when the worker joins again. The
        next owner folds again what was not flushed. ``reason`` is for the log.
        """
        now_s = time.monotonic()
        if [owned for owned in self.owned.values() if owned.fence(now_s)]:
            self._meter.fenced(self.name)
            log.warning("%s%s: dropped, waiting to be assigned anew: %s", self.name, sorted(self.owned), reason)

    async def flush_all(self) -> None:
        """Flush every owned partition. One that is far behind is flushed less often, because a flush costs by rows, not by events.

        Partitions that are far behind are flushed one after the other, whatever ``at_once`` says, because they hold
        much memory while they write.
        """
        now_s = time.monotonic()
        near: list[PartitionState] = []
        limit = 0 if self._source_behind() else self._far_behind
        for owned in list(self.owned.values()):
            if owned.given_back:
                continue  # revoked while another partition was flushed
            self._check(owned)
            self._check_fenced(owned, now_s)
            if _keeps_up(owned, limit):
                near.append(owned)
            elif now_s - owned.flushed_s >= self._catch_up_s or owned.unflushed >= _SOON_FULL * self._max_unflushed:
                await self.flush_one(owned)
        turns = asyncio.Semaphore(self._at_once)

        async def in_turn(owned: PartitionState) -> None:
            async with turns:
                await self.flush_one(owned)

        await asyncio.gather(*map(in_turn, near))

    def _check_fenced(self, owned: PartitionState, now_s: float) -> None:
        if owned.phase is Phase.FENCED and now_s - owned.fenced_s > self._fenced_patience_s:
            raise Invariant(
                f"{self.name}[{owned.partition}]: the group does not know this worker any more and has not taken it in "
                f"again for {self._fenced_patience_s:.0f} s. The worker must be started again: it recovers exactly."
            )
