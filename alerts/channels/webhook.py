"""Webhook channel: JSON by POST, with an idempotency key and an optional signature.

A receiver verifies ``X-Floorwatch-Signature: t=<s>,v1=<hex>``: hex is HMAC-SHA256 of ``<t>.<body>`` under the shared
secret; refuse a ``t`` more than five minutes off.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import msgspec
from pydantic import SecretStr

from alerts.channels.http_post import HttpPost
from alerts.outgoing import Notification

IDEMPOTENCY_HEADER = "Idempotency-Key"
SIGNATURE_HEADER = "X-Floorwatch-Signature"


def signature(secret: str, body: bytes, at_s: int) -> str:
    """Value of the signature header for a body sent at ``at_s`` (Unix seconds)."""
    digest = hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class WebhookChannel:
    """Posts notifications to one URL."""

    idempotent = True

    def __init__(
        self,
        name: str,
        url: str | SecretStr,
        clock: Callable[[], int],
        *,
        secret: SecretStr | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """``url`` is kept secret, as many receivers put their token into it; ``clock`` is wall time in ms.

        Raises:
            ChannelFault: The URL cannot be used.
        """
        self.name = name
        secret_url = SecretStr(url) if isinstance(url, str) else url
        self._http = HttpPost(f"webhook {name}", secret_url, clock, timeout_s=timeout_s)
        self._clock, self._secret = clock, secret

    async def send(self, note: Notification, idempotency_key: str) -> None:
        """POST it; any 2xx means the receiver has it.

        Raises:
            ChannelError: No answer, or another status. 3xx and most 4xx are permanent.
        """
        body = msgspec.json.encode(note)
        headers = {IDEMPOTENCY_HEADER: idempotency_key}
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = signature(self._secret.get_secret_value(), body, self._clock() // 1000)
        await self._http.post(body, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()
