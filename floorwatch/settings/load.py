"""Loads the configuration: file, environment, secret files; every fault at once, with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from config import introspect, renamed
from config.base import MANY, SettingsFault
from config.environment import PREFIX, Overlay, apply_environment, apply_secret_files
from config.errors import ConfigError, ConfigErrors
from config.fault_text import reason_and_hint
from config.files import FileFault, read_bytes
from config.masking import Mask, display, masks_of
from config.nodes import Document, Path, SourceSpan, read_yaml
from floorwatch.settings.hidden_faults import MAX_LOOKS, PrunedData
from floorwatch.settings.review import gateway_faults
from floorwatch.settings.schema import FloorwatchConfig

MAX_FILE_BYTES = 1024 * 1024
"""A configuration of 10,000 labelers has some 600 KiB; YAML of 1 MiB is parsed in some seconds."""

MAX_FAULTS = 200
"""Faults shown of each kind: each quotes a line, and a file of another kind has one in each."""

Process = Literal["all", "worker", "gateway", "web", "reader"]
"""Who loads: the files of secrets that it has no use for are not opened (:data:`UNREAD`). ``reader``: a command that reads
tables. ``all``: every file is read, as by ``config check`` and ``doctor``."""

UNREAD: Mapping[Process, tuple[Path, ...]] = {
    "all": (),
    "worker": (("gateway", "sources"),),
    "gateway": (("alerts", "channels"), ("web",)),
    "web": (("gateway", "sources"), ("alerts", "channels")),
    "reader": (("gateway", "sources"), ("alerts", "channels"), ("web",)),
}
"""Below which settings no process of a kind reads secrets: tokens of senders are the gateway's, channels are the workers',
keys of links those of workers and of the web pages."""

Channels = Literal["strict", "tolerated", "built"]
"""What is made of faulty alert channels. ``strict``: what is written must be right. ``tolerated``: a channel whose settings cannot be
read is set aside, for one of them must not stop a worker. ``built``: each is built besides, as at a worker's start."""


def load(
    path: FilePath | str | None, env: Mapping[str, str], *, channels: Channels = "strict", process: Process = "all"
) -> FloorwatchConfig:
    """Load and check a configuration.

    Args:
        path: The YAML file; None takes the defaults.
        env: The environment; ``FLOORWATCH_SECTION__SETTING`` overrides the file.
        channels: What is made of faulty alert channels.
        process: Who loads, which decides what files of secrets are read.

    Returns:
        A valid configuration, frozen.

    Raises:
        ConfigErrors: Every fault found, in the order of the file.
    """
    where = None if path is None else FilePath(path)
    base = where.parent if where else FilePath()
    return loads(_read(where), env, name=str(where or "defaults"), base=base, channels=channels, process=process)


def loads(
    text: str,
    env: Mapping[str, str],
    *,
    name: str,
    base: FilePath,
    channels: Channels = "strict",
    process: Process = "all",
) -> FloorwatchConfig:
    """Load and check a configuration given as text.

    Args:
        text: YAML.
        env: The environment.
        name: What to call the file in diagnostics.
        base: Folder for relative ``…_file`` paths.
        channels: What is made of faulty alert channels.
        process: Who loads, which decides what files of secrets are read.

    Raises:
        ConfigErrors: Every fault found.
    """
    document = read_yaml(text)
    renames = renamed.rename_settings(document, renamed.RENAMED)
    env, dropped = renamed.drop_settings(document, env, PREFIX)
    env, variables = renamed.rename_variables(env, renamed.RENAMED, PREFIX)
    data = document.data if isinstance(document.data, dict) else {}
    overlay = apply_environment(data, FloorwatchConfig, env)
    apply_secret_files(data, FloorwatchConfig, overlay, base, UNREAD[process])
    unread = document.data is None and bool(document.problems)
    masks = None if unread else masks_of(document, FloorwatchConfig)
    reporter = _Reporter(name, text.splitlines(), document, overlay, data, masks)
    errors = [_Placed((), reporter.at(p.span, p.reason, p.hint)) for p in document.problems[:MAX_FAULTS]]
    errors += reporter.further(len(document.problems))
    errors += [_Placed(path, reporter.fault(path, None, *fault, on_key=True)) for path, *fault in renames.faults]
    errors += [_Placed(path, reporter.fault(path, var, reason, hint)) for path, var, reason, hint in overlay.faults]
    if document.data is not None and not isinstance(document.data, dict):
        fault = reporter.at(SourceSpan(0, 0, 1), "the file must be a group of name: value lines", "e.g. kafka: …")
        errors.append(_Placed((), fault))
    config, invalid = (None, []) if unread else _validated(data, reporter)
    errors += invalid
    aside = _channels_at_fault(errors) if channels == "tolerated" else {}
    if aside:
        config, errors = _without(aside, data, reporter)
    if errors and not unread and channels != "tolerated":
        errors += _behind(data, errors, reporter, built=channels == "built")
    elif channels == "built" and config is not None:
        errors = reporter.all_between(_when_built(config))
    if errors or config is None:
        raise ConfigErrors(_in_order([placed.error for placed in errors]))
    config.set_renamed((*renames.said, *dropped, *variables))
    return config


