"""What people read: title and body of a notification. Pure; held by golden files."""

from __future__ import annotations

from msgspec import Struct

from alerts.incident import Incident
from alerts.scopes import scope_words
from alerts.words import duration, instant, printable

HEADLINES: dict[str, str] = {
    "accuracy_low": "Accuracy below target",
    "critical_errors": "Too many critical errors",
    "sla_attainment": "SLA missed too often",
    "sla_breach_predicted": "SLA will be missed",
    "throughput_drop": "Throughput has dropped",
    "backlog_age": "Backlog is too old",
    "dead_letters": "Events were refused",
    "source_silent": "A source has gone silent",
    "overturns_high": "Appeals succeed too often",
    "agreement_low": "Labellers disagree too often",
    "exposure_cap": "Exposure near the cap",
    "rushing": "Faster, with more errors",
}


class Links(Struct, frozen=True):
    """What a reader can do with one click; an empty link is left out."""

    ack: str = ""
    silence: str = ""
    useful: str = ""


class Text(Struct, frozen=True):
    """A title of one line and a body of plain text."""

    title: str
    body: str


def title_of(incident: Incident) -> str:
    """What and where, without the step: ``Accuracy below target: vendor bpo-a``."""
    return printable(f"{HEADLINES[incident.kind]}: {scope_words(incident.scope)}")


def render(incident: Incident, step: str, links: Links | None = None) -> Text:
    """Title and body of a notification.

    Args:
        incident: The incident as of the step.
        step: Step of the notification: ``open``, ``reopened-1``, ``escalated-0-2``, ``resolved-0``.
        links: Signed links, where there are any.

    Returns:
        Text that depends on nothing but the arguments.
    """
    title = f"{_prefix(incident, step)} {title_of(incident)}"
    facts = [
        ("Where", scope_words(incident.scope)),
        ("Since", _since(incident)),
        ("Evidence", incident.evidence),
    ]
    if step.startswith("escalated"):
        facts.append(("Escalated", f"tier {incident.tier}: nobody has acknowledged this yet"))
    if incident.acknowledged_by is not None:
        facts.append(("Taken by", incident.acknowledged_by))
    if incident.reopened:
        facts.append(("Reopened", f"{incident.reopened} time{'s' if incident.reopened > 1 else ''}"))
    lines = [f"{name + ':':<11}{printable(value)}" for name, value in facts]
    if incident.contributors:
        verb = "contributed" if step.startswith("resolved") else "contributes"
        lines += ["", f"What {verb} most:"]
        lines += [
            printable(f"  {part.effect_pp:+.1f} pp  {part.dimension} {part.value}  ({part.detail})")
            for part in incident.contributors
        ]
    if incident.examples:
        lines += ["", printable("Example tasks: " + ", ".join(incident.examples))]
    lines += ["", *_links(incident, step, links or Links())]
    lines.append(f"Incident {incident.key[:12]}, rule {printable(incident.rule)}, episode {incident.episode}")
    return Text(title, "\n".join(lines) + "\n")


def _prefix(incident: Incident, step: str) -> str:
    word = step.split("-", 1)[0]
    if word == "open":
        return f"[{incident.severity.upper()}]"
    return f"[{incident.severity.upper()} {word}]"


def _since(incident: Incident) -> str:
    since = instant(incident.since_ms)
    if incident.resolved_ms is not None:
        return f"{since}, resolved {instant(incident.resolved_ms)}"
    opened_ms = incident.updated_ms if incident.opened_ms is None else incident.opened_ms
    lasting_s = (incident.updated_ms - opened_ms) / 1000
    return f"{since}, open for {duration(lasting_s)}" if lasting_s >= 60 else since


def _links(incident: Incident, step: str, links: Links) -> list[str]:
    wanted = [("Board", incident.board_url), ("Runbook", incident.runbook_url)]
    if not step.startswith("resolved"):
        wanted += [("Ack", links.ack or f"floorwatch ack {incident.key[:12]} --by NAME"), ("Silence", links.silence)]
    wanted.append(("Useful?", links.useful))
    return [f"{name + ':':<11}{url}" for name, url in wanted if url]
