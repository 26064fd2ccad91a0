"""Which state of each incident a receiver has, so that an older message that comes late does not undo a newer one.

Messages of one incident may overtake each other: the first is tried again after a failure, while the end has arrived.
A receiver that opens and closes alerts would then open the alert once more.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any

from alerts.outgoing import Notification

log = logging.getLogger(__name__)

MOST_KEPT = 10_000
"""Incidents that are remembered; the one that was heard of least lately is forgotten first."""


class Latest:
    """The newest state of each incident that one channel has delivered since it was built."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._states: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def passed(self, note: Notification, channel: str) -> bool:
        """Tell whether the receiver has a newer state of the incident already, so that this one must not be sent."""
        known = self._states.get(str(note.incident.get("key")))
        if known is None or not is_older(note.incident, known):
            return False
        log.info("notification %s is not sent on channel %s: its receiver has a newer state", note.id, channel)
        return True

    def delivered(self, note: Notification) -> None:
        """Remember that the receiver has this state."""
        key = note.incident.get("key")
        known = self._states.get(str(key))
        if key is None or (known is not None and is_older(note.incident, known)):
            return
        self._states[str(key)] = state_of(note)
        self._states.move_to_end(str(key))
        while len(self._states) > self._most:
            self._states.popitem(last=False)


def state_of(note: Notification) -> dict[str, Any]:
    """Return by what states of an incident are compared."""
    return {name: note.incident.get(name) for name in ("stamp", "updated_at")}


def is_older(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Compare states: by the place on the log; where that is not known, by the time of the state, which is RFC 3339 in UTC."""
    mine, theirs = one.get("stamp"), other.get("stamp")
    if mine and theirs and mine.get("partition") == theirs.get("partition"):
        return bool(mine.get("offset", 0) < theirs.get("offset", 0))
    return str(one.get("updated_at") or "") < str(other.get("updated_at") or "")
