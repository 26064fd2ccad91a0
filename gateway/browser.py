"""Keeps web pages from using the gateway through the browser of somebody who can reach it. Pure.

A page cannot read our answers, since they carry no CORS headers, but it can send. Three rules stop it: a request that
names another origin is refused; so is one to a host name that is not ours, which is what DNS rebinding uses. And where
no token is needed, a body must have a media type for which a browser sends a CORS preflight, which is always refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.settings import GatewaySettings

_PAGE_TYPES = frozenset({"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})
"""Media types that a page may send anywhere without a preflight: the Fetch standard's safelist, and none at all."""

_OURS = frozenset({"same-origin", "none"})
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.%]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?")

Refused = tuple[int, str, str, str]
"""Status, code, reason, hint."""


class BrowserRules:
    """Tells which requests come from a foreign web page."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Take the names of the gateway's own address."""
        self._names = frozenset(name.lower().rstrip(".") for name in settings.allowed_hosts)
        self._own = {"localhost", settings.host.lower()}
        # With a token a page can do nothing, and a proxy in front may use any name.
        self._any_host = "*" in self._names or (bool(settings.sources) and not self._names)
        self._token_needed = bool(settings.sources)

    def fault(self, headers: Mapping[str, str], *, has_body: bool) -> Refused | None:
        """Return why a request is refused, or None.

        Args:
            headers: The request's, case-insensitive.
            has_body: Whether it sends events or a webhook.
        """
        if not self._any_host and not self._is_ours(headers.get("Host", "")):
            hint = "use the gateway's address, or put the name into gateway.allowed_hosts"
            return 403, "foreign_host", "the Host header names no host of this gateway", hint
        hint = "the gateway takes nothing from web pages; send from a program"
        site = headers.get("Sec-Fetch-Site", "none").lower()
        if site not in _OURS or not _same_origin(headers.get("Origin"), headers.get("Host", "")):
            return 403, "foreign_origin", "the request comes from a web page elsewhere", hint
        media = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if has_body and not self._token_needed and media in _PAGE_TYPES:
            reason = f"without tokens a body of type {media or 'none'} is refused: any web page could send it"
            hint = "say what it is, e.g. curl -H 'Content-Type: application/json' --data-binary @FILE"
            return 415, "unsupported_media_type", reason, hint
        return None

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host.strip().lower())
        if found is None:
            return False
        name = found["name"].rstrip(".")
        if name in self._names or name in self._own or name.endswith(".localhost"):
            return True
        try:
            # DNS rebinding needs a host name, so an IP address is safe: a page of another address cannot make a browser
            # send ours.
            ip_address(name.strip("[]").partition("%")[0])
        except ValueError:
            return False
        return True


def _same_origin(origin: str | None, host: str) -> bool:
    if origin is None:
        return True
    try:
        found = urlsplit(origin)
    except ValueError:
        return False
    return found.scheme in ("http", "https") and bool(host) and found.netloc.lower() == host.strip().lower()
