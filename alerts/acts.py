"""What a person's action does to an incident. Pure; the incident machine (``alerts/lifecycle.py``) folds with it."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import structs

from alerts.incident import Ack, Act, Incident, OperatorAction, Silence, Snooze

ACTIONS_KEPT = 20
"""Operator actions kept in an incident. The log has all of them for as long as it is kept."""

LINKS_KEPT = 10
"""Links kept in an incident, the last ones given."""

WORSE = 1.5
"""A snooze ends where the number is this many times as far from its target as when somebody snoozed."""

MARKS = ("useful", "not_useful")
"""Actions that judge the alert. An incident keeps them among what people did; nothing else of it changes."""

_ANY_TIME = frozenset(("comment", "owner", "link", "silence", "unmerge", *MARKS))
"""Actions that may be done before an incident opens and after it is over."""

_RANK = {"page": 2, "warn": 1, "info": 0}


def as_act(given: Ack | Silence) -> Act:
    """Return the older form of an acknowledgement or a silence as an action."""
    if isinstance(given, Ack):
        return Act("ack", given.key, given.by, given.at_ms, note=given.note)
    return Act("silence", given.key, given.by, given.at_ms, note=given.note, until_ms=given.until_ms)


def check(act: Act) -> None:
    """Check what the type of an action does not say.

    Raises:
        ValueError: A silence or snooze without an end, a comment without text, a link that is no web address, a merge without
            another incident. The message says what to write.
    """
    match act.what:
        case "silence" | "snooze" if act.until_ms is None:
            raise ValueError(f"a {act.what} without until_ms: say when it ends")
        case "comment" if not act.note.strip():
            raise ValueError("a comment without note: write the comment there")
        case "link":
            check_link(act.target)
        case "merge" if not act.target:
            raise ValueError("a merge without target: give the key of the incident it goes into")
        case "merge" if act.target == act.key:
            raise ValueError("a merge of an incident into itself: give another incident")


def check_link(url: str) -> None:
    """Check that a link leads to a web address.

    Raises:
        ValueError: It does not begin with https:// or http://, names no host, or hides the host behind a name and ``@``.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("https", "http") or not host or any(sign.isspace() for sign in url):
        raise ValueError("a link that is no web address: write it whole, beginning with https://")
    if "@" in parts.netloc:
        raise ValueError("a link with a name before its host: leave out all up to the @")


def on_act(incident: Incident, act: Act) -> Incident:
    """Return an incident after an action; the same object where it does nothing.

    An action that is among the last ``ACTIONS_KEPT`` (by its id) counts once. Acknowledgements, snoozes, escalations and merges are
    for what is live.

    Raises:
        ValueError: See ``check``.
    """
    check(act)
    if act.key != incident.key or _counted(incident, act):
        return incident
    after = _noted(incident, act) if act.what in _ANY_TIME else _moved(incident, act) if incident.live else None
    if after is None:
        return incident
    said = OperatorAction(act.what, act.by, act.at_ms, act.note, act.until_ms, act.target, act.via, act.id)
    return structs.replace(after, acts=(*incident.acts, said)[-ACTIONS_KEPT:])


def _counted(incident: Incident, act: Act) -> bool:
    return bool(act.id) and any(one.id == act.id for one in incident.acts)


def _noted(incident: Incident, act: Act) -> Incident | None:
    """Return what an action changes that may be done at any time; None: there is nothing to do."""
    match act.what:
        case "comment" | "useful" | "not_useful":
            return incident
        case "owner":
            return structs.replace(incident, owner=act.target or None)
        case "link":
            others = tuple(url for url in incident.links if url != act.target)
            return structs.replace(incident, links=(*others, act.target)[-LINKS_KEPT:])
        case "silence":
            return structs.replace(incident, silenced_until_ms=act.until_ms)
        case "unmerge" if incident.merged_into is not None:
            return structs.replace(incident, merged_into=None)
    return None


def _moved(incident: Incident, act: Act) -> Incident | None:
    """Return what an action changes that is for live incidents; None: there is nothing to do."""
    match act.what:
        case "ack":
            # Who takes it answers who asked for the next tier.
            return structs.replace(incident, state="acknowledged", acknowledged_by=act.by, asked_tier=0)
        case "snooze" if act.until_ms is not None:
            snooze = Snooze(act.until_ms, incident.severity, _gap(incident))
            return structs.replace(incident, snooze=snooze, woken_ms=None)
        case "merge":
            return structs.replace(incident, merged_into=act.target)
        case "escalate":
            return _escalated(incident)
    return None


def _escalated(incident: Incident) -> Incident:
    """Return an incident of which the next tier is to be told; nothing that somebody said before holds that back."""
    asked = structs.replace(incident, asked_tier=incident.tier + 1, silenced_until_ms=None, snooze=None, woken_ms=None)
    if incident.state != "acknowledged":
        return asked
    # Who had it gives it on. The later tiers count from when the next one is told.
    return structs.replace(asked, state="escalated" if incident.tier else "open", acknowledged_by=None, timer_ms=None)


def at_tick(incident: Incident, at_ms: int) -> Incident:
    """Return an incident at a wall time: silences and snoozes that are over have ended. A snooze's readers are told again."""
    if incident.silenced_until_ms is not None and at_ms >= incident.silenced_until_ms:
        incident = structs.replace(incident, silenced_until_ms=None)
    snooze = incident.snooze
    if snooze is not None and (at_ms >= snooze.until_ms or is_worse(incident, snooze)):
        incident = structs.replace(incident, snooze=None, woken_ms=at_ms)
    return incident


def is_worse(incident: Incident, snooze: Snooze) -> bool:
    """Tell whether an incident is clearly worse than when it was snoozed: more urgent, or ``WORSE`` times as far off its target."""
    if _RANK[incident.severity] > _RANK[snooze.severity]:
        return True
    gap = _gap(incident)
    if gap is None or snooze.gap is None or gap * snooze.gap < 0:
        return False  # a number on the good side of its target is not worse, however far it is
    return abs(gap) > WORSE * abs(snooze.gap)


def _gap(incident: Incident) -> float | None:
    """Return value minus target, in the unit of the value."""
    return None if incident.value is None else incident.value - incident.target
