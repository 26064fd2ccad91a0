"""Emitting from code that is not async, and finding out where to; part of :mod:`floorwatch.sdk`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from floorwatch.sdk.events import BadEvents, Given, NotEmitted
from floorwatch.sdk.http import HttpClient
from floorwatch.sdk.kafka import DEFAULT_TOPIC, Client
from floorwatch.sdk.stacks import StackNotFound, locate

_START = "start one, or give url= or brokers= (or FLOORWATCH_URL)"
_CHOICE = "name one by FLOORWATCH_VAR=FOLDER in the environment, or give url= (its gateway's address)"


def emit(
    events: Iterable[Given],
    *,
    brokers: str | Sequence[str] | None = None,
    topic: str = DEFAULT_TOPIC,
    url: str | None = None,
    token: str | None = None,
) -> int:
    """Emit events from code that is not async, to Kafka or to a gateway; returns their number. One connection for each call.

    Without ``brokers`` and ``url`` the environment decides: ``FLOORWATCH_URL`` (a gateway, with ``FLOORWATCH_TOKEN``),
    else ``FLOORWATCH_KAFKA__BROKERS``; else the gateway of the ``floorwatch up`` that runs is taken.

    Args:
        events: As for ``Client.emit``.
        brokers: ``host:port,…`` or a list of them: see ``Client``.
        topic: The raw topic with its prefix, for Kafka.
        url: Of a gateway: see ``HttpClient``.
        token: Bearer token, where the gateway wants one.

    Raises:
        ValueError: Both ``brokers`` and ``url`` are given.
        BadEvents: Some would be refused; see ``Client.emit`` and ``HttpClient.emit``.
        NotEmitted: There is nowhere to send, or not all are known to have arrived.
    """
    if brokers is not None and url is not None:
        raise ValueError("give brokers or url, not both")
    if brokers is None and url is None:
        brokers, url, token = _destination(token)
    if url is not None:
        return emit_http(events, url=url, token=token)

    async def run() -> int:
        async with Client(brokers=brokers or "", topic=topic) as client:
            return await client.emit(events)

    return _run(run())


def _run(sending: Coroutine[Any, Any, int]) -> int:
    """Run to the end; a failure that its message explains comes without the frames of what is below."""
    try:
        return asyncio.run(sending)
    except (NotEmitted, BadEvents) as error:
        raise error.with_traceback(None) from None


def _destination(token: str | None) -> tuple[str | None, str | None, str | None]:
    """Return (brokers, url, token) of where to send when the call does not say."""
    env = os.environ
    token = token or env.get("FLOORWATCH_TOKEN") or None
    if env.get("FLOORWATCH_URL"):
        return None, env["FLOORWATCH_URL"], token
    if env.get("FLOORWATCH_KAFKA__BROKERS"):
        return env["FLOORWATCH_KAFKA__BROKERS"], None, None
    try:
        found = locate()
    except StackNotFound as error:
        raise NotEmitted(f"nowhere to send: {error.said}; {_CHOICE if error.several else _START}") from None
    if found is None:
        raise NotEmitted(f"nowhere to send: no `floorwatch up` runs; {_START}")
    if "gateway" not in found.state.urls:
        raise NotEmitted(f"nowhere to send: the stack on {found.var} runs without a gateway; give brokers= or url=")
    return None, found.state.urls["gateway"], token


def emit_http(events: Iterable[Given], *, url: str, token: str | None = None) -> int:
    """Emit events to a gateway from code that is not async; see ``HttpClient.emit``."""

    async def run() -> int:
        async with HttpClient(url, token=token) as client:
            return await client.emit(events)

    return _run(run())
