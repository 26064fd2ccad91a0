"""A message for one reader, before it is written for a kind of receiver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from streams.core.formatting import UTC_ZONE

MOST_TITLE, MOST_LINES = 120, 6
"""Characters of a title, and lines of a message."""

LinkKind = Literal[
    "board", "tasks", "ack", "silence", "useful", "not_useful", "comment", "escalate", "runbook", "details"
]


class Link(Struct, frozen=True):
    """Where a reader may go: ``label`` is what stands on it, ``does`` what it is for. ``url`` names a host."""

    label: str
    url: str
    does: LinkKind


class Message(Struct, frozen=True):
    """What one reader is told. Texts are plain; whoever writes for a receiver escapes them.

    Attributes:
        title: One line, at most ``MOST_TITLE`` characters; its first 80 say what, where and the number.
        lines: At most ``MOST_LINES`` short lines.
        details: Further lines, for channels with room and for the page of details.
        links: In the order in which they are shown.
        severity: ``page``, ``warn`` or ``info``.
        state: Of the incidents it tells of.
        members: Each incident that is named, in words.
        more: How many incidents are not named.
        repeat: It may have been received before.
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


class Reader(Struct, frozen=True):
    """For whom a message is composed.

    Attributes:
        zone: IANA name of the zone in which times are shown.
        link: From (purpose, incident key, notice id) to a signed URL; None: no links that act.
    """

    zone: str = UTC_ZONE
    link: Callable[[str, str, str], str] | None = None
