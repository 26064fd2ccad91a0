"""A mapping tried on hooks: its own examples, and which fields of hooks it uses. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from config.errors import ConfigError
from gateway.sources.mapped.document import Example, ExpectedEvent
from gateway.sources.mapped.expressions import Place
from gateway.sources.mapped.kept import Keeping, bounded
from gateway.sources.mapped.mapping import Mapping
from gateway.sources.mapped.meaning import Found, HookMeaning, find_meaning
from gateway.webhooks import BadWebhook
from streams.models.timestamps import BadTimestamp, parse_rfc3339

Use = Literal["used", "kept", "ignored"]


@dataclass(frozen=True)
class FieldUse:
    """What becomes of a field of hooks.

    Attributes:
        field: Its place, e.g. ``items.ref``; lists are stepped through.
        use: ``used``: an expression names it. ``kept``: only ``keep`` does. ``ignored``: nothing does, and it is kept nowhere.
        count: How many values were there.
    """

    field: str
    use: Use
    count: int


def meaning_of(hook: Any, mapping: Mapping) -> HookMeaning:
    """Return what a hook means.

    Raises:
        BadWebhook: The gateway would refuse it whole.
    """
    found = HookMeaning()
    for _ in bounded(hook):
        pass
    for _ in find_meaning(hook, mapping, found):
        pass
    return found


def failures(mapping: Mapping) -> list[ConfigError]:
    """Try the examples of a mapping; return what is not as they say, with its place."""
    found: list[ConfigError] = []
    for number, example in enumerate(mapping.examples):
        place = ("examples", number)
        try:
            meaning = meaning_of(example.hook, mapping)
        except BadWebhook as fault:
            found.append(mapping.file.fault((*place, "hook"), f"the gateway would refuse it: {fault.reason}", None))
            continue
        found += _failures(mapping, place, example, meaning)
    return found


def coverage(hooks: Iterable[Any], mapping: Mapping) -> list[FieldUse]:
    """Return which fields of hooks a mapping uses, keeps and ignores: used ones first, each by name."""
    used, counts = Keeping(mapping.used), Counter(place for hook in hooks for place in _places(hook))
    order: tuple[Use, ...] = ("used", "kept", "ignored")
    found = [
        FieldUse(
            ".".join(place) or "(the hook)",
            "used" if used.at(place) else "kept" if mapping.keeping.at(place) else "ignored",
            count,
        )
        for place, count in counts.items()
    ]
    return sorted(found, key=lambda one: (order.index(one.use), one.field))


def _places(hook: Any) -> Iterator[Place]:
    rest: list[tuple[Place, Any]] = [((), hook)]
    while rest:
        place, value = rest.pop()
        if isinstance(value, dict):
            rest += [((*place, name), one) for name, one in value.items()]
        elif isinstance(value, list):
            rest += [(place, one) for one in value]
        else:
            yield place


# -- examples ----------------------------------------------------------------------------------------------------


def _failures(
    mapping: Mapping, place: tuple[str | int, ...], example: Example, meaning: HookMeaning
) -> Iterator[ConfigError]:
    got = [one["event"] for one in meaning.events]
    wanted = [one.event for one in example.events]
    why = "".join(f"; {one['field']}: {one['code']}, {one['reason']}" for one in meaning.problems)
    if got != wanted:
        said = f"{_name(example)}expected {_list(wanted)}, got {_list(got)}{why}"
        yield mapping.file.fault((*place, "events"), said, None)
    else:
        for number, (one, found) in enumerate(zip(example.events, meaning.events, strict=True)):
            for where, said in _differences(one, found):
                yield mapping.file.fault((*place, "events", number, *where), f"{_name(example)}{said}", None)
    codes = [one["code"] for one in meaning.problems]
    if codes != list(example.problems):
        said = f"{_name(example)}expected {_list(example.problems)}, got {_list(codes)}{why}"
        yield mapping.file.fault((*place, "problems"), said, None)
    ignored = bool(meaning.ignored) and len(meaning.ignored) == meaning.items
    if ignored != example.ignored:
        said = f"{_name(example)}expected {'all' if example.ignored else 'not all'} of it to be ignored"
        yield mapping.file.fault(
            (*place, "ignored"), f"{said}; {len(meaning.ignored)} of {meaning.items} items are", None
        )


def _differences(wanted: ExpectedEvent, found: Found) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the place and the words of each difference; what an example leaves out is not compared."""
    for name in ("task", "time"):
        said = getattr(wanted, name)
        if said is not None and not _same(said, found[name]):
            yield (name,), f"expected {said}, got {found[name]}"
    for name, said in wanted.data.items():
        outer, _, inner = name.partition(".")
        got = found["data"].get(outer)
        got = got.get(inner) if inner and isinstance(got, dict) else got
        if not _same(said, got):
            yield ("data", name), f"expected {said}, got {'nothing' if got is None else got}"


def _same(wanted: Any, got: Any) -> bool:
    """Tell whether two values are equal; of times also whether they are one instant."""
    if wanted == got and isinstance(wanted, bool) == isinstance(got, bool):
        return True
    try:
        return isinstance(wanted, str) and isinstance(got, str) and parse_rfc3339(wanted) == parse_rfc3339(got)
    except BadTimestamp:
        return False


def _name(example: Example) -> str:
    return f"{example.name}: " if example.name else ""


def _list(words: Iterable[str]) -> str:
    return f"[{', '.join(words)}]"
