"""Serves a telemetry application from a thread, so that a test can stay plain and synchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from prometheus_client.registry import CollectorRegistry

from telemetry.http import always_ok, build_app


@contextmanager
def served(registry: CollectorRegistry) -> Iterator[str]:
    """Serve a registry's ``/metrics`` and yield its ``host:port``."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        runner, address = asyncio.run_coroutine_threadsafe(_start(registry), loop).result()
        yield address
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _start(registry: CollectorRegistry) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(build_app(registry, always_ok))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    return runner, f"{host}:{port}"
