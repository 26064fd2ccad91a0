"""Slack channel: Block Kit by an incoming webhook, or by an app's token.

By a webhook each step is a message. By a token a later step changes the message of its incident (chat.update), which notifies nobody;
what must be noticed is a reply in its thread besides, shown in the channel too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import structs
from pydantic import SecretStr

from alerts.channels.base import ChannelError, ChannelFault
from alerts.channels.http_post import HttpPost, masked
from alerts.channels.latest import is_older, state_of
from alerts.channels.message import message_of
from alerts.channels.slack_blocks import body_of, buttons_of, keys_of, names_all
from alerts.channels.slack_posts import Post, Posts, SlackExtras
from alerts.message.texts import REPEAT
from alerts.outgoing import Notification
from alerts.settings.channels import SlackSettings

_MOST_NAME = 60
_PASSING = frozenset(
    (
        *("ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error"),
        *("service_unavailable", "request_timeout", "team_added_to_org", "accesslimited", "rollup_error"),
    )
)
"""Errors of the Web API after which another attempt can help."""
_HINTS = {
    "not_in_channel": "invite the app: /invite @its-name in that channel",
    "channel_not_found": "write the channel's id (channel details, at the bottom), and invite the app if it is private",
    "missing_scope": "give the app the scope chat:write and install it again",
    "is_archived": "name another channel",
    "invalid_auth": "copy the app's Bot User OAuth Token again",
    "not_authed": "copy the app's Bot User OAuth Token again",
    "account_inactive": "install the app again and copy its token",
    "token_revoked": "install the app again and copy its token",
}


_GONE: Final = frozenset(
    ("message_not_found", "cant_update_message", "edit_window_closed", "msg_too_long", "channel_not_found")
)
"""Errors after which a message cannot be changed, and a new one is posted."""

_QUIET: Final = ("resolved", "acked")
"""Steps that change the message and need nobody's eyes."""


