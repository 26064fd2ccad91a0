"""What people read: title and body of a notification. Pure; held by golden files."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from alerts.escape import PLAIN, Sink
from alerts.incident import Incident
from alerts.kinds.registry import headline_of
from alerts.scopes import scope_words
from alerts.signals import Contributor
from streams.core.formatting import UTC_ZONE, duration, instant, printable, times_in

_MOST_TITLE, _MOST_FACT = 200, 400
"""Characters of a title, and of one fact or contributor: Slack takes 3,000 in a section, a phone shows far less."""


class Links(Struct, frozen=True, omit_defaults=True):
    """What a reader can do with one click; a link that there is not is left out, of the JSON too."""

    ack: str = ""
    silence: str = ""
    useful: str = ""


class Text(Struct, frozen=True):
    """A title of one line and a body of plain text."""

    title: str
    body: str


def title_of(incident: Incident) -> str:
    """What and where, without the step: ``Accuracy below target: vendor bpo-a``."""
    return printable(f"{headline_of(incident.kind)}: {scope_words(incident.scope)}")


def render(incident: Incident, step: str, links: Links | None = None, sink: Sink = PLAIN, zone: str = UTC_ZONE) -> Text:
    """Title and body of a notification.

    Args:
        incident: The incident as of the step.
        step: Step of the notification: ``open``, ``reopened-1``, ``escalated-0-2``, ``resolved-0``.
        links: Signed links, where there are any.
        sink: How the reader's program reads the body. The title is plain text.
        zone: IANA name of the reader's zone; times are shown there, each with its offset.

    Returns:
        Text that depends on nothing but the arguments.
    """
    title = printable(_cut(f"{_prefix(incident, step)} {title_of(incident)}", _MOST_TITLE))
    lines = [f"{name + ':':<11}{sink.text(_cut(value, _MOST_FACT))}" for name, value in _facts(incident, step, zone)]
    lines += ["", contributors_heading(incident.contributors, over=step.startswith("resolved"))]
    if incident.contributors:
        lines += [sink.indent + sink.text(_cut(part_words(part), _MOST_FACT)) for part in incident.contributors]
    if incident.examples:
        lines += ["", sink.text(_cut("Example tasks: " + ", ".join(incident.examples), _MOST_FACT))]
    lines += ["", *_links(incident, step, links or Links(), sink)]
    lines.append(f"Incident {incident.key[:12]}, rule {sink.text(incident.rule)}, episode {incident.episode}")
    return Text(title, sink.line_break.join(lines) + "\n")


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


def _facts(incident: Incident, step: str, zone: str) -> list[tuple[str, str]]:
    facts = [
        ("Where", scope_words(incident.scope)),
        ("Since", _since(incident, zone)),
        ("Evidence", times_in(incident.evidence, zone, incident.updated_ms)),
    ]
    if step.startswith("escalated"):
        facts.append(("Escalated", f"tier {incident.tier}: nobody has acknowledged this yet"))
    if incident.acknowledged_by is not None:
        facts.append(("Taken by", incident.acknowledged_by))
    if incident.reopened:
        facts.append(("Reopened", f"{incident.reopened} time{'s' if incident.reopened > 1 else ''}"))
    return facts


def _cut(text: str, most: int) -> str:
    """Return text that is no longer than a message should be: names may have any length."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _prefix(incident: Incident, step: str) -> str:
    word = step.split("-", 1)[0]
    if word == "open":
        return f"[{incident.severity.upper()}]"
    return f"[{incident.severity.upper()} {word}]"


def _since(incident: Incident, zone: str) -> str:
    since = instant(incident.since_ms, zone=zone)
    if incident.resolved_ms is not None:
        return f"{since}, resolved {instant(incident.resolved_ms, zone=zone)}"
    opened_ms = incident.updated_ms if incident.opened_ms is None else incident.opened_ms
    lasting_s = (incident.updated_ms - opened_ms) / 1000
    return f"{since}, open for {duration(lasting_s)}" if lasting_s >= 60 else since


def _links(incident: Incident, step: str, links: Links, sink: Sink) -> list[str]:
    shown = [(name, sink.link(url)) for name, url in _urls(incident) if is_link(url)]
    if incident.runbook_url and not is_link(incident.runbook_url):
        shown.append(("Runbook", sink.text(runbook_words(incident.runbook_url))))
    if not step.startswith("resolved"):
        command = sink.text(f"floorwatch ack {incident.key[:12]} --by NAME")
        shown.append(("Ack", sink.link(links.ack) if links.ack else command))
        shown += [("Silence", sink.link(links.silence))] if links.silence else []
    shown += [("Useful?", sink.link(links.useful))] if links.useful else []
    return [f"{name + ':':<11}{text}" for name, text in shown]


def _urls(incident: Incident) -> list[tuple[str, str]]:
    return [("Board", incident.board_url), ("Runbook", incident.runbook_url)]


def runbook_words(page: str) -> str:
    """Return where a runbook is that no ``alerts.runbook_url`` leads to: a path without a host is not a link."""
    return f"the page {page.lstrip('/')} of Floorwatch's repository"


def is_link(url: str | None) -> bool:
    """Tell whether a URL leads somewhere: it names a host."""
    return url is not None and url.startswith(("https://", "http://"))
