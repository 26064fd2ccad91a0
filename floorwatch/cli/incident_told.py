"""Who was told of an incident and who was not, and why, as lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from floorwatch.output.reader_zone import local_instant

if TYPE_CHECKING:
    from alerts.deliveries import Delivery
    from alerts.outbox import Outbox


async def deliveries_by_incident(outbox: Outbox, records: Sequence[dict[str, Any]]) -> dict[str, list[Delivery]]:
    """Return the deliveries of some incidents by key: those of the notices that told of each."""
    from alerts.deliveries import deliveries, deliveries_of

    found = await deliveries_of(outbox, [record["key"] for record in records])  # of version 2
    notices = {told["notice"] for record in records for told in record.get("told") or []}
    by_notice = await deliveries(outbox, sorted(notices))
    for record in records:
        for told in {told["notice"]: told for told in record.get("told") or []}.values():
            found[record["key"]] += by_notice.get(told["notice"], [])
    return found


def titles_of(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return what and where each incident is, with its short key, by key."""
    return {record["key"]: f"{record['title']} ({record['key'][:12]})" for record in records}


def told_words(deliveries: Sequence[Delivery]) -> str:
    """Return in short who was told: ``ops``, ``ops waiting``, ``ops FAILING``, ``ops GIVEN UP``; by channel what matters most."""
    words = {"sent": "", "waiting": " waiting", "failing": " FAILING", "dead": " GIVEN UP"}
    worst: dict[str, str] = {}
    order = list(words)
    for one in deliveries:
        state = "failing" if one.state == "waiting" and one.failing_since_ms is not None else one.state
        if state in words:
            worst[one.channel] = max(worst.get(one.channel, "sent"), state, key=order.index)
    return ", ".join(f"{channel}{words[state]}" for channel, state in sorted(worst.items())) or "nobody yet"


def who_words(record: dict[str, Any], deliveries: Sequence[Delivery], titles: Mapping[str, str]) -> str:
    """Return in short who was told, else what holds the message back."""
    held = held_lines(record, titles)
    if not deliveries and not held and not record.get("told"):
        return nobody_words(record)
    if deliveries or not held:
        return told_words(deliveries)
    return f"nobody yet: {held[0].partition(': ')[2]}"


def nobody_words(record: Mapping[str, Any]) -> str:
    """Return what stands for who was told where nobody was."""
    from alerts import told_words

    return told_words.nobody_words(record)


def woken_words(record: Mapping[str, Any]) -> str:
    """Return when and why an incident's last snooze has ended, with times of the reader's zone; empty without one."""
    from alerts import told_words

    return told_words.woken_words(record, local_instant)


def held_lines(record: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    """Return a line for each reason why somebody was not told of an incident, with times of the reader's zone."""
    from alerts import told_words

    return told_words.held_lines(record, titles, local_instant)


def _is_instead(one: Delivery, record: dict[str, Any], meant: set[tuple[str, str]]) -> bool:
    """Tell whether a delivery went to a channel that replaced another."""
    return (one.id, one.channel) not in meant and one.id.partition(":")[0] != record["key"]


def told_lines(record: dict[str, Any], deliveries: Sequence[Delivery]) -> list[str]:
    """Return a line for each who was told of an incident: the step, how delivery went and why this receiver."""
    from floorwatch.cli.notifications import words_of

    lines = [
        f"{one.id.partition(':')[2]}: {words_of(one)}"
        for one in deliveries
        if one.id.partition(":")[0] == record["key"]  # of version 2
    ]
    entries = record.get("told") or []
    meant = {(told["notice"], channel) for told in entries for channel in told["channels"]}
    for told in entries:
        sent = [one for one in deliveries if one.id == told["notice"] and one.channel in told["channels"]]
        lines += [f"{told['step']}: {words_of(one)} ({told['why']})" for one in sent]
        if not sent:
            at = local_instant(told["at_ms"])
            lines.append(f"{told['step']}: {', '.join(told['channels'])}, decided {at} ({told['why']})")
    lines += [f"instead: {words_of(one)}" for one in deliveries if _is_instead(one, record, meant)]
    return lines
