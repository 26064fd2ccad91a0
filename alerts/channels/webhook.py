"""Webhook channel: JSON by POST, with an idempotency key and an optional signature.

A receiver verifies ``X-Floorwatch-Signature: t=<s>,v1=<hex>``: hex is HMAC-SHA256 of ``<t>.<body>`` under the shared
secret; refuse a ``t`` more than five minutes off.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import aiohttp
import msgspec
from pydantic import SecretStr

from alerts.channels.base import ChannelError
from alerts.outgoing import Notification

IDEMPOTENCY_HEADER = "Idempotency-Key"
SIGNATURE_HEADER = "X-Floorwatch-Signature"
_WORTH_RETRYING = frozenset((408, 409, 425, 429))
_MAX_RETRY_AFTER_S = 3_600


def signature(secret: str, body: bytes, at_s: int) -> str:
    """Value of the signature header for a body sent at ``at_s`` (Unix seconds)."""
    digest = hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class WebhookChannel:
    """Posts notifications to one URL. Redirects are not followed: the address is the operator's, not the receiver's."""

    def __init__(
        self,
        name: str,
        url: str | SecretStr,
        clock: Callable[[], int],
        *,
        secret: SecretStr | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """``url`` is kept secret, as many receivers put their token into it; ``clock`` is wall time in ms."""
        self.name = name
        self._url = SecretStr(url) if isinstance(url, str) else url
        self._clock = clock
        self._secret = secret
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, note: Notification, idempotency_key: str) -> None:
        """POST it; any 2xx means the receiver has it.

        Raises:
            ChannelError: No answer, or another status. 3xx and most 4xx are permanent.
        """
        body = msgspec.json.encode(note)
        headers = {"Content-Type": "application/json", IDEMPOTENCY_HEADER: idempotency_key}
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = signature(self._secret.get_secret_value(), body, self._clock() // 1000)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        url = self._url.get_secret_value()
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                _check(self.name, answer)
        except (aiohttp.InvalidURL, ValueError) as error:
            raise ChannelError(
                f"webhook {self.name}: its url cannot be used; check the setting", permanent=True
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Only the kind of fault: the message of aiohttp may hold the URL.
            raise ChannelError(f"webhook {self.name}: no answer ({type(error).__name__})") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _check(name: str, answer: aiohttp.ClientResponse) -> None:
    if 200 <= answer.status < 300:
        return
    permanent = answer.status < 500 and answer.status not in _WORTH_RETRYING
    wish = answer.headers.get("Retry-After", "")
    after_ms = min(int(wish), _MAX_RETRY_AFTER_S) * 1000 if wish.isascii() and wish.isdigit() else None
    reason = f"webhook {name}: the receiver answered {answer.status}"
    raise ChannelError(reason, permanent=permanent, retry_after_ms=after_ms)
