"""Apprise channel: chat, mail and the long tail of receivers.

Apprise blocks, so each call has its own thread and a time limit, and the number of calls is bounded. A receiver that
never answers can only stop its own channel. Apprise has no idempotency key; a message that may be a repeat says so.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import threading
from difflib import get_close_matches
from typing import Any, Self

from pydantic import SecretStr

from alerts import escape
from alerts.channels.base import ChannelError, ChannelFault
from alerts.channels.message import message_within, short_message
from alerts.outgoing import Notification
from streams.core.formatting import printable

_TYPES = {"page": "failure", "warn": "warning", "info": "info"}
_TEXT_IS_MARKDOWN = frozenset(
    (
        *(
            "discord",
            "mmost",
            "mmosts",
            "zulip",
            "rocket",
            "rockets",
            "ryver",
            "gchat",
            "workflow",
            "workflows",
            "msteams",
        ),
        *("webex", "wxteams", "guilded", "revolt", "stoat", "nctalk", "nctalks", "matrix", "matrixs", "gitter"),
        *("lark", "feishu", "dingtalk", "wecombot"),
    )
)
"""Receivers that read Markdown in what Apprise calls text."""

MOST_CALLS = 8
_SMS = 320
SEND_S = 30.0
_MOST_REASON = 200


class AppriseChannel:
    """Sends to one Apprise URL."""

    idempotent = False

    def __init__(self, name: str, url: SecretStr, *, timeout_s: float = SEND_S) -> None:
        """Load Apprise and check the URL.

        Raises:
            ChannelFault: The package is missing, or it does not take the URL.
        """
        self.name = name
        self._secret = url.get_secret_value()
        self._timeout_s = timeout_s
        self._calls = threading.Semaphore(MOST_CALLS)
        if not self._secret.isprintable():
            reason = "the url of an Apprise channel holds a line end or a control character"
            raise ChannelFault(reason, "write it on one line", "url")
        self._apprise = _package()
        target = self._apprise.Apprise()
        with _CapturedLog() as told:
            try:
                taken = bool(target.add(self._secret)) and len(target) > 0
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises on a wrong URL, the URL is what is wrong
                taken, told.said = False, [type(error).__name__]
        if not taken:
            raise ChannelFault(*_why_not(self._apprise, self._secret), "url")
        if len(target) > 1:
            raise ChannelFault(
                "the url names several receivers", "write one channel for each, and name all in the route", "url"
            )
        self._target: Any = target[0]
        self.sink, self._format = _sink(self._target)
        self._title_in_body = self.sink is escape.MARKDOWN or self._target.title_maxlen <= 0
        self._most_title, self._most_body = int(self._target.title_maxlen), int(self._target.body_maxlen)
        self._short = self._most_body <= _SMS

    async def send(self, note: Notification, idempotency_key: str) -> None:  # noqa: ARG002 - part of the protocol
        """Send it.

        Raises:
            ChannelError: Apprise could not deliver; with what it logged about it.
        """
        if not self._calls.acquire(blocking=False):
            raise ChannelError(f"channel {self.name}: {MOST_CALLS} earlier calls still hang; waiting for one to end")
        kind = "success" if note.step.startswith("resolved") else _TYPES.get(note.severity, "info")
        if self._short:
            text = short_message(note, self._most_body)
        else:
            most = self._most_title, self._most_body
            text = message_within(note, self.sink, *most, title_in_body=self._title_in_body)
        done: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()
        options = {"body": text.body, "title": text.title, "notify_type": kind, "body_format": self._format}
        options["overflow"] = "truncate" if self._short else "split"
        # A daemon: one that hangs must not keep the worker from ending.
        threading.Thread(target=self._call, args=(asyncio.get_running_loop(), done, options), daemon=True).start()
        try:
            async with asyncio.timeout(self._timeout_s):
                delivered, said = await done
        except TimeoutError:
            raise ChannelError(f"channel {self.name}: no answer within {self._timeout_s:g} s", unsure=True) from None
        if not delivered:
            because = f": {self._masked(said)}" if said else "; it does not say why"
            raise ChannelError(f"channel {self.name}: Apprise could not deliver{because}")

    async def close(self) -> None:
        """Apprise keeps nothing open."""

    def _call(self, loop: asyncio.AbstractEventLoop, done: asyncio.Future[tuple[bool, str]], options: Any) -> None:
        result: tuple[bool, str] = (False, "")
        try:
            with _CapturedLog() as told:
                # Calls the plugin directly, because Apprise.notify would run it in another thread, whose log lines are
                # not collected here.
                delivered = self._target.notify(**options)
            result = (bool(delivered), told.last)
        except Exception as error:  # noqa: BLE001 - a plugin's bug is a failed attempt; its text may hold the URL
            result = (False, type(error).__name__)
        finally:
            self._calls.release()
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, done, result)

    def _masked(self, said: str) -> str:
        """Return what Apprise logged without any part of the URL, which holds tokens."""
        for part in sorted({*_parts(self._secret)}, key=len, reverse=True):
            said = said.replace(part, "****")
        return printable(said)[:_MOST_REASON]


class _CapturedLog(logging.Handler):
    """Collects what Apprise logs in this thread. Apprise gives the reason of a failure only there."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self._thread = threading.get_ident()

    @property
    def last(self) -> str:
        return self.said[-1] if self.said else ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.said) < 100:
            self.said.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


def _package() -> Any:
    try:
        module = importlib.import_module("apprise")
    except ImportError as error:
        reason = (
            "the package apprise is not installed"
            if isinstance(error, ModuleNotFoundError)
            else "apprise cannot be imported"
        )
        raise ChannelFault(reason, "install it beside Floorwatch: pip install apprise", "type") from error
    # Apprise's log lines contain the receivers' URLs, so they are not passed on.
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return module


def _why_not(apprise: Any, url: str) -> tuple[str, str]:
    scheme, separator, _ = url.partition("://")
    known = sorted({name for plugin in apprise.Apprise().details()["schemas"] for name in _schemas(plugin)})
    if not separator or not scheme.isascii() or len(scheme) > 40:
        return "an Apprise url begins with the name of a service and ://", "write for example mailto://… or slack://…"
    if scheme.lower() in known:
        return (
            f"Apprise does not take this {scheme}:// url",
            f"compare it with https://appriseit.com/services/ for {scheme}",
        )
    close = get_close_matches(scheme.lower(), known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]}://?" if close else "see https://appriseit.com/services/"
    return f"Apprise knows no service {scheme}://", hint


def _schemas(plugin: Any) -> list[str]:
    return [*(plugin.get("protocols") or ()), *(plugin.get("secure_protocols") or ())]


def _sink(server: Any) -> tuple[escape.Sink, str]:
    """Return the sink for the receiver's format, and Apprise's name of that format."""
    wanted = str(server.resolve_format("text").value)
    if wanted == "html":
        return escape.HTML, wanted
    schemas = server.secure_protocol, server.protocol
    names = {name for some in schemas if some for name in ((some,) if isinstance(some, str) else some)}
    if wanted == "markdown" or names & _TEXT_IS_MARKDOWN:
        return escape.MARKDOWN, wanted
    return escape.CHAT, wanted


def _parts(url: str) -> list[str]:
    return [part for part in re.split(r"[:/?&=@#,\s]+", url) if len(part) >= 5]


def _settle(done: asyncio.Future[tuple[bool, str]], result: tuple[bool, str]) -> None:
    if not done.done():
        done.set_result(result)
