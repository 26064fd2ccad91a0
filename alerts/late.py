"""What is told late, because maintenance held it: why its receivers are told says so, from when to when. Pure."""

from __future__ import annotations

from msgspec import structs

from alerts.dues import WAS_HELD, Due, Scene
from alerts.incident import Hold
from streams.core.formatting import instant


def with_hold(scene: Scene, due: Due, now_ms: int) -> Due:
    """Return a due step whose targets know by which maintenance it was held until now, and from when to when."""
    held = {name: hold for hold in due.incident.held if hold.why == "maintenance" for name in hold.receivers}
    if not held:
        return due
    said = {name: _held_words(scene, hold, now_ms) for name, hold in held.items()}
    found = (
        structs.replace(one, why=f"{one.why}, {said[one.receiver]}") if one.receiver in said else one
        for one in due.targets
    )
    return structs.replace(due, targets=tuple(found))


def _held_words(scene: Scene, hold: Hold, now_ms: int) -> str:
    windows = {one.name: one.from_ms for one in scene.policy.maintenance}
    windows |= {name: planned.from_ms for name, planned in scene.facts.maintenance.items()}
    from_ms, to_ms = windows.get(hold.by), now_ms if hold.until_ms is None else min(hold.until_ms, now_ms)
    begin = "" if from_ms is None else f" from {instant(from_ms)}"
    return f"{WAS_HELD}{hold.by}{begin} to {instant(to_ms)}"
