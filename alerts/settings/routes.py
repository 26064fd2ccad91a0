"""Settings of the routing: which incidents take which route."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from alerts.routing.matchers import (
    NAMES,
    SEVERITIES,
    MatcherFault,
    check_characters,
    implied,
    matcher_text,
    parse_matcher,
    possible,
)
from alerts.routing.policy import Matcher, RoutingEntry
from config.base import Section, SettingsFault, refuse
from config.nearest import choices, nearest

Place = tuple[str | int, ...]


def check_names(matcher: Matcher) -> None:
    """Check that incidents have what a matcher asks for.

    Raises:
        MatcherFault: No incident has such a dimension, or such a severity.
    """
    if matcher.name not in NAMES:
        raise MatcherFault(f"no incident has a {matcher.name}", choices(matcher.name, NAMES))
    if matcher.name == "severity" and matcher.op in ("=", "!=") and matcher.text not in SEVERITIES:
        raise MatcherFault(f'there is no severity "{matcher.text}"', choices(matcher.text, SEVERITIES))


def check_known(matcher: Matcher, known: Mapping[str, Sequence[str]]) -> None:
    """Check that there is the kind or rule that a matcher names.

    Args:
        matcher: The matcher.
        known: By ``kind`` and ``rule`` the names that there are; what is left out is not checked.

    Raises:
        MatcherFault: There is none of this name.
    """
    names = known.get(matcher.name)
    if names is not None and matcher.op in ("=", "!=") and matcher.text not in names:
        hint = nearest(matcher.text, names, "floorwatch rules show lists them")
        raise MatcherFault(f'there is no {matcher.name} "{matcher.text}"', hint)


def _readable(text: str) -> str:
    """Refuse a text that is no matcher, or asks for something that no incident has."""
    try:
        check_names(parse_matcher(text))
        check_characters(text)
    except MatcherFault as fault:
        refuse([SettingsFault((), fault.reason, fault.hint)])
    return text


MatcherText = Annotated[str, AfterValidator(_readable)]


class RoutingEntrySettings(Section):
    """One entry of the routing.

    Attributes:
        match: ``vendor=bpo-a``, ``severity!=info``, ``site=~kul|pen``; all must fit, and none fits everything.
        route: The route of what fits; None: that of the entry above, at the top the rule's own.
        go_on: Written ``continue``: the next entries are asked too.
        routes: Entries that are asked of what fits; where one of them fits, this entry's own route is not taken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    match: tuple[MatcherText, ...] = Field(default=(), max_length=20)
    route: str | None = None
    go_on: bool = Field(default=False, alias="continue")
    routes: tuple[RoutingEntrySettings, ...] = Field(default=(), max_length=1000)

    def policy(self) -> RoutingEntry:
        """Return the entry as the pure machines take it."""
        below = tuple(one.policy() for one in self.routes)
        return RoutingEntry(tuple(parse_matcher(text) for text in self.match), self.route, self.go_on, below)


@dataclass(frozen=True)
class _EntryAt:
    """An entry with its place below ``alerts``, and the matchers of the entries above it."""

    entry: RoutingEntry
    place: Place
    above: tuple[Matcher, ...]

    @property
    def number(self) -> int:
        """Its place on its level."""
        return int(self.place[-1])

    @property
    def asked(self) -> tuple[Matcher, ...]:
        """All that must fit for the entry to be taken."""
        return (*self.above, *self.entry.match)


def _levels(entries: Sequence[RoutingEntry], place: Place, above: tuple[Matcher, ...]) -> Iterator[list[_EntryAt]]:
    level = [_EntryAt(entry, (*place, number), above) for number, entry in enumerate(entries)]
    if level:
        yield level
    for one in level:
        yield from _levels(one.entry.entries, (*one.place, "routes"), one.asked)


def routing_faults(
    entries: Sequence[RoutingEntry], routes: Iterable[str], kinds: Sequence[str], rules: Sequence[str]
) -> list[SettingsFault]:
    """Return the entries that name what there is not, or that nothing can ever take.

    Args:
        entries: The routing.
        routes: Names of the routes.
        kinds: Kinds of rules that there are.
        rules: Names of the rules, also of those that are not in force.
    """
    found: list[SettingsFault] = []
    names = list(routes)
    for level in _levels(entries, ("alerts", "routing"), ()):
        before = _Ends()
        for one in level:
            found += _unknown(one, names, kinds, rules)
            clash = _contradiction(one)
            found += [clash] if clash is not None else _shadowed(one, before)
            if clash is None:
                before.add(one)
    return found


