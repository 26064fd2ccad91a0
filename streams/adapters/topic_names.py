"""Topic names and partitions in one place, for every stage that writes."""

from __future__ import annotations

from dataclasses import dataclass

from streams.models import topics


@dataclass(frozen=True)
class TopicNames:
    """Full names and the one partitioner.

    Attributes:
        prefix: Put before every topic name.
        partitions: Partitions of every topic.
    """

    prefix: str
    partitions: int

    def name(self, topic: str) -> str:
        """Return the full name of a topic."""
        return self.prefix + topic

    def partition_of(self, key: bytes) -> int:
        """Return the partition of a key."""
        return topics.partition_of(key, self.partitions)
