"""Writes receipts to the log of incidents, many at once, and says of each whether the log has it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from alerts.codec import encode_input
from alerts.incident import Receipt

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""How long a delivery waits for the log; after that the outbox keeps its receipt."""
MOST_AT_ONCE = 500

Append = Callable[[Sequence[bytes]], Awaitable[None]]


class ReceiptLog:
    """Appends receipts in the order in which they come. While the log takes nothing, it says so at once."""

    def __init__(self, append: Append, ready: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Append nothing yet.

        Args:
            append: Appends records to the partition of alerts; returns when the broker has them.
            ready: Whether a broker has let this worker in.
            patience_s: How long a receipt may wait.
        """
        self._append, self._ready, self._patience_s = append, ready, patience_s
        self._queue: list[tuple[bytes, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._stuck = False

    async def write(self, receipt: Receipt) -> bool:
        """Append a receipt; False if the log does not take it now. It may then be there all the same: it counts once."""
        return await self.write_all([encode_input(receipt)])

    async def write_all(self, receipts: Sequence[bytes]) -> bool:
        """Append encoded receipts; False if the log does not have all of them."""
        if self._stuck or not self._ready():
            return False
        taken = [asyncio.get_running_loop().create_future() for _ in receipts]
        self._queue += zip(receipts, taken, strict=True)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        _, left = await asyncio.wait(taken, timeout=self._patience_s)
        if left:
            self._stuck = True
            log.warning(
                "the log has not taken receipts of notifications for %g s; the outbox keeps them", self._patience_s
            )
            return False
        return all(one.result() for one in taken)

    async def _write(self) -> None:
        while self._queue:
            batch, self._queue = self._queue[:MOST_AT_ONCE], self._queue[MOST_AT_ONCE:]
            try:
                await self._append([value for value, _ in batch])
                written = True
            except Exception as error:  # noqa: BLE001 - whatever the log has against them: they are kept and delivery goes on
                log.warning("receipts of notifications were not written: %s", type(error).__name__)
                written = False
            self._stuck = False
            for _, taken in batch:
                if not taken.done():
                    taken.set_result(written)

    async def close(self) -> None:
        """End; what is not written is kept by the outbox."""
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
