"""A publisher and a tool state in memory, which can be broken on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from alerts.codec import decode_input
from alerts.incident import Maintenance
from alerts.oncall.kept import as_plan, facts_of
from gateway.plans import PlansUnavailable
from gateway.publisher import Overloaded, Records
from gateway.tool_state import Remembered, ToolStateUnavailable


class MemoryPublisher:
    """Keeps everything in lists."""

    def __init__(self) -> None:
        """Begin empty and healthy; set ``broken`` to refuse, ``gate`` to make publishing wait."""
        self.records: list[tuple[bytes, bytes]] = []
        self.dead: list[tuple[bytes, bytes]] = []
        self.plans: list[tuple[bytes, bytes]] = []
        self.broken = False
        self.gate: asyncio.Event | None = None
        self.in_flight_bytes = 0

    async def publish(self, records: Records) -> None:
        """Keep records; see the port."""
        await self._pass()
        self.records += records

    async def dead_letter(self, records: Records) -> None:
        """Keep dead letters; see the port."""
        await self._pass()
        self.dead += records

    async def plan(self, records: Records) -> None:
        """Keep plans; see the port."""
        await self._pass()
        self.plans += records

    def faults(self) -> tuple[str, ...]:
        """Return whether it was broken on purpose."""
        return ("broken on purpose",) if self.broken else ()

    async def _pass(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise Overloaded("broken on purpose")


class LocalToolState:
    """In this process only."""

    def __init__(self) -> None:
        """Begin empty; set ``broken`` to be unavailable."""
        self.records: dict[str, Remembered] = {}
        self.broken = False

    async def get(self, keys: Sequence[str]) -> dict[str, Remembered]:
        """Return copies; see the port."""
        self._pass()
        return {key: dict(self.records[key]) for key in keys if key in self.records}

    async def put(self, records: Mapping[str, Remembered]) -> None:
        """Keep copies; see the port."""
        self._pass()
        self.records.update({key: dict(record) for key, record in records.items()})

    def _pass(self) -> None:
        if self.broken:
            raise ToolStateUnavailable("broken on purpose")


class WorkersPlans:
    """What workers know of what a publisher has taken: all of it, unless they are behind."""

    def __init__(self, publisher: MemoryPublisher) -> None:
        """Follow a publisher; set ``behind`` to know nothing new, ``broken`` to be unavailable."""
        self._publisher = publisher
        self._known: dict[str, Maintenance] = {}
        self.behind = self.broken = False

    async def windows(self) -> dict[str, Maintenance]:
        """Return the windows; see the port."""
        if self.broken:
            raise PlansUnavailable("broken on purpose")
        if not self.behind:
            self._known = facts_of(as_plan(decode_input(value)) for _, value in self._publisher.plans).maintenance
        return dict(self._known)
