"""What is told late, because maintenance held it: why its receivers are told says so, from when to when. Pure."""

from __future__ import annotations

from msgspec import structs

from alerts.dues import WAS_HELD, Due, Scene
from alerts.incident import Hold, Incident
from streams.core.formatting import instant


def with_hold(scene: Scene, due: Due, now_ms: int) -> Due:
    """Return a due step whose targets know by which maintenance it was held until now, and from when to when."""
    said = {name: words for name in _held(due.incident) if (words := held_words(scene, due.incident, name, now_ms))}
    if not said:
        return due
    found = (
        structs.replace(one, why=f"{one.why}, {said[one.receiver]}") if one.receiver in said else one
        for one in due.targets
    )
    return structs.replace(due, targets=tuple(found))


def held_words(scene: Scene, incident: Incident, receiver: str, now_ms: int) -> str:
    """Return by which maintenance a receiver was not told of an incident until now, and from when to when; empty where none was.

    Where something else has held it since, such as the wait for the next message of its group, the words of then are kept.
    """
    hold = _held(incident).get(receiver)
    if hold is None:
        return ""
    return _words(scene, hold, now_ms) if hold.why == "maintenance" else hold.after


def _held(incident: Incident) -> dict[str, Hold]:
    return {name: hold for hold in incident.held for name in hold.receivers}


def _words(scene: Scene, hold: Hold, now_ms: int) -> str:
    windows = {one.name: one.from_ms for one in scene.policy.maintenance}
    windows |= {name: planned.from_ms for name, planned in scene.facts.maintenance.items()}
    from_ms, to_ms = windows.get(hold.by), now_ms if hold.until_ms is None else min(hold.until_ms, now_ms)
    begin = "" if from_ms is None else f" from {instant(from_ms)}"
    return f"{WAS_HELD}{hold.by}{begin} to {instant(to_ms)}"
