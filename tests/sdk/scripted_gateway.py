"""A gateway that does as told, on a port of its own: what it got, and answers as they come or as a test wants them."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import floorwatch.sdk as sdk
from floorwatch.sdk import Emitter, EmitterSettings, LabelSubmittedData, event

QUICK = EmitterSettings(linger_s=0.0, retry_first_s=0.01, retry_most_s=0.02, timeout_s=20.0, close_wait_s=20.0)
GONE = EmitterSettings(linger_s=0.0, retry_first_s=0.01, retry_most_s=0.02, timeout_s=20.0, close_wait_s=0.0)
"""For emitters that are closed while no gateway is there."""


def made(number: int, task: str = "t-1") -> sdk.Event:
    data = LabelSubmittedData(label_id=f"l-{number}", labeler_id="ana", values=["hate"])
    return event(data, task_id=task, source="tool", id=f"e-{number}")


@dataclass
class Asked:
    """One request."""

    at_s: float
    headers: dict[str, str]
    events: list[dict[str, Any]]


Reply = tuple[int, dict[str, str], bytes]
Answering = Callable[[list[dict[str, Any]]], Reply]


def accepted(events: list[dict[str, Any]]) -> Reply:
    return said(202, {"accepted": len(events), "rejected_count": 0, "rejected": []})


def said(status: int, body: Any, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, body if isinstance(body, bytes) else json.dumps(body).encode()


def refusing(*ids: str) -> Answering:
    """Answer as the gateway does that refuses some events for what they hold."""

    def answer(events: list[dict[str, Any]]) -> Reply:
        rejected = [
            {
                "index": place,
                "line": 1,
                "code": "bad",
                "field": "$.data",
                "reason": f"{one['id']} is bad",
                "hint": "mend",
            }
            for place, one in enumerate(events)
            if one["id"] in ids
        ]
        told = {"accepted": len(events) - len(rejected), "rejected_count": len(rejected), "rejected": rejected}
        return said(422 if rejected else 202, told)

    return answer


@dataclass
class Scripted:
    """A running gateway: ``script`` answers first, then ``answering`` does."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    script: list[Answering | Reply] = field(default_factory=list)
    answering: Answering = accepted
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ids(self) -> list[str]:
        return [one["id"] for asked in list(self.asked) for one in asked.events]

    @property
    def sizes(self) -> list[int]:
        return [len(asked.events) for asked in list(self.asked)]


@contextmanager
def scripted(
    *script: Answering | Reply,
    answering: Answering = accepted,
    port: int = 0,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Scripted]:
    """Run a gateway that answers by a script, by TLS where there is a certificate (and its key)."""
    gateway = Scripted(script=list(script), answering=answering)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/events"
            with gateway.lock:
                gateway.asked.append(Asked(time.monotonic(), dict(self.headers), events))
                answer = gateway.script.pop(0) if gateway.script else gateway.answering
            status, headers, body = answer(events) if callable(answer) else answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, *_: object) -> None:
            return

    with Server(("127.0.0.1", port), Handler) as server:
        gateway.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield gateway
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that answers each connection as told, whatever that is; yields its URL."""
    listening = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                talk(connection)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()


def emitter(url: str, folder: Path, settings: EmitterSettings = QUICK, **more: Any) -> Emitter:
    return Emitter(url, spool=folder, settings=settings, **more)
