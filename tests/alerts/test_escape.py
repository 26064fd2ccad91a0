"""Names are data in every message: no tag, emphasis, mention or link of their own, in any sink, on the wire."""

from __future__ import annotations

import asyncio
import html
import io
import json
import re
from html.parser import HTMLParser

import pytest
from msgspec import structs
from pydantic import SecretStr

from alerts.channels.apprise import AppriseChannel
from alerts.channels.console import ConsoleChannel
from alerts.channels.message import message_for
from alerts.escape import CHAT, HTML, MARKDOWN, PLAIN, SINKS, Sink
from alerts.incident import Incident, Notify
from alerts.outgoing import Notification, notification
from alerts.signals import Contributor
from tests.alerts.machine import opened
from tests.alerts.message.told import told
from tests.alerts.receiver import Receiver, receiving
from tests.nasty import NASTY, WHAT

BOARD = "https://grafana.example/d/floor?var-queue=a_b&var-window=1h"

names = pytest.mark.parametrize("name", NASTY, ids=WHAT)


def incident_named(name: str) -> Incident:
    """An incident that holds a name wherever it can hold one."""
    part = Contributor("queue", name, -5.2, 120, f"81.0% of 120 audits of {name}")
    return structs.replace(
        opened(),
        scope={"queue": name},
        contributors=(part,),
        examples=(name,),
        evidence=f"source {name} is silent",
        acknowledged_by=name,
        board_url=BOARD,
        runbook_url="",
    )


def note_named(name: str) -> Notification:
    incident = incident_named(name)
    return notification(Notify(f"{incident.key}:open", "open", "default", incident))


class _Tags(HTMLParser):
    """Which tags a text has, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.shown = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.shown += data


@names
@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.name)
def test_a_name_can_neither_steer_a_program_nor_begin_a_line(name: str, sink: Sink) -> None:
    plain = told(incident_named("x"), sink=sink)
    text = told(incident_named(name), sink=sink)
    assert text.body.count("\n") == plain.body.count("\n")
    assert "\n" not in text.title
    for char in text.title + text.body:
        assert char.isprintable() or char in ("\n", "\N{ZERO WIDTH SPACE}")
    assert len(text.body) < 8_000


@names
def test_html_has_no_tag_but_ours(name: str) -> None:
    found = _Tags(told(incident_named(name), sink=HTML).body)
    assert set(found.tags) <= {"a", "br"}
    assert found.links == [BOARD]
    assert "evil.example" not in "".join(filter(None, found.links))


def _unescaped(text: str) -> str:
    """Markdown without what a backslash makes literal: what is left can do something."""
    return re.sub(r"\\.", "", text)


@names
def test_markdown_reads_no_markup_in_a_name(name: str) -> None:
    text = MARKDOWN.text(name)
    assert not re.search(r"[`*_~\[\]<>#|&]", _unescaped(text))
    body = told(incident_named(name), sink=MARKDOWN).body
    assert [line for line in body.splitlines() if re.search(r"[<>`*_~\[\]|#&]", _unescaped(line))] == [
        f"Board: <{BOARD}>"
    ]


@names
@pytest.mark.parametrize("sink", [CHAT, MARKDOWN, HTML], ids=lambda sink: sink.name)
def test_nobody_is_mentioned_and_no_address_becomes_a_link(name: str, sink: Sink) -> None:
    text = message_for(note_named(name), sink, title_in_body=True)
    said = (text.title + text.body).replace(f"<{BOARD}>", "").replace(BOARD, "")
    said = html.unescape(said) if sink is HTML else re.sub(r"\\(.)", r"\1", said)
    assert not re.search(r"@(everyone|here|channel|U123|&456)|<[!#]|<@\w", said)
    assert not re.search(r"(?i)https?://evil|www\.evil", said)


@names
def test_what_is_shown_is_still_the_name(name: str) -> None:
    shown = CHAT.text(name).replace("\N{ZERO WIDTH SPACE}", "")
    assert shown == PLAIN.text(name)
    back = html.unescape(HTML.text(name)).replace("\N{ZERO WIDTH SPACE}", "")
    assert back == PLAIN.text(name)
    assert re.sub(r"\\(.)", r"\1", MARKDOWN.text(name)).replace("\N{ZERO WIDTH SPACE}", "") == PLAIN.text(name)


def test_a_name_that_looks_empty_is_seen() -> None:
    for name in ("\u3164", "\u2800", "\u00a0\u2003"):
        assert "\N{REPLACEMENT CHARACTER}" in PLAIN.text(name)


@names
def test_the_console_shows_one_message_whatever_a_queue_is_called(name: str) -> None:
    stream = io.StringIO()
    note = note_named(name)
    asyncio.run(ConsoleChannel(stream=stream).send(note, "key"))
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 2 + len(note.body.splitlines())


def test_a_cut_or_foreign_incident_is_escaped_as_a_whole() -> None:
    note = structs.replace(note_named("x"), incident={"key": "k"}, title="@everyone <b>", body="<b>*x*\n<!channel>")
    assert message_for(note, HTML).body == "&lt;b&gt;*x*<br/>\n&lt;\N{ZERO WIDTH SPACE}!channel&gt;\n"
    assert "@everyone" not in message_for(note, CHAT).title


MARKUP = "@everyone <!channel> *x* [a](https://evil.example)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("service", "sink"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", "chat"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "markdown"),
        ("mmost://localhost/3ccdd113474722377935511fc85d3dd4", "markdown"),
        ("workflows://host/abcd/sig", "markdown"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", "html"),
        ("mailto://u:p@example.com?format=html", "html"),
        ("mailto://u:p@example.com", "chat"),
    ],
)
def test_each_service_gets_what_it_reads(service: str, sink: str) -> None:
    assert AppriseChannel("chat", SecretStr(service)).sink.name == sink


def test_on_the_wire_discord_and_mattermost_mention_nobody_and_link_to_us_alone() -> None:
    """What really leaves the package, to a receiver that stands for Mattermost (Discord's plugin calls discord.com)."""

    async def main() -> bytes:
        async with receiving(Receiver(path="/hooks/3ccdd113474722377935511fc85d3dd4")) as receiver:
            url = receiver.url.removeprefix("http://").partition("/")[0]
            channel = AppriseChannel("chat", SecretStr(f"mmost://{url}/3ccdd113474722377935511fc85d3dd4"))
            await channel.send(note_named(MARKUP), "key")
        return receiver.seen[0][1]

    said = str(json.loads(asyncio.run(main()))["text"])
    assert f"<{BOARD}>" in said
    assert "@everyone" not in said
    assert "https://evil" not in said
    assert not re.search(r"[*\[\]]", _unescaped(said))
