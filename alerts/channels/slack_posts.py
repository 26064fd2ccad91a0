"""Which message of Slack tells of an incident, so that a later step of it changes that message and posts no new one.

It is kept in Redis for two weeks. Where that is lost, it is known again from the receipts on the log (``alerts/slack_refs.py``). Where
it is not known, a later step is a new message: nobody misses anything.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger(__name__)

KEPT_S: Final = 14 * 86_400
"""How long the message of an incident is known, from its last step."""


class Post(Struct, frozen=True):
    """A message in Slack.

    Attributes:
        channel: Slack's id of the channel.
        ts: Slack's id of the message.
        keys: Keys of all incidents it tells of, sorted; empty where it does not name all.
        state: Of its first incident: ``stamp`` and ``updated_at`` of the record that it shows.
    """

    channel: str
    ts: str
    keys: tuple[str, ...]
    state: dict[str, Any]


class Posts(Protocol):
    """Remembers messages, by channel of the configuration and incident."""

    async def of(self, channel: str, keys: Sequence[str]) -> list[Post | None]:
        """Return the last message that told of each incident; None where none is known."""

    async def keep(self, channel: str, keys: Sequence[str], post: Post) -> None:
        """Remember the message that told of incidents."""


class SlackExtras(Struct, frozen=True):
    """What a channel needs besides its settings.

    Attributes:
        buttons: Whether somebody listens to buttons: a signing secret is configured.
        posts: Remembers messages, so that they are changed; None: each step is a message.
    """

    buttons: bool = False
    posts: Posts | None = None


async def restore_posts(redis: Redis, prefix: str, posts: Mapping[tuple[str, str], Post]) -> None:
    """Remember messages that the log names, by channel and incident; one that is remembered stays.

    Args:
        redis: The Redis of the outbox.
        prefix: Of the outbox's keys.
        posts: The messages.

    Raises:
        RedisError: It does not answer.
    """
    async with redis.pipeline(transaction=False) as pipe:
        for (channel, key), post in posts.items():
            pipe.set(f"{prefix}slack:{channel}:{key}", msgspec.json.encode(post), ex=KEPT_S, nx=True)
        await pipe.execute()


_posts: msgspec.json.Decoder[Post] = msgspec.json.Decoder(Post)


class RedisPosts:
    """``Posts`` in the Redis of the outbox. While Redis is away nothing is known, and nothing fails."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        """Use a client; ``prefix`` is that of the outbox's keys."""
        self._redis, self._prefix = redis, prefix

    async def of(self, channel: str, keys: Sequence[str]) -> list[Post | None]:
        """See the protocol."""
        try:
            held = await cast("Awaitable[list[Any]]", self._redis.mget([self._key(channel, key) for key in keys]))
        except Exception as error:  # noqa: BLE001 - a new message is better than none
            log.warning("channel %s: its messages in Slack are not known (%s)", channel, type(error).__name__)
            return [None for _ in keys]
        return [_post(one) for one in held]

    async def keep(self, channel: str, keys: Sequence[str], post: Post) -> None:
        """See the protocol."""
        value = msgspec.json.encode(post)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.set(self._key(channel, key), value, ex=KEPT_S)
                await pipe.execute()
        except Exception as error:  # noqa: BLE001 - it was posted: failing would post it again
            log.warning("channel %s: its message in Slack is not remembered (%s)", channel, type(error).__name__)

    def _key(self, channel: str, key: str) -> str:
        return f"{self._prefix}slack:{channel}:{key}"


def _post(held: Any) -> Post | None:
    try:
        return None if held is None else _posts.decode(held)
    except msgspec.MsgspecError:
        return None
