"""Divides something that is bounded among senders, so that one sender never takes it all. Pure."""

from __future__ import annotations


class FairShare:
    """A bounded amount, of bytes or of requests, of which a sender may hold a multiple of what is free.

    The rule is the dynamic threshold of A. K. Choudhury and E. L. Hahne, "Dynamic Queue Length Thresholds for
    Shared-Memory Packet Switches" (1998). With ``greed`` 1 a sender alone gets half, two greedy ones a third each, and so
    on: a part is always free for one that has nothing yet, and nothing needs to know how many senders there are.

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
        """Take a part for a sender, to be returned by ``give``; False when it holds its share or nothing is free.

        Where nothing is held by anyone, whatever is asked for is given: one thing always gets through.
        """
        mine = self._by_sender.get(sender, 0)
        free = self.most - self.held - size
        if self.held and (free < 0 or (mine and mine + size > self._greed * free)):
            return False
        self.hold(sender, size)
        return True

    def hold(self, sender: str, size: int) -> None:
        """Take a part that is there already, whether or not it fits."""
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
