"""Mail through a real SMTP server: what arrives, STARTTLS and login, and what the server's answers mean."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from alerts.channels.base import ChannelError
from alerts.outgoing import Notification
from floorwatch.embedded.servers import free_port
from tests.alerts.channels.recorder import CALLS, built, faults, golden, key_of, largest, named, noted
from tests.nasty import NASTY, WHAT
from tests.support import require

PASSWORD = "hush-hush"
MAIL: dict[str, Any] = {
    "type": "email",
    "host": "127.0.0.1",
    "tls": "none",
    "from": "Floorwatch <floor@fw.example>",
    "to": ["mei@kul.example", "ana@lis.example"],
}


@dataclass
class Mailbox:
    """What a server took, and its answers: by recipient, and to the mail as a whole."""

    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    recipients: dict[str, str] = field(default_factory=dict)
    data: str = "250 OK"
    then: str = "answer"
    port: int = 0
    secure: list[bool] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:
        said = self.recipients.get(address, "250 OK")
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        if self.then == "hang":
            await self.over.wait()
        if self.then == "cut":
            server.transport.abort()
            return "250 OK"
        self.secure.append(session.ssl is not None)
        if self.data.startswith("250"):
            assert envelope.content is not None
            mail = message_from_bytes(bytes(envelope.content), policy=default)
            assert isinstance(mail, EmailMessage)
            self.mails.append((list(envelope.rcpt_tos), mail))
        return self.data


@asynccontextmanager
async def serving(box: Mailbox, **options: Any) -> AsyncIterator[Mailbox]:
    """Run a server on a free port until the block ends."""
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(box, hostname="mx.example", enable_SMTPUTF8=False, **options), "127.0.0.1", 0
    )
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        box.over.set()
        server.close()


async def delivered(box: Mailbox, *notes: Notification, server: dict[str, Any] | None = None, **more: Any) -> Mailbox:
    """Send notifications through a server of this mailbox."""
    async with serving(box, **(server or {})):
        channel = built({**MAIL, "port": box.port, **more})
        for note in notes:
            await channel.send(note, key_of(note))
        await channel.close()
    return box


def refused(box: Mailbox, *, server: dict[str, Any] | None = None, **more: Any) -> ChannelError:
    """Return how a delivery fails."""
    with pytest.raises(ChannelError) as caught:
        asyncio.run(delivered(box, noted(), server=server, **more))
    return caught.value


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    text: str = found.get_content()
    return text


def test_a_mail_has_text_and_html_and_headers_by_which_programs_sort_it() -> None:
    box = asyncio.run(delivered(Mailbox(), noted()))
    ((to, mail),) = box.mails
    assert to == MAIL["to"]
    assert mail.get_content_type() == "multipart/alternative"
    assert [one.get_content_type() for one in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Importance"] == "high"
    assert mail["X-Floorwatch-Incident"] == noted().incident["key"]


@pytest.mark.parametrize("step", ["open", "resolved-0"])
def test_the_mail_is_golden(step: str) -> None:
    ((_, mail),) = asyncio.run(delivered(Mailbox(), noted(step))).mails
    headers = "".join(f"{name}: {value}\n" for name, value in mail.items() if name != "Content-Type")
    text, html = (part(mail, kind).replace("\r\n", "\n") for kind in ("plain", "html"))
    golden(f"email.{step}.txt", f"{headers}\n--- text\n{text}\n--- html\n{html}")


def test_the_mails_of_an_incident_are_one_thread_and_a_repeat_has_the_same_id() -> None:
    notes = [noted("open"), noted("escalated-0-1"), noted("escalated-0-1"), noted("resolved-0")]
    mails = [mail for _, mail in asyncio.run(delivered(Mailbox(), *notes)).mails]
    ids = [mail["Message-ID"] for mail in mails]
    assert ids[1] == ids[2]
    assert len(set(ids)) == 3
    assert all(one.endswith("@fw.example>") for one in ids)
    assert [mail["References"] for mail in mails] == [None, ids[0], ids[0], ids[0]]
    assert [mail["In-Reply-To"] for mail in mails] == [None, ids[0], ids[0], ids[0]]
    assert mails[3]["Importance"] is None


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]


@pytest.fixture(scope="module")
def of_names() -> dict[str, EmailMessage]:
    """The mail about each name, as it arrives."""
    box = asyncio.run(delivered(Mailbox(), *(noted(incident=named(name)) for name in ("x", *NASTY))))
    return {name: mail for name, (_, mail) in zip(("x", *NASTY), box.mails, strict=True)}


@pytest.mark.parametrize("name", NASTY, ids=WHAT)
def test_a_name_adds_no_header_tag_link_or_mention(name: str, of_names: dict[str, EmailMessage]) -> None:
    mail, plain = of_names[name], of_names["x"]
    assert mail.keys() == plain.keys()
    assert mail.defects == []
    found, usual = _Tags(part(mail, "html")), _Tags(part(plain, "html"))
    assert found.tags == usual.tags
    assert found.links == usual.links
    text = part(mail, "plain")
    assert text.count("\n") == part(plain, "plain").count("\n")
    assert not CALLS.search(text)
    assert not CALLS.search(mail["Subject"])


def test_a_mail_of_the_largest_incident_stays_small() -> None:
    ((_, mail),) = asyncio.run(delivered(Mailbox(), noted(incident=largest()))).mails
    assert len(mail.as_bytes()) < 100_000
    assert len(mail["Subject"]) < 200


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *(require("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "3650", "-subj", "/CN=mx.example", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def login(certificate: tuple[Path, Path], **more: Any) -> dict[str, Any]:
    """Options of a server that wants STARTTLS and a login."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*map(str, certificate))

    def allowed(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"fw", PASSWORD.encode()), handled=False)

    return {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": allowed, **more}


def test_starttls_and_login_work_and_no_secret_is_logged(
    certificate: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    account = {"tls": "starttls", "ca_file": str(certificate[0]), "username": "fw", "password": PASSWORD}
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # the server's own, which tells all it hears
        box = asyncio.run(delivered(Mailbox(), noted(), server=login(certificate), **account))
        assert box.secure == [True]
        error = refused(Mailbox(), server=login(certificate), **{**account, "password": "hush-other"})
    assert error.permanent
    assert "the server refuses the login (535" in error.reason
    assert "check username and password" in error.reason
    said = error.reason + caplog.text
    assert "hush" not in said


def test_a_server_whose_certificate_is_not_known_gets_no_mail(certificate: tuple[Path, Path]) -> None:
    box = Mailbox()
    error = refused(box, server=login(certificate), tls="starttls", username="fw", password=PASSWORD)
    assert (error.permanent, box.mails) == (False, [])


def test_a_server_without_starttls_gets_no_mail() -> None:
    box = Mailbox()
    error = refused(box, tls="starttls")
    assert "STARTTLS" in error.reason
    assert "see tls and port" in error.reason
    assert (error.permanent, box.mails) == (False, [])


@pytest.mark.parametrize(
    ("said", "permanent"),
    [("451 try later", False), ("452 full", False), ("550 spam", True), ("552 too large", True), ("554 no", True)],
)
def test_the_servers_answer_says_whether_another_attempt_helps(said: str, permanent: bool) -> None:
    error = refused(Mailbox(data=said))
    assert (error.permanent, error.unsure) == (permanent, False)
    assert said in error.reason


@pytest.mark.parametrize("then", ["hang", "cut"])
def test_a_server_that_does_not_answer_may_have_it(then: str) -> None:
    error = refused(Mailbox(then=then), timeout_s=1)
    assert (error.permanent, error.unsure) == (False, True)


def test_without_a_connection_it_has_nothing() -> None:
    async def main() -> ChannelError:
        with pytest.raises(ChannelError) as caught:
            await built({**MAIL, "port": free_port()}).send(noted(), "key")
        return caught.value

    error = asyncio.run(main())
    assert (error.permanent, error.unsure) == (False, False)


def test_an_address_that_is_refused_costs_the_others_nothing() -> None:
    async def main() -> tuple[Mailbox, list[ChannelError]]:
        box, errors = Mailbox(recipients={"ana@lis.example": "450 greylisted"}), []
        async with serving(box):
            channel = built({**MAIL, "port": box.port})
            for answer in ("450 greylisted", "550 no such user"):
                box.recipients = {"ana@lis.example": answer}
                with pytest.raises(ChannelError) as caught:
                    await channel.send(noted(), key_of(noted()))
                errors.append(caught.value)
            box.recipients = {}
            await channel.send(noted(), key_of(noted()))
        return box, errors

    box, errors = asyncio.run(main())
    assert [to for to, _ in box.mails] == [["mei@kul.example"], ["ana@lis.example"]]
    assert [error.permanent for error in errors] == [False, True]
    assert "the server refuses ana@lis.example: 450 greylisted, and took the mail for the others" in errors[0].reason


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "to": ({"to": ["mei"]}, "to", '"mei" is no mail address'),
    "two lines": ({"to": ["mei@kul.example\r\nBcc: x@evil.example"]}, "to", "is no mail address"),
    "from": ({"from": "Floor"}, "from", "from is no mail address"),
    "host": ({"host": "smtp://mx.example"}, "host", "the host is no name"),
    "no password": ({"tls": "tls", "username": "fw"}, "password", "go together"),
    "no user": ({"tls": "tls", "password": PASSWORD}, "username", "go together"),
    "in the clear": ({"host": "mx.example", "username": "fw", "password": PASSWORD}, "tls", "without encryption"),
    "authority": ({"tls": "tls", "ca_file": "/nowhere/ca.pem"}, "ca_file", "cannot be read as certificates"),
}


@pytest.mark.parametrize("what", WRONG)
def test_settings_that_cannot_work_are_told_with_place_and_hint(what: str) -> None:
    more, place, reason = WRONG[what]
    ((field_, said, hint),) = faults({**MAIL, **more})
    assert (field_, reason in said, bool(hint)) == ((place,), True, True)
    assert PASSWORD not in said + hint
