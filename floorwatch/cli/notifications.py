"""``floorwatch notifications``: lists notifications with their deliveries, shows what was given up, and tries it again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from config.nearest import choices
from floorwatch.cli.common import configuration_words
from floorwatch.cli.options import ConfigOption, JsonLinesOption, VarOption
from floorwatch.cli.people_options import fail
from floorwatch.output.reader_zone import local_instant
from floorwatch.output.terminal import json_line, say, say_json, say_json_text, say_lines

if TYPE_CHECKING:
    from alerts.deliveries import Delivery
    from alerts.outbox import Outbox
    from floorwatch.sdk.stacks import Found
    from floorwatch.settings.schema import FloorwatchConfig

_T = TypeVar("_T")

notifications_app = typer.Typer(help="List, show, revive or test notifications.", no_args_is_help=True)

Channel = Annotated[str | None, typer.Option(help="Only of this channel.")]


@notifications_app.command("list")
def list_(
    waiting: Annotated[bool, typer.Option("--waiting", help="What still waits, instead of what was given up.")] = False,
    channel: Channel = None,
    as_json: JsonLinesOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """List notifications that were given up, newest first."""
    from alerts.deliveries import listed

    found = _on_outbox(config, var, lambda outbox: listed(outbox, "waiting" if waiting else "dead"))
    found = [one for one in found if channel in (None, one.channel)]
    for one in found:
        if as_json:
            say_json_text(_as_json(one))
        else:
            say(line_of(one))
    if not found and not as_json:
        say("Nothing waits." if waiting else "No notification was given up.")
    if found and not waiting and not as_json:
        say("Try them again with `floorwatch notifications revive ID` or `… revive --all`.", err=True)


@notifications_app.command("show")
def show(
    notification: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the key of an incident, or its start.")],
    as_json: JsonLinesOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Show a notification: its text if it is still kept, and its delivery on each channel."""
    from alerts.deliveries import deliveries, payload_of
    from streams.core.formatting import printable

    async def read(outbox: Outbox) -> list[tuple[str, Any, list[Delivery]]]:
        names = await _ids(outbox, notification)
        held = await deliveries(outbox, names)
        return [(name, await payload_of(outbox, name), held.get(name, [])) for name in names]

    found = _on_outbox(config, var, read)
    if not found:
        raise fail(f"the outbox knows no notification {notification}; it keeps them for 30 days")
    for name, note, sent in found:
        if as_json:
            say_json({"id": name, "deliveries": [as_object(one) for one in sent]})
            continue
        say(f"{name}  {'' if note is None else printable(note.title)}".rstrip())
        for line in () if note is None else note.body.splitlines():
            say(f"    {printable(line)}")
        for one in sent:
            say(f"  {words_of(one)}")


