"""What a person reads who follows a link: pure, from the claim, the incident and what was done before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from alerts.links import Claim, LinkFault
from alerts.text import runbook_words
from alerts.view import instant_ms
from floorwatch.web.links_store import LinkAct
from streams.core.formatting import UTC_ZONE, duration, instant, printable, times_in

SPANS = {"30m": 1_800, "1h": 3_600, "4h": 14_400, "8h": 28_800, "1d": 86_400, "7d": 604_800}
"""Lengths of a silence that the page offers, in seconds."""

END_NOW = "end"
_USUAL = "1h"
_LATE_MS = 60_000
"""An action that an incident does not show after this time waits for a worker."""
_WORDS = {"ack": "acknowledged", "silence": "silenced", "useful": "marked useful", "not_useful": "marked not useful"}


class Choice(Struct, frozen=True):
    """One of the answers that a form offers."""

    value: str
    words: str
    chosen: bool = False


class Page(Struct, frozen=True):
    """A page, before it is HTML. All texts are plain.

    Attributes:
        title: What it says first.
        tone: ``ask``: a button waits. ``done``: nothing is left to do. ``sorry``: it cannot be done. ``show``: only to read.
        lines: Sentences below the title.
        incident: What and where; empty where no incident is shown.
        severity: Of the incident.
        facts: Names and values.
        parts: What contributes, as lines.
        links: Names and addresses.
        button: What stands on the button; empty: there is none.
        choices: Answers to choose from.
        ask_name: Whether to ask who it is.
        status: HTTP status.
    """

    title: str
    tone: Literal["ask", "done", "sorry", "show"]
    lines: tuple[str, ...] = ()
    incident: str = ""
    severity: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    parts: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    button: str = ""
    choices: tuple[Choice, ...] = ()
    ask_name: bool = False
    status: int = 200


def page_of(
    claim: Claim, record: Mapping[str, Any] | None, done: LinkAct | None, now_ms: int, zone: str = UTC_ZONE
) -> Page:
    """Return the page of a link that is good.

    Args:
        claim: What the link allows.
        record: The incident's record of the read model; None: there is none.
        done: What was done by this link, or about the same question, before.
        now_ms: Wall time.
        zone: IANA name of the reader's zone.
    """
    if claim.purpose == "check":
        return Page("This link works", "done", ("It was signed with a key that these pages know.",))
    if record is None:
        return _gone(claim)
    shown = _about(claim, record, zone)
    match claim.purpose:
        case "details":
            return _details(shown, record, zone)
        case "useful" | "not_useful":
            return _mark(shown, claim, done, zone)
    if record["state"] == "resolved":
        return _with(
            shown,
            "This incident is over",
            "done",
            f"It was resolved {_at(record.get('resolved_at'), zone)}, so there is nothing to {_verb(claim)}. Nobody is told of it "
            "any more.",
            "If it begins again within three days, a new message comes with new links.",
        )
    if claim.purpose == "ack":
        return _ack(shown, record, done, now_ms, zone)
    return _silence(shown, record, done, now_ms, zone)


def fault_page(fault: LinkFault, zone: str = UTC_ZONE) -> Page:
    """Return the page of a link that is not good."""
    if fault.claim is None:
        return Page(
            "This link is not one of ours",
            "sorry",
            (
                "It was changed or cut off on its way, or it was signed with a key that is no longer used. Nothing was done.",
                "Open it from the message again. If it is long and broken into lines, copy all of it.",
                "At a command line: floorwatch incidents",
            ),
            status=403,
        )
    claim = fault.claim
    return Page(
        "This link has expired",
        "sorry",
        (
            f"It was good until {instant(claim.expires_ms, zone=zone)}. Nothing was done.",
            "If the incident still goes on, a newer message about it has a link that works.",
            f"At a command line: {_command(claim)}",
        ),
        status=410,
    )


def unavailable(claim: Claim, why: str, *, unsure: bool = False) -> Page:
    """Return the page for when Redis or Kafka does not answer; ``unsure``: it may have been written all the same."""
    first = (
        "It is not known whether it was written down. Open this link again in a minute: it says whether it counts."
        if unsure
        else "Nothing was done. Try again in a minute."
    )
    return Page(
        "Floorwatch cannot do this now",
        "sorry",
        (first, f"Why: {why}.", f"At a command line: {_command(claim)}"),
        status=503,
    )


def _gone(claim: Claim) -> Page:
    return Page(
        "There is no such incident",
        "sorry",
        (
            "It ended long ago, or the store of incidents was emptied and is not filled again yet. Nothing was done.",
            f"At a command line: floorwatch incidents show {claim.incident[:12]}",
        ),
        status=404,
    )


def _about(claim: Claim, record: Mapping[str, Any], zone: str) -> Page:
    facts = [
        ("State", _state(record, zone)),
        ("Since", _at(record.get("since"), zone)),
        ("Evidence", times_in(str(record["evidence"]), zone, instant_ms(record["updated_at"]))),
    ]
    return Page(
        title="",
        tone="show",
        incident=printable(str(record["title"])),
        severity=str(record["severity"]),
        facts=tuple((name, printable(value)) for name, value in facts if value),
        ask_name=not claim.receiver.startswith("person:"),
    )


def _ack(shown: Page, record: Mapping[str, Any], done: LinkAct | None, now_ms: int, zone: str) -> Page:
    holder = record.get("machine", {}).get("acknowledged_by")
    if done is not None and holder in (None, done.by):
        lines = [f"{done.by}, {instant(done.at_ms, zone=zone)}. It stops escalating; you are told when it is over."]
        lines += _waits(done, record, now_ms)
        return _with(shown, "Acknowledged", "done", *lines)
    if holder is not None:
        if done is not None:
            return _with(shown, f"{holder} has it", "done", f"This link acknowledged it before, as {done.by}.")
        return _with(
            shown,
            f"{holder} has it already",
            "ask",
            "There is nothing you must do. If you take it over, it is yours.",
            button="Take it over",
        )
    return _with(
        shown,
        "Do you take this incident?",
        "ask",
        "It is then yours: it stops escalating, and you are told when it is over.",
        button="Yes, I have it",
    )


def _silence(shown: Page, record: Mapping[str, Any], done: LinkAct | None, now_ms: int, zone: str) -> Page:
    until_ms = record.get("machine", {}).get("silenced_until_ms")
    pending = done is not None and not _shows(record, done)
    if pending and done is not None:
        until_ms = done.until_ms
    choices = [Choice(value, duration(span), value == _USUAL) for value, span in SPANS.items()]
    if until_ms is None or until_ms <= now_ms:
        ended = ["The silence is over."] if done is not None else []
        return _with(
            shown,
            "Silence this incident?",
            "ask",
            *ended,
            "Nobody gets messages about it for so long. It is still watched and shown. What still stands afterwards is told.",
            button="Silence it",
            choices=tuple(choices),
        )
    lines = [f"No messages about it until {instant(until_ms, zone=zone)}."]
    if done is not None:
        lines.append(f"Said by {done.by}, {instant(done.at_ms, zone=zone)}.")
        lines += _waits(done, record, now_ms)
    return _with(
        shown,
        "Silenced",
        "done",
        *lines,
        "You can choose another end, counted from now:",
        button="Change it",
        choices=(*choices, Choice(END_NOW, "end it now")),
    )


def _mark(shown: Page, claim: Claim, done: LinkAct | None, zone: str) -> Page:
    words = "useful" if claim.purpose == "useful" else "not useful"
    if done is not None and done.what == claim.purpose:
        return _with(
            shown,
            f"Marked as {words}",
            "done",
            f"{done.by}, {instant(done.at_ms, zone=zone)}. Thank you: it counts in how often this rule is right.",
            "Changed your mind? Use the other link of the message: the last mark counts.",
        )
    before = [f"So far it is {_WORDS[done.what]} ({done.by})."] if done is not None and done.what in _WORDS else []
    return _with(
        shown,
        f"Was this alert {words}?",
        "ask",
        *before,
        "Your mark judges the alert, so that rules that cry wolf are found. It changes nothing about the incident.",
        button=f"Yes, it was {words}",
    )


def _details(shown: Page, record: Mapping[str, Any], zone: str) -> Page:
    runbook, page = record.get("runbook_url"), record.get("runbook_page")
    acts = [
        (
            f"{_at(act['at'], zone)}",
            f"{_WORDS.get(act['what'], act['what'])} by {act['by']}" + (f": {act['note']}" if act.get("note") else ""),
        )
        for act in record.get("acts") or ()
    ]
    facts = [
        ("Window", str(record["window"])),
        ("Rule", f"{record['rule']}, episode {record['episode']}"),
        ("Incident", str(record["key"])),
        ("Example tasks", ", ".join(record.get("examples") or ())),
        ("Runbook", runbook_words(str(page)) if page and not runbook else ""),
        *acts,
    ]
    parts = [
        f"{part['dimension']} {part['value']} ({part['detail']})" + ("" if part.get("clear") else ", may be chance")
        for part in record.get("contributors") or ()
    ]
    links = [("Board", record.get("board_url")), ("Runbook", runbook)]
    return Page(
        title="Details",
        tone="show",
        lines=(),
        incident=shown.incident,
        severity=shown.severity,
        facts=(*shown.facts, *((name, printable(str(value))) for name, value in facts if value)),
        parts=tuple(printable(part) for part in (str(record.get("contributors_say") or ""), *parts) if part),
        links=tuple((name, str(url)) for name, url in links if url and str(url).startswith(("https://", "http://"))),
    )


def _with(
    shown: Page,
    title: str,
    tone: Literal["ask", "done", "sorry", "show"],
    *lines: str,
    button: str = "",
    choices: tuple[Choice, ...] = (),
) -> Page:
    return Page(
        title=printable(title),
        tone=tone,
        lines=tuple(printable(line) for line in lines),
        incident=shown.incident,
        severity=shown.severity,
        facts=shown.facts,
        button=button,
        choices=choices,
        ask_name=bool(button) and shown.ask_name,
    )


def _waits(done: LinkAct, record: Mapping[str, Any], now_ms: int) -> list[str]:
    """Return what to say of an action that the incident does not show yet."""
    if _shows(record, done):
        return []
    if done.state == "sending":
        return ["It is being written down. Reload this page in a moment."]
    if now_ms - done.at_ms > _LATE_MS:
        return ["It is written down, but no worker has come to it yet: is one running? It counts as soon as one does."]
    return ["It is written down, and counts within seconds."]


def _shows(record: Mapping[str, Any], done: LinkAct) -> bool:
    return any(
        act["by"] == done.by and instant_ms(act["at"]) == done.at_ms
        for act in record.get("acts") or ()
        if act["what"] == done.what
    )


def _state(record: Mapping[str, Any], zone: str) -> str:
    machine, state = record.get("machine", {}), str(record["state"])
    words = [f"acknowledged by {machine.get('acknowledged_by')}" if state == "acknowledged" else state]
    if machine.get("tier"):
        words.append(f"escalated to tier {machine['tier']}")
    if machine.get("silenced_until_ms") is not None:
        words.append(f"silenced until {instant(machine['silenced_until_ms'], zone=zone)}")
    return ", ".join(words)


def _at(text: Any, zone: str) -> str:
    return instant(instant_ms(text), zone=zone) if text else ""


def _verb(claim: Claim) -> str:
    return "acknowledge" if claim.purpose == "ack" else "silence"


def _command(claim: Claim) -> str:
    key = claim.incident[:12]
    match claim.purpose:
        case "ack":
            return f"floorwatch ack {key} --by NAME"
        case "silence":
            return f"floorwatch silence {key} --for 1h --by NAME"
    return f"floorwatch incidents show {key}"