class SlackChannel:
    """Posts to one channel of Slack."""

    idempotent = False

    def __init__(
        self, name: str, settings: SlackSettings, clock: Callable[[], int], extras: SlackExtras | None = None
    ) -> None:
        """Check the settings; no connection is made.

        Raises:
            ChannelFault: There is neither a webhook nor a token, or both, or one that cannot be used.
        """
        self.name, self._channel = name, settings.channel
        self._label = f"slack {name}"
        self._token = _token(settings)
        extras = extras or SlackExtras()
        self._buttons, self._posts = extras.buttons and settings.buttons, extras.posts if self._token else None
        hidden: tuple[str, ...] = (self._token,)
        if settings.url is not None:
            hidden = (self._token, *settings.url.get_secret_value().split("/")[-3:])
        what = "a Slack webhook" if settings.url is not None else "Slack's Web API (api_url)"

        def calling(method: str) -> HttpPost:
            url = settings.url or SecretStr(f"{settings.api_url.rstrip('/')}/{method}")
            return HttpPost(
                self._label, url, clock, timeout_s=settings.timeout_s, what=what, explain=_explained, hidden=hidden
            )

        self._http = calling("chat.postMessage")
        self._updates = calling("chat.update")

    async def send(self, note: Notification, idempotency_key: str) -> str | None:  # noqa: ARG002 - Slack knows no such key
        """Post it, or change the message that told of its incidents before.

        Returns:
            ``channel/ts`` of the message; None by a webhook, which does not tell.

        Raises:
            ChannelError: Slack did not take it.
        """
        if not self._token:
            await self._http.post(msgspec.json.encode(self._body(note)))
            return None
        keys = keys_of(note)
        if self._posts is None or not keys:
            return self._ref(await self._ask(self._http, {**self._body(note), "channel": self._channel}))
        return await self._follow(note, keys, self._posts)

    async def _follow(self, note: Notification, keys: tuple[str, ...], posts: Posts) -> str | None:
        """Change the message of these incidents; reply to one that told of more; else post a new one and remember it."""
        post = _common(await posts.of(self.name, keys))
        named = keys if names_all(note) else ()
        loud = not note.step.startswith(_QUIET)
        if post is not None and named and post.keys == named and await self._changed(note, post):
            if not is_older(state_of(note), post.state):
                await posts.keep(self.name, keys, structs.replace(post, state=state_of(note)))
            if loud:
                await self._reply(note, post, broadcast=True)
            return f"{post.channel}/{post.ts}"
        if post is not None and named and set(named) < set(post.keys):
            return await self._reply(note, post, broadcast=loud)
        answer = await self._ask(self._http, {**self._body(note), "channel": self._channel})
        if answer.get("ts"):
            where = str(answer.get("channel") or self._channel)
            await posts.keep(self.name, keys, Post(where, str(answer["ts"]), named, state_of(note)))
        return self._ref(answer)

    async def _changed(self, note: Notification, post: Post) -> bool:
        """Change a message to what is so now; tell whether it is there. One that shows a newer state stays as it is."""
        if is_older(state_of(note), post.state):
            return True
        # Changing twice is the same as once, so this is no repeat.
        once = structs.replace(note, title=note.title.removeprefix(f"{REPEAT} "))
        try:
            await self._ask(self._updates, {**self._body(once), "channel": post.channel, "ts": post.ts})
        except _Refused as error:
            if error.error in _GONE:
                return False
            raise
        return True

    async def _reply(self, note: Notification, post: Post, *, broadcast: bool) -> str | None:
        body = {**self._body(note), "channel": post.channel, "thread_ts": post.ts}
        return self._ref(await self._ask(self._http, {**body, "reply_broadcast": True} if broadcast else body))

    def _ref(self, answer: dict[str, Any]) -> str | None:
        """Return what Slack calls a message: ``channel/ts``."""
        return f"{answer.get('channel') or self._channel}/{answer['ts']}" if answer.get("ts") else None

    def _body(self, note: Notification) -> dict[str, Any]:
        return body_of(message_of(note), buttons_of(note, self.name) if self._buttons else ())

    async def _ask(self, http: HttpPost, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json; charset=utf-8"}
        return self._checked(await http.ask(msgspec.json.encode(body), headers))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()
        await self._updates.close()

    def _checked(self, answer: bytes) -> dict[str, Any]:
        """Return what Slack answers. Raise unless it says ``ok``: it answers 200 also where it refuses."""
        try:
            said: dict[str, Any] = msgspec.json.decode(answer)
            ok, error = said.get("ok") is True, str(said.get("error") or "it does not say why")
        except (msgspec.MsgspecError, AttributeError) as fault:
            raise ChannelError(f"{self._label}: the answer is not Slack's; see api_url", unsure=True) from fault
        if ok:
            return said
        hint = f"; {_HINTS[error]}" if error in _HINTS else ""
        reason = f"{self._label}: Slack refuses it ({masked(error, (self._token,))}){hint}"
        raise _Refused(reason, error)


class _Refused(ChannelError):
    """Slack's Web API refuses a call; ``error`` is its word for why."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(reason, permanent=error not in _PASSING)
        self.error = error


def _common(posts: list[Post | None]) -> Post | None:
    """Return the message that told of all of some incidents; None where there is no such one."""
    first = posts[0] if posts else None
    return first if first is not None and all(one is not None and one.ts == first.ts for one in posts) else None


def _token(settings: SlackSettings) -> str:
    """Return the token, empty for an incoming webhook.

    Raises:
        ChannelFault: What is written contradicts itself.
    """
    if (settings.url is None) == (settings.token is None):
        reason = "a Slack channel has either the url of an incoming webhook, or an app's token"
        raise ChannelFault(reason, "set url_file; or token_file and channel", "url")
    if settings.token is None:
        if settings.channel:
            reason = "an incoming webhook posts to the channel it was made for"
            raise ChannelFault(reason, "take channel away, or use token_file in place of url_file", "channel")
        return ""
    token = settings.token.get_secret_value()
    if (
        not token.startswith(("xoxb-", "xoxp-", "xoxe."))
        or not (token.isascii() and token.isprintable())
        or " " in token
    ):
        raise ChannelFault(
            "this is not a token with which an app posts",
            "copy the Bot User OAuth Token: it begins with xoxb-",
            "token",
        )
    if not settings.channel or not settings.channel.isprintable() or len(settings.channel) > _MOST_NAME:
        raise ChannelFault("a token needs the channel to post to", "write channel: C0123ABCD, its id", "channel")
    return token


def _explained(body: bytes) -> str:
    """Return what a webhook answers, a word such as ``no_service``; or the error of the Web API."""
    text = body.decode(errors="replace").strip()
    try:
        said = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return text if len(text) <= _MOST_NAME else ""
    return str(said.get("error") or "") if isinstance(said, dict) else ""
