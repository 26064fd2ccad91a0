"""A client that speaks badly: bytes over a socket, and what comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway.settings import GatewaySettings

KUL, MNL = "token-of-kuala-lumpur", "token-of-manila"


def secured(**changes: Any) -> GatewaySettings:
    """Settings with two senders."""
    sources = {"kul": {"token": KUL}, "mnl": {"token": MNL}}
    return GatewaySettings.model_validate({"sources": sources, **changes})


@dataclass
class Raw:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """The next answer: status and JSON."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        sizes = [line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
        body = await self.reader.readexactly(int(sizes[0])) if sizes else b""
        return int(head.split()[1]), json.loads(body) if body[:1] == b"{" else {}

    async def is_ended(self) -> bool:
        """Whether the gateway ended it; waits for that."""
        return await self.rest() == b""


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Raw]:
    """Give a connection to a gateway."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


def head(path: str = "/v1/events", *lines: str, token: str | None = KUL, length: int | None = 16_000_000) -> bytes:
    """The head of a request."""
    found = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *lines]
    found += [f"Authorization: Bearer {token}"] if token else []
    found += [f"Content-Length: {length}"] if length is not None else []
    return ("\r\n".join(found) + "\r\n\r\n").encode()
