"""Apprise channel: chat, mail and the long tail through the optional package ``apprise``."""

from __future__ import annotations

import importlib
from typing import Any

from pydantic import SecretStr

from alerts.channels.base import ChannelError
from alerts.outgoing import Notification

_TYPES = {"page": "failure", "warn": "warning", "info": "info"}


class AppriseChannel:
    """Sends to one Apprise URL. Apprise has no idempotency key: a crash at the wrong moment may send twice."""

    def __init__(self, name: str, url: SecretStr) -> None:
        """Load Apprise and check the URL.

        Raises:
            ChannelError: The package is missing, or it does not know the URL.
        """
        self.name = name
        try:
            apprise = importlib.import_module("apprise")
        except ModuleNotFoundError as error:
            reason = f"channel {name} needs the package apprise: pip install 'floorwatch[apprise]'"
            raise ChannelError(reason, permanent=True) from error
        self._target: Any = apprise.Apprise()
        if not self._target.add(url.get_secret_value()):
            raise ChannelError(f"channel {name}: Apprise does not know this url; check its scheme", permanent=True)

    async def send(self, note: Notification, idempotency_key: str) -> None:  # noqa: ARG002 - part of the protocol
        """Send it.

        Raises:
            ChannelError: Apprise could not deliver; it does not say why.
        """
        kind = "success" if note.step.startswith("resolved") else _TYPES.get(note.severity, "info")
        if not await self._target.async_notify(body=note.body, title=note.title, notify_type=kind, body_format="text"):
            raise ChannelError(f"channel {self.name}: Apprise could not deliver")

    async def close(self) -> None:
        """Apprise keeps nothing open."""
