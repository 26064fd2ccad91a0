"""What became of each notice on each of its channels, folded from the receipts on the log. Pure.

The outbox in Redis delivers. What is here is on notices.v1, so that an outbox that was lost is filled again with what nobody
has got yet, and with what became of the rest.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field, structs

from alerts.incident import Outcome, Receipt
from alerts.notice import Notice

MOST_OPEN: Final = 50_000
"""Notices kept that some channel does not have yet; of more, the oldest are only in the outbox."""
MOST_ENDED: Final = 20_000
"""Notices kept of which nothing waits any more; of more, the oldest are forgotten."""
KEPT_MS: Final = 30 * 86_400_000
"""How long such a notice is kept: as long as the outbox knows its id."""
NO_CHANNEL: Final = "(no channel)"
"""Stands for the channel of a notice for which no channel is configured."""


class ChannelReceipt(Struct, frozen=True, gc=False):
    """The last that a channel said of a notice.

    Attributes:
        channel: Its name.
        outcome: As of ``Receipt``.
        at_ms: Wall time.
        since_ms: Since when it fails without a success between; None where it does not.
        reason: Why, without secrets.
        ref: What the receiver calls the message.
        instead: Channels that get it in place of this one.
    """

    channel: str
    outcome: Outcome
    at_ms: int
    since_ms: int | None = None
    reason: str = ""
    ref: str = ""
    instead: tuple[str, ...] = ()


class NoticeReceipts(Struct, frozen=True, gc=False):
    """What became of one notice.

    Attributes:
        id: Id of the notice.
        at_ms: Wall time of the tick that decided it.
        channels: Those that it was decided for.
        receipts: By channel the last, in the order in which the channels were first heard of.
    """

    id: str
    at_ms: int
    channels: tuple[str, ...]
    receipts: tuple[ChannelReceipt, ...] = ()

    @property
    def awaited(self) -> tuple[str, ...]:
        """All channels that were to get it: those decided, and those in whose place others came."""
        return tuple(dict.fromkeys((*self.channels, *(name for one in self.receipts for name in one.instead))))

    @property
    def open(self) -> tuple[str, ...]:
        """The channels that it still waits for."""
        ended = {one.channel for one in self.receipts if one.outcome != "failing"}
        return tuple(name for name in self.awaited if name not in ended)

    @property
    def revivable(self) -> bool:
        """Whether a channel was given up for it, so that a person may have it tried again."""
        return any(one.outcome == "given_up" for one in self.receipts)

    def replaces(self, channel: str) -> ChannelReceipt | None:
        """Return the receipt of the channel in whose place a channel gets the notice; None where it was decided for it."""
        if channel in self.channels:
            return None
        return next((one for one in self.receipts if channel in one.instead), None)


def decided(notice: Notice) -> NoticeReceipts:
    """Return what is known of a notice that was decided just now."""
    names = dict.fromkeys(name for one in notice.targets for name in one.channels)
    return NoticeReceipts(notice.id, notice.at_ms, tuple(names))


def received(state: NoticeReceipts, receipt: Receipt) -> NoticeReceipts:
    """Fold a receipt; the same object where it says nothing new.

    A receipt that is met twice counts once. Who has the message keeps it: nothing after ``sent`` counts. What was given up, or has no
    channel any more, may still be tried again by hand. A receipt of no channel ends all that waits.

    Args:
        state: What is known of its notice.
        receipt: Of that notice.
    """
    if receipt.channel == NO_CHANNEL:
        for name in state.open:
            state = received(state, structs.replace(receipt, channel=name))
        return state
    before = next((one for one in state.receipts if one.channel == receipt.channel), None)
    if before is not None and (before.outcome == "sent" or _repeated(before, receipt)):
        return state
    fails = receipt.outcome in ("failing", "given_up")
    since_ms = None if not fails or before is None else before.since_ms
    now = ChannelReceipt(
        receipt.channel,
        receipt.outcome,
        receipt.at_ms,
        receipt.at_ms if fails and since_ms is None else since_ms,
        receipt.reason,
        receipt.ref,
        receipt.instead or (() if before is None else before.instead),
    )
    if before is None:
        return structs.replace(state, receipts=(*state.receipts, now))
    return structs.replace(state, receipts=tuple(now if one is before else one for one in state.receipts))


def _repeated(before: ChannelReceipt, receipt: Receipt) -> bool:
    same = before.outcome == receipt.outcome and before.reason == receipt.reason
    return same and before.instead == (receipt.instead or before.instead)


class Changes(Struct):
    """What the book wants written.

    Attributes:
        states: Ids whose state has changed.
        ended: Ids that no channel waits for and nobody can revive: their message is needed no more.
        forgotten: Ids that are known no more.
        sent: (id, channel, wall time) of what came to be known as sent.
    """

    states: dict[str, None] = field(default_factory=dict)
    ended: dict[str, None] = field(default_factory=dict)
    forgotten: dict[str, None] = field(default_factory=dict)
    sent: list[tuple[str, str, int]] = field(default_factory=list)


class ReceiptBook:
    """All notices of which something may still be asked, bounded in number."""

    def __init__(self, most_open: int = MOST_OPEN, most_ended: int = MOST_ENDED) -> None:
        """Begin empty."""
        self._most_open, self._most_ended = most_open, most_ended
        self._open: dict[str, NoticeReceipts] = {}
        self._ended: dict[str, NoticeReceipts] = {}
        # Decided, and their message is not on the log yet.
        self._new: set[str] = set()
        self._changes = Changes()

    def __len__(self) -> int:
        return len(self._open) + len(self._ended)

    def get(self, notice: str) -> NoticeReceipts | None:
        """Return what is known of a notice."""
        return self._open.get(notice) or self._ended.get(notice)

    def waiting(self) -> list[NoticeReceipts]:
        """Return the notices on the log that some channel does not have yet, oldest first."""
        return [one for one in self._open.values() if one.id not in self._new]

    def all(self) -> list[NoticeReceipts]:
        """Return all notices on the log, those that wait last."""
        return [*self._ended.values(), *self.waiting()]

    def put(self, state: NoticeReceipts) -> None:
        """Keep a state as it was read from the log."""
        (self._ended if state.open else self._open).pop(state.id, None)
        (self._open if state.open else self._ended)[state.id] = state

    def drop(self, notice: str) -> None:
        """Forget a notice whose state was removed from the log, or never came there."""
        self._open.pop(notice, None)
        self._ended.pop(notice, None)
        self._new.discard(notice)

    def decide(self, notice: Notice) -> bool:
        """Keep a notice that was decided; False where it is known, because a replay has met its tick again."""
        if self.get(notice.id) is not None:
            return False
        self.put(decided(notice))
        self._new.add(notice.id)
        return True

    def written(self, notice: str) -> None:
        """Note that the message of a notice is on the log."""
        self._new.discard(notice)

    def fold(self, receipt: Receipt) -> None:
        """Take a receipt; one of a notice that is not known, as an earlier version has sent, changes nothing."""
        before = self.get(receipt.notice)
        if before is None:
            return
        if receipt.outcome == "sent":
            self._changes.sent.append((receipt.notice, receipt.channel, receipt.at_ms))
        after = received(before, receipt)
        if after is before:
            return
        self.put(after)
        self._changes.states[after.id] = None
        if not after.open and not after.revivable:
            self._changes.ended[after.id] = None

    def forget(self, now_ms: int) -> int:
        """Forget what is over for long, and what is too much.

        Args:
            now_ms: Wall time of a tick.

        Returns:
            How many were forgotten that a channel does not have yet.
        """
        while self._ended and (
            len(self._ended) > self._most_ended or next(iter(self._ended.values())).at_ms < now_ms - KEPT_MS
        ):
            self._forget(self._ended)
        too_many = max(0, len(self._open) - len(self._new) - self._most_open)
        for _ in range(too_many):
            self._forget(self._open)
        return too_many

    def _forget(self, states: dict[str, NoticeReceipts]) -> None:
        name = next(name for name in states if name not in self._new)
        del states[name]
        self._changes.states.pop(name, None)
        self._changes.ended.pop(name, None)
        self._changes.forgotten[name] = None

    def changes(self) -> Changes:
        """Return what is to be written since the last call."""
        found, self._changes = self._changes, Changes()
        return found
