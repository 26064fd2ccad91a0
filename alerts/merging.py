"""Merged incidents: which one speaks for another, and that their ends are told together. Pure.

A merged incident tells nobody while the other is live, and its end is told with that of the other. Where the other ends first, it
speaks for itself again, so nothing that still goes on is silent because of something that is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import structs

from alerts.dues import Due
from alerts.incident import Incident
from alerts.notice import Target


def merge_fault(incident: Incident, target: str, find: Callable[[str], Incident | None]) -> str:
    """Return why an incident cannot be merged into another; empty if it can.

    Args:
        incident: What is to be merged.
        target: Key of the other.
        find: From a key to its incident.
    """
    other = find(target)
    if not incident.live:
        return "it is over"
    if other is None:
        return f"there is no incident {target}"
    if not other.live:
        return f"{target} is over"
    if any(one.key == incident.key for one in _chain(other, find)):
        return f"{target} is merged into it already, so that they would go round in a circle"
    return ""


def speaker(incident: Incident, find: Callable[[str], Incident | None]) -> Incident | None:
    """Return the live incident that speaks for a merged one: the last one on its way; None where it speaks for itself."""
    return next((one for one in reversed([*_chain(incident, find)][1:]) if one.live), None)


def _chain(incident: Incident, find: Callable[[str], Incident | None]) -> Iterator[Incident]:
    """Yield an incident, the one it is merged into, and so on; each once."""
    one: Incident | None = incident
    seen: set[str] = set()
    while one is not None and one.key not in seen:
        seen.add(one.key)
        yield one
        one = None if one.merged_into is None else find(one.merged_into)


def ends_together(found: Iterable[Due]) -> list[Due]:
    """Return what is due, with the ends of merged incidents in the message of the other's, for those who get that."""
    every = list(found)
    ends = {(due.incident.key, one.receiver): due for due in every if due.kind == "end" for one in due.targets}
    return [part for due in every for part in _with_other(due, ends)]


def _with_other(due: Due, ends: Mapping[tuple[str, str], Due]) -> list[Due]:
    into = due.incident.merged_into
    if due.kind != "end" or into is None:
        return [due]
    own: list[Target] = []
    parts: list[Due] = []
    for one in due.targets:
        other = ends.get((into, one.receiver))
        if other is None:
            own.append(one)
        else:
            together = structs.replace(due, group=other.group, route=other.route, hold=other.hold, targets=(one,))
            parts.append(together)
    return [*parts, *([structs.replace(due, targets=tuple(own))] if own else [])]
