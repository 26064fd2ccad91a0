"""The nearest known name, for hints."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 20
"""Known names that a message lists; of more it says how many there are."""


def nearest(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return ``did you mean X?`` for the closest known name, else the other text.

    Args:
        name: What was written.
        known: What could have been meant.
        otherwise: Said when nothing is close; None lists the known names.
    """
    names = sorted(known)
    folded = {candidate.casefold(): candidate for candidate in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean {folded[close[0]]}?"
    if otherwise is not None:
        return otherwise
    return f"known here: {', '.join(names)}" if names else "remove it"


def choices(name: str, known: Iterable[str]) -> str:
    """Return what could have been meant by a name that is not on a list, and the list.

    Args:
        name: What was written.
        known: The names there are, in the order to show them.

    Example:
        >>> choices("vender", ["queue", "vendor"])
        'did you mean vendor? Use one of queue, vendor'
        >>> choices("x", ["queue", "vendor"])
        'use one of queue, vendor'
    """
    names = list(known)
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    if not names:
        return "there is none yet"
    listed = f"se one of {', '.join(names[:_SHOWN])}{more}"
    meant = nearest(name, names, "")
    return f"{meant} U{listed}" if meant else f"u{listed}"