class _Placed(NamedTuple):
    """A fault, the setting it is about, and the settings elsewhere that it depends on."""

    path: Path
    error: ConfigError
    reads: tuple[Path, ...] = ()


def _when_built(config: FloorwatchConfig) -> list[SettingsFault]:
    """Return what is found only by building what is configured: channels, the gateway's senders."""
    return [*config.alerts.delivery_faults(), *gateway_faults(config)]


def _behind(data: dict[str, Any], found: list[_Placed], reporter: _Reporter, *, built: bool) -> list[_Placed]:
    """Return the faults that those found hide, see ``floorwatch.settings.hidden_faults``."""
    pruned, more = PrunedData(data), list[_Placed]()
    paths = [placed.path for placed in found]
    for _ in range(MAX_LOOKS):
        # Of so many no more are shown: it is another file, or one mistake that is made everywhere.
        if len(found) + len(more) >= MAX_FAULTS or not pruned.take_out(paths):
            break
        looking = replace(reporter, data=pruned.data(), whole=pruned.place_in_whole)
        config, invalid = _validated(looking.data, looking)
        if config is not None and built:
            invalid = looking.all_between(_when_built(config))
        more += [placed for placed in invalid if not pruned.follows(placed.path, placed.reads)]
        if config is not None:
            break
        paths = [placed.path for placed in invalid]
    return more


def _validated(data: dict[str, Any], reporter: _Reporter) -> tuple[FloorwatchConfig | None, list[_Placed]]:
    try:
        return FloorwatchConfig.model_validate(data), []
    except ValidationError as error:
        found = error.errors(include_url=False)
        said = [one for each in found[:MAX_FAULTS] for one in reporter.invalid(each)]
        return None, said + reporter.further(len(found))


_CHANNELS = ("alerts", "channels")


def _channels_at_fault(errors: list[_Placed]) -> dict[str, str]:
    """Return the channels at fault with what is wrong; empty where something else is wrong, too."""
    if any(placed.path[:2] != _CHANNELS or len(placed.path) < 3 for placed in errors):
        return {}
    return {str(placed.path[2]): placed.error.reason for placed in reversed(errors)}


def _without(
    aside: dict[str, str], data: dict[str, Any], reporter: _Reporter
) -> tuple[FloorwatchConfig | None, list[_Placed]]:
    """Validate with a placeholder for each channel at fault, so that routes may still name it."""
    for name in aside:
        data["alerts"]["channels"][name] = {"type": "console"}
    config, errors = _validated(data, reporter)
    for name, reason in aside.items():
        if config is not None:
            config.alerts.set_aside(name, reason)
    return config, errors


def _in_order(errors: list[ConfigError]) -> list[ConfigError]:
    """Sort by place, keeping the first fault of each: what YAML could not read is also missing from its section."""
    kept: dict[tuple[str, int, int, str], ConfigError] = {}
    for error in errors:
        kept.setdefault((error.path, error.line, error.column, "" if error.line else error.reason), error)
    return sorted(kept.values(), key=lambda error: (error.line == 0, error.line, error.column))


def _read(where: FilePath | None) -> str:
    if where is None:
        return ""
    try:
        raw = read_bytes(where, MAX_FILE_BYTES)
    except FileFault as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        hint = "check the path; floorwatch config init writes a commented file" if missing else error.hint
        raise ConfigErrors([ConfigError(str(where), 0, 0, error.reason, hint)]) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        fault = ConfigError(str(where), line, column, "a byte here is not UTF-8", "save the file as UTF-8")
        raise ConfigErrors([fault]) from error