@notifications_app.command("revive")
def revive(
    notifications: Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="Ids, or their start.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
    channel: Channel = None,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Try notifications again that were given up, with fresh attempts; a running worker delivers them."""
    from alerts.deliveries import listed

    if everything == bool(notifications):
        raise fail("name the notifications to try again, or --all")
    wanted = [one.strip() for one in notifications or ()]

    async def work(outbox: Outbox) -> tuple[list[Delivery], list[str]]:
        dead = [one for one in await listed(outbox, "dead", 10_000) if channel in (None, one.channel)]
        chosen = [one for one in dead if everything or any(one.id.startswith(start) for start in wanted)]
        unknown = [start for start in wanted if not any(one.id.startswith(start) for one in dead)]
        return [one for one in chosen if await outbox.revive(one.id, one.channel)], unknown

    revived, unknown = _on_outbox(config, var, work)
    for one in revived:
        say(f"revived {one.id} on {one.channel}")
    if unknown:
        raise fail(f"not given up: {', '.join(unknown)}; `floorwatch notifications list` shows what is")
    if not revived:
        say("No notification was given up.")


@notifications_app.command("test")
def send_test(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name in alerts.channels.")],
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Send a test message to a channel, from here and at once; exit 1 if its receiver does not take it."""
    from alerts.channels.base import ChannelError, UnusableChannel
    from alerts.routes import build_channels

    settings, stack = _target(config, var)
    built = build_channels(settings.alerts, _now_ms)
    found = built.by_name.get(channel)
    if found is None:
        raise fail(unknown_channel(channel, list(built.by_name), config, stack))
    if isinstance(found, UnusableChannel):
        raise fail(f"channel {channel} cannot be used: {found.fault.reason}; {found.fault.hint}")

    async def send() -> None:
        try:
            await found.send(_test_note(), f"test:{_now_ms()}:{channel}")
        finally:
            await found.close()

    try:
        asyncio.run(send())
    except ChannelError as error:
        say_lines([f"not delivered: {error.reason}"], err=True)
        _remember(settings, channel, error.reason)
        raise typer.Exit(1) from None
    say(f"channel {channel} took a test message")
    _remember(settings, channel, None)


def unknown_channel(channel: str, known: list[str], config: Path | None, stack: Found | None) -> str:
    """Return that a channel is not configured, in which configuration it was looked for, and what to do.

    Args:
        channel: The name that was given.
        known: The channels there are.
        config: The file that was named by option or environment, if any.
        stack: The embedded stack whose configuration was taken, if any.
    """
    said = f"there is no channel {channel} in {configuration_words(config, stack)}; {choices(channel, known)}"
    if config is not None:
        return f"{said}. Add it to alerts.channels there"
    if stack is None:
        return f"{said}. Name the file that has it: --config FILE"
    return (
        f"{said}. A running stack keeps the configuration it was started with: stop it and start it again with "
        f"`floorwatch up --config FILE` where FILE has {channel} under alerts.channels, so that alerts reach it; "
        "--config FILE here only tries the channel"
    )


def _remember(settings: FloorwatchConfig, channel: str, reason: str | None) -> None:
    """Record a test's result for doctor and statusz. A test does not fail if Redis is away."""
    from redis.exceptions import RedisError

    from config.connect import redis_options

    try:
        work = on_outbox_of(
            redis_options(settings.redis), settings.redis.prefix, lambda box: box.tested(channel, reason)
        )
        asyncio.run(work)
    except (RedisError, OSError, ValueError, TypeError) as error:
        say(
            f"`doctor` and `/statusz` will not show this test: Redis does not answer ({type(error).__name__})", err=True
        )


def _test_note() -> Any:
    from alerts.outgoing import Notification

    body = (
        "Nothing is wrong; nobody has to do anything. A real alert begins like this:\n"
        "comments: SLA 62.9% (target 95%), 1,426 late, since 10:40 UTC+8\n"
    )
    title = "Test: Floorwatch can reach this channel"
    return Notification("test", "test", "default", "info", title, body, {})


def line_of(one: Delivery) -> str:
    """Return a delivery in one line: id, channel, what became of it."""
    from streams.core.formatting import printable

    return f"{printable(one.id)}  {words_of(one)}"


def words_of(one: Delivery) -> str:
    """Return what became of a notification on a channel: ``ops: delivered Mon 23 Nov 10:42 UTC``."""
    from streams.core.formatting import duration, plural, printable

    name = printable(one.channel)
    tried = f" after {plural(one.attempts, 'attempt')}" if one.attempts else ""
    because = f": {printable(one.reason)}" if one.reason else ""
    match one.state:
        case "sent":
            instead = f" (in place of {printable(one.instead_of)})" if one.instead_of else ""
            return f"{name}: delivered {local_instant(one.at_ms)}{instead}"
        case "dead":
            return f"{name}: given up {local_instant(one.at_ms)}{tried}{because}"
        case "moved":
            return f"{name}: is configured no more, others of the route have it"
        case "waiting":
            since = duration((_now_ms() - one.queued_ms) / 1000)
            if one.failing_since_ms is not None:
                return f"{name}: failing since {local_instant(one.failing_since_ms)}{tried}, is tried again{because}"
            return f"{name}: waiting for {since}{because or (tried and f',{tried}')}"


def as_object(one: Delivery) -> dict[str, Any]:
    """Return a delivery as a JSON object."""
    from streams.core.formatting import rfc3339

    times = {"at": rfc3339(one.at_ms), "queued_at": rfc3339(one.queued_ms)}
    fields: dict[str, Any] = {
        "id": one.id,
        "channel": one.channel,
        "state": one.state,
        "attempts": one.attempts,
        "reason": one.reason,
    }
    if one.failing_since_ms is not None:
        times["failing_since"] = rfc3339(one.failing_since_ms)
    if one.instead_of:
        fields["instead_of"] = one.instead_of
    return {**fields, **times}


def _as_json(one: Delivery) -> str:
    return json_line(as_object(one))


async def _ids(outbox: Outbox, start: str) -> list[str]:
    """Return the ids that begin so: of notifications that wait or are dead, or of the incident with this key."""
    from alerts.deliveries import listed

    found = {one.id for one in [*await listed(outbox, "waiting"), *await listed(outbox, "dead")]}
    async for key in outbox.redis.scan_iter(
        match=outbox.key("notes:") + _literal(start.partition(":")[0]) + "*", count=1000
    ):
        ids: list[Any] = await outbox.redis.zrange(key, 0, -1)
        found |= {one.decode() for one in ids}
    return sorted(one for one in found if one.startswith(start))


def _literal(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?[]\\^" else char for char in text)


def _settings(config: Path | None, var: Path | None) -> FloorwatchConfig:
    return _target(config, var)[0]


def _target(config: Path | None, var: Path | None) -> tuple[FloorwatchConfig, Found | None]:
    from floorwatch.cli.common import exit_on_config_error, load_target

    with exit_on_config_error():
        return load_target(config, var, process="worker")


def _on_outbox(config: Path | None, var: Path | None, work: Callable[[Outbox], Awaitable[_T]]) -> _T:
    from config.connect import redis_options
    from floorwatch.cli.common import exit_on_redis_error

    settings = _settings(config, var)
    with exit_on_redis_error(settings.redis.url):
        return asyncio.run(on_outbox_of(redis_options(settings.redis), settings.redis.prefix, work))


async def on_outbox_of(options: dict[str, Any], prefix: str, work: Callable[[Outbox], Awaitable[_T]]) -> _T:
    """Do some work with an outbox, on a connection of its own.

    Args:
        options: Arguments of ``Redis.from_url``.
        prefix: Prefix of the keys in Redis.
        work: What to do.

    Raises:
        RedisError: Redis does not answer.
    """
    from redis.asyncio import Redis

    from alerts.outbox import Outbox

    redis = Redis.from_url(**options, socket_connect_timeout=5, socket_timeout=10)
    try:
        return await work(Outbox(redis, _now_ms, prefix=prefix))
    finally:
        await redis.aclose()


def _now_ms() -> int:
    import time

    return int(time.time() * 1000)
