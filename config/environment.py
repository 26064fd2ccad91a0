"""Overrides and secrets from outside the file.

``FLOORWATCH_KAFKA__BROKERS=a:9092,b:9092`` sets ``kafka.brokers``: two underscores step into a section. A name without
two underscores is never an override, because container platforms inject their own (``FLOORWATCH_SERVICE_HOST``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from config import introspect
from config.files import FileFault, read_secret
from config.nodes import Path

PREFIX = "FLOORWATCH_"
NOT_READ = "(not read by this process)"
"""Stands for a secret whose file this process has no use for; it is never sent anywhere."""


@dataclass
class Overlay:
    """What the environment and secret files brought in.

    Attributes:
        origins: The variable that set the value at a path.
        faults: (path, variable or None, reason, hint) of what could not be brought in.
    """

    origins: dict[Path, str] = field(default_factory=dict)
    faults: list[tuple[Path, str | None, str, str]] = field(default_factory=list)

    def origin_of(self, path: Path) -> str | None:
        """Return the variable that set the value at a path or around it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.origins:
                return self.origins[path[:end]]
        return None

    def origin_below(self, path: Path) -> str | None:
        """Return a variable that set a value below a path."""
        return next((variable for place, variable in self.origins.items() if place[: len(path)] == path), None)


def apply_environment(data: dict[str, Any], model: type[BaseModel], env: Mapping[str, str]) -> Overlay:
    """Write every ``FLOORWATCH_…__…`` variable into the data, in place.

    Args:
        data: The file's data.
        model: Type of the whole configuration.
        env: The environment. An empty value counts as not set (compose files pass ``${X:-}``).

    Returns:
        Which variable set what, and which could not be placed.
    """
    overlay = Overlay()
    for variable in sorted(env):
        if not variable.startswith(PREFIX) or "__" not in variable or not env[variable]:
            continue
        segments = variable[len(PREFIX) :].split("__")
        if not all(segments):
            overlay.faults.append(((), variable, "a part of the name is empty", "write FLOORWATCH_SECTION__SETTING"))
            continue
        _place(data, model, segments, _Variable(variable, env[variable]), overlay)
    return overlay


class _Variable(NamedTuple):
    name: str
    text: str


def _place(
    data: dict[str, Any], model: type[BaseModel], segments: list[str], variable: _Variable, overlay: Overlay
) -> None:
    target: Any = data
    kinds: list[Any] = [model]
    default: Any = model.model_construct()
    path: Path = ()
    for depth, segment in enumerate(segments):
        key = _key(target, kinds, segment, default)
        if key is None:
            hint = f"write an index from 0 to {len(target)}"
            overlay.faults.append((path, variable.name, f"{segment} is not an entry of a list", hint))
            return
        path = (*path, key)
        kinds = introspect.inside(kinds, key, target)
        default = _below(default, key)
        if depth == len(segments) - 1:
            _set(target, key, _value(variable, kinds, path, overlay))
            overlay.origins[path] = variable.name
            return
        target = _step(target, key, kinds, default)
        if target is None:
            reason = f"{'.'.join(map(str, path))} is one value, not a group of settings"
            overlay.faults.append((path, variable.name, reason, "use fewer __ parts"))
            return


def _key(target: Any, kinds: list[Any], segment: str, default: Any) -> str | int | None:
    if isinstance(target, list):
        return int(segment) if segment.isdigit() and int(segment) <= len(target) else None
    known = introspect.known_keys(kinds, target)
    if not known:
        # A mapping with free names: keep the case of an entry that is already there (KUL), else what was written.
        known = [*target, *(default if isinstance(default, dict) else ())]
    folded = {name.casefold(): name for name in known}
    return folded.get(segment.casefold(), segment.lower() if introspect.known_keys(kinds, target) else segment)


def _below(default: Any, key: str | int) -> Any:
    if isinstance(default, dict):
        return default.get(key)
    return getattr(default, str(key), None)


