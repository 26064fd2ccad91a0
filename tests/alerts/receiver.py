"""A webhook receiver on a free loopback port that answers as scripted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Receiver:
    """What came in, and the answers still to give (then 200)."""

    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of every answer."""
    path: str = "/hook"
    url: str = ""
    seen: list[tuple[dict[str, str], bytes, int]] = field(default_factory=list)

    before_answer: Callable[[], Awaitable[None]] | None = None

    async def handle(self, request: web.Request) -> web.Response:
        status = self.answers.pop(0) if self.answers else 200
        self.seen.append((dict(request.headers), await request.read(), status))
        if self.before_answer is not None:
            await self.before_answer()
        return web.Response(status=status, headers=self.headers)

    @property
    def accepted(self) -> list[str]:
        """Idempotency keys of the requests answered 200."""
        return [headers["Idempotency-Key"] for headers, _, status in self.seen if status == 200]


@asynccontextmanager
async def receiving(receiver: Receiver) -> AsyncIterator[Receiver]:
    """Serve until the block ends."""
    app = web.Application()
    app.router.add_post(receiver.path, receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}{receiver.path}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
