"""PagerDuty channel: Events API v2. An incident is one alert there: opened, acknowledged and resolved by its dedup key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from pydantic import SecretStr

from alerts.channels.base import ChannelFault
from alerts.channels.http_post import HttpPost
from alerts.channels.latest import Latest
from alerts.channels.message import message_of
from alerts.channels.parts import one_each
from alerts.escape import CHAT
from alerts.message.model import Message
from alerts.message.texts import title_of
from alerts.outgoing import Notification
from alerts.settings.channels import PagerDutySettings

MOST_EVENT = 512 * 1024
"""Bytes of an event that PagerDuty takes."""
_MOST_SUMMARY, _MOST_DEDUP = 1024, 255
_SEVERITIES = {"page": "critical", "warn": "warning"}
_WHAT = "PagerDuty"

Action = Literal["trigger", "acknowledge", "resolve"]


class PagerDutyChannel:
    """Opens, acknowledges and resolves alerts of one service."""

    idempotent = True

    def __init__(self, name: str, settings: PagerDutySettings, clock: Callable[[], int]) -> None:
        """Check the settings; no connection is made.

        Raises:
            ChannelFault: The routing key or the URL cannot be used.
        """
        self.name, self._key = name, settings.routing_key.get_secret_value()
        if len(self._key) != 32 or not (self._key.isascii() and self._key.isalnum()):
            reason = "the routing key of an Events API v2 integration has 32 letters and digits"
            hint = "copy the Integration Key: Services, your service, Integrations, Events API V2"
            raise ChannelFault(reason, hint, "routing_key")
        self._http = HttpPost(
            f"pagerduty {name}",
            SecretStr(settings.url),
            clock,
            timeout_s=settings.timeout_s,
            what=_WHAT,
            explain=_explained,
            hidden=(self._key,),
        )
        self._latest = Latest()

    async def send(self, note: Notification, idempotency_key: str) -> None:  # noqa: ARG002 - the dedup key is the incident's
        """Send the event, of a notification about several incidents one of each that it names.

        A test is opened and resolved at once, so that nothing stays open.

        Raises:
            ChannelError: PagerDuty did not take it.
        """
        for one in one_each(note):
            if not self._latest.passed(one, self.name):
                message = message_of(one)
                await self._http.post(event_of(one, message, self._key, action_of(one)))
                if one.step == "test":
                    await self._http.post(event_of(one, message, self._key, "resolve"))
                self._latest.delivered(one)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


def action_of(note: Notification) -> Action:
    """Return what an incident's step means to PagerDuty."""
    if note.step.startswith("resolved"):
        return "resolve"
    return "acknowledge" if note.step.startswith("ack") else "trigger"


def event_of(note: Notification, message: Message, routing_key: str, action: Action) -> bytes:
    """Return the event as JSON, at most ``MOST_EVENT`` bytes.

    Args:
        note: What happened.
        message: What people read of it.
        routing_key: Key of the integration.
        action: What to do with the alert.
    """
    incident = note.incident
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": str(incident.get("key") or f"floorwatch-{note.step}")[:_MOST_DEDUP],
    }
    if action != "trigger":
        return msgspec.json.encode(event)
    details: dict[str, Any] = {
        "message": [CHAT.text(line) for line in message.lines],
        "details": [CHAT.text(line) for line in message.details],
        "commands": {CHAT.text(command.label): CHAT.text(command.text) for command in message.commands},
    }
    scope = incident.get("scope") or {}
    about = {
        "summary": CHAT.text(title_of(message))[:_MOST_SUMMARY],
        "source": _short(incident.get("scope_key")) or "floorwatch",
        "severity": _SEVERITIES.get(note.severity, "info"),
        "timestamp": incident.get("opened_at") or incident.get("updated_at"),
        "component": _short(scope.get("queue")),
        "group": _short(scope.get("vendor") or scope.get("site")),
        "class": _short(incident.get("kind")),
    }
    links = [{"href": link.url, "text": link.label} for link in message.links]
    event["client"] = "Floorwatch"
    if message.links:
        event["client_url"] = message.links[0].url
    event["links"] = links
    payload = {name: value for name, value in about.items() if value}
    for kept in (details, {"message": details["message"]}, {}):
        encoded = msgspec.json.encode({**event, "payload": {**payload, "custom_details": kept}})
        if len(encoded) <= MOST_EVENT:
            return encoded
    return msgspec.json.encode({**event, "links": [], "payload": payload})


def _short(value: object) -> str:
    return CHAT.text(str(value or ""))[:_MOST_SUMMARY]


def _explained(body: bytes) -> str:
    """Return PagerDuty's reason: ``Event object is invalid: Length of 'routing_key' is incorrect``."""
    try:
        said = msgspec.json.decode(body)
        parts = [str(said.get("message") or ""), *map(str, said.get("errors") or ())]
    except (msgspec.MsgspecError, AttributeError, TypeError):
        return ""
    return ": ".join(filter(None, parts))
