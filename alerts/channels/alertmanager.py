"""Alertmanager channel: an incident is an alert there, so that its grouping, silences and receivers apply.

The label set is the alert's identity: it holds only what stays the same over the incident's life. Numbers are annotations.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from pydantic import SecretStr

from alerts.channels.base import ChannelFault
from alerts.channels.http_post import HttpPost
from alerts.channels.latest import Latest
from alerts.channels.message import message_of
from alerts.channels.parts import one_each
from alerts.escape import CHAT, PLAIN
from alerts.message.model import Message
from alerts.message.texts import title_of
from alerts.outgoing import Notification
from alerts.settings.channels import AlertmanagerSettings
from streams.core.durations import format_duration
from streams.core.formatting import rfc3339
from streams.core.policy import DIMENSIONS

API = "/api/v2/alerts"
_TEST_MS = 5 * 60_000
"""How long a test stands."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_OWN = frozenset(("alertname", "kind", "severity", "incident", *DIMENSIONS))
_CALL = re.compile(r"(?<=<)(?=[!@#])|(?<=@)(?=(?:everyone|here|channel|all)\b)")
"""What calls people in the chats to which an Alertmanager passes labels on. All else of a name stays as it is, so that
matchers of silences and routes fit."""


class AlertmanagerChannel:
    """Opens and resolves alerts of one Alertmanager."""

    idempotent = True

    def __init__(self, name: str, settings: AlertmanagerSettings, clock: Callable[[], int]) -> None:
        """Check the settings; no connection is made.

        Raises:
            ChannelFault: The URL, a label or the login cannot be used.
        """
        self.name, self._clock, self._settings = name, clock, settings
        self._headers, secret = _login(settings)
        for label in settings.labels:
            if not _LABEL.match(label) or label in _OWN:
                said = "is one of Floorwatch's own" if label in _OWN else "is no name of a label"
                raise ChannelFault(f'"{label}" {said}', "write a name of letters, digits and _: {env: prod}", "labels")
        if settings.lasts < 2 * settings.resend:
            hint = f"write {format_duration(4 * settings.resend)}, or a shorter resend"
            raise ChannelFault("an alert would end before it is posted again", hint, "lasts")
        base = settings.url.get_secret_value().rstrip("/")
        url = SecretStr(base if base.endswith(API) else base + API)
        self._http = HttpPost(
            f"alertmanager {name}",
            url,
            clock,
            timeout_s=settings.timeout_s,
            what="an Alertmanager",
            explain=_explained,
            hidden=(secret,),
        )
        self._latest = Latest()

    async def send(self, note: Notification, idempotency_key: str) -> None:  # noqa: ARG002 - the label set is the identity
        """Post the alert; of a notification about several incidents, an alert for each that it names.

        Raises:
            ChannelError: The Alertmanager did not take it.
        """
        await self.post_notes([one for one in one_each(note) if not self._latest.passed(one, self.name)])

    @property
    def resend_s(self) -> float:
        """After how many seconds an alert is posted again."""
        return self._settings.resend

    async def post_notes(self, notes: Sequence[Notification]) -> None:
        """Post an alert for each of some notifications, each about one incident, all in one request.

        Raises:
            ChannelError: The Alertmanager did not take them.
        """
        if not notes:
            return
        now_ms = self._clock()
        await self.post([alert_of(note, message_of(note), self._settings, now_ms) for note in notes])
        for note in notes:
            self._latest.delivered(note)

    async def post(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Post alerts as they are, all in one request.

        Raises:
            ChannelError: The Alertmanager did not take them.
        """
        await self._http.post(msgspec.json.encode(alerts), self._headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


def alert_of(note: Notification, message: Message, settings: AlertmanagerSettings, now_ms: int) -> dict[str, Any]:
    """Return an incident as an alert of Alertmanager's API v2.

    Args:
        note: What happened.
        message: What people read of it.
        settings: Own labels, and how long an alert stands that is not heard of again.
        now_ms: Wall time.
    """
    incident = note.incident
    labels = {
        "alertname": incident.get("rule") or "FloorwatchTest",
        "kind": incident.get("kind"),
        "severity": note.severity,
        "incident": incident.get("key"),
        **settings.labels,
        **(incident.get("scope") or {}),
    }
    now = rfc3339(now_ms)
    began = min(incident.get("opened_at") or incident.get("updated_at") or now, now)
    board = next((link.url for link in message.links if link.does == "board"), "")
    annotations = {
        "summary": CHAT.text(title_of(message)),
        "description": "\n".join(CHAT.text(line) for line in message.lines),
        "details": "\n".join(CHAT.text(line) for line in message.details),
        **{f"{link.does}_url": link.url for link in message.links},
    }
    alert: dict[str, Any] = {
        "labels": {name: label_text(str(value)) for name, value in labels.items() if value},
        "annotations": {name: text for name, text in annotations.items() if text.strip()},
        "startsAt": began,
        "endsAt": rfc3339(now_ms + (_TEST_MS if note.step == "test" else round(settings.lasts * 1000))),
    }
    if note.step.startswith("resolved"):
        ended = incident.get("resolved_at") or incident.get("updated_at") or now
        alert["endsAt"] = max(began, min(ended, now))  # an end that is ahead would leave the alert open
    if board:
        alert["generatorURL"] = board
    return alert


def label_text(text: str) -> str:
    """Return a label's value: the name as it is, but for invisible characters and what would call people in a chat.

    Example:
        >>> label_text("labels@kul"), label_text("<!channel>") == "<!channel>"
        ('labels@kul', False)
    """
    return _CALL.sub("\N{ZERO WIDTH SPACE}", PLAIN.text(text))


def _login(settings: AlertmanagerSettings) -> tuple[dict[str, str], str]:
    """Return the headers of the login and its secret.

    Raises:
        ChannelFault: It is not whole, or holds what no header can.
    """
    password = "" if settings.password is None else settings.password.get_secret_value()
    token = "" if settings.token is None else settings.token.get_secret_value()
    if token and (settings.username or password):
        raise ChannelFault("there are a token and a password", "keep one of the two", "token")
    if bool(settings.username) != bool(password):
        missing = "password" if settings.username else "username"
        raise ChannelFault("username and password go together", f"set {missing} too, or neither", missing)
    if not (token.isascii() and token.isprintable()):
        raise ChannelFault("the token holds what no HTTP header can", "write it on one line, ASCII only", "token")
    if token:
        return {"Authorization": f"Bearer {token}"}, token
    if password:
        basic = b64encode(f"{settings.username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {basic}"}, password
    return {}, ""


def _explained(body: bytes) -> str:
    """Return the Alertmanager's reason: a JSON text, or ``message`` of an object."""
    try:
        said = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return ""
    return str(said.get("message") or "") if isinstance(said, dict) else str(said)
