"""Up to when the rules were evaluated and when they are evaluated next, to explain why there is no alert yet. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from streams.core.formatting import instant
from streams.models import formats

LOOKS = "rules-looked"
"""Name under which the read model keeps the last look."""


class Look(Struct, frozen=True):
    """One evaluation of the rules.

    Attributes:
        upto_ms: Event time in ms up to where they looked.
        next_ms: Event time in ms from where on they look again.
        at_ms: Wall time in ms at which they looked; 0 where a version before 1.1 wrote it.
    """

    upto_ms: int
    next_ms: int
    at_ms: int = 0


def encode_look(look: Look) -> bytes:
    """Return a look as JSON."""
    return msgspec.json.encode(look)


def decode_look(value: bytes) -> Look | None:
    """Return the look, None where another version wrote it."""
    try:
        formats.check_json(formats.LOOK, value)
        return msgspec.json.decode(value, type=Look)
    except (msgspec.DecodeError, formats.NewerFormat):
        return None


def look_words(look: Look | None) -> str:
    """Return ``Rules have looked at events up to 10:42:07 UTC; next look when event time passes 10:43 UTC, …``."""
    if look is None:
        return "Rules have not looked yet: no events have been counted, or no worker runs."
    return (
        f"Rules have looked at events up to {instant(look.upto_ms, seconds=True)}; next look when event time passes "
        f"{instant(look.next_ms)}, or when no events come for engine.idle_timeout_s."
    )
