"""A message for one reader, before it is written for a kind of receiver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from streams.core.formatting import UTC_ZONE

MOST_TITLE, MOST_LINES = 120, 6
"""Characters of a title, and lines of a message."""

MOST_BEFORE = 80
"""Characters of a title that a phone shows: scope, number and target are among them."""

LinkKind = Literal[
    "board", "tasks", "ack", "silence", "useful", "not_useful", "comment", "escalate", "runbook", "details"
]


class Link(Struct, frozen=True):
    """Where a reader may go: ``label`` is what stands on it, ``does`` what it is for. ``url`` names a host."""

    label: str
    url: str
    does: LinkKind


class Command(Struct, frozen=True):
    """What a reader can type where there is no link for it. ``label`` and ``does`` are as those of a link."""

    label: str
    text: str
    does: LinkKind


class Message(Struct, frozen=True):
    """What one reader is told. Texts are plain; whoever writes for a receiver escapes them.

    Attributes:
        title: One line, at most ``MOST_TITLE`` characters; its first ``MOST_BEFORE`` say what, where and the number.
        lines: At most ``MOST_LINES`` short lines.
        details: Further lines, for channels with room and for the page of details.
        links: In the order in which they are shown.
        severity: ``page``, ``warn`` or ``info``.
        state: Of the incidents it tells of.
        members: Each incident that is named, in words.
        more: How many incidents are not named.
        repeat: It may have been received before.
        commands: What can be typed, in the order in which they are shown.
        short_link: Where it is taken, in as few characters as can be, for messages of 160 characters; empty: nowhere.
    """

    title: str
    lines: tuple[str, ...]
    details: tuple[str, ...]
    links: tuple[Link, ...]
    severity: str
    state: Literal["open", "acknowledged", "resolved"]
    members: tuple[str, ...] = ()
    more: int = 0
    repeat: bool = False
    commands: tuple[Command, ...] = ()
    short_link: str = ""


class Reader(Struct, frozen=True):
    """For whom a message is composed.

    Attributes:
        zone: IANA name of the zone in which times are shown.
        link: From (purpose, incident key, notice id) to a signed URL; None: no links that act.
        place: What the reader calls the zone, such as the name of the site: ``KUL``; empty: its offset is shown.
    """

    zone: str = UTC_ZONE
    link: Callable[[str, str, str], str] | None = None
    place: str = ""