def _step(target: Any, key: str | int, kinds: list[Any], default: Any) -> Any:
    """Return the container at a key, made of the default where the file has none."""
    present = target.get(key) if isinstance(target, dict) else (target[key] if int(key) < len(target) else None)
    if present is None:
        free = isinstance(default, dict | list | tuple)
        present = to_jsonable_python(default) if free else {}
        if not free and kinds and not any(introspect.is_model(kind) or introspect.is_dict(kind) for kind in kinds):
            return None
        _set(target, key, present)
    return present if isinstance(present, dict | list) else None


def _set(target: Any, key: str | int, value: Any) -> None:
    if isinstance(target, list) and key == len(target):
        target.append(value)
    else:
        target[key] = value


def _value(variable: _Variable, kinds: list[Any], path: Path, overlay: Overlay) -> Any:
    """Return a variable's text as data: JSON for groups, JSON or commas for lists, else the text itself."""
    text = variable.text
    lists = any(introspect.is_list(kind) for kind in kinds)
    groups = any(introspect.is_model(kind) or introspect.is_dict(kind) for kind in kinds)
    if (lists and text.lstrip().startswith("[")) or (groups and text.lstrip().startswith("{")):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            what = f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
            said = f"not JSON: {what or 'nested too deeply, or a number too long'}"
            overlay.faults.append((path, variable.name, said, "write JSON, or values with commas"))
            return None
    if lists:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def apply_secret_files(
    data: dict[str, Any],
    model: type[BaseModel],
    overlay: Overlay,
    base: FilePath,
    unread: Sequence[Path] = (),
) -> None:
    """Read each ``X_file`` whose neighbour ``X`` is a secret and put its content at ``X``, in place.

    Args:
        data: The configuration's data.
        model: Type of the whole configuration.
        overlay: Where values came from; receives the faults.
        base: Folder for relative paths given in the file.
        unread: Settings below which no file is opened; such a secret is left out where it may be, else it is empty.
    """
    for path, value, kinds in list(introspect.walk(data, [model])):
        if not isinstance(value, dict):
            continue
        for name in introspect.known_keys(kinds, value):
            file_key = f"{name}_file"
            if value.get(file_key) and introspect.is_secret(introspect.inside(kinds, name, value)):
                closed = any(path[: len(place)] == place for place in unread)
                _read_into(value, name, path, overlay, None if closed else base, needed=_needed(kinds, value, name))
                if file_key not in introspect.known_keys(kinds, value):
                    # Models of other packages know the secret only, not where it came from.
                    value.pop(file_key, None)


def _needed(kinds: list[Any], data: Any, name: str) -> bool:
    """Return whether a setting has no default: what holds it cannot be without it."""
    models = [kind for kind in introspect.narrowed(kinds, data) if introspect.is_model(kind)]
    return any(field.is_required() for kind in models if (field := introspect.fields_of(kind).get(name)) is not None)


def _read_into(
    section: dict[str, Any], name: str, path: Path, overlay: Overlay, base: FilePath | None, *, needed: bool
) -> None:
    file_path = (*path, f"{name}_file")
    by_file, by_value = overlay.origins.get(file_path), overlay.origins.get((*path, name))
    if section.get(name) is not None:
        if by_value and not by_file:
            section.pop(f"{name}_file")
            return
        if bool(by_value) == bool(by_file):
            overlay.faults.append((file_path, by_file, f"both {name} and {name}_file are given", "keep one of the two"))
            return
    if base is None:
        if needed:
            section[name] = NOT_READ
        return
    where = FilePath(str(section[f"{name}_file"])).expanduser()
    if not where.is_absolute() and not by_file:
        where = base / where
        section[f"{name}_file"] = str(where)  # whoever reads it again starts from another folder
    try:
        text = read_secret(where)
    except FileFault as fault:
        text = ""
        overlay.faults.append((file_path, by_file, f"{where} {fault.reason}", fault.hint))
    # Also after a fault, so that the section does not complain of a missing secret on top.
    section[name] = text
