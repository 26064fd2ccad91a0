"""What a channel is: one place a notification goes."""

from __future__ import annotations

from typing import Protocol

from alerts.outgoing import Notification


class ChannelError(Exception):
    """A channel did not take a notification.

    Attributes:
        reason: What happened, in a sentence without secrets.
        permanent: Trying again cannot help (a 4xx, a wrong address). Operator: mend the channel's settings, then revive
            the dead notification.
        retry_after_ms: The receiver's own wish, or None.
    """

    def __init__(self, reason: str, *, permanent: bool = False, retry_after_ms: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after_ms = retry_after_ms


class Channel(Protocol):
    """One place a notification goes. ``name`` is unique among all channels: it is remembered in the outbox."""

    @property
    def name(self) -> str:
        """Name in the configuration."""

    async def send(self, note: Notification, idempotency_key: str) -> None:
        """Deliver; returning means the receiver has it. Must be safe to call again with the same key.

        Raises:
            ChannelError: It was not delivered.
        """

    async def close(self) -> None:
        """Release connections."""
