"""What Slack posts when somebody presses a button: the signature, and what was pressed. Pure.

Source: docs.slack.dev, "Verifying requests from Slack" (signature version v0, five minutes) and "block_actions payload".
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from alerts.channels.slack_blocks import ACTIONS
from alerts.plain_text import without_odd_characters

WINDOW_MS = 300_000
"""How far Slack's time may be from ours, either way: later, somebody may be sending again what they overheard."""

MOST_NAME = 80
"""Characters of a person's name."""

REPLY_HOSTS = ("slack.com", "slack-gov.com")
"""Where answers to a button go."""

Pressed = Literal["ack", "silence", "useful", "not_useful"]
_PRESSED: tuple[Pressed, ...] = ("ack", "silence", "useful", "not_useful")
_MOST_KEYS = 100


class Press(Struct, frozen=True):
    """One button that somebody pressed.

    Attributes:
        what: What it does.
        keys: Keys of the incidents.
        notice: Id of the message's notice.
        channel: Name of the channel in Floorwatch's configuration.
        user: The person's id in Slack, with the team's.
        name: The person's name.
        at_ms: Wall time at which it was pressed, as Slack says: the same whenever Slack sends it again.
        reply_url: Where an answer goes; empty where it must not go anywhere.
        text: Text of the message.
        blocks: Blocks of the message.
    """

    what: Pressed
    keys: tuple[str, ...]
    notice: str
    channel: str
    user: str
    name: str
    at_ms: int
    reply_url: str
    text: str
    blocks: tuple[dict[str, Any], ...]


class BadPress(Exception):
    """A request that Slack signed says what no button of Floorwatch's says. Operator: nothing; it is refused."""


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the signature of a request: ``v0=`` and HMAC-SHA-256 of version, time and body, in hex.

    Example:
        >>> signature(b"secret", "1531420618", b"a=b")[:9]
        'v0=6b73b1'
    """
    return "v0=" + hmac.new(secret, b"v0:" + timestamp.encode() + b":" + body, sha256).hexdigest()


def is_signed(secrets: Sequence[bytes], timestamp: str, body: bytes, given: str, now_ms: int) -> bool:
    """Tell whether Slack signed a request within the last five minutes.

    Args:
        secrets: Any of them may have signed.
        timestamp: The header ``X-Slack-Request-Timestamp``: Unix seconds.
        body: As it came.
        given: The header ``X-Slack-Signature``.
        now_ms: Wall time.
    """
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12 and given.isascii()):
        return False
    # Every secret is tried, so that the time tells nothing about them.
    good = any([hmac.compare_digest(signature(secret, timestamp, body), given) for secret in secrets])  # noqa: C419
    return good and abs(now_ms - 1000 * int(timestamp)) <= WINDOW_MS


def press_of(body: bytes, now_ms: int, reply_hosts: Sequence[str] = REPLY_HOSTS) -> Press | None:
    """Return what was pressed, of a request that is signed.

    Args:
        body: The form that Slack posts.
        now_ms: Wall time; a time that Slack says is held within five minutes of it.
        reply_hosts: Hosts, with all below them, to which answers may go.

    Returns:
        None where it is no button of Floorwatch's: another of the same app, or Slack's test of the address.

    Raises:
        BadPress: It cannot be read.
    """
    try:
        payloads = parse_qs(body.decode(), max_num_fields=10).get("payload", [])
        if not payloads:
            return None
        said = msgspec.json.decode(payloads[0], type=dict[str, Any])
        actions = said.get("actions") or []
        found = [one for one in actions if str(one.get("action_id", "")).startswith(ACTIONS)]
        if said.get("type") != "block_actions" or not found:
            return None
        return _press(said, found[0], now_ms, reply_hosts)
    except (
        ArithmeticError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        RecursionError,
        msgspec.MsgspecError,
    ) as error:
        raise BadPress(f"a button of Slack cannot be read: {type(error).__name__}") from error


def _press(said: dict[str, Any], action: dict[str, Any], now_ms: int, reply_hosts: Sequence[str]) -> Press:
    what = str(action["action_id"]).removeprefix(ACTIONS)
    if what not in _PRESSED:
        raise BadPress("a button of Slack does what this release does not know")
    notice, channel, keys = msgspec.json.decode(str(action["value"]), type=tuple[str, str, tuple[str, ...]])
    user, message = dict(said["user"]), dict(said.get("message") or {})
    who = str(user["id"])
    name = " ".join(without_odd_characters(str(user.get("name") or user.get("username") or who)).split())[:MOST_NAME]
    at_ms = round(float(action["action_ts"]) * 1000)
    return Press(
        what=what,
        keys=tuple(dict.fromkeys(keys))[:_MOST_KEYS],
        notice=notice[:200],
        channel=channel[:200],
        user=f"{(said.get('team') or {}).get('id') or user.get('team_id') or ''}/{who}",
        name=name or "somebody",
        at_ms=min(max(at_ms, now_ms - WINDOW_MS), now_ms + WINDOW_MS),
        reply_url=_reply_url(str(said.get("response_url") or ""), reply_hosts),
        text=str(message.get("text") or ""),
        blocks=tuple(dict(block) for block in message.get("blocks") or ()),
    )


def _reply_url(url: str, hosts: Sequence[str]) -> str:
    """Return the address for answers, empty if it is not one of Slack's."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    good = any(host == one or host.endswith(f".{one}") for one in hosts)
    secure = parts.scheme == "https" or (parts.scheme == "http" and host == "127.0.0.1")
    return url if good and secure and len(url) <= 2_000 else ""
