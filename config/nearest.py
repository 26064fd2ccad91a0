"""The nearest known name, for hints."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
