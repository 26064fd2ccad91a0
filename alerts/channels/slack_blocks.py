"""A message as Slack's Block Kit. Pure.

Everything that is data stands in texts of the type ``plain_text``, in which Slack reads no markup and no mention. Only Floorwatch's own
links are ``mrkdwn``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from alerts.channels.message import message_of
from alerts.escape import CHAT
from alerts.message.model import Link, Message
from alerts.message.texts import title_of
from alerts.outgoing import NotedIncident, Notification

MOST_HEADER, MOST_SECTION, MOST_CONTEXT = 150, 2_900, 1_900
"""Characters, of which Slack takes 150, 3,000 and 2,000."""

ACTIONS = "floorwatch:"
"""What the id of each of Floorwatch's buttons begins with; behind it stands what it does."""

SILENCE_MS = 3_600_000
"""How long the button silences."""

_MOST_VALUE = 2_000
"""Characters of what a button carries."""

_DONE_BY_BUTTON = frozenset(("ack", "silence", "useful", "not_useful"))


def body_of(message: Message, buttons: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return the message as blocks; ``text`` is what a notification on a phone shows.

    Args:
        message: What to tell.
        buttons: Made by :func:`buttons_of`. What they do needs neither link nor command.
    """
    done = _DONE_BY_BUTTON if buttons else frozenset[str]()
    title = CHAT.text(title_of(message))
    blocks: list[dict[str, Any]] = [{"type": "header", "text": plain(title, MOST_HEADER)}]
    lines = "\n".join(CHAT.text(line) for line in message.lines)
    if lines.strip():
        blocks.append({"type": "section", "text": plain(lines, MOST_SECTION)})
    links = _links([link for link in message.links if link.does not in done])
    if links:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": links, "verbatim": True}})
    if buttons:
        blocks.append({"type": "actions", "block_id": f"{ACTIONS}buttons", "elements": list(buttons)})
    small = [CHAT.text(f"{one.label}: {one.text}") for one in message.commands if one.does not in done]
    small += [CHAT.text(line) for line in message.details[-1:]]
    if small:
        elements = [plain("\n".join(small), MOST_CONTEXT)]
        blocks.append({"type": "context", "elements": elements})
    # Slack fetches no page: a link that acts must not be opened by a program.
    return {"text": escaped(title), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def buttons_of(note: Notification, channel: str) -> list[dict[str, Any]]:
    """Return the buttons of a notification: each acts on every incident that it names.

    Args:
        note: What is told; one without an incident, such as a test, has none.
        channel: Name of the channel it is told on.
    """
    told = note.members or (NotedIncident(note.step, note.incident),)
    keys = [str(one.incident["key"]) for one in told if one.incident.get("key")]
    live = [str(one.incident["key"]) for one in told if one.incident.get("key") and _live(one)]
    every = f" all {len(live)}" if len(live) > 1 else ""
    wanted = [
        ("ack", f"Acknowledge{every}", live),
        ("silence", f"Silence{every} 1 h", live),
        ("useful", "Useful", keys),
        ("not_useful", "Not useful", keys),
    ]
    return [_button(what, label, some, note.id, channel) for what, label, some in wanted if some]


def keys_of(note: Notification) -> tuple[str, ...]:
    """Return the keys of the incidents that a notification names."""
    told = note.members or (NotedIncident(note.step, note.incident),)
    return tuple(sorted({str(one.incident["key"]) for one in told if one.incident.get("key")}))


def names_all(note: Notification) -> bool:
    """Tell whether a notification names every incident that it tells of."""
    return not note.counts or sum(note.counts.values()) <= len(note.members)


def told_as(note: Notification, channel: str, *, buttons: bool) -> dict[str, Any]:
    """Return a notification as the body of a message."""
    return body_of(message_of(note), buttons_of(note, channel) if buttons else ())


def escaped(text: str) -> str:
    """Return text of which Slack's markup shows every character as it is.

    Example:
        >>> escaped("a < b & c")
        'a &lt; b &amp; c'
    """
    for mark in "*_~`":
        text = text.replace(mark, f"\N{ZERO WIDTH SPACE}{mark}\N{ZERO WIDTH SPACE}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str, most: int) -> dict[str, Any]:
    """Return text in which Slack reads no markup, cut to ``most`` UTF-16 units, which is what Slack counts."""
    return {"type": "plain_text", "text": _cut(text, most), "emoji": False}


def said_blocks(
    blocks: Sequence[dict[str, Any]], what: str, line: str, without: Collection[str]
) -> list[dict[str, Any]]:
    """Return the blocks of a message with a line of what somebody did, in place of the last line of that kind.

    Args:
        blocks: Those of the message.
        what: What was done; one line of each kind is shown.
        line: The line, as data.
        without: What buttons do that are taken away.
    """
    own = f"{ACTIONS}said:{what}"
    kept: list[dict[str, Any]] = []
    for block in blocks:
        if block.get("block_id") == own:
            continue
        if block.get("type") == "actions":
            held = block.get("elements") or ()
            left = [one for one in held if str(one.get("action_id", "")).removeprefix(ACTIONS) not in without]
            if not left:
                continue
            kept.append({**block, "elements": left})
            continue
        kept.append(block)
    return [*kept, {"type": "context", "block_id": own, "elements": [plain(CHAT.text(line), MOST_CONTEXT)]}]


def _live(one: NotedIncident) -> bool:
    return one.incident.get("state") != "resolved" and not one.step.startswith("resolved")


def _button(what: str, label: str, keys: Sequence[str], notice: str, channel: str) -> dict[str, Any]:
    kept = list(keys)
    while len(value := msgspec.json.encode([notice, channel, kept]).decode()) > _MOST_VALUE and len(kept) > 1:
        kept.pop()
    button = {"type": "button", "action_id": ACTIONS + what, "text": plain(label, 75), "value": value}
    return {**button, "style": "primary"} if what == "ack" else button


def _cut(text: str, most: int) -> str:
    if len(text.encode("utf-16-le", "replace")) // 2 <= most:
        return text or " "
    kept = text.encode("utf-16-le", "replace")[: 2 * (most - 1)].decode("utf-16-le", "ignore")
    return f"{kept}…"


def _links(links: Sequence[Link]) -> str:
    """Return links in one line, as many as a section holds whole."""
    text = ""
    for link in links:
        url = link.url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
        longer = f"{text}{'  ·  ' if text else ''}<{url}|{escaped(link.label)}>"
        if len(longer) > MOST_SECTION:
            break
        text = longer
    return text
