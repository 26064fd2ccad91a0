"""E-mail channel: text and HTML through an SMTP server.

The mails of one incident form a thread. A mail that is sent again has the same Message-ID, by which many mail programs show it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, parseaddr
from hashlib import sha256

import aiosmtplib

from alerts.channels.base import ChannelError, ChannelFault
from alerts.channels.http_post import masked
from alerts.channels.message import message_of
from alerts.escape import CHAT
from alerts.message.model import Message
from alerts.message.texts import chat, html, title_of
from alerts.outgoing import Notification
from alerts.settings.channels import EmailSettings

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_ADDRESS = re.compile(r"[^\s@<>(),;:\\\"\[\]]+@[^\s@<>(),;:\\\"\[\]]+\Z")
_HOST = re.compile(r"[A-Za-z0-9.\-:]+\Z")
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_MOST_KEPT = 1_000
"""Mails taken for some of their addresses that are remembered, so that another attempt goes to the others only."""


class EmailChannel:
    """Sends each notification as one mail to all its addresses."""

    idempotent = False

    def __init__(self, name: str, settings: EmailSettings, clock: Callable[[], int]) -> None:
        """Check the settings; no connection is made.

        Args:
            name: Name of the channel.
            settings: Server, addresses, password.
            clock: Wall time in ms, for the mail's date.

        Raises:
            ChannelFault: An address, the server's name, the password or the authority's certificate cannot be used.
        """
        self.name, self._clock, self._settings = name, clock, settings
        self._label = f"email {name}"
        self._from = _sender(settings.sender)
        self._to = tuple(_address(text, "to") for text in settings.to)
        if not _HOST.match(settings.host):
            raise ChannelFault("the host is no name or address of a server", "write host: smtp.example.com", "host")
        self._password = "" if settings.password is None else settings.password.get_secret_value()
        _check_login(settings, self._password)
        self._tls = _tls_context(settings)
        self._taken: OrderedDict[str, frozenset[str]] = OrderedDict()

    async def send(self, note: Notification, idempotency_key: str) -> None:
        """Send the mail.

        Raises:
            ChannelError: The server cannot be reached, does not take it, or refuses some of its addresses.
        """
        mail = email_of(note, message_of(note), idempotency_key, self._from, self._to, self._clock())
        taken = self._taken.get(idempotency_key, frozenset())
        left = [address for address in self._to if address not in taken]
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                refused = await self._deliver(mail, left)
        except TimeoutError as error:
            raise ChannelError(f"{self._label}: no answer in {self._settings.timeout_s:g} s", unsure=True) from error
        except aiosmtplib.SMTPException as error:
            raise self._error(error) from error
        except (OSError, ValueError) as error:
            raise ChannelError(f"{self._label}: no connection ({type(error).__name__})") from error
        if refused:
            self._remember(idempotency_key, taken | (frozenset(left) - refused.keys()))
            raise self._refusal(refused)
        self._taken.pop(idempotency_key, None)

    async def close(self) -> None:
        """Each mail has a connection of its own, which is closed by then."""

    async def _deliver(self, mail: EmailMessage, to: list[str]) -> dict[str, tuple[int, str]]:
        """Send to some addresses; returns those that the server refused while it took the mail for others."""
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port or _PORTS[settings.tls],
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=self._tls,
            timeout=settings.timeout_s,
            local_hostname=_own_name(),
        )
        try:
            await client.connect()
            if settings.username:
                await client.login(settings.username, self._password)
            answers, _ = await client.send_message(mail, sender=self._from.addr_spec, recipients=to)
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit()
        finally:
            client.close()
        return {address: (answer[0], answer[1]) for address, answer in answers.items()}

    def _error(self, error: aiosmtplib.SMTPException) -> ChannelError:
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
            return self._refusal({one.recipient: (one.code, one.message) for one in error.recipients})
        if isinstance(error, aiosmtplib.SMTPAuthenticationError):
            hint = "" if error.code < 500 else "; check username and password"
            return self._answered("the server refuses the login", error.code, error.message, hint)
        if isinstance(error, aiosmtplib.SMTPResponseException):
            return self._answered("the server refuses the mail", error.code, error.message)
        if isinstance(error, aiosmtplib.SMTPConnectError):
            return ChannelError(f"{self._label}: no connection ({type(error).__name__})")
        if isinstance(error, aiosmtplib.SMTPServerDisconnected | aiosmtplib.SMTPTimeoutError):
            return ChannelError(f"{self._label}: no answer ({type(error).__name__})", unsure=True)
        # What is left are texts of aiosmtplib: the server offers neither STARTTLS nor a login.
        hint = "; see tls and port" if "TLS" in error.message.upper() else ""
        return ChannelError(f"{self._label}: {self._masked(error.message)}{hint}")

    def _refusal(self, refused: dict[str, tuple[int, str]]) -> ChannelError:
        """Return the error of refused addresses: permanent only if no other attempt can help any of them."""
        shown = "; ".join(
            f"{address}: {code} {self._masked(said)}" for address, (code, said) in sorted(refused.items())
        )
        others = "" if len(refused) == len(self._to) else ", and took the mail for the others"
        reason = f"{self._label}: the server refuses {shown[:300]}{others}"
        return ChannelError(reason, permanent=all(code >= 500 for code, _ in refused.values()))

    def _answered(self, what: str, code: int, said: str, hint: str = "") -> ChannelError:
        reason = f"{self._label}: {what} ({code} {self._masked(said)}){hint}"
        return ChannelError(reason, permanent=500 <= code < 600)

    def _masked(self, said: str) -> str:
        secret = self._password
        return masked(said, (secret, b64encode(secret.encode()).decode() if secret else ""))

    def _remember(self, key: str, taken: frozenset[str]) -> None:
        self._taken[key] = taken
        self._taken.move_to_end(key)
        while len(self._taken) > _MOST_KEPT:
            self._taken.popitem(last=False)


def email_of(
    note: Notification, message: Message, key: str, sender: Address, to: tuple[str, ...], at_ms: int
) -> EmailMessage:
    """Return a notification as a mail: what people read, and headers by which programs thread and sort it.

    Args:
        note: What happened.
        message: What people read of it.
        key: Idempotency key; the same one gives the same Message-ID.
        sender: From whom.
        to: Addresses.
        at_ms: Date, wall time.
    """
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["Subject"] = CHAT.text(title_of(message))
    mail["From"] = sender
    mail["To"] = [Address(addr_spec=address) for address in to]
    mail["Date"] = formatdate(at_ms / 1000, usegmt=True)
    incident = str(note.incident.get("key") or "")
    channel = key.rpartition(":")[2]
    root = _message_id(f"{incident}:{channel}", sender) if incident else ""
    if note.step == "open" and root:
        mail["Message-ID"] = root
    else:
        mail["Message-ID"] = _message_id(key, sender)
        if root:
            mail["In-Reply-To"] = root
            mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if message.severity == "page" and message.state != "resolved":
        mail["Importance"] = "high"
    mail["X-Floorwatch-Severity"] = message.severity
    mail["X-Floorwatch-Step"] = note.step
    if incident:
        mail["X-Floorwatch-Incident"] = incident
    text = chat(message, CHAT)
    details = "".join(f"{CHAT.text(line)}\n" for line in message.details)
    mail.set_content(f"{text.title}\n{text.body}" + (f"\n{details}" if details else ""), cte="quoted-printable")
    mail.add_alternative(html(message), subtype="html", cte="quoted-printable")
    return mail


def _message_id(text: str, sender: Address) -> str:
    return f"<{sha256(text.encode(errors='replace')).hexdigest()[:32]}@{sender.domain}>"


def _address(text: str, field: str) -> str:
    if not _ADDRESS.match(text) or not text.isascii():
        raise ChannelFault(f'"{text}" is no mail address', "write name@example.com, ASCII only", field)
    return text


def _sender(text: str) -> Address:
    shown, address = parseaddr(text)
    if not text.isprintable() or not _ADDRESS.match(address) or not address.isascii():
        hint = 'write "Floorwatch <floorwatch@example.com>", or the address alone'
        raise ChannelFault("from is no mail address", hint, "from")
    return Address(display_name=shown, addr_spec=address)


def _check_login(settings: EmailSettings, password: str) -> None:
    if bool(settings.username) != bool(password):
        missing = "password" if settings.username else "username"
        raise ChannelFault("username and password go together", f"set {missing} too, or neither", missing)
    if password and settings.tls == "none" and settings.host not in _LOOPBACK:
        raise ChannelFault("the password would be sent without encryption", "write tls: starttls, or tls: tls", "tls")


def _tls_context(settings: EmailSettings) -> ssl.SSLContext | None:
    if settings.tls == "none":
        return None
    try:
        return ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
    except (OSError, ssl.SSLError) as error:
        reason = f"{settings.ca_file} cannot be read as certificates ({type(error).__name__})"
        raise ChannelFault(reason, "name a PEM file of the authority that signed the server's", "ca_file") from error


def _own_name() -> str:
    """Return what the greeting names: the host's full name where it is set, else an address literal. No look-up of names is made."""
    name = socket.gethostname()
    return name if "." in name.strip(".") and name.isascii() else "[127.0.0.1]"
