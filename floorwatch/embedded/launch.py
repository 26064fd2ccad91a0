"""What ``up`` and ``demo`` share: a plan from the configuration, and stopping on signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path

from floorwatch.embedded.stack_plan import StackPlan


def make_plan(
    var: Path,
    *,
    config: Path | None = None,
    workers: int = 1,
    gateway: bool = True,
    gateway_port: int = 0,
    web: bool = False,
    web_port: int = 0,
    metrics_port: int = 0,
    extra_env: Mapping[str, str] | None = None,
) -> StackPlan:
    """Return the plan of a stack that follows a configuration: its prefixes, partitions and horizon.

    Args:
        var: Folder of everything the stack keeps.
        config: YAML file, handed on to gateway and workers.
        workers: Worker processes.
        gateway: Whether to run the HTTP gateway.
        gateway_port: 0 takes the last one used, or a free one.
        web: Whether to serve the pages behind links of messages.
        web_port: 0 as above, or that of the configuration where it says how people reach the pages.
        metrics_port: Of the first worker; 0 as above.
        extra_env: Added to the environment of gateway and workers.

    Raises:
        ConfigErrors: The configuration is not valid.
    """
    from floorwatch.settings.load import load

    env = {**os.environ, **(extra_env or {})}
    settings = load(config, env, channels="tolerated", process="all" if gateway else "worker")
    url, keys = bool(settings.web.url), bool(settings.web.keys)
    return StackPlan(
        var,
        workers=workers,
        gateway=gateway,
        gateway_port=gateway_port,
        web=web,
        web_port=web_port or (settings.web.port if url or keys else 0),
        web_url=url,
        web_keys=keys,
        metrics_port=metrics_port or settings.metrics.port,
        partitions=settings.kafka.partitions,
        topic_prefix=settings.kafka.topic_prefix,
        redis_prefix=settings.redis.prefix,
        # Journal and log are kept a day longer than this.
        horizon_days=(settings.kafka.events_kept_days or settings.tables.correction_horizon_days + 1) - 1,
        config_file=config,
        extra_env=dict(extra_env or {}),
    )


def configuration_faults(config: Path | None) -> str:
    """Return what ``floorwatch config check`` finds in a configuration with which a stack starts all the same.

    A worker starts with an alert channel that cannot be used and with a route that has none. It says so in its log, which
    nobody reads who has just started a stack.

    Args:
        config: YAML file; None takes what ``FLOORWATCH_CONFIG`` names, as the stack's processes do, else the defaults.

    Returns:
        Every fault with its place and its fix; empty if there is none.
    """
    from config.errors import ConfigErrors
    from floorwatch.settings.load import load

    try:
        load(config or os.environ.get("FLOORWATCH_CONFIG") or None, os.environ, channels="built")
    except ConfigErrors as errors:
        return errors.render()
    return ""


@contextlib.contextmanager
def stop_requested() -> Iterator[asyncio.Event]:
    """Return an event that SIGINT or SIGTERM sets; the same signal again ends the process at once."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()

    def asked(number: signal.Signals) -> None:
        stopping.set()
        loop.remove_signal_handler(number)
        # Ending at once is safe, because the children die with this process and the journal has what was accepted.
        signal.signal(number, signal.SIG_DFL)

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, asked, number)
    try:
        yield stopping
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def run_until_stopped(work: Coroutine[None, None, None], stopping: asyncio.Event) -> bool:
    """Run something until it ends, or until a stop is requested and it is cancelled.

    Returns:
        Whether it ended by itself.
    """
    task = asyncio.create_task(work)
    asked = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([task, asked], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    if task.cancelled():
        return False
    task.result()
    return True
