"""Grants in the configuration: what a sender may do. docs/security.md says what each rule means."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from config.base import Section, SettingsFault
from config.nearest import nearest
from streams.models.events import TYPE_NAMES
from streams.models.grants import BOUND_DIMENSIONS, SenderGrant, short, types_matching, types_of
from streams.models.timestamps import BadTimestamp, parse_rfc3339

MIN_TOKEN_CHARS = 8
MIN_KEY_CHARS = 16

_JUDGING = frozenset({"audit.completed", "audit.withdrawn", "appeal.decided"})
_BREAKS = frozenset({"break.started", "break.ended"})


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Name = Annotated[str, Field(min_length=1, max_length=256)]
OneOrMore = Annotated[tuple[Name, ...], BeforeValidator(_one_or_more), Field(min_length=1)]


class GrantSettings(Section):
    """What a sender may do; nothing said here, it may do everything."""

    event_sources: tuple[str, ...] = Field(
        default=(), description="Beginnings of the CloudEvents source it may send; empty allows any."
    )
    may: tuple[str, ...] | None = Field(
        default=None, description="Event types it may send, e.g. [label.*, appeal.opened]; null allows all."
    )
    site: OneOrMore | None = Field(default=None, description="The only site, or sites, it may speak of.")
    vendor: OneOrMore | None = Field(default=None, description="The only vendor, or vendors, it may speak of.")
    team: OneOrMore | None = Field(default=None, description="The only team, or teams, it may speak of.")
    queue: OneOrMore | None = Field(default=None, description="The only queue, or queues, it may speak of.")
    market: OneOrMore | None = Field(default=None, description="The only market, or markets, it may speak of.")
    labelers: tuple[Name, ...] = Field(
        default=(), description="Patterns of the labeler ids it may name, e.g. [a-*]; empty allows any."
    )
    reviewer: bool = Field(
        default=False,
        description="Whether a bound sender may judge labels: audit them, withdraw audits, decide appeals. Not for the "
        "vendor whose labels they are.",
    )

    @property
    def bound(self) -> dict[str, tuple[str, ...]]:
        """Values by dimension that the sender is bound to."""
        found = {name: getattr(self, name) for name in BOUND_DIMENSIONS}
        return {name: values for name, values in found.items() if values is not None}

    @property
    def limited(self) -> bool:
        """Whether anything is said of its rights beyond the source of its events."""
        return self.may is not None or bool(self.bound) or bool(self.labelers)

    def grant(self, sender: str, place: str) -> SenderGrant:
        """Return what gateway and intake hold events against.

        Args:
            sender: The sender's name: stamped on its events where it is bound.
            place: Where in the configuration this stands.
        """
        return SenderGrant(
            sender=sender,
            place=place,
            types=None if self.may is None else types_of(self.may),
            event_sources=self.event_sources,
            bound=self.bound,
            labelers=self.labelers,
            reviewer=self.reviewer,
        )

    def faults(self) -> list[SettingsFault]:
        """Return what cannot be meant so."""
        found: list[SettingsFault] = []
        bound = self.bound
        first = next(iter(bound), "")
        for at, pattern in enumerate(self.may or ()):
            covered = {short(name) for name in types_matching(pattern)}
            place = ("may", at)
            if not covered:
                hint = nearest(pattern, [short(name) for name in TYPE_NAMES], "write e.g. label.* or audit.completed")
                found.append(SettingsFault(place, f'no event type matches "{pattern}"', hint or ""))
            elif bound and not self.reviewer and covered <= _JUDGING:
                reason = f'"{pattern}" would always be refused: the sender is bound to a {first} and is not a reviewer'
                found.append(
                    SettingsFault(place, reason, "set reviewer: true if it may judge those labels, or remove this")
                )
            elif bound and not self.labelers and covered <= _BREAKS:
                reason = f'"{pattern}" would always be refused: a break names a labeler and no {first}'
                found.append(SettingsFault(place, reason, "say which labelers are its own, e.g. labelers: [a-*]"))
        for at, beginning in enumerate(self.event_sources):
            if not beginning.strip():
                reason = "an empty beginning allows any source"
                hint = "name the beginning, e.g. vendor-a/, or leave event_sources out to allow any"
                found.append(SettingsFault(("event_sources", at), reason, hint))
        if bound and not self.event_sources:
            reason = "a bound sender without event_sources could take the ids of other senders' events"
            found.append(SettingsFault((first,), reason, "set event_sources, e.g. [vendor-a/]"))
        return found


def tokens_of(text: str) -> list[tuple[str, datetime | None]]:
    """Return the tokens of a secret: one a line, each with the time until which it holds, where one is given.

    Args:
        text: ``TOKEN`` or ``TOKEN 2027-01-31T00:00:00Z`` a line; lines that begin with ``#`` and blank ones do not count.

    Raises:
        ValueError: With a sentence that does not show the token.
    """
    found: list[tuple[str, datetime | None]] = []
    for number, line in enumerate(text.splitlines(), 1):
        token, _, until = line.strip().partition(" ")
        if not token or token.startswith("#"):
            continue
        if len(token) < MIN_TOKEN_CHARS:
            raise ValueError(f"the token in line {number} has fewer than {MIN_TOKEN_CHARS} characters")
        found.append((token, _moment(until.strip(), number)))
    if not found:
        raise ValueError("there is no token in it")
    return found


def _moment(text: str, number: int) -> datetime | None:
    if not text:
        return None
    try:
        return parse_rfc3339(text)
    except BadTimestamp:
        raise ValueError(
            f"what follows the token in line {number} is not a time with a zone such as 2027-01-31T00:00:00Z"
        ) from None