def _unknown(
    one: _EntryAt, routes: Sequence[str], kinds: Sequence[str], rules: Sequence[str]
) -> Iterator[SettingsFault]:
    route = one.entry.route
    if route is not None and route not in routes:
        reads = (("alerts", "routes", route),)
        yield SettingsFault((*one.place, "route"), f"there is no route {route}", choices(route, routes), reads)
    if route is None and not one.entry.entries:
        hint = f"add  route: {routes[0] if routes else 'default'}"
        yield SettingsFault(one.place, "names no route, and has no routes below it", hint, ((*one.place,),))
    yield from _unknown_values(one, kinds, rules)


def _unknown_values(one: _EntryAt, kinds: Sequence[str], rules: Sequence[str]) -> Iterator[SettingsFault]:
    for number, matcher in enumerate(one.entry.match):
        try:
            check_known(matcher, {"kind": kinds, "rule": rules})
        except MatcherFault as fault:
            place = (*one.place, "match", number)
            yield SettingsFault(place, fault.reason, fault.hint, (("alerts", "rules"),))


def matcher_faults(
    place: Place, match: tuple[Matcher, ...], kinds: Sequence[str], rules: Sequence[str]
) -> Iterator[SettingsFault]:
    """Yield what is wrong between the matchers of something that is no routing entry.

    Args:
        place: What has the ``match``, from the top.
        match: Its matchers.
        kinds: Kinds of rules that there are.
        rules: Names of the rules, also of those that are not in force.
    """
    one = _EntryAt(RoutingEntry(match), place, ())
    yield from _unknown_values(one, kinds, rules)
    clash = _contradiction(one, "nothing fits")
    if clash is not None:
        yield clash


def _contradiction(one: _EntryAt, so: str = "nothing is sent here") -> SettingsFault | None:
    """Return a fault where no value of some name fits all that is asked of it."""
    for number, matcher in reversed(list(enumerate(one.entry.match))):
        if possible(one.asked, matcher.name) == frozenset():
            others = [other for other in one.asked if other.name == matcher.name and other is not matcher]
            said = " and ".join(matcher_text(other) for other in others)
            reason = f"{matcher_text(matcher)} never fits together with {said}, so {so}"
            values = "|".join(dict.fromkeys(other.text for other in (*others, matcher)))
            hint = f"for any of these write {matcher.name}=~{values}, or write an entry for each"
            if any(other.op not in ("=", "=~") for other in (*others, matcher)):
                hint = "remove one of them"
            elif any(other in one.above for other in others):
                hint = "what is below an entry must fit that too: move this entry out of it"
            return SettingsFault((*one.place, "match", number), reason, hint, (one.place,))
    return None


class _Ends:
    """Entries that end the search, by a value that one of their matchers asks for: an entry is compared with few of them."""

    def __init__(self) -> None:
        self._by_value: dict[tuple[str, str], list[_EntryAt]] = {}
        self._others: list[_EntryAt] = []

    def add(self, one: _EntryAt) -> None:
        """Note an entry, unless it goes on."""
        if one.entry.go_on:
            return
        value = next(((each.name, each.text) for each in one.entry.match if each.op == "="), None)
        (self._others if value is None else self._by_value.setdefault(value, [])).append(one)

    def hiding(self, one: _EntryAt) -> _EntryAt | None:
        """Return the first entry that surely takes all that fits another; None where none is seen to."""
        given = one.asked
        left = {name: possible(given, name) for name in {each.name for each in given}}
        single = [
            (name, next(iter(values))) for name, values in left.items() if values is not None and len(values) == 1
        ]
        near = [other for value in single for other in self._by_value.get(value, ())]
        hide = [each for each in (*near, *self._others) if all(implied(m, given, left) for m in each.entry.match)]
        return min(hide, key=lambda each: each.number, default=None)


def _shadowed(one: _EntryAt, before: _Ends) -> Iterator[SettingsFault]:
    """Yield a fault where an entry above surely takes all that fits, and does not go on."""
    other = before.hiding(one)
    if other is None:
        return
    where = "routing" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in other.place[2:])
    said = ", ".join(matcher_text(matcher) for matcher in other.entry.match) or "everything"
    reason = f"is never asked: {where} takes {said} and ends the search"
    hint = f"move this entry above it, or add  continue: true  to {where}"
    yield SettingsFault(one.place, reason, hint, (one.place, other.place))
