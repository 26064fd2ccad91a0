"""Divides a bounded resource among senders, so that one sender never takes all of it. Pure."""

from __future__ import annotations


class FairShare:
    """A bounded amount of bytes or requests. A sender may hold up to a multiple of what is free.

    The rule is the dynamic threshold of A. K. Choudhury and E. L. Hahne, "Dynamic Queue Length Thresholds for
    Shared-Memory Packet Switches" (1998). With ``greed`` 1 a single sender gets half, two busy ones get a third each,
    and so on. Some is always free for a sender that holds nothing yet, and the number of senders need not be known.

    Attributes:
        most: The bound.
        held: What all hold together.
    """

    def __init__(self, most: int, greed: float = 1.0) -> None:
        """Begin with all free.

        Args:
            most: The bound, 1 or more.
            greed: How many times what is free a sender may hold: 1 leaves a half to others, 8 a ninth.
        """
        self.most = most
        self.held = 0
        self._greed = greed
        self._by_sender: dict[str, int] = {}

    def take(self, sender: str, size: int) -> bool:
        """Take an amount for a sender, to be returned by ``give``. False when the sender holds its share or nothing is free.

        When nobody holds anything, any amount is given, so that a single request always gets through.
        """
        mine = self._by_sender.get(sender, 0)
        free = self.most - self.held - size
        if self.held and (free < 0 or (mine and mine + size > self._greed * free)):
            return False
        self.hold(sender, size)
        return True

    def hold(self, sender: str, size: int) -> None:
        """Take an amount that exists already, whether or not it fits."""
        self.held += size
        self._by_sender[sender] = self.of(sender) + size

    def give(self, sender: str, size: int) -> None:
        """Return a part."""
        self.held -= size
        left = self._by_sender[sender] - size
        if left:
            self._by_sender[sender] = left
        else:
            del self._by_sender[sender]

    def of(self, sender: str) -> int:
        """Return what a sender holds."""
        return self._by_sender.get(sender, 0)
