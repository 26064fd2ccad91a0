"""One address that notifications are posted to: the common part of what speaks HTTP to receivers.

It says of every failure whether another attempt can help, and never shows the URL, as many receivers put a token into it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal
from urllib.parse import urlsplit

import aiohttp
import yarl
from pydantic import SecretStr

from alerts.channels.base import ChannelError, ChannelFault, retry_after_ms
from streams.core.formatting import printable

_HOST = re.compile(r"[^\s<>\"'`{}|\\^%@#?/,;!$&()*+=~]+")
"""What a host's name or address may hold, also one that is not ASCII."""
_WHO = {"User-Agent": "floorwatch"}
"""Without the versions of Python and aiohttp, which are nobody's business."""
_WORTH_RETRYING = frozenset((408, 409, 425, 429))
_MOST_ANSWER = 16_384
"""Bytes of an answer that are read."""
_MOST_SAID = 200


class HttpPost:
    """Posts to one URL: JSON, unless a header says otherwise. Redirects are not followed: only the operator decides the address."""

    def __init__(
        self,
        label: str,
        url: SecretStr,
        clock: Callable[[], int],
        *,
        timeout_s: float = 10.0,
        what: str = "a webhook",
        explain: Callable[[bytes], str] | None = None,
        hidden: Sequence[str] = (),
        method: Literal["post", "get"] = "post",
    ) -> None:
        """Check the URL; no connection is made.

        Args:
            label: What failures begin with: the type and the name of the channel.
            url: Where to post.
            clock: Wall time in ms, for Retry-After.
            timeout_s: Most time for one attempt.
            what: What the URL is of, for a fault.
            explain: From the body of a refusal to the receiver's reason; None: its body is not read.
            hidden: Secrets that a receiver's reason must not show.
            method: How to call it; ``get`` sends no body.

        Raises:
            ChannelFault: The URL cannot be used.
        """
        check_url(url.get_secret_value(), what)
        self._label, self._url, self._clock = label, url, clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._explain, self._hidden, self._method = explain, tuple(filter(None, hidden)), method
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """POST it; any 2xx means the receiver has it.

        Raises:
            ChannelError: No answer, or another status. 3xx and most 4xx are permanent.
        """
        await self._send(body, headers, read=False)

    async def ask(self, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """POST it and return what a receiver answers that says in its body whether it has it.

        Returns:
            At most 16 KiB of the answer.

        Raises:
            ChannelError: As of ``post``, and where the answer breaks off.
        """
        return await self._send(body, headers, read=True)

    async def _send(self, body: bytes, headers: Mapping[str, str] | None, *, read: bool) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, headers=_WHO)
        sent = {"Content-Type": "application/json", **(headers or {})} if self._method == "post" else {}
        url, given = self._url.get_secret_value(), body if self._method == "post" else None
        try:
            asked = self._session.request(self._method, url, data=given, headers=sent, allow_redirects=False)
            async with asked as answer:
                await self._check(answer)
                return await _beginning(answer) if read else b""
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

    async def _check(self, answer: aiohttp.ClientResponse) -> None:
        if 200 <= answer.status < 300:
            return
        permanent = answer.status < 500 and answer.status not in _WORTH_RETRYING
        after_ms = retry_after_ms(answer.headers.get("Retry-After"), self._clock())
        said = await self._reason(answer)
        reason = f"{self._label}: the receiver answered {answer.status}{f' ({said})' if said else ''}"
        raise ChannelError(reason, permanent=permanent, retry_after_ms=after_ms)

    async def _reason(self, answer: aiohttp.ClientResponse) -> str:
        """Return why a receiver refuses, in its words, without secrets; empty where it does not say."""
        if self._explain is None:
            return ""
        body = b""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            body = await _beginning(answer)
        return masked(self._explain(body), self._hidden)


def masked(said: str, hidden: Sequence[str]) -> str:
    """Return what a receiver said as one short line without secrets.

    Args:
        said: Its words.
        hidden: The secrets; an empty one hides nothing.

    Example:
        >>> masked("no service  B0/s3cret", ["s3cret"])
        'no service B0/****'
    """
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        said = said.replace(secret, "****")
    return printable(" ".join(said.split()))[:_MOST_SAID]


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    found = b""
    async for chunk in answer.content.iter_any():
        found += chunk
        if len(found) >= _MOST_ANSWER:
            break
    return found[:_MOST_ANSWER]


def check_url(url: str, what: str) -> None:
    """Check that a URL can be posted to; nothing is sent.

    Args:
        url: The URL.
        what: What it is the URL of, for the message: ``a webhook``.

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
            f"the url of {what} {said}", "write https://host/path (or http:// on a trusted network)", "url"
        )
    if not url.isprintable() or any(char.isspace() for char in url):
        hint = "write it on one line, and %20 for a space in the path"
        raise ChannelFault(f"the url of {what} holds a space, a line end or a control character", hint, "url")
    if not host or port == 0 or not readable or not _HOST.fullmatch(host):
        raise ChannelFault(f"the url of {what} has no host that can be called", "write https://host/path", "url")
