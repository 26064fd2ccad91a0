"""The messages of decided notices: written to notices.v1 before the outbox has them, and from there into an outbox that lost them.

Keys on notices.v1: ``+ID`` is the message of a notice as it was made when it was decided, removed once no channel waits for it and
nobody can have it tried again; ``=ID`` is what became of it on each channel, kept some time longer. Why: ADR 51.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from typing import Final

from redis.exceptions import RedisError

from alerts.channels.slack_posts import restore_posts
from alerts.codec import decode_receipts, encode_receipts
from alerts.incident import Incident
from alerts.outbox import Outbox
from alerts.outgoing import Notification, encode_notification
from alerts.receipts import Changes, NoticeReceipts, ReceiptBook
from alerts.slack_refs import posts_of
from streams.adapters.readmodel import batched
from streams.adapters.redis_retry import RedisRetry
from streams.adapters.topic_names import TopicNames
from streams.engine.log import LogReader, LogWriter, ProducerRecord
from streams.models import topics

log = logging.getLogger(__name__)

MESSAGE: Final = b"+"
RECEIPTS: Final = b"="
"""First characters of the keys of messages, and of what became of them."""

MOST_HELD_BYTES: Final = 16 * 1_048_576
"""Messages of one flush held in memory until the outbox has them; the others are read back from the log."""
_BATCH_BYTES: Final = 1_048_576
_AT_ONCE: Final = 16
"""Messages on their way to the outbox at the same time."""


class NoticeDelivery:
    """Brings what was decided from the log into the outbox."""

    def __init__(
        self, partition: int, out: TopicNames, writer: LogWriter, reader: LogReader, outbox: Outbox, retry: RedisRetry
    ) -> None:
        """Do nothing yet."""
        self._topic, self._partition = out.name(topics.NOTICES), partition
        self._writer, self._reader, self._outbox, self._retry = writer, reader, outbox, retry
        self._checked = False
        self._empty: bool | None = None

    async def write(self, book: ReceiptBook, notes: Iterable[Notification], changes: Changes) -> list[Notification]:
        """Write new messages and what became of older ones.

        Args:
            book: All notices.
            notes: Messages of notices that were decided since the last flush.
            changes: What the book wants written.

        Returns:
            The messages to be enqueued; where they are too many to be held, the rest is read back by ``fill``.
        """
        self._empty = not book.all() if self._empty is None else self._empty
        held: list[Notification] = []
        batch: list[ProducerRecord] = []
        total = size = 0
        for note in notes:
            value = encode_notification(note)
            batch.append(ProducerRecord(MESSAGE + note.id.encode(), value))
            changes.states.pop(note.id, None)
            batch += _records(book, [note.id])  # behind its message: a state without one would never be told
            book.written(note.id)
            total, size = total + len(value), size + len(value)
            if total <= MOST_HELD_BYTES:
                held.append(note)
            else:
                self._checked = False
            if size >= _BATCH_BYTES:
                await self._append(batch)
                batch, size = [], 0
        batch += _records(book, changes.states)
        batch += [ProducerRecord(MESSAGE + name.encode(), None) for name in (*changes.ended, *changes.forgotten)]
        batch += [ProducerRecord(RECEIPTS + name.encode(), None) for name in changes.forgotten]
        await self._append(batch)
        return held

    async def _append(self, records: Sequence[ProducerRecord]) -> None:
        if records:
            await self._writer.append(self._topic, self._partition, records)

    async def enqueue(self, notes: Iterable[Notification], sent: Sequence[tuple[str, str, int]]) -> None:
        """Give messages to the outbox, which takes each id once, and tell it what is sent by the log."""
        for some in batched(notes, _AT_ONCE):  # one by one, ten thousand would hold up what comes next for minutes
            await asyncio.gather(*map(self._enqueue, some))
        if sent:
            await self._retry.until_done("take receipts", partial(self._outbox.settle, sent))

    async def _enqueue(self, note: Notification) -> None:
        await self._retry.until_done("take notifications", partial(self._outbox.enqueue, note))

    async def fill(self, book: ReceiptBook) -> None:
        """Once after a start: put into the outbox what the worker before has decided and did not bring there."""
        if self._checked:
            return
        self._checked = True
        if await self._retry.until_done("say whether it is whole", self._outbox.lost):
            if self._empty:  # it is new, and not lost
                begun = await self._retry.until_done("begin", self._outbox.begin_rebuild)
                await self._retry.until_done("begin", partial(self._outbox.finish_rebuild, begun))
            return  # else it is filled at a tick of the log, when all receipts before it are known
        waiting = {state.id: state for state in book.waiting()}
        if waiting:
            missing = await self._retry.until_done("say what it has", partial(self._outbox.missing, list(waiting)))
            await self._restore([waiting[name] for name in missing], unsure=False)

    async def lost(self) -> bool:
        """Tell whether the outbox may have lost something; False where Redis cannot be asked, which is seen elsewhere."""
        try:
            return await self._outbox.lost()
        except (RedisError, OSError, TimeoutError):
            return False

    async def rebuild(self, book: ReceiptBook, incidents: Iterable[Incident] = ()) -> bool:
        """Fill an outbox that was lost with all that the log knows, and say again which messages of Slack tell of which incidents.

        Args:
            book: All notices.
            incidents: All that is known of incidents.

        Returns:
            Whether it is whole now; False where it was lost once more meanwhile.
        """
        begun = await self._retry.until_done("begin anew", self._outbox.begin_rebuild)
        states = book.all()
        if states:
            waiting = len(book.waiting())
            log.warning(
                "the outbox in Redis was lost or is another: it is filled from the log, %d notices, %d of them not delivered",
                len(states),
                waiting,
            )
            await self._restore(states, unsure=True)
        if posts := posts_of(incidents, book.get):
            restored = partial(restore_posts, self._outbox.redis, self._outbox.prefix, posts)
            await self._retry.until_done("take messages of Slack", restored)
        return await self._retry.until_done("end anew", partial(self._outbox.finish_rebuild, begun))

    async def _restore(self, states: Sequence[NoticeReceipts], *, unsure: bool) -> None:
        plain = [state for state in states if not state.open and not state.revivable]
        if plain:
            await self._retry.until_done("take notifications", partial(self._outbox.restore, plain, {}, unsure=unsure))
        wanted = {state.id: state for state in states if state.open or state.revivable}
        if not wanted:
            return
        async for messages in self._messages(wanted):
            some = [wanted.pop(name) for name in messages]
            await self._retry.until_done(
                "take notifications", partial(self._outbox.restore, some, messages, unsure=unsure)
            )
        if wanted:
            log.error("notices.v1 has no message of %d notices that were decided: %s", len(wanted), [*wanted][:5])

    async def _messages(self, wanted: dict[str, NoticeReceipts]) -> AsyncIterator[dict[str, bytes]]:
        """Yield the messages of notices as the log has them, some at a time. One that was written twice is the first."""
        found: dict[str, bytes] = {}
        size = 0
        async for records in self._reader.read(self._topic, self._partition):
            for _, key, value in records:
                name = key[1:].decode(errors="replace") if key.startswith(MESSAGE) else ""
                if value is None or name not in wanted or name in found:
                    continue
                found[name], size = value, size + len(value)
                if size >= _BATCH_BYTES:
                    yield found
                    found, size = {}, 0
        if found:
            yield found


def take(book: ReceiptBook, key: bytes, value: bytes | None) -> bool:
    """Take a record of notices.v1 into the book; False where it is of another kind.

    Raises:
        msgspec.DecodeError: It cannot be read.
        NewerFormat: A newer version of Floorwatch wrote it.
    """
    if key.startswith(RECEIPTS):
        if value is None:
            book.drop(key[1:].decode())
        else:
            book.put(decode_receipts(value))
        return True
    return key.startswith(MESSAGE)


def _records(book: ReceiptBook, names: Iterable[str]) -> list[ProducerRecord]:
    found = [state for name in names if (state := book.get(name)) is not None]
    return [ProducerRecord(RECEIPTS + state.id.encode(), encode_receipts(state)) for state in found]
