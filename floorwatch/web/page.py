"""A page of a link before it is HTML, and the words that several pages share. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from alerts.links import Claim, LinkPurpose
from alerts.told_words import woken_words
from alerts.view import instant_ms
from floorwatch.web.links_store import LinkAct
from streams.core.formatting import instant, printable, printable_words

LATE_MS = 60_000
"""An action that an incident does not show after this time waits for a worker."""


class Choice(Struct, frozen=True):
    """One of the answers that a form offers."""

    value: str
    words: str
    chosen: bool = False


class PagePart(Struct, frozen=True):
    """Lines below a title. ``url``: where the title leads; empty: nowhere."""

    title: str
    lines: tuple[str, ...]
    url: str = ""


class Page(Struct, frozen=True):
    """A page, before it is HTML. All texts are plain.

    Attributes:
        title: What it says first.
        tone: ``ask``: a button waits. ``done``: nothing is left to do. ``sorry``: it cannot be done. ``show``: only to read.
        lines: Sentences below the title.
        incident: What and where; empty where no incident is shown.
        severity: Of the incident.
        facts: Names and values.
        sections: Lines below titles of their own.
        links: Names and addresses.
        button: What stands on the button; empty: there is none.
        button_all: What stands on the button that does it to all incidents of the message; empty: there is none.
        choices: Answers to choose from.
        ask_name: Whether to ask who it is.
        ask_note: Whether to ask for a comment.
        further: What else can be done about it: what stands on the link, and what it is for.
        status: HTTP status.
        body: Text of ours with its own markup, such as a runbook; empty for all other pages.
    """

    title: str
    tone: Literal["ask", "done", "sorry", "show"]
    lines: tuple[str, ...] = ()
    incident: str = ""
    severity: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    sections: tuple[PagePart, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    button: str = ""
    button_all: str = ""
    choices: tuple[Choice, ...] = ()
    ask_name: bool = False
    ask_note: bool = False
    further: tuple[tuple[str, LinkPurpose], ...] = ()
    status: int = 200
    body: str = ""


def with_words(
    shown: Page,
    title: str,
    tone: Literal["ask", "done", "sorry", "show"],
    *lines: str,
    button: str = "",
    choices: tuple[Choice, ...] = (),
    ask_note: bool = False,
    further: tuple[tuple[str, LinkPurpose], ...] = (),
) -> Page:
    """Return a page about an incident with a title, sentences and what can be done."""
    return Page(
        title=printable(title),
        tone=tone,
        lines=tuple(printable_words(line) for line in lines),
        incident=shown.incident,
        severity=shown.severity,
        facts=shown.facts,
        button=button,
        choices=choices,
        ask_name=bool(button) and shown.ask_name,
        ask_note=ask_note,
        further=further,
    )


def waits(done: LinkAct, record: Mapping[str, Any], now_ms: int) -> list[str]:
    """Return what to say of an action that the incident does not show yet."""
    if shows(record, done):
        return []
    if done.state == "sending":
        return ["It is being written down. Reload this page in a moment."]
    if now_ms - done.at_ms > LATE_MS:
        return ["It is written down, but no worker has come to it yet: is one running? It counts as soon as one does."]
    return ["It is written down, and counts within seconds."]


def shows(record: Mapping[str, Any], done: LinkAct) -> bool:
    """Tell whether an incident shows what was done."""
    return any(
        act["by"] == done.by and instant_ms(act["at"]) == done.at_ms
        for act in record.get("acts") or ()
        if act["what"] == done.what
    )


def at_words(text: Any, zone: str) -> str:
    """Return an RFC 3339 time in a zone; nothing for none."""
    return instant(instant_ms(text), zone=zone) if text else ""


def command(claim: Claim) -> str:
    """Return what does at a command line what a link is for."""
    key = claim.incident[:12]
    match claim.purpose:
        case "ack":
            return f"floorwatch ack {key} --by NAME"
        case "silence":
            return f"floorwatch silence {key} --for 1h --by NAME"
        case "comment":
            return f"floorwatch comment {key} TEXT --by NAME"
        case "escalate":
            return f"floorwatch escalate {key} --by NAME"
    return f"floorwatch incidents show {key}"


def state_words(record: Mapping[str, Any], zone: str) -> str:
    """Return an incident's state in words: ``acknowledged by mei``, ``open, escalated to tier 2, silenced until …``."""
    machine, state = record.get("machine", {}), str(record["state"])
    words = [f"acknowledged by {machine.get('acknowledged_by')}" if state == "acknowledged" else state]
    if machine.get("tier"):
        words.append(f"escalated to tier {machine['tier']}")
    if machine.get("silenced_until_ms") is not None:
        words.append(f"silenced until {instant(machine['silenced_until_ms'], zone=zone)}")
    if machine.get("snooze"):
        words.append(f"snoozed until {instant(machine['snooze']['until_ms'], zone=zone)}")
    words += [woken] if (woken := woken_words(record, lambda at_ms: instant(at_ms, zone=zone))) else []
    return ", ".join(words)
