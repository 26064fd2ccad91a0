"""Which entries of the routing the incidents of a rule may take, before any value is known. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from alerts.routing.matchers import fits_value
from alerts.routing.policy import RoutingEntry


class Reached(Struct, frozen=True):
    """An entry that incidents may take: its place as in ``Asked``, its route (None: the rule's own), and whether all of them do."""

    place: str
    route: str | None
    surely: bool


def reached(entries: Iterable[RoutingEntry], known: Mapping[str, str], unknown: Iterable[str]) -> list[Reached]:
    """Return the entries that incidents of a rule may take; none of them for sure where the rule's own route may be taken too.

    Args:
        entries: The routing.
        known: What all of them share: ``kind``, ``rule``, ``severity`` and dimensions with one value.
        unknown: Dimensions with many values. All others are empty.
    """
    found: list[Reached] = []
    _reach(entries, known, frozenset(unknown), "routing", None, True, found)
    return found


def falls_through(entries: Iterable[RoutingEntry], known: Mapping[str, str], unknown: Iterable[str]) -> bool:
    """Tell whether incidents of a rule may take no entry at all. Arguments as of ``reached``."""
    names = frozenset(unknown)
    return all(_fit(entry, known, names) is not True for entry in entries)


def _fit(entry: RoutingEntry, known: Mapping[str, str], unknown: frozenset[str]) -> bool | None:
    """Return whether an entry fits; None where that depends on values."""
    sure = True
    for matcher in entry.match:
        if matcher.name in unknown and matcher.name not in known:
            sure = False
        elif not fits_value(matcher, known.get(matcher.name, "")):
            return False
    return True if sure else None


def _reach(
    entries: Iterable[RoutingEntry],
    known: Mapping[str, str],
    unknown: frozenset[str],
    place: str,
    above: str | None,
    surely: bool,
    found: list[Reached],
) -> bool:
    """Note what entries of one level may be taken; return whether one of them is for sure."""
    fitted = False
    for number, entry in enumerate(entries):
        fit = _fit(entry, known, unknown)
        if fit is False:
            continue
        here = f"{place}[{number}]"
        route = entry.route if entry.route is not None else above
        sure = surely and fit is True
        below = _reach(entry.entries, known, unknown, f"{here}.routes", route, sure, found)
        if not below:
            found.append(Reached(here, route, sure and not entry.entries))
        fitted = fitted or fit is True
        if fit is True and not entry.go_on:
            break
        if fit is None and not entry.go_on:
            surely = False
    return fitted
