"""What a person reads who follows a link: pure, from the claim, the incident and what was done before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.links import Claim, LinkFault, LinkPurpose
from floorwatch.web.details_page import evidence_fact, heading
from floorwatch.web.links_store import LinkAct
from floorwatch.web.note_pages import comment_page, escalate_page
from floorwatch.web.page import Choice, Page, at_words, command, shows, state_words, waits, with_words
from streams.core.formatting import UTC_ZONE, duration, instant, printable

SPANS = {"30m": 1_800, "1h": 3_600, "4h": 14_400, "8h": 28_800, "1d": 86_400, "7d": 604_800}
"""Lengths of a silence that the page offers, in seconds."""

END_NOW = "end"
_USUAL = "1h"
_MARKS = {"useful": "marked useful", "not_useful": "marked not useful"}
_FURTHER: tuple[tuple[str, LinkPurpose], ...] = (
    ("Write a comment", "comment"),
    ("Escalate it now", "escalate"),
    ("Who was told, who is next", "details"),
)


def page_of(
    claim: Claim,
    record: Mapping[str, Any] | None,
    done: LinkAct | None,
    now_ms: int,
    zone: str = UTC_ZONE,
    *,
    tier_left: bool = True,
) -> Page:
    """Return the page of a link that is good.

    Args:
        claim: What the link allows.
        record: The incident's record of the read model; None: there is none.
        done: What was done by this link, or about the same question, before.
        now_ms: Wall time.
        zone: IANA name of the reader's zone.
        tier_left: Whether its escalation has a tier that was not told yet.
    """
    if claim.purpose == "check":
        return Page("This link works", "done", ("It was signed with a key that these pages know.",))
    if record is None:
        return _gone(claim)
    shown = about(claim, record, zone)
    match claim.purpose:
        case "details" | "tasks":
            return shown
        case "useful" | "not_useful":
            return _mark(shown, claim, done, zone)
        case "comment":
            return comment_page(shown, record, done, now_ms, zone)
    if record["state"] == "resolved":
        return with_words(
            shown,
            "This incident is over",
            "done",
            f"It was resolved {at_words(record.get('resolved_at'), zone)}, so there is nothing to {_verb(claim)}. Nobody is told of it "
            "any more.",
            "If it begins again within three days, a new message comes with new links.",
        )
    if claim.purpose == "ack":
        return _ack(shown, record, done, now_ms, zone)
    if claim.purpose == "escalate":
        return escalate_page(shown, record, done, now_ms, zone, tier_left=tier_left)
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
            f"At a command line: {command(claim)}",
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
        (first, f"Why: {why}.", f"At a command line: {command(claim)}"),
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


def about(claim: Claim, record: Mapping[str, Any], zone: str) -> Page:
    """Return what all pages of an incident show: what and where with its number, and at the bottom how that is known."""
    return Page(
        title="",
        tone="show",
        incident=heading(record, zone),
        severity=str(record["severity"]),
        facts=(("State", printable(state_words(record, zone))), evidence_fact(record, zone)),
        ask_name=not claim.receiver.startswith("person:"),
    )


def _ack(shown: Page, record: Mapping[str, Any], done: LinkAct | None, now_ms: int, zone: str) -> Page:
    holder = record.get("machine", {}).get("acknowledged_by")
    if done is not None and holder in (None, done.by):
        lines = [f"{done.by}, {instant(done.at_ms, zone=zone)}. It stops escalating; you are told when it is over."]
        lines += waits(done, record, now_ms)
        return with_words(shown, "Acknowledged", "done", *lines, further=_FURTHER)
    if holder is not None:
        if done is not None:
            return with_words(
                shown, f"{holder} has it", "done", f"This link acknowledged it before, as {done.by}.", further=_FURTHER
            )
        return with_words(
            shown,
            f"{holder} has it already",
            "ask",
            "There is nothing you must do. If you take it over, it is yours.",
            button="Take it over",
            further=_FURTHER,
        )
    return with_words(
        shown,
        "Do you take this incident?",
        "ask",
        "It is then yours: it stops escalating, and you are told when it is over.",
        button="Yes, I have it",
        further=_FURTHER,
    )


def _silence(shown: Page, record: Mapping[str, Any], done: LinkAct | None, now_ms: int, zone: str) -> Page:
    until_ms = record.get("machine", {}).get("silenced_until_ms")
    pending = done is not None and not shows(record, done)
    if pending and done is not None:
        until_ms = done.until_ms
    choices = [Choice(value, duration(span), value == _USUAL) for value, span in SPANS.items()]
    if until_ms is None or until_ms <= now_ms:
        ended = ["The silence is over."] if done is not None else []
        return with_words(
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
        lines += waits(done, record, now_ms)
    return with_words(
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
        return with_words(
            shown,
            f"Marked as {words}",
            "done",
            f"{done.by}, {instant(done.at_ms, zone=zone)}. Thank you: it counts in how often this rule is right.",
            "Changed your mind? Use the other link of the message: the last mark counts.",
        )
    before = [f"So far it is {_MARKS[done.what]} ({done.by})."] if done is not None and done.what in _MARKS else []
    return with_words(
        shown,
        f"Was this alert {words}?",
        "ask",
        *before,
        "Your mark judges the alert, so that rules that cry wolf are found. It changes nothing about the incident.",
        button=f"Yes, it was {words}",
    )


def _verb(claim: Claim) -> str:
    return {"ack": "acknowledge", "escalate": "escalate"}.get(claim.purpose, "silence")
