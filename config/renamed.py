"""Settings that have a new name, or are no more: the old one is taken or left out, with a warning that says what to write.

To rename a setting, give the field its new name and add a line to ``RENAMED``. A whole section may be renamed as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.nodes import Document, Path

DROPPED: dict[str, str] = {
    "targets.critical_accuracy_ratio": "No number was ever held against it: write target in the alert rules of kind critical_errors",
    "targets.attainment_ratio": "No number was ever held against it: write target in the alert rules of kind sla_attainment",
}
"""Settings of earlier releases that are no more, dotted from the top, and what to write instead. They are left out, with a warning."""

ANY = "*"
"""Stands for a name that the configuration chooses, such as a gateway source."""

RENAMED: dict[str, str] = {}
"""Old name to new, dotted from the top. A part ``*`` stands at the same place in both: ``gateway.sources.*.old``."""


def drop_settings(document: Document, env: Mapping[str, str], prefix: str) -> tuple[dict[str, str], list[str]]:
    """Take settings that are no more out of a file and an environment; return what is left of this, and the warnings.

    Args:
        document: The file, changed in place.
        env: The environment.
        prefix: What Floorwatch's variables begin with.
    """
    left, said = dict(env), []
    for old, instead in DROPPED.items():
        for path in list(_matching(document.data, tuple(old.split(".")), ())):
            place = document.keys.get(path)
            _pop(document.data, path)
            line = "" if place is None else f"line {place.line + 1}: "
            said.append(f"{line}{old} is no setting any more. {instead}, and remove it here")
        for variable in sorted(env):
            if variable.startswith(prefix) and variable[len(prefix) :].lower().split("__") == old.split("."):
                del left[variable]
                said.append(f"{variable} is no setting any more. {instead}, and remove the variable")
    return left, said


@dataclass
class Renames:
    """What was found under an old name.

    Attributes:
        said: Warnings, as sentences, in the order found.
        faults: (path of the old setting, reason, hint) where both names are given.
    """

    said: list[str] = field(default_factory=list)
    faults: list[tuple[Path, str, str]] = field(default_factory=list)


def rename_settings(document: Document, renamed: Mapping[str, str]) -> Renames:
    """Move each setting of a file that has an old name to its new one, with its place in the file.

    Args:
        document: The file, changed in place.
        renamed: Old name to new, as ``RENAMED``.
    """
    found = Renames()
    for old, new in renamed.items():
        for path in list(_matching(document.data, tuple(old.split(".")), ())):
            target = _target(path, tuple(new.split(".")))
            place = document.keys.get(path)
            line = "" if place is None else f"line {place.line + 1}: "
            if _held(document.data, target):
                hint = f"keep {_dotted(target)} alone"
                found.faults.append((path, f"is the old name of {_dotted(target)}, and both are given", hint))
                _pop(document.data, path)
            elif _move(document, path, target):
                found.said.append(line + _sentence(_dotted(path), _dotted(target)))
    return found


def rename_variables(
    env: Mapping[str, str], renamed: Mapping[str, str], prefix: str
) -> tuple[dict[str, str], list[str]]:
    """Return an environment in which variables of old names have their new ones, and the warnings.

    A variable of the new name wins over one of the old name.

    Args:
        env: The environment.
        renamed: Old name to new, as ``RENAMED``.
        prefix: What Floorwatch's variables begin with.
    """
    found, said = dict(env), []
    for variable in sorted(env):
        if not variable.startswith(prefix) or "__" not in variable or not env[variable]:
            continue
        parts = tuple(variable[len(prefix) :].lower().split("__"))
        for old, new in renamed.items():
            if not _matches(parts, tuple(old.split("."))):
                continue
            given = variable[len(prefix) :].split("__")
            target = prefix + "__".join(str(part) for part in _target(tuple(given), tuple(new.upper().split("."))))
            value = found.pop(variable)
            if not found.get(target):
                found[target] = value
            said.append(_sentence(variable, target))
            break
    return found, said


def _sentence(old: str, new: str) -> str:
    return f"{old} is now called {new}. It is taken as that; write the new name, for a later release will not know the old one"


def _matches(path: Path, old: Path) -> bool:
    """Tell whether a path is, or lies below, a setting of an old name."""
    return len(path) >= len(old) and all(part in (ANY, given) for part, given in zip(old, path, strict=False))


def _matching(data: Any, old: Path, at: Path) -> Iterator[Path]:
    """Yield the path of each setting that has an old name."""
    if not old:
        yield at
    elif isinstance(data, dict):
        names = list(data) if old[0] == ANY else [old[0]] if old[0] in data else []
        for name in names:
            yield from _matching(data[name], old[1:], (*at, name))


def _target(path: Path, new: Path) -> Path:
    """Return where a setting belongs: ``*`` takes the part at its place, and what lies below goes along."""
    return tuple(path[at] if part == ANY else part for at, part in enumerate(new)) + path[len(new) :]


def _held(data: Any, path: Path) -> bool:
    for part in path:
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True


def _pop(data: Any, path: Path) -> Any:
    for part in path[:-1]:
        data = data[part]
    return data.pop(path[-1])


def _move(document: Document, path: Path, target: Path) -> bool:
    """Move a setting and the places of all that is below it; False where something else stands in the way."""
    into = document.data
    for part in target[:-1]:
        into = into.setdefault(part, {})
        if not isinstance(into, dict):
            return False  # validation tells that a group is wanted there
    into[target[-1]] = _pop(document.data, path)
    for places in (document.keys, document.values):
        for place in [place for place in places if place[: len(path)] == path]:
            places[(*target, *place[len(path) :])] = places.pop(place)
    return True


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))
