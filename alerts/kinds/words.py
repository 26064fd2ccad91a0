"""What a message says of an incident's number: the words that every kind's ``say`` is made of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from streams.core.formatting import plural

if TYPE_CHECKING:
    from alerts.incident import Incident


class Phrase(Struct, frozen=True):
    """An incident's number in words.

    Attributes:
        number: The number, as it stands in ``what``: ``62.9%``.
        target: What it is held against, as it stands in ``what``: ``95%``.
        what: Number and target in a few words, for a title: ``SLA 62.9% (target 95%)``.
        extra: A count beside it: ``1,426 late``; empty where there is none.
        line: The counts in a short sentence, for the body; empty where there are none.
    """

    number: str
    target: str
    what: str
    extra: str = ""
    line: str = ""


def phrase(
    before: str, number: str, target: str, *, after: str = "", held: str = "target", extra: str = "", line: str = ""
) -> Phrase:
    """Return ``<before> <number> <after> (<held> <target>)`` with its parts.

    Args:
        before: What is measured; may be empty.
        number: The number.
        target: What it is held against.
        after: What follows the number.
        held: What the target is called: ``target``, ``at most``, ``cap``.
        extra: A count for the title.
        line: A sentence for the body.
    """
    what = " ".join(part for part in (before, number, after, f"({held} {target})") if part)
    return Phrase(number, target, what, extra, line)


def figure(incident: Incident, name: str) -> int | None:
    """Return a figure of an incident as a whole number; None where it has none of this name, as one of an older version has none."""
    value = incident.figures.get(name)
    return None if value is None else round(value)


def count(incident: Incident, name: str, noun: str = "") -> str:
    """Return a figure with a noun or adjective behind it: ``1,426 late``; empty where there is no such figure."""
    value = figure(incident, name)
    return "" if value is None else f"{value:,} {noun}".rstrip()


def of(incident: Incident, part: str, whole: str, noun: str) -> str:
    """Return ``61 of 512 audits``; empty where either figure is missing.

    Args:
        incident: The incident.
        part: Name of the figure that is part of the other.
        whole: Name of that other.
        noun: What is counted, in the singular.
    """
    some, every = figure(incident, part), figure(incident, whole)
    return "" if some is None or every is None else f"{some:,} of {plural(every, noun)}"
