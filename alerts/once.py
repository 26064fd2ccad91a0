"""What people did and planned counts once, however often the log has it. Pure.

The shipper of the embedded stack brings its journal to each new broker from the beginning, and after a crash some of it twice. So
the stage keeps by a digest of its content what has counted, beside the incidents that it has moved (ADR 58).
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec
from msgspec import Struct

from alerts.codec import encode_input
from alerts.incident import Ack, Act, Calendar, Maintenance, Override, Silence
from streams.models import formats
from streams.models.timestamps import DAY_MS

Deed = Ack | Silence | Act | Override | Maintenance | Calendar
"""What comes from people, or from a calendar of theirs."""

KEPT_MS = 40 * DAY_MS
"""How long it is known that something has counted; the journal is kept a day longer than the correction horizon."""


class CountedDeed(Struct, frozen=True):
    """That something has counted.

    Attributes:
        offset: Of its record; -1: before all that is folded again.
        at_ms: Wall time at which it was done.
    """

    offset: int
    at_ms: int


_counted: msgspec.json.Decoder[CountedDeed] = msgspec.json.Decoder(CountedDeed)


class Once:
    """What has counted, as of the records that were folded."""

    def __init__(self) -> None:
        """Begin empty."""
        self._known: dict[str, CountedDeed] = {}
        self._begun = False

    def take(self, name: str, value: bytes, *, own: bool = True) -> None:
        """Take what was read from notices.v1, before anything is folded.

        Args:
            name: Digest of what has counted.
            value: As ``encoded`` writes it.
            own: It was written for the partition that is folded; else its offset means nothing here.

        Raises:
            msgspec.DecodeError: It cannot be read.
            NewerFormat: A newer version of Floorwatch wrote it.
        """
        formats.check_json(formats.NOTICE, value)
        found = _counted.decode(value)
        self._known[name] = found if own else CountedDeed(-1, found.at_ms)

    def reach(self, offset: int) -> None:
        """Go on from a record: if it is the first one, what counted at or behind it is folded again."""
        if not self._begun:
            self._begun = True
            self._known = {name: one for name, one in self._known.items() if one.offset < offset}

    def note(self, deed: Deed, offset: int) -> str | None:
        """Note that something counts; return its digest. None where it has counted by an earlier record."""
        name = digest(deed)
        if name in self._known:
            return None
        self._known[name] = CountedDeed(offset, deed.at_ms)
        return name

    def forget(self, now_ms: int) -> list[str]:
        """Forget what was done long ago; return the digests.

        Args:
            now_ms: Wall time of a tick of the log.
        """
        gone = [name for name, one in self._known.items() if one.at_ms < now_ms - KEPT_MS]
        for name in gone:
            del self._known[name]
        return gone

    def encoded(self, name: str) -> bytes:
        """Return what is known of a digest, as JSON bytes for topic notices.v1."""
        return formats.stamped_json(formats.NOTICE, msgspec.json.encode(self._known[name]))


def digest(deed: Deed) -> str:
    """Return 32 hex digits that stand for all that a record says (blake2b-128)."""
    return blake2b(encode_input(deed), digest_size=16).hexdigest()
