"""A message holds the limits of a message, and no text of it is markup for its receiver."""

from __future__ import annotations

import pytest

from alerts.escape import MARKDOWN
from alerts.incident import Notify
from alerts.lifecycle import IncidentPolicy, step
from alerts.message.compose import compose
from alerts.message.model import MOST_LINES, MOST_TITLE, Link, Message, Reader
from alerts.message.texts import chat, html, plain, sms
from alerts.outgoing import Notification, notification
from tests.alerts.machine import signal

NAMED = Message(
    "<b>a</b> *b*",
    ("<!channel> late", "x" * 150),
    (),
    (Link("Board", "https://g.example/d/x", "board"),),
    "page",
    "open",
)


def note(name: str) -> Notification:
    opened, _ = step(None, signal(True), IncidentPolicy(board_base_url="https://g.example"))
    assert opened is not None
    return notification(Notify(f"k:{name}", name, "default", opened))


@pytest.mark.parametrize(("name", "state"), [("open", "open"), ("resolved-0", "resolved")])
def test_a_message_is_short_and_links_to_the_board(name: str, state: str) -> None:
    message = compose(note(name), Reader("Asia/Kuala_Lumpur"))
    assert (message.state, len(message.lines) <= MOST_LINES, len(message.title) <= MOST_TITLE) == (state, True, True)
    assert all(link.url.startswith("https://") for link in message.links)
    assert note(name).title[:40] in message.title


def test_names_are_not_markup() -> None:
    assert "<b>" not in html(NAMED)
    assert "<!channel>" not in chat(NAMED, MARKDOWN).body
    assert "https://g.example/d/x" in html(NAMED)
    assert plain(NAMED).splitlines()[0] == NAMED.title


def test_a_short_message_holds_whole_lines_only() -> None:
    assert sms(NAMED) == "<b>a</b> *b*\n<!channel> late"
    assert len(sms(NAMED, 8)) == 8
