"""Words about an incident that its record, messages and the command line share. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from alerts.incident import Incident
from alerts.kinds.registry import headline_of
from alerts.scopes import scope_words
from alerts.signals import Contributor
from streams.core.formatting import printable


class Links(Struct, frozen=True, omit_defaults=True):
    """What a reader can do with one click; a link that there is not is left out, of the JSON too."""

    ack: str = ""
    silence: str = ""
    useful: str = ""
    not_useful: str = ""
    details: str = ""
    tasks: str = ""
    ack_short: str = ""


class Text(Struct, frozen=True):
    """A title of one line and a body of plain text."""

    title: str
    body: str


def title_of(incident: Incident) -> str:
    """What and where, without the step: ``Accuracy below target: vendor bpo-a``."""
    return printable(f"{headline_of(incident.kind)}: {scope_words(incident.scope)}")


def contributors_heading(parts: Sequence[Contributor], *, over: bool = False) -> str:
    """What stands above the contributors: where none stands out, or there are none, that is what it says."""
    if not parts:
        return "No part can be named: there are none to compare, or none makes it worse by itself."
    if not any(part.clear for part in parts):
        return "Nothing stands out clearly. Largest parts:"
    return f"What {'contributed' if over else 'contributes'} most:"


def part_words(part: Contributor) -> str:
    """A contributor in words: ``-5.2 pp  queue hate  (81.0% of 120 audits)``, ``60% of the backlog  queue hate  (oldest 2 h)``."""
    effect = f"{-part.effect_pp:.0f}% of the {part.share_of}" if part.share_of else f"{part.effect_pp:+.1f} pp"
    return f"{effect}  {part.dimension} {part.value}  ({part.detail})"


def runbook_words(page: str) -> str:
    """Return where a runbook is that no ``alerts.runbook_url`` leads to: a path without a host is not a link."""
    return f"the page {page.lstrip('/')} of Floorwatch's repository"


def is_link(url: str | None) -> bool:
    """Tell whether a URL leads somewhere: it names a host."""
    return url is not None and url.startswith(("https://", "http://"))
