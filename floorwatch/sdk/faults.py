"""What keeps the SDK from a gateway, in words: what happened, and how to mend it."""

from __future__ import annotations

import socket
from typing import NamedTuple

import aiohttp


class Trouble(NamedTuple):
    """A request that was not answered as it should be.

    Attributes:
        said: What happened.
        fix: What to do about it.
        lasting: Trying again cannot help.
    """

    said: str
    fix: str
    lasting: bool = False

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.said} ({self.fix})"


_ADDRESS_FIX = "start one with `floorwatch up` or `floorwatch gateway`, or correct the address"
_LOGIN_FIX = "give the token of a source of gateway.sources: token= or FLOORWATCH_TOKEN"

_STATUS: dict[int, tuple[str, str]] = {
    401: ("it does not know who sends", _LOGIN_FIX),
    403: ("this token or this address may not send there", "ask who runs the gateway what gateway.sources grants"),
    404: ("there is no /v1/events there", "give the gateway's address, without a path: http://host:8090"),
    405: ("what answers is no Floorwatch gateway", "give the gateway's address: http://host:8090"),
    413: ("one event is too large", "send smaller ones, or raise gateway.max_event_bytes"),
}
"""Statuses that a sender meets, what they mean there, and what to do."""


def trouble_of(error: Exception, timeout_s: float) -> Trouble:
    """Return what an error of the HTTP library means.

    Args:
        error: A ``aiohttp.ClientError`` or a timeout.
        timeout_s: How long an answer was waited for.
    """
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return Trouble("this is no URL", "write it as http://host:port", lasting=True)
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
            fix = "use the host name that it is made out to, and name its authority's file in SSL_CERT_FILE"
            return Trouble(f"its certificate is not trusted: {reason}", fix, lasting=True)
        case aiohttp.ClientConnectorSSLError():
            return Trouble("there is no TLS on this port", "write http:// for it, or use the TLS port", lasting=True)
        case aiohttp.ClientConnectorDNSError():
            unknown = getattr(error.os_error, "errno", None) == socket.EAI_NONAME
            said = f"the host {error.host} is not known"
            return Trouble(said, "correct the address, or the DNS of this machine", lasting=unknown)
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return Trouble("nothing listens there", _ADDRESS_FIX)
        case aiohttp.ClientConnectorError():
            reason = (error.os_error.strerror or str(error.os_error)).lower()
            return Trouble(f"no connection: {reason}", "check the address, and the network between")
        case TimeoutError():
            return Trouble(f"no answer within {timeout_s:g} s", "check host, port and the firewall between")
        case aiohttp.ClientResponseError():
            return Trouble("something answers, but not by HTTP", _ADDRESS_FIX)
    return Trouble(f"the connection broke off ({type(error).__name__})", _ADDRESS_FIX)


def refused(status: int, text: str) -> str:
    """Return what a status means that no repetition can change.

    Args:
        status: The HTTP status.
        text: Beginning of the answer's body.
    """
    said = f"answered {status}"
    known = _STATUS.get(status)
    if known is None:
        return f"{said}: {text}"
    return f"{said}: {known[0]} ({known[1]})"
