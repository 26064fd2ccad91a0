"""What errors of aiohttp mean, in words: what happened, and how to mend it."""

from __future__ import annotations

import socket

import aiohttp

from floorwatch.sdk.trouble import ADDRESS_FIX, Trouble


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
            return Trouble("nothing listens there", ADDRESS_FIX)
        case aiohttp.ClientConnectorError():
            reason = (error.os_error.strerror or str(error.os_error)).lower()
            return Trouble(f"no connection: {reason}", "check the address, and the network between")
        case TimeoutError():
            return Trouble(f"no answer within {timeout_s:g} s", "check host, port and the firewall between")
        case aiohttp.ClientResponseError():
            return Trouble("something answers, but not by HTTP", ADDRESS_FIX)
    return Trouble(f"the connection broke off ({type(error).__name__})", ADDRESS_FIX)
