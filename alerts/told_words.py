"""Who was told of an incident, who was not and why, and who is told next, in words for people. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from alerts.deliveries import Delivery
from alerts.dues import NO_TIER
from alerts.next_told import NextTelling
from alerts.notice import Target
from alerts.view import instant_ms

Words = Callable[[int], str]
"""A time in ms in words."""

NOBODY = {NO_TIER: "somebody escalated it, and no further tier is left to tell"}
"""Why nobody can be told, where it is not for want of a route."""

_STEPS = {
    "open": "that it opened",
    "reopened": "that it began again",
    "reminder": "that it is still open",
    "resolved": "that it is over",
    "flapping": "that it comes and goes",
}
_SENT = {"waiting": "not delivered yet", "dead": "given up", "moved": "is configured no more"}


def held_lines(record: Mapping[str, Any], titles: Mapping[str, str], words: Words) -> list[str]:
    """Return a line for each reason why somebody was not told of an incident: ``ops: held by … (b402b7…)``.

    Args:
        record: The incident.
        titles: Titles of other incidents by key, for those that speak for this one.
        words: Says a time.
    """
    lines = []
    for hold in record.get("held") or []:
        by, until = str(hold.get("by") or ""), hold.get("until_ms")
        when = "" if until is None else f" until {words(until)}"
        reason = reason_words(str(hold["why"]), titles.get(by, by), when)
        who = ", ".join(name.removeprefix("channel:") for name in hold.get("receivers") or []) or "everybody"
        lines.append(f"{who}: {reason}")
    return lines


def nobody_words(record: Mapping[str, Any]) -> str:
    """Return what stands for who was told where nobody was: ``nobody yet``, or who took it before."""
    holder = record.get("machine", {}).get("acknowledged_by")
    return f"nobody: {holder} had it before anybody was told" if holder else "nobody yet"


def woken_words(record: Mapping[str, Any], words: Words) -> str:
    """Return when and why an incident's last snooze has ended; empty without one, or while it lasts.

    Args:
        record: The incident.
        words: Says a time.
    """
    machine = record.get("machine", {})
    at_ms = machine.get("woken_ms")
    if at_ms is None or machine.get("snooze"):
        return ""
    ends = [
        instant_ms(act["until"]) for act in record.get("acts") or () if act["what"] == "snooze" and act.get("until")
    ]
    worse = " because it became worse" if ends and at_ms < ends[-1] else ""
    return f"snooze ended {words(at_ms)}{worse}"


def reason_words(why: str, by: str, when: str) -> str:
    """Return a reason of ``alerts.incident.Hold`` in words.

    Args:
        why: The reason.
        by: What holds it, as people know it.
        when: Until when, with a space in front; empty where no end is known.
    """
    reasons = {
        "inhibited": f"held by {by}, which they were told of",
        "silenced": f"silenced{when}",
        "snoozed": f"snoozed{when}, unless it becomes worse",
        "merged": f"merged into {by}",
        "grouping": f"waits for the next message of its group{when}",
        "flapping": "flapping, told when it is steady",
        "digest": f"waits for the digest{when}",
        "quiet": f"quiet hours {by}{when}",
        "muted": f"mute time {by}{when}",
        "maintenance": f"held by maintenance {by}{when}",
        "nobody": NOBODY.get(by, "no receiver is configured for its route"),
    }
    return reasons.get(why, why)


def told_sentences(record: Mapping[str, Any], deliveries: Iterable[Delivery], words: Words) -> list[str]:
    """Return a line for each who was told, oldest first: when, who, what of, by which channel, and whether it arrived.

    Why a delivery failed is not said: whoever a page is passed on to reads this, and a reason may name a host.

    Args:
        record: The incident.
        deliveries: What became of its notices; those that are not known any more are left out.
        words: Says a time.
    """
    by_channel = {(one.id, one.channel): one for one in deliveries}
    lines = []
    for told in sorted(record.get("told") or (), key=lambda one: int(one["at_ms"])):
        ways = [_way(name, by_channel.get((told["notice"], name)), words) for name in told["channels"]]
        who = _who(str(told["receiver"]), list(told["channels"]))
        lines.append(f"{words(told['at_ms'])}: {who} {step_words(told['step'])}; {', '.join(ways)} ({told['why']})")
    meant = {(told["notice"], name) for told in record.get("told") or () for name in told["channels"]}
    instead = [one for one in by_channel.values() if (one.id, one.channel) not in meant]
    return [*lines, *(f"Instead: {_way(one.channel, one, words)}" for one in instead)]


def _who(receiver: str, channels: Sequence[str]) -> str:
    kind, _, name = receiver.partition(":")
    if kind == "channel":
        return name if channels == [name] else f"{name} by {', '.join(channels)}"
    ways = f" by {', '.join(channels)}" if channels else ""
    return f"{name}{ways}" if kind == "person" else f"{kind} {name}{ways}"


def _way(channel: str, one: Delivery | None, words: Words) -> str:
    if one is None:
        return f"{channel} decided"
    if one.state == "sent":
        return f"{channel} delivered {words(one.at_ms)}"
    if one.state == "waiting" and one.failing_since_ms is not None:
        return f"{channel} fails since {words(one.failing_since_ms)}, is tried again"
    return f"{channel} {_SENT[one.state]}"


def step_words(step: str) -> str:
    """Return what a step told: ``that it opened``, ``tier 2 of its escalation``.

    Example:
        >>> step_words("escalated-0-2"), step_words("reminder-0-1")
        ('tier 2 of its escalation', 'that it is still open')
    """
    name, _, rest = step.partition("-")
    if name == "escalated":
        return f"tier {rest.rpartition('-')[2]} of its escalation"
    return _STEPS.get(name, step)


def next_lines(found: Sequence[NextTelling], now_ms: int, words: Words) -> list[str]:
    """Return a line for each telling that follows: ``18:17 UTC+8, unless somebody takes it: lee by sms (…)``.

    Args:
        found: What follows, in order of time.
        now_ms: Wall time.
        words: Says a time.
    """
    lines = []
    for one in found:
        when = "When what holds it ends" if one.at_ms is None else words(one.at_ms)
        if one.at_ms is not None and one.at_ms <= now_ms:
            when = "Within seconds"
        who = ", ".join(_target(target) for target in one.targets) or "nobody: no receiver is configured"
        what = f"tier {one.number}" if one.what == "tier" else "again, that it is still open"
        held = "".join(f"; {reason_words(hold.why, hold.by, _until(hold.until_ms, words))} first" for hold in one.holds)
        lines.append(f"{when}, unless somebody takes it: {what}: {who}{held}")
    return lines


def _until(until_ms: int | None, words: Words) -> str:
    return "" if until_ms is None else f" until {words(until_ms)}"


def _target(target: Target) -> str:
    return f"{_who(target.receiver, list(target.channels))} ({target.why})"
