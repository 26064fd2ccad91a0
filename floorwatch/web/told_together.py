"""What a link of a message about several incidents offers for the others of the same message. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from alerts.links import Claim, LinkPurpose
from floorwatch.web.details_page import heading
from floorwatch.web.links_store import LinkAct
from floorwatch.web.page import Page, PagePart

TOGETHER: frozenset[LinkPurpose] = frozenset(("ack", "silence", "useful", "not_useful"))
"""Purposes whose links offer to act on all incidents of their message."""

MOST_TOGETHER = 500
"""Incidents that one press acts on."""

_SHOWN = 10
_RANK = {"page": 0, "warn": 1}
_DID = {
    "ack": "Acknowledged",
    "silence": "Silenced",
    "useful": "Marked as useful",
    "not_useful": "Marked as not useful",
}


class MessageIncident(Struct, frozen=True):
    """An incident of the message of a link, and what was done about it by a link of this receiver before."""

    record: dict[str, Any]
    done: LinkAct | None


def notice_of(claim: Claim, record: Mapping[str, Any]) -> str:
    """Return the id of the message of a link. A short link names none: then it is the last that its receiver got of the incident."""
    if claim.notice:
        return claim.notice
    told = [one for one in record.get("told") or () if is_told(one, claim.receiver)]
    return str(told[-1]["notice"]) if told else ""


def told_by(record: Mapping[str, Any], notice: str, receiver: str) -> bool:
    """Tell whether a message with this id told a receiver of an incident."""
    return any(one["notice"] == notice and is_told(one, receiver) for one in record.get("told") or ())


def is_told(told: Mapping[str, Any], receiver: str) -> bool:
    """Tell whether an entry of ``told`` is about the receiver of a link, which is a person or a channel."""
    return told["receiver"] == receiver or receiver in told["channels"]


def is_left(claim: Claim, one: MessageIncident, now_ms: int) -> bool:
    """Tell whether what a link is for is still to be done about an incident of its message."""
    machine = one.record.get("machine", {})
    if claim.purpose in ("useful", "not_useful"):
        return one.done is None or one.done.what != claim.purpose
    if one.record["state"] == "resolved":
        return False
    if claim.purpose == "ack":
        return one.done is None and machine.get("acknowledged_by") is None
    until_ms = one.done.until_ms if one.done is not None else machine.get("silenced_until_ms")
    return until_ms is None or until_ms <= now_ms


def with_others(page: Page, claim: Claim, told: Sequence[MessageIncident], now_ms: int, zone: str) -> Page:
    """Return the page of a link with what can be done about the other incidents of its message.

    Args:
        page: The page of the link's own incident.
        claim: What the link allows.
        told: The incidents of the message, the link's own among them.
        now_ms: Wall time.
        zone: IANA name of the reader's zone.
    """
    others = [one for one in told if one.record["key"] != claim.incident]
    if not others or claim.purpose not in TOGETHER or page.status != 200:
        return page
    left = [one for one in others if is_left(claim, one, now_ms)]
    own = any(one.record["key"] == claim.incident and is_left(claim, one, now_ms) for one in told)
    done = sum(one.done is not None and one.done.what == claim.purpose for one in others) if not own else 0
    lines = (f"{_DID[claim.purpose]} with it: {done:,} more of the same message.",) if done else ()
    if not left:
        return structs.replace(page, lines=(*page.lines, *lines))
    names = [heading(one.record, zone) for one in sorted(left, key=_rank)[:_SHOWN]]
    more = [f"and {len(left) - _SHOWN:,} more"] if len(left) > _SHOWN else []
    return structs.replace(
        page,
        lines=(*page.lines, *lines),
        sections=(*page.sections, PagePart("The same message told of", (*names, *more))),
        button_all=_words(claim.purpose, len(left) + own, others=not own),
        ask_name=not claim.receiver.startswith("person:"),
    )


def _words(purpose: LinkPurpose, count: int, *, others: bool) -> str:
    which = f"the other {count:,}" if others else f"all {count:,}"
    match purpose:
        case "ack":
            return f"I have {which}"
        case "silence":
            return f"Silence {which}"
    return f"{which[0].upper()}{which[1:]} {'was' if count == 1 else 'were'} {purpose.replace('_', ' ')}"


def _rank(one: MessageIncident) -> tuple[int, str, str]:
    return _RANK.get(str(one.record["severity"]), 2), str(one.record["title"]), str(one.record["key"])
