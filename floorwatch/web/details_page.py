"""The page of details: who was told of an incident, who was not and why, who is told next, and what can be done. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs

from alerts.codec import incident_of
from alerts.links import LinkPurpose
from alerts.message.titles import Member, title_of_one
from alerts.next_told import next_told
from alerts.oncall.policy import RotaFacts
from alerts.routing.policy import RoutingPolicy
from alerts.text import runbook_words
from alerts.told_words import held_lines, next_lines, nobody_words, told_sentences
from alerts.view import instant_ms
from floorwatch.web.behind import Behind
from floorwatch.web.note_pages import act_lines
from floorwatch.web.page import Page, PagePart, at_words
from streams.core.formatting import duration, instant, printable, printable_words, times_in

_ALWAYS: tuple[tuple[str, LinkPurpose], ...] = (
    ("Write a comment", "comment"),
    ("Useful", "useful"),
    ("Not useful", "not_useful"),
)
_LIVE: tuple[tuple[str, LinkPurpose], ...] = (
    ("I have it", "ack"),
    ("Silence", "silence"),
    ("Escalate it now", "escalate"),
)
_TASKS: tuple[tuple[str, LinkPurpose], ...] = (("Tasks behind it", "tasks"),)


def heading(record: Mapping[str, Any], zone: str) -> str:
    """Return an incident as the title of a message says it: ``comments: SLA 62.9% (target 95%), 1,426 late, since 10:40 UTC+8``.

    A record that another version wrote, and that cannot be read, is named by its own title.
    """
    step = "resolved-0" if record["state"] == "resolved" else "open"
    try:
        return printable(title_of_one(Member(incident_of(dict(record)), step), zone, ""))
    except (KeyError, ValueError, TypeError, AttributeError, msgspec.MsgspecError):
        return printable(str(record["title"]))


def details_page(
    shown: Page,
    record: Mapping[str, Any],
    behind: Behind,
    policy: RoutingPolicy | None,
    now_ms: int,
    zone: str,
) -> Page:
    """Return the page of details.

    Args:
        shown: What all pages of the incident show.
        record: Its record of the read model.
        behind: What is read beside it.
        policy: The configuration of who is told; None: it is not known here.
        now_ms: Wall time.
        zone: IANA name of the reader's zone.
    """
    live = record["state"] != "resolved"
    sections = (
        PagePart("Who was told", told(record, behind, zone)),
        PagePart("Who was not told", tuple(_not_told(record, behind, zone))),
        PagePart("Who is told next", next_of(record, behind, policy, now_ms, zone)),
        PagePart("What people did", tuple(act_lines(record, zone))),
        PagePart(str(record.get("contributors_say") or "What contributes"), tuple(_parts(record))),
    )
    return structs.replace(
        shown,
        title=printable(_who_has_it(record, now_ms, zone)),
        tone="show",
        further=(*(_LIVE if live else ()), *_ALWAYS, *(_TASKS if record.get("examples") else ())),
        sections=tuple(
            PagePart(printable(one.title), tuple(printable_words(line) for line in one.lines))
            for one in sections
            if one.lines
        ),
        facts=(*shown.facts[:-1], *_facts(record), *shown.facts[-1:]),
        links=_links(record),
        ask_name=False,
    )


def _who_has_it(record: Mapping[str, Any], now_ms: int, zone: str) -> str:
    machine = record.get("machine", {})
    if record["state"] == "resolved":
        return f"It is over, since {at_words(record.get('resolved_at'), zone)}"
    if machine.get("acknowledged_by"):
        return f"{machine['acknowledged_by']} has it"
    told_ms = machine.get("timer_ms")
    return "Nobody has it yet" + (
        f", {duration((now_ms - told_ms) / 1000)} after the first message" if told_ms and now_ms > told_ms else ""
    )


def told(record: Mapping[str, Any], behind: Behind, zone: str) -> tuple[str, ...]:
    """Return who was told, a line each, the last first; that nobody was, where it is so."""
    lines = told_sentences(record, behind.deliveries, lambda at_ms: instant(at_ms, zone=zone))[::-1]
    nobody = nobody_words(record)
    lines = lines or [f"{nobody[0].upper()}{nobody[1:]}."]
    return (*lines, *(() if behind.known else ("Whether it was delivered cannot be read now.",)))


def _not_told(record: Mapping[str, Any], behind: Behind, zone: str) -> list[str]:
    return held_lines(record, behind.titles, lambda at_ms: instant(at_ms, zone=zone))


def next_of(
    record: Mapping[str, Any], behind: Behind, policy: RoutingPolicy | None, now_ms: int, zone: str
) -> tuple[str, ...]:
    """Return who is told next and when, a line each; why nobody is, where it is so; nothing for what is over."""
    if record["state"] == "resolved" or policy is None:
        return ()
    if holder := record.get("machine", {}).get("acknowledged_by"):
        return (f"Nobody: {holder} has it. Whoever was told hears when it is over.",)
    if into := str(record.get("merged_into") or ""):
        return (f"Nobody: {behind.titles.get(into, 'another incident')} ({into[:12]}) speaks for it.",)
    try:
        found = next_told(policy, behind.facts or RotaFacts(), incident_of(dict(record)), now_ms)
    except (KeyError, ValueError, TypeError, AttributeError, msgspec.MsgspecError):
        return ("It cannot be said: another version of Floorwatch wrote this incident.",)
    lines = next_lines(found, now_ms, lambda at_ms: instant(at_ms, zone=zone))
    if lines or record.get("held"):
        return tuple(lines)
    return ("Nobody further, until it is over.",) if record.get("told") else ("Its first message is on the way.",)


def _parts(record: Mapping[str, Any]) -> list[str]:
    return [
        f"{part['dimension']} {part['value']} ({part['detail']})" + ("" if part.get("clear") else ", may be chance")
        for part in record.get("contributors") or ()
    ]


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    runbook, page = record.get("runbook_url"), record.get("runbook_page")
    facts = [
        ("What", str(record["title"])),
        ("Owner", str(record.get("owner") or "")),
        ("Merged into", str(record.get("merged_into") or "")[:12]),
        ("Example tasks", ", ".join(record.get("examples") or ())),
        ("Runbook", runbook_words(str(page)) if page and not runbook else ""),
        ("Window", str(record["window"])),
        ("Rule", f"{record['rule']}, episode {record['episode']}"),
        ("Incident", str(record["key"])),
    ]
    return [(name, printable(value)) for name, value in facts if value]


def evidence_fact(record: Mapping[str, Any], zone: str) -> tuple[str, str]:
    """Return the evidence and its method as a fact, with times of a zone."""
    return "Evidence", printable(times_in(str(record["evidence"]), zone, instant_ms(record["updated_at"])))


def _links(record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    links = [
        ("Board", record.get("board_url")),
        ("Runbook", record.get("runbook_url")),
        *((url, url) for url in record.get("links") or ()),
    ]
    return tuple(
        (printable(str(name)), str(url)) for name, url in links if url and str(url).startswith(("https://", "http://"))
    )
