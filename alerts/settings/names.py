"""Names as settings: of people, schedules and the like, and the receivers that name them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from config.base import SettingsFault, refuse_one
from config.fault_text import shown
from config.nearest import choices

Place = tuple[str | int, ...]

MOST_NAME = 60
KINDS = ("channel", "person", "schedule")
"""What a receiver may be."""
SECTION_OF = {
    "channel": "channels",
    "person": "people",
    "schedule": "schedules",
    "calendar": "calendars",
    "escalation": "escalations",
}
"""The setting below ``alerts`` that defines each."""

_NAME = re.compile(r"\w[\w.@+-]*")


def _name(text: str) -> str:
    if len(text) > MOST_NAME or not _NAME.fullmatch(text):
        plain = re.sub(r"[^\w.@+-]+", "-", text.strip()).strip("-")[:MOST_NAME] or "mei"
        refuse_one(f"{shown(text)} is no name", f"write letters, digits and . _ - + @ without spaces, e.g. {plain}")
    return text


EntryName = Annotated[str, AfterValidator(_name)]
"""The name of a person, schedule, escalation, calendar or maintenance window, as commands and messages write it."""


def some(hint: str) -> AfterValidator:
    """Return a check that a list is not empty; ``hint`` says what to write."""

    def check(values: Any) -> Any:
        if not values:
            refuse_one("must not be empty", hint)
        return values

    return AfterValidator(check)


def required(hint: str) -> BeforeValidator:
    """Return a check that a setting is given; ``hint`` says what to add. Its field is ``needed()``."""

    def check(value: Any) -> Any:
        if value is None:
            refuse_one("is required and missing", hint)
        return value

    return BeforeValidator(check)


def needed(alias: str | None = None) -> Any:
    """Return the field of a setting that must be given, so that ``required`` says it."""
    return Field(default=None, validate_default=True, alias=alias)


def _receiver(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    kind, colon, name = text.partition(":")
    if not text or (colon and kind in KINDS and not name):
        refuse_one(
            f"must name a receiver, not {shown(value)}", "write the name of a channel, person:mei or schedule:lead"
        )
    return text


ReceiverText = Annotated[str, BeforeValidator(_receiver)]
"""Whom to tell: ``ops`` or ``channel:ops``, ``person:mei``, ``schedule:kul-lead``."""


def receiver_of(text: str) -> str:
    """Return a receiver with its kind: ``channel:ops`` for ``ops``."""
    return text if text.partition(":")[0] in KINDS and ":" in text else f"channel:{text}"


def named(receivers: Iterable[str], kind: str) -> tuple[str, ...]:
    """Return the names of the receivers of a kind, in their order."""
    each = (receiver_of(text).partition(":") for text in receivers)
    return tuple(name for of, _, name in each if of == kind)


@dataclass(frozen=True)
class Known:
    """The names that there are, by what they name."""

    names: Mapping[str, Iterable[str]]

    def has(self, kind: str, name: str) -> bool:
        """Tell whether there is such a thing."""
        return name in self.names[kind]

    def unknown(self, place: Place, kind: str, name: str) -> Iterator[SettingsFault]:
        """Yield a fault where there is none of this name.

        Args:
            place: Where it is named, from the top.
            kind: One of ``SECTION_OF``.
            name: The name.
        """
        if self.has(kind, name):
            return
        section = SECTION_OF[kind]
        hint = f"{choices(name, self.names[kind])}, or define it in alerts.{section}"
        if not list(self.names[kind]):
            hint = f"define it in alerts.{section}"
        for other in ("person", "schedule"):
            if kind == "channel" and self.has(other, name):
                hint = f"write {other}:{name}"
        yield SettingsFault(place, f"there is no {kind} {name}", hint, (("alerts", section, name),))

    def unknown_receivers(self, place: Place, receivers: Iterable[str]) -> Iterator[SettingsFault]:
        """Yield a fault for each receiver that there is not."""
        for at, text in enumerate(receivers):
            kind, _, name = receiver_of(text).partition(":")
            yield from self.unknown((*place, at), kind, name)


def repeated(place: Place, names: Iterable[str]) -> Iterator[SettingsFault]:
    """Yield a fault for each name that stands twice in a list."""
    seen: set[str] = set()
    for at, name in enumerate(names):
        if name in seen:
            yield SettingsFault((*place, at), f"{name} stands here twice", "remove one of them", (place,))
        seen.add(name)
