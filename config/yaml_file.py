"""A YAML file that is no configuration but is told of in the same way: every fault with its place, reason and hint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from config.base import MANY
from config.errors import ConfigError, ConfigErrors
from config.fault_text import reason_and_hint
from config.files import read_bytes
from config.introspect import inside, known_keys
from config.nodes import Document, SourceSpan, read_yaml
from config.nodes import Path as Place

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class YamlFile:
    """A file that was read, with the places of all that stands in it.

    Attributes:
        name: What to call it.
        lines: Its text.
        document: Its data with their places.
    """

    name: str
    lines: Sequence[str]
    document: Document

    def fault(self, path: Place, reason: str, hint: str | None, *, on_key: bool = False) -> ConfigError:
        """Return a fault of the value at a path, or of the closest thing around it that the file has.

        Args:
            path: Where, from the top.
            reason: What is wrong.
            hint: How to mend it.
            on_key: Whether the name is at fault, not the value.
        """
        said = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        places: list[SourceSpan | None] = []
        for end in range(len(path), 0, -1):
            key, value = self.document.keys.get(path[:end]), self.document.values.get(path[:end])
            places += [key, value] if on_key else [value, key]
        place = next((one for one in places if one is not None), SourceSpan(0, 0, 1))
        return self.at(place, f"{said}: {reason}" if said else reason, hint)

    def at(self, span: SourceSpan, reason: str, hint: str | None) -> ConfigError:
        """Return a fault of a piece of a line."""
        source = self.lines[span.line] if span.line < len(self.lines) else ""
        width = min(span.width, max(1, len(source) - span.column))
        return ConfigError(self.name, span.line + 1, span.column + 1, reason, hint, source=source, width=width)

    def read_as(self, model: type[Model], begin: str) -> Model:
        """Return what the file says.

        Args:
            model: What it may say.
            begin: What such a file begins with, for one that is none.

        Raises:
            ConfigErrors: Every fault found, in the order of the file.
        """
        if self.document.problems:
            raise ConfigErrors([self.at(one.span, one.reason, one.hint) for one in self.document.problems])
        if not isinstance(self.document.data, dict):
            raise ConfigErrors(
                [self.fault((), "the file must be a group of name: value lines", f"begin with  {begin}")]
            )
        try:
            return model.model_validate(self.document.data)
        except ValidationError as error:
            faults = [one for found in error.errors(include_url=False) for one in self._invalid(model, found)]
            raise ConfigErrors(sorted(faults, key=lambda one: (one.line, one.column))) from error

    def _invalid(self, model: type[BaseModel], error: Any) -> Iterator[ConfigError]:
        path: Place = tuple(part for part in error["loc"] if part != "[key]")
        if error["type"] == MANY:
            for one in error["ctx"]["faults"]:
                yield self.fault((*path, *one.field), one.reason, one.hint)
            return
        kinds: list[Any] = [model]
        for part in path[:-1]:
            kinds = inside(kinds, part)
        reason, hint = reason_and_hint(error, known_keys(kinds, None), False)
        yield self.fault(path, reason, hint, on_key=error["type"] == "extra_forbidden")


def read_yaml_file(path: Path, most_bytes: int) -> YamlFile:
    """Return a file of YAML; what is wrong in it is told by ``read_as``.

    Raises:
        config.files.FileFault: It cannot be read.
    """
    text = read_bytes(path, most_bytes).decode("utf-8-sig", errors="replace")
    return YamlFile(str(path), text.splitlines(), read_yaml(text))
