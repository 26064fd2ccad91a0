"""Slack channel: Block Kit by an incoming webhook, or by an app's token (chat.postMessage).

Everything that is data stands in texts of the type ``plain_text``, in which Slack reads no markup and no mention. Only Floorwatch's own
links are ``mrkdwn``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from pydantic import SecretStr

from alerts.channels.base import ChannelError, ChannelFault
from alerts.channels.http_post import HttpPost, masked
from alerts.channels.message import message_of
from alerts.escape import CHAT
from alerts.message.model import Link, Message
from alerts.message.texts import title_of
from alerts.outgoing import Notification
from alerts.settings.channels import SlackSettings

MOST_HEADER, MOST_SECTION, MOST_CONTEXT = 150, 2_900, 1_900
"""Characters, of which Slack takes 150, 3,000 and 2,000."""
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


class SlackChannel:
    """Posts to one channel of Slack."""

    idempotent = False

    def __init__(self, name: str, settings: SlackSettings, clock: Callable[[], int]) -> None:
        """Check the settings; no connection is made.

        Raises:
            ChannelFault: There is neither a webhook nor a token, or both, or one that cannot be used.
        """
        self.name, self._channel = name, settings.channel
        self._label = f"slack {name}"
        self._token = _token(settings)
        url = (
            settings.url if settings.url is not None else SecretStr(f"{settings.api_url.rstrip('/')}/chat.postMessage")
        )
        hidden = (self._token, *url.get_secret_value().split("/")[-3:]) if settings.url is not None else (self._token,)
        what = "a Slack webhook" if settings.url is not None else "Slack's Web API (api_url)"
        self._http = HttpPost(
            self._label, url, clock, timeout_s=settings.timeout_s, what=what, explain=_explained, hidden=hidden
        )

    async def send(self, note: Notification, idempotency_key: str) -> str | None:  # noqa: ARG002 - Slack knows no such key
        """Post it.

        Returns:
            ``channel/ts`` of the message; None by a webhook, which does not tell.

        Raises:
            ChannelError: Slack did not take it.
        """
        body = body_of(message_of(note))
        if not self._token:
            await self._http.post(msgspec.json.encode(body))
            return None
        body["channel"] = self._channel
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json; charset=utf-8"}
        return self._check(await self._http.ask(msgspec.json.encode(body), headers))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _check(self, answer: bytes) -> str | None:
        """Return what Slack calls the message. Raise unless it says ``ok``: it answers 200 also where it refuses."""
        try:
            said = msgspec.json.decode(answer)
            ok, error = said.get("ok") is True, str(said.get("error") or "it does not say why")
        except (msgspec.MsgspecError, AttributeError) as fault:
            raise ChannelError(f"{self._label}: the answer is not Slack's; see api_url", unsure=True) from fault
        if ok:
            return f"{said.get('channel') or self._channel}/{said['ts']}" if said.get("ts") else None
        hint = f"; {_HINTS[error]}" if error in _HINTS else ""
        reason = f"{self._label}: Slack refuses it ({masked(error, (self._token,))}){hint}"
        raise ChannelError(reason, permanent=error not in _PASSING)


def body_of(message: Message) -> dict[str, Any]:
    """Return the message as blocks; ``text`` is what a notification on a phone shows.

    Args:
        message: What to tell.
    """
    title = CHAT.text(title_of(message))
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(title, MOST_HEADER)}]
    lines = "\n".join(CHAT.text(line) for line in message.lines)
    if lines.strip():
        blocks.append({"type": "section", "text": _plain(lines, MOST_SECTION)})
    links = _links(message.links)
    if links:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": links, "verbatim": True}})
    small = [CHAT.text(f"{command.label}: {command.text}") for command in message.commands]
    small += [CHAT.text(line) for line in message.details[-1:]]
    if small:
        elements = [_plain("\n".join(small), MOST_CONTEXT)]
        blocks.append({"type": "context", "elements": elements})
    # Slack fetches no page: a link that acts must not be opened by a program.
    return {"text": escaped(title), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def escaped(text: str) -> str:
    """Return text of which Slack's markup shows every character as it is.

    Example:
        >>> escaped("a < b & c")
        'a &lt; b &amp; c'
    """
    for mark in "*_~`":
        text = text.replace(mark, f"\N{ZERO WIDTH SPACE}{mark}\N{ZERO WIDTH SPACE}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _cut(text, most), "emoji": False}


def _cut(text: str, most: int) -> str:
    """Return text of at most so many UTF-16 units, which is what Slack counts."""
    if len(text.encode("utf-16-le", "replace")) // 2 <= most:
        return text or " "
    kept = text.encode("utf-16-le", "replace")[: 2 * (most - 1)].decode("utf-16-le", "ignore")
    return f"{kept}…"


def _links(links: Sequence[Link]) -> str:
    """Return links in one line, as many as a section holds whole."""
    text = ""
    for link in links:
        url = link.url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
        longer = f"{text}{'  ·  ' if text else ''}<{url}|{escaped(link.label)}>"
        if len(longer) > MOST_SECTION:
            break
        text = longer
    return text


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
