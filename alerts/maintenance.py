"""Maintenance windows as people plan them, from the command line or over HTTP: what is taken, and what is shown. Pure.

While a window is on, nobody is told of the incidents that it fits; what is still open at its end is told then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from alerts.incident import Maintenance
from alerts.plan_fault import PlanFault, check_name, check_note, check_person_text, check_span
from alerts.routing.matchers import MatcherFault, fits, matcher_text, planned_matcher, possible
from alerts.routing.policy import Matcher, Subject
from alerts.settings.routes import check_known, check_names
from streams.core.formatting import plural, rfc3339
from streams.models.timestamps import DAY_MS

MOST_MS = 31 * DAY_MS
"""How long a window may be."""
MOST_MATCHERS = 20
MOST_WINDOWS = 1_000
"""Windows that are not over. Each is looked at for each incident at each tick."""


WindowState = Literal["on", "planned", "over", "removed"]


def planned(
    match: Sequence[str],
    from_ms: int,
    to_ms: int,
    *,
    by: str,
    now_ms: int,
    note: str = "",
    name: str = "",
    known: Mapping[str, Sequence[str]] | None = None,
) -> Maintenance:
    """Return a window as it is put on the log.

    Args:
        match: Matchers (``vendor=bpo-a``), all of which must fit.
        from_ms: Wall time of its begin; it may be past.
        to_ms: Wall time of its end, excluded.
        by: Who plans it.
        now_ms: Wall time.
        note: Why, in a few words.
        name: Its id; empty: one is made of who, what and when, so the same window has the same id.
        known: By ``kind`` and ``rule`` the names that there are; what is left out is not checked.

    Raises:
        PlanFault: It cannot be meant so.
    """
    matchers = _matchers(match, known or {})
    check_span("window", from_ms, to_ms, now_ms, MOST_MS)
    check_person_text("by", by)
    check_note(note)
    check_name(name)
    texts = tuple(matcher_text(one) for one in matchers)
    made = "m-" + blake2b(repr((sorted(texts), from_ms, to_ms, by)).encode(), digest_size=5).hexdigest()
    return Maintenance(name or made, texts, from_ms, to_ms, by, now_ms, note)


def _matchers(match: Sequence[str], known: Mapping[str, Sequence[str]]) -> list[Matcher]:
    if not match:
        raise PlanFault("match", "names nothing", "write e.g. vendor=bpo-a; severity=~.* is every incident")
    if len(match) > MOST_MATCHERS:
        raise PlanFault("match", f"has {len(match)} matchers", f"write at most {MOST_MATCHERS}, e.g. site=~kul|pen")
    found = []
    for text in match:
        try:
            found.append(planned_matcher(text))
            check_names(found[-1])
            check_known(found[-1], known)
        except MatcherFault as fault:
            raise PlanFault("match", fault.reason, fault.hint) from None
    for name in {one.name for one in found}:
        if possible(found, name) == frozenset():
            hint = f"all matchers must fit: leave one out, or write {name}=~a|b for either of two"
            raise PlanFault("match", f"no {name} fits {', '.join(text for text in match)}", hint)
    return found


def check_number(windows: Iterable[Maintenance], new: Maintenance) -> None:
    """Check that one more window may be planned beside those that are not over.

    Raises:
        PlanFault: There are too many.
    """
    others = [one for one in windows if one.id != new.id and state_of(one, new.at_ms) in ("on", "planned")]
    if len(others) >= MOST_WINDOWS:
        raise PlanFault(
            "match", f"there are {plural(len(others), 'window')} already", "remove some, or let one fit more"
        )


def same(one: Maintenance | None, other: Maintenance) -> bool:
    """Tell whether two records plan the same, whenever they were made."""
    return one is not None and msgspec.structs.replace(one, at_ms=other.at_ms) == other


def state_of(window: Maintenance, now_ms: int) -> WindowState:
    """Return where a window is in its life."""
    if window.removed:
        return "removed"
    if now_ms >= window.to_ms:
        return "over"
    return "on" if now_ms >= window.from_ms else "planned"


def listed(windows: Iterable[Maintenance], now_ms: int, *, gone: bool = False) -> list[Maintenance]:
    """Return windows in the order of their begin; those that are over or removed only where ``gone`` asks for them."""
    wanted = ("on", "planned", "over", "removed") if gone else ("on", "planned")
    found = [one for one in windows if state_of(one, now_ms) in wanted]
    return sorted(found, key=lambda one: (one.from_ms, one.to_ms, one.id))


def as_record(window: Maintenance, now_ms: int) -> dict[str, Any]:
    """Return a window as JSON shows it; times are RFC 3339 in UTC."""
    return {
        "id": window.id,
        "state": state_of(window, now_ms),
        "match": list(window.match),
        "from": rfc3339(window.from_ms),
        "to": rfc3339(window.to_ms),
        "by": window.by,
        "at": rfc3339(window.at_ms),
        "note": window.note,
    }


def within(match: Sequence[str], bound: Mapping[str, Sequence[str]]) -> str | None:
    """Return the first dimension in which matchers may fit more than somebody is bound to; None: they fit nothing else.

    Args:
        match: Matchers of a window.
        bound: Values by dimension.
    """
    found = [planned_matcher(text) for text in match]
    for name, values in bound.items():
        left = possible(found, name)
        if left is None or not left or not left <= set(values):
            return name
    return None


def held_by(window: Maintenance, records: Iterable[Mapping[str, Any]]) -> int:
    """Return how many incidents a window fits.

    Args:
        window: The window.
        records: Incidents as the read model has them.
    """
    matchers = [planned_matcher(text) for text in window.match]
    found = (msgspec.convert(one, Subject) for one in records)
    return sum(all(fits(matcher, one) for matcher in matchers) for one in found)
