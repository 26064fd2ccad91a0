"""Messages through Apprise are one message of whole lines and whole links, whatever the service takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from alerts.channels.apprise import AppriseChannel
from alerts.channels.message import message_for, message_within, short_message
from alerts.escape import SINKS, Sink
from alerts.links import LinkSigner
from alerts.outgoing import Notification, in_zone, linked
from tests.alerts.channels.recorder import AT_MS, golden, largest, noted

SIGNER = LinkSigner("https://floorwatch.example/", (b"k" * 40,), 7 * 86_400_000)
SERVICES = {
    "teams": "workflows://prod-1.example.com:443/WORKFLOW/SIGNATURE/",
    "lark": "lark://abcdefgh-token-123",
    "pushover": "pover://userkeyuserkeyuserkeyuserkeyuu@tokentokentokentokentokentoken",
    "discord": "discord://123456789012345678/abcdefghijklmnop",
    "telegram": "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "sms": f"twilio://AC{'1' * 32}:{'a' * 32}@15551234567/15557654321",
}


def told(note: Notification | None = None) -> Notification:
    """A notification with links that act, as the notifier gives it to a channel."""
    return in_zone(linked(note or noted(), SIGNER.for_receiver("ops", AT_MS)), "Asia/Kuala_Lumpur")


def text_of(channel: AppriseChannel, note: Notification) -> tuple[str, str]:
    if channel._short:
        said = short_message(note, channel._most_body)
    else:
        most = channel._most_title, channel._most_body
        said = message_within(note, channel.sink, *most, title_in_body=channel._title_in_body)
    return said.title, said.body


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("size", ["usual", "largest"])
def test_it_is_one_message_and_no_link_is_cut(service: str, size: str) -> None:
    channel = AppriseChannel("ops", SecretStr(SERVICES[service]))
    target: Any = channel._target
    note = told(noted(incident=largest()) if size == "largest" else None)
    title, body = text_of(channel, note)
    chunks = target._apply_overflow(body, title=title, overflow="split", body_format=channel._format)
    assert len(chunks) == 1
    made = re.findall(r"https://floorwatch\.example/a/[\w.-]+", body)
    assert set(made) <= set(vars_of(note))
    if service != "sms":
        assert note.links.ack in body or size == "largest"
    if size == "usual":
        golden(f"apprise_{service}.txt", f"{title}\n---\n{body}")


def vars_of(note: Notification) -> list[str]:
    return [getattr(note.links, name) for name in note.links.__struct_fields__]


@settings(max_examples=60, deadline=None)
@given(st.integers(200, 6_000), st.sampled_from(SINKS), st.booleans())
def test_what_fits_is_whole_and_in_order_and_all_of_it_where_there_is_room(
    most: int, sink: Sink, in_body: bool
) -> None:
    note = told()
    whole = message_for(note, sink, title_in_body=in_body)
    said = message_within(note, sink, 250, most, title_in_body=in_body)
    assert len(said.body) + (len(said.title) if in_body else 0) <= most
    lines = whole.body.rstrip("\n").split(sink.line_break)
    kept = said.body.rstrip("\n").split(sink.line_break)
    places = [lines.index(one) for one in kept if one]
    assert places == sorted(places)
    if len(whole.body) + len(whole.title) + 20 <= most:
        assert said == whole
    assert not in_body or lines[0] in kept or most < 400
