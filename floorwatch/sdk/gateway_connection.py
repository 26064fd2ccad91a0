"""One kept connection to a gateway, by the standard library: a request, an answer or what kept it away, and a deadline.

An emitter or a client sends one request at a time, so it needs one connection and no pool. The whole of a request has a deadline: a
server that sends a byte now and then is not waited for.
"""

from __future__ import annotations

import socket
import ssl
import threading
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import NamedTuple
from urllib.parse import urlsplit

from floorwatch.sdk.trouble import Trouble, trouble_of

AGENT = "floorwatch-sdk/0.1.0"
"""What a gateway's operator reads of the sender: its name and version."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Largest answer that is read: a gateway lists a thousand refusals in less."""


class Reply(NamedTuple):
    """An answer: status, ``Retry-After`` as it was sent, body."""

    status: int
    retry_after: str | None
    body: bytes


class NoReply(Exception):
    """There was no whole answer; nothing may be assumed of the request."""

    def __init__(self, trouble: Trouble) -> None:
        """Say why."""
        super().__init__(str(trouble))
        self.trouble = trouble


class GatewayConnection:
    """Posts events to one gateway. Its methods block; one thread uses ``post``, any may ``abort``."""

    def __init__(self, url: str, *, token: str | None, timeout_s: float, agent: str) -> None:
        """Name the gateway; nothing is reached yet.

        Args:
            url: Of the gateway, e.g. ``http://127.0.0.1:8090``.
            token: Bearer token, where the gateway wants one.
            timeout_s: Of a whole request.
            agent: Name and version of the sender, for the gateway's operator.

        Raises:
            ValueError: This is no URL, or the token cannot be sent.
        """
        self.url = url
        self._parts = parts = urlsplit(url)
        try:
            self._port = parts.port
        except ValueError:
            self._port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or self._port == -1:
            raise ValueError(f"{url!r} is no URL of a gateway: write it as http://host:port")
        self._path = parts.path.rstrip("/") + "/v1/events"
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/cloudevents-batch+json", "User-Agent": agent}
        if token is not None:
            if not token.isascii() or not token.isprintable() or not token:
                raise ValueError("the token is empty or holds characters that no header can: take it without line ends")
            self._headers["Authorization"] = f"Bearer {token}"
        self._open: HTTPConnection | None = None
        self._cut = False
        self._aborted = False

    def post(self, body: bytes) -> Reply:
        """Send events and return the answer.

        A kept connection that the gateway has closed meanwhile is replaced once, without a word: nothing of a request that gets
        no single byte of an answer is known, and events are known by their ids.

        Raises:
            NoReply: There is no whole answer.
        """
        kept = self._open is not None
        try:
            return self._try(body)
        except NoReply as error:
            if not kept or self._cut or self._aborted or isinstance(error.__cause__, TimeoutError):
                raise
        return self._try(body)

    def abort(self) -> None:
        """End the request that is under way, and any later one; for another thread."""
        self._aborted = True
        self._shut()

    def close(self) -> None:
        """Close the connection; ``post`` opens another."""
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    def _try(self, body: bytes) -> Reply:
        self._cut = False
        deadline = threading.Timer(self._timeout_s, self._late)
        deadline.daemon = True
        deadline.start()
        try:
            connection = self._connection()
            if connection.sock is None:
                connection.connect()
            if self._cut:  # before there was a socket to shut
                raise TimeoutError
            connection.request("POST", self._path, body, self._headers)
            reply = _read(connection.getresponse())
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            cause = TimeoutError() if self._cut else error
            raise NoReply(trouble_of(cause, self._parts.hostname or "", self._timeout_s)) from cause
        finally:
            deadline.cancel()
        if reply.status != 202:
            self.close()  # what it has read of the body, nobody knows
        return reply

    def _connection(self) -> HTTPConnection:
        if self._aborted:
            raise ConnectionAbortedError("the emitter is closed")
        if self._open is None:
            host, port = self._parts.hostname or "", self._port
            if self._parts.scheme == "https":
                context = ssl.create_default_context()
                self._open = HTTPSConnection(host, port, timeout=self._timeout_s, context=context)
            else:
                self._open = HTTPConnection(host, port, timeout=self._timeout_s)
        return self._open

    def _late(self) -> None:
        self._cut = True
        self._shut()

    def _shut(self) -> None:
        """Shut the socket down, which wakes a thread that waits for it."""
        connection = self._open
        used = None if connection is None else connection.sock
        if used is not None:
            try:
                used.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


def _read(response: HTTPResponse) -> Reply:
    body = response.read(MAX_ANSWER_BYTES + 1)
    if len(body) > MAX_ANSWER_BYTES:
        raise HTTPException(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
    if response.length:
        raise IncompleteRead(body, response.length)
    return Reply(response.status, response.headers.get("Retry-After"), body)
