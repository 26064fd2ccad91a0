"""One address that notifications are posted to: the common part of the channels that speak HTTP.

It says of every failure whether another attempt can help, and never shows the URL, as many receivers put a token into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import aiohttp
import yarl
from pydantic import SecretStr

from alerts.channels.base import ChannelError, ChannelFault, retry_after_ms

_HOST = re.compile(r"[^\s<>\"'`{}|\\^%@#?/,;!$&()*+=~]+")
"""What a host's name or address may hold, also one that is not ASCII."""
_WHO = {"User-Agent": "floorwatch"}
"""Without the versions of Python and aiohttp, which are nobody's business."""
_WORTH_RETRYING = frozenset((408, 409, 425, 429))


class HttpPost:
    """Posts JSON to one URL. Redirects are not followed, because only the operator decides the address."""

    def __init__(self, label: str, url: SecretStr, clock: Callable[[], int], *, timeout_s: float = 10.0) -> None:
        """Check the URL; no connection is made.

        Args:
            label: What failures begin with: the type and the name of the channel.
            url: Where to post.
            clock: Wall time in ms, for Retry-After.
            timeout_s: Most time for one attempt.

        Raises:
            ChannelFault: The URL cannot be used.
        """
        check_url(url.get_secret_value(), label.partition(" ")[0])
        self._label, self._url, self._clock = label, url, clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """POST it; any 2xx means the receiver has it.

        Raises:
            ChannelError: No answer, or another status. 3xx and most 4xx are permanent.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, headers=_WHO)
        sent = {"Content-Type": "application/json", **(headers or {})}
        url = self._url.get_secret_value()
        try:
            async with self._session.post(url, data=body, headers=sent, allow_redirects=False) as answer:
                self._check(answer)
        except (aiohttp.InvalidURL, ValueError) as error:
            raise ChannelError(f"{self._label}: its url cannot be used; check the setting", permanent=True) from error
        except aiohttp.ClientConnectorError as error:
            # Only the kind of error, because aiohttp's message may contain the URL. Nothing was sent.
            raise ChannelError(f"{self._label}: no connection ({type(error).__name__})") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ChannelError(f"{self._label}: no answer ({type(error).__name__})", unsure=True) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _check(self, answer: aiohttp.ClientResponse) -> None:
        if 200 <= answer.status < 300:
            return
        permanent = answer.status < 500 and answer.status not in _WORTH_RETRYING
        after_ms = retry_after_ms(answer.headers.get("Retry-After"), self._clock())
        reason = f"{self._label}: the receiver answered {answer.status}"
        raise ChannelError(reason, permanent=permanent, retry_after_ms=after_ms)


def check_url(url: str, channel: str) -> None:
    """Check that a URL can be posted to; nothing is sent.

    Args:
        url: The URL.
        channel: The type of the channel, for the message.

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
            f"the url of a {channel} {said}", "write https://host/path (or http:// on a trusted network)", "url"
        )
    if not url.isprintable() or any(char.isspace() for char in url):
        hint = "write it on one line, and %20 for a space in the path"
        raise ChannelFault(f"the url of a {channel} holds a space, a line end or a control character", hint, "url")
    if not host or port == 0 or not readable or not _HOST.fullmatch(host):
        raise ChannelFault(f"the url of a {channel} has no host that can be called", "write https://host/path", "url")
