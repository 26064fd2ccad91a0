"""The interface of a channel: one place that notifications are sent to."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol

from alerts.outgoing import Notification
from streams.models.timestamps import to_ms

MOST_RETRY_AFTER_MS = 3_600_000
"""An hour: the longest delay that a receiver may ask for."""

_MOST_DIGITS = 9


class ChannelError(Exception):
    """A channel did not take a notification.

    Attributes:
        reason: What happened, in a sentence without secrets.
        permanent: Trying again cannot help (a 4xx, a wrong address). Operator: mend the channel's settings, then revive
            the dead notification.
        retry_after_ms: How long the receiver asks to wait, or None.
        unsure: The receiver did not answer in time, so it may have the notification.
    """

    def __init__(
        self, reason: str, *, permanent: bool = False, retry_after_ms: int | None = None, unsure: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after_ms = retry_after_ms
        self.unsure = unsure


class ChannelFault(Exception):
    """A channel's settings cannot work. Operator: mend them; until then nothing is delivered on this channel.

    Attributes:
        field: The setting of the channel at fault, or empty for the channel as a whole.
        reason: What is wrong, without secrets.
        hint: How to mend it.
    """

    def __init__(self, reason: str, hint: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason, self.hint, self.field = reason, hint, field


class Channel(Protocol):
    """One place a notification goes. ``name`` is unique among all channels: it is remembered in the outbox."""

    @property
    def name(self) -> str:
        """Name in the configuration."""

    @property
    def idempotent(self) -> bool:
        """Whether the receiver recognises a repeat by its key. Otherwise the text marks a possible repeat."""

    async def send(self, note: Notification, idempotency_key: str) -> str | None:
        """Deliver; returning means the receiver has it. Must be safe to call again with the same key.

        Returns:
            What the receiver calls the message, to update it later; None where it has no name.

        Raises:
            ChannelError: It was not delivered.
        """

    async def close(self) -> None:
        """Release connections."""


class UnusableChannel:
    """Replaces a channel that cannot be built. Its notifications wait, with the reason; other channels deliver."""

    idempotent = True

    def __init__(self, name: str, fault: ChannelFault) -> None:
        self.name = name
        self.fault = fault

    async def send(self, note: Notification, idempotency_key: str) -> None:  # noqa: ARG002 - part of the protocol
        """Refuse for now: another worker, or this one after a restart, may be able to build the channel.

        Raises:
            ChannelError: Always.
        """
        raise ChannelError(f"channel {self.name} cannot be used: {self.fault.reason}")

    async def close(self) -> None:
        """Nothing to release."""


def retry_after_ms(header: str | None, now_ms: int) -> int | None:
    """Read a Retry-After header: seconds or an HTTP date.

    Args:
        header: Its text, whatever the receiver wrote.
        now_ms: Wall time.

    Returns:
        The wait in ms, from 0 to an hour; None where there is none or it cannot be read.

    Example:
        >>> retry_after_ms("120", 0), retry_after_ms("9" * 5000, 0), retry_after_ms("-5", 0), retry_after_ms("soon", 0)
        (120000, 3600000, None, None)
    """
    text = "" if header is None else header.strip()
    if text.isascii() and text.isdigit():
        # Python refuses to parse more than 4,300 digits. Such a number is longer than an hour in any case.
        digits = text.lstrip("0") or "0"
        return MOST_RETRY_AFTER_MS if len(digits) > _MOST_DIGITS else min(int(digits) * 1000, MOST_RETRY_AFTER_MS)
    try:
        at = parsedate_to_datetime(text[:64])
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        wait_ms = to_ms(at) - now_ms
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return round(min(max(wait_ms, 0), MOST_RETRY_AFTER_MS))
