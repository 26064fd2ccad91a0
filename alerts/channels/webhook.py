"""Webhook channel: JSON by POST, with an idempotency key and an optional signature.

A receiver verifies ``X-Floorwatch-Signature: t=<s>,v1=<hex>``: hex is HMAC-SHA256 of ``<t>.<body>`` under the shared
secret; refuse a ``t`` more than five minutes off.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
import msgspec
import yarl
from pydantic import SecretStr

from alerts.channels.base import ChannelError, ChannelFault, retry_after_ms
from alerts.outgoing import Notification

IDEMPOTENCY_HEADER = "Idempotency-Key"
SIGNATURE_HEADER = "X-Floorwatch-Signature"
_HOST = re.compile(r"[^\s<>\"'`{}|\\^%@#?/,;!$&()*+=~]+")
"""What a host's name or address may hold, also one that is not ASCII."""
_WHO = {"User-Agent": "floorwatch"}
"""Without the versions of Python and aiohttp, which are nobody's business."""
_WORTH_RETRYING = frozenset((408, 409, 425, 429))


def signature(secret: str, body: bytes, at_s: int) -> str:
    """Value of the signature header for a body sent at ``at_s`` (Unix seconds)."""
    digest = hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class WebhookChannel:
    """Posts notifications to one URL. Redirects are not followed, because only the operator decides the address."""

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
        self._url = SecretStr(url) if isinstance(url, str) else url
        check_url(self._url.get_secret_value())
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
            self._session = aiohttp.ClientSession(timeout=self._timeout, headers=_WHO)
        url = self._url.get_secret_value()
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                _check(self.name, answer, self._clock())
        except (aiohttp.InvalidURL, ValueError) as error:
            raise ChannelError(
                f"webhook {self.name}: its url cannot be used; check the setting", permanent=True
            ) from error
        except aiohttp.ClientConnectorError as error:
            # Only the kind of error, because aiohttp's message may contain the URL. Nothing was sent.
            raise ChannelError(f"webhook {self.name}: no connection ({type(error).__name__})") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ChannelError(f"webhook {self.name}: no answer ({type(error).__name__})", unsure=True) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def check_url(url: str) -> None:
    """Check that a URL can be posted to; nothing is sent.

    Raises:
        ChannelFault: Another scheme than http and https, no host, no such port, or characters that no URL has.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
        readable = bool(yarl.URL(url).host) if parts.scheme in ("http", "https") and host else True
    except ValueError:
        parts, port, host, readable = urlsplit(""), None, None, False
    if parts.scheme not in ("http", "https"):
        said = "is no URL" if not readable else "has another scheme than https://"
        raise ChannelFault(
            f"the url of a webhook {said}", "write https://host/path (or http:// on a trusted network)", "url"
        )
    if not url.isprintable() or any(char.isspace() for char in url):
        hint = "write it on one line, and %20 for a space in the path"
        raise ChannelFault("the url of a webhook holds a space, a line end or a control character", hint, "url")
    if not host or port == 0 or not readable or not _HOST.fullmatch(host):
        raise ChannelFault("the url of a webhook has no host that can be called", "write https://host/path", "url")


def _check(name: str, answer: aiohttp.ClientResponse, now_ms: int) -> None:
    if 200 <= answer.status < 300:
        return
    permanent = answer.status < 500 and answer.status not in _WORTH_RETRYING
    after_ms = retry_after_ms(answer.headers.get("Retry-After"), now_ms)
    reason = f"webhook {name}: the receiver answered {answer.status}"
    raise ChannelError(reason, permanent=permanent, retry_after_ms=after_ms)
