"""A publisher and a tool state in memory, which can be broken on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from gateway.publisher import Overloaded, Records
from gateway.tool_state import Remembered, ToolStateUnavailable


class MemoryPublisher:
    """Keeps everything in lists."""

    def __init__(self) -> None:
        """Begin empty and healthy; set ``broken`` to refuse, ``gate`` to make publishing wait."""
        self.records: list[tuple[bytes, bytes]] = []
        self.dead: list[tuple[bytes, bytes]] = []
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