@dataclass
class _Reporter:
    """Places faults in the file or on the variable that brought them."""

    name: str
    lines: list[str]
    document: Document
    overlay: Overlay
    data: dict[str, Any]
    masks: list[Mask] | None
    whole: Callable[[Path], Path] = lambda path: path
    """From a place in ``data`` to that in the file, where ``data`` is a part of what the file has."""

    def at(self, span: SourceSpan, reason: str, hint: str | None) -> ConfigError:
        raw = self.lines[span.line] if span.line < len(self.lines) else ""
        source, caret, width = display(raw, span, self.masks)
        return ConfigError(
            self.name, span.line + 1, span.column + 1, reason, hint, source=source, caret=caret + 1, width=width
        )

    def further(self, count: int) -> list[_Placed]:
        """Return a line on those of ``count`` faults that are not shown, if there are any."""
        if count <= MAX_FAULTS:
            return []
        reason = f"{count - MAX_FAULTS:,} further faults are not shown"
        return [_Placed((), ConfigError(self.name, 0, 0, reason, "mend those above first; is this the right file?"))]

    def fault(
        self, path: Path, variable: str | None, reason: str, hint: str | None, *, on_key: bool = False
    ) -> ConfigError:
        dotted = _dotted(path)
        said = f"{dotted}: {reason}" if dotted else reason
        if variable is not None:
            return ConfigError(f"environment variable {variable}", 0, 0, said, hint)
        span = self._span(path, on_key)
        return ConfigError(self.name, 0, 0, said, hint) if span is None else self.at(span, said, hint)

    def invalid(self, error: Any) -> list[_Placed]:
        """Place one pydantic error, which may hold several faults."""
        if error["type"] == MANY:
            return self.all_between(error["ctx"]["faults"], error["loc"])
        loc = error["loc"]
        if error["type"] == "union_tag_invalid":
            loc = (*loc, str(error["ctx"]["discriminator"]).strip("'"))
        path, kinds, container = self._resolve(loc)
        if any(place == (*path[:-1], f"{path[-1]}_file") for place, *_ in self.overlay.faults if path):
            return []  # its file could not be read, which is told already: the setting is empty for that reason alone
        known = introspect.known_keys(*container)
        reason, hint = reason_and_hint(error, known, introspect.is_secret(kinds))
        on_key = error["type"] == "extra_forbidden"
        return [_Placed(path, self.fault(path, self._origin(path), reason, hint, on_key=on_key))]

    def all_between(self, faults: Sequence[SettingsFault], loc: tuple[str | int, ...] = ()) -> list[_Placed]:
        """Place faults that were found by looking at several settings, below a pydantic location."""
        return [
            _Placed(self._resolve((*loc, *fault.field))[0], self.between(loc, fault), fault.reads) for fault in faults
        ]

    def between(self, loc: tuple[str | int, ...], fault: SettingsFault) -> ConfigError:
        """Place a fault that was found by looking at several settings."""
        path, _, _ = self._resolve((*loc, *fault.field))
        from_file = (*path[:-1], f"{path[-1]}_file") if path else path
        if path not in self.document.values and from_file in self.document.values:
            path = from_file  # the secret stands in a file of its own: that line is where to look
        return self.fault(path, self._origin(path), fault.reason, fault.hint)

    def _origin(self, path: Path) -> str | None:
        """Return the variable at fault: one that set this value, or made a group here that the file does not have."""
        made_here = path not in self.document.values
        return self.overlay.origin_of(path) or (self.overlay.origin_below(path) if made_here else None)

    def _resolve(self, loc: tuple[str | int, ...]) -> tuple[Path, list[Any], tuple[list[Any], Any]]:
        """Follow a pydantic location, stepping over the tags of unions, which are in no file."""
        path: Path = ()
        kinds: list[Any] = [FloorwatchConfig]
        value: Any = self.data
        container: tuple[list[Any], Any] = (kinds, value)
        for index, segment in enumerate(loc):
            present = _present(value, segment)
            known = segment in introspect.known_keys(kinds, value)
            if not present and not known and index < len(loc) - 1:
                continue
            if not present and not known and segment == "[key]":
                continue
            container = (kinds, value)
            kinds = introspect.inside(kinds, segment, value)
            value = value[segment] if present else None
            path = (*path, segment)
        return self.whole(path), kinds, container

    def _span(self, path: Path, on_key: bool) -> SourceSpan | None:
        """Return the place of a setting, or of the closest thing around it that the file has."""
        document = self.document
        for end in range(len(path), 0, -1):
            here = path[:end]
            value, key = document.values.get(here), document.keys.get(here)
            if key is not None and (on_key or end < len(path) or value is None or value.line != key.line):
                return key
            if value is not None:
                return value
        return None


def _present(value: Any, segment: str | int) -> bool:
    if isinstance(value, dict):
        return segment in value
    return isinstance(value, list) and isinstance(segment, int) and segment < len(value)


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text
