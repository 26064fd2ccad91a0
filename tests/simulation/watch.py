"""Time of floors and of partitions that fall idle: what the ticker would write, and that no floor goes back."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from streams.agents.ticker import tick_event
from streams.engine.log import ProducerRecord
from streams.models import topics
from tests.simulation.worker import SimWorker


def idle_tick(workers: Iterable[SimWorker], partition: int, rng: random.Random) -> ProducerRecord | None:
    """Return the tick of a partition found silent, with the time of some floor; None where its time is not known."""
    held = [owned for worker in workers for host in worker.hosts.values() for owned in host.owned.values()]
    ledgers = [owned.processor.store.ledger for owned in held if hasattr(owned.processor, "store")]
    floors = [owned.processor.floor.watermark_ms for owned in held if hasattr(owned.processor, "floor")]
    own_ms = max((ledger.watermark_ms for ledger in ledgers if ledger.partition == partition), default=-1)
    if own_ms < 0:
        return None
    time_ms = own_ms + rng.choice((1_000, 30_000, 3_600_000))
    return tick_event(partition, time_ms, "no events", idle=True, floor_ms=rng.choice(floors or [-1]))


class FloorWatch:
    """Remembers how far each floor had come.

    Attributes:
        found: In sentences, what was wrong.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self._reached: dict[int, tuple[Any, int]] = {}  # by id; the floor is held so that no other one takes its id

    def look(self, workers: Iterable[SimWorker]) -> None:
        """Note which floors' watermarks are less than they were."""
        for worker in workers:
            host = worker.hosts.get(topics.PARTIALS)
            for owned in host.owned.values() if host is not None else ():
                floor = owned.processor.floor  # type: ignore[attr-defined]
                before_ms = self._reached.get(id(floor), (floor, -1))[1]
                if floor.watermark_ms < before_ms:
                    self.found.append(f"{worker.name}: the floor went back from {before_ms} to {floor.watermark_ms}")
                self._reached[id(floor)] = (floor, floor.watermark_ms)
