"""The pages of the links that comment on and escalate an incident, and what people did about it as facts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from alerts.dues import NO_TIER
from floorwatch.web.links_store import LinkAct
from floorwatch.web.page import LATE_MS, Page, at_words, shows, waits, with_words
from streams.core.formatting import instant

_WORDS = {
    "ack": "acknowledged",
    "silence": "silenced",
    "snooze": "snoozed",
    "comment": "comment",
    "owner": "assigned",
    "link": "link",
    "escalate": "escalated",
    "merge": "merged",
    "unmerge": "unmerged",
    "useful": "marked useful",
    "not_useful": "marked not useful",
}


def comment_page(shown: Page, record: Mapping[str, Any], done: LinkAct | None, now_ms: int, zone: str) -> Page:
    """Return the page of a link that comments; it may be followed again, also when the incident is over."""
    if done is None:
        return with_words(
            shown,
            "Write a comment",
            "ask",
            "Everybody who looks at the incident sees it. It changes nothing else.",
            button="Add the comment",
            ask_note=True,
        )
    return with_words(
        shown,
        "Your comment is added",
        "done",
        f"{done.by}, {instant(done.at_ms, zone=zone)}: {_short(done.note)}",
        *waits(done, record, now_ms),
        button="Add another",
        ask_note=True,
    )


def replaced_page(shown: Page, later: Mapping[str, Any]) -> Page:
    """Return the page of a link that comments on an incident in whose place a later one of the same rule and scope has come.

    Args:
        shown: What all pages show, of the later one.
        later: The later one.
    """
    page = with_words(
        shown,
        "It has begun anew since",
        "sorry",
        "The incident of this message is over for good, and nobody looks at it any more. Your comment was not added.",
        "A newer message about what you see here has a link that comments.",
        f"At a command line: floorwatch comment {str(later['key'])[:12]} TEXT --by NAME",
    )
    return structs.replace(page, status=409)


def escalate_page(
    shown: Page, record: Mapping[str, Any], done: LinkAct | None, now_ms: int, zone: str, *, tier_left: bool = True
) -> Page:
    """Return the page of a link that has the next tier told now; again a minute after it was used, while a tier is left."""
    machine = record.get("machine", {})
    asked, tier = int(machine.get("asked_tier", 0)), int(machine.get("tier", 0))
    if into := record.get("merged_into"):
        return with_words(
            shown,
            "It is merged into another",
            "sorry",
            f"Escalate that one: incident {str(into)[:12]} speaks for it. Nothing was done.",
        )
    said = [] if done is None else [f"{done.by}, {instant(done.at_ms, zone=zone)}."]
    if not tier_left:
        holder = machine.get("acknowledged_by")
        who = f"{holder} has it." if holder else "Nobody has it yet."
        lines = (*said, f"All tiers of its escalation were told, so nothing is done. {who}")
        return with_words(shown, "Nobody is left to tell", "done", *lines)
    if asked > tier and any(hold.get("by") == NO_TIER for hold in record.get("held") or ()):
        return with_words(shown, "Nobody is left to tell", "done", *said, "The last tier of its escalation was told.")
    if asked > tier or (done is not None and (not shows(record, done) or now_ms - done.at_ms < LATE_MS)):
        late = [] if done is None else waits(done, record, now_ms)
        return with_words(shown, "Escalated", "done", *said, *(late or ["The next tier is told within seconds."]))
    holder = machine.get("acknowledged_by")
    return with_words(
        shown,
        "Tell the next tier now?",
        "ask",
        *(f"Escalated before by {line}" for line in said),
        f"{holder} has it, and gives it on by this."
        if holder
        else "Nobody has it yet. Do not wait for the time to run out if you need help.",
        button="Escalate now",
    )


def act_lines(record: Mapping[str, Any], zone: str) -> list[str]:
    """Return what people did, a line each, the last first: when, what, by whom, and what they wrote."""
    return [f"{at_words(act['at'], zone)}: {_said(act)}" for act in reversed(record.get("acts") or ())]


def _said(act: Mapping[str, Any]) -> str:
    target = f" ({act['target']})" if act.get("target") else ""
    note = f": {' '.join(str(act['note']).split())}" if act.get("note") else ""
    return f"{_WORDS.get(act['what'], act['what'])}{target} by {act['by']}{note}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:119]}…"
