"""Receipts are written many at once; a log that takes none holds up no delivery, and gets them later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from alerts.codec import decode_input
from alerts.incident import Receipt
from alerts.outbox import Outbox
from alerts.receipt_log import ReceiptLog
from tests.alerts.notifiers import FakeChannel, notifier_of
from tests.alerts.test_outbox import Clock, note
from tests.redis_clients import async_client
from tests.waits import until


class Records:
    """A log that can be away, hang, or fail."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.written: list[Receipt] = []
        self.there, self.fails = True, False
        self.open = asyncio.Event()
        self.open.set()

    async def append(self, values: Sequence[bytes]) -> None:
        await self.open.wait()
        if self.fails:
            raise ConnectionError("no broker")
        self.batches.append(len(values))
        self.written += [one for one in map(decode_input, values) if isinstance(one, Receipt)]

    def receipts(self) -> ReceiptLog:
        return ReceiptLog(self.append, lambda: self.there, patience_s=0.05)


def receipt(number: int) -> Receipt:
    return Receipt(f"g:{number}", "g", "ops", "sent", number)


def test_receipts_of_one_moment_are_one_append_in_their_order() -> None:
    async def go() -> None:
        records = Records()
        log = records.receipts()
        assert all(await asyncio.gather(*(log.write(receipt(number)) for number in range(1200))))
        assert records.written == [receipt(number) for number in range(1200)]
        assert len(records.batches) < 5

    asyncio.run(go())


def test_a_log_that_is_away_or_hangs_or_fails_says_so_and_is_asked_again_once_it_answers() -> None:
    async def go() -> None:
        records = Records()
        log = records.receipts()
        records.there = False
        assert not await log.write(receipt(1))
        records.there, records.fails = True, True
        assert not await log.write(receipt(2))
        records.fails = False
        records.open.clear()
        assert not await log.write(receipt(3))
        assert not await log.write(receipt(4)), "at once: it still hangs"
        records.open.set()

        async def again() -> bool:
            return await log.write(receipt(5))

        await until(again, "the log to answer")
        assert [one.at_ms for one in records.written] == [3, 5]
        records.open.clear()
        asyncio.get_running_loop().create_task(log.write(receipt(6)))
        await asyncio.sleep(0)
        await log.close()

    asyncio.run(go())


def test_what_the_log_could_not_take_the_notifier_brings_there_later(redis_url: str) -> None:
    async def go() -> None:
        records = Records()
        records.there = False
        log, redis = records.receipts(), async_client(redis_url)
        outbox = Outbox(redis, Clock(), receipts=log.write)
        ops = FakeChannel("ops")
        notifier = notifier_of(outbox, ops, receipts=log, poll_s=0.02)
        await outbox.enqueue(note())
        stop = asyncio.Event()
        running = asyncio.create_task(notifier.run(stop))
        await until(lambda: ops.keys, "the message to be sent")
        await until(outbox.owed, "the receipt to be kept")
        assert not records.written
        records.there = True
        await until(lambda: records.written, "the receipt to be written")
        (one,) = records.written
        assert (one.notice, one.channel, one.outcome) == ("k1:open", "ops", "sent")
        stop.set()
        await running
        assert await outbox.owed() == []
        await redis.aclose()

    asyncio.run(go())
