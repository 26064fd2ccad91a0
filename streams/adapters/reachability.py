"""Tells whether a broker can be reached and, if not, why and what to do about it. Waits until it can be reached."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

from streams.engine.errors import Misconfigured

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 5.0

_AUTH = ("SaslAuthenticationFailed", "AuthenticationFailed", "AuthenticationFailedError")
_PROTOCOL_FIX = "check that this is the broker's client port, and that kafka.security.protocol is the listener's"


class ConnectionFault(NamedTuple):
    """What keeps a client from a broker.

    Attributes:
        said: What happened.
        fix: What to do about it.
        lasting: Waiting will not help: the broker is there and refuses us as we are configured.
    """

    said: str
    fix: str
    lasting: bool = False


async def connection_fault_of(
    address: str, options: dict[str, Any], answer_s: float = ANSWER_TIMEOUT_S
) -> ConnectionFault | None:
    """Return what keeps a client from a broker, or None when it lets us in.

    Args:
        address: ``host:port``.
        options: aiokafka connection settings.
        answer_s: Seconds the broker may take to answer.
    """
    host, _, port = address.rpartition(":")
    obstacle = await _tcp(host.strip("[]"), int(port))
    if obstacle is not None:
        return obstacle
    arguments = {key: value for key, value in options.items() if key != "bootstrap_servers"}
    try:
        async with asyncio.timeout(answer_s):
            connection = await create_conn(
                host.strip("[]"), int(port), request_timeout_ms=int(answer_s * 1000), **arguments
            )
    except ssl.SSLError as error:
        return _tls(error, options)
    except TimeoutError:
        return ConnectionFault(f"does not answer within {answer_s:.0f} s", _PROTOCOL_FIX)
    except KafkaError as error:
        return _refusal(error, options)
    except (OSError, EOFError, ValueError, AssertionError, MemoryError) as error:
        return ConnectionFault(f"something answers, but not as Kafka ({type(error).__name__})", _PROTOCOL_FIX)
    connection.close()
    return None


async def _tcp(host: str, port: int) -> ConnectionFault | None:
    """Return what keeps a TCP connection from being made, or None."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except socket.gaierror:
        return ConnectionFault(f"the host {host} is not known", "correct kafka.brokers, or the DNS of this machine")
    except TimeoutError:
        return ConnectionFault(
            f"no connection within {CONNECT_TIMEOUT_S:.0f} s", "check host and port, and the firewall between"
        )
    except ConnectionRefusedError:
        fix = "start the broker, or correct kafka.brokers; floorwatch up brings its own"
        return ConnectionFault("nothing listens there", fix)
    except OSError as error:
        return ConnectionFault(
            f"no connection: {(error.strerror or str(error)).lower()}", "check kafka.brokers and the network"
        )
    writer.close()
    return None


def _tls(error: ssl.SSLError, options: dict[str, Any]) -> ConnectionFault:
    if isinstance(error, ssl.SSLCertVerificationError):
        said = f"its certificate is not trusted: {error.verify_message}"
        return ConnectionFault(said, "set kafka.security.ca_file to its authority", lasting=True)
    said = f"no TLS with it: {(error.reason or str(error)).lower().replace('_', ' ')}"
    plain = {"SASL_SSL": "SASL_PLAINTEXT"}.get(options["security_protocol"], "PLAINTEXT")
    return ConnectionFault(said, f"this port may be one without TLS: try {plain}, or use the TLS port")


def _refusal(error: KafkaError, options: dict[str, Any]) -> ConnectionFault:
    kind = type(error).__name__
    if kind in _AUTH:
        user = options.get("sasl_plain_username")
        fix = "check kafka.security.username, its password, and mechanism"
        return ConnectionFault(f"refuses user {user}", fix, lasting=True)
    if kind == "UnsupportedSaslMechanismError":
        said = f"does not offer {options.get('sasl_mechanism')}"
        return ConnectionFault(said, "set kafka.security.mechanism to one it offers", lasting=True)
    if kind == "IllegalSaslStateError":
        fix = "use protocol PLAINTEXT or SSL, or the port with SASL"
        return ConnectionFault("does not ask for a login on this port", fix, lasting=True)
    return ConnectionFault(f"closes the connection ({kind})", _PROTOCOL_FIX)


async def wait_for_brokers(options: dict[str, Any], *, pause_s: float = 1.0, say_every_s: float = 5.0) -> None:
    """Return once a broker lets us in. Until then say every few seconds what is waited for, where and since when.

    Args:
        options: aiokafka connection settings.
        pause_s: Seconds between two attempts.
        say_every_s: Seconds between two lines in the log.

    Raises:
        Misconfigured: A broker is there and refuses us as we are configured, and no other lets us in.
    """
    brokers: list[str] = options["bootstrap_servers"]
    began_s, said_s, attempts = time.monotonic(), float("-inf"), 0
    since = datetime.now(UTC).isoformat(timespec="seconds")
    while True:
        attempts += 1
        found = await asyncio.gather(*(connection_fault_of(address, options) for address in brokers))
        if None in found:
            break
        told = [(address, what) for address, what in zip(brokers, found, strict=True) if what is not None]
        where = "; ".join(f"broker {address}: {what.said} ({what.fix})" for address, what in told)
        if any(what.lasting for _, what in told):
            raise Misconfigured(f"Kafka does not let this worker in. {where}")
        now_s = time.monotonic()
        if now_s - said_s >= say_every_s:
            said_s = now_s
            log.warning("waiting for Kafka, attempt %d, since %s (%.0f s). %s", attempts, since, now_s - began_s, where)
        await asyncio.sleep(pause_s)
    if attempts > 1:
        log.info("Kafka answers after %d attempts, %.0f s", attempts, time.monotonic() - began_s)
