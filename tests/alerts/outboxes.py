"""An outbox that loses nothing and knows ids, for tests that deliver nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alerts.outgoing import Notification, decode_notification
from alerts.receipts import NoticeReceipts


class OutboxOfIds:
    """What the incidents stage asks of an outbox; ``notes`` are those that it took, by id."""

    def __init__(self) -> None:
        self.notes: dict[str, Notification] = {}

    async def enqueue(self, note: Notification) -> None:
        self.notes.setdefault(note.id, note)

    async def lost(self) -> bool:
        return False

    async def missing(self, notices: Sequence[str]) -> list[str]:
        return [name for name in notices if name not in self.notes]

    async def restore(self, states: Sequence[NoticeReceipts], payloads: Mapping[str, bytes], *, unsure: bool) -> None:
        assert not unsure
        for state in states:
            await self.enqueue(decode_notification(payloads[state.id]))

    async def settle(self, sent: Sequence[tuple[str, str, int]]) -> None:
        pass
