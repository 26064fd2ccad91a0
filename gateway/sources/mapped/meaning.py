"""What an item of a hook means: events of the contract, or why there are none. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from gateway.sources.mapped.contract import DIMENSIONS, IDS, event_class, required_of
from gateway.sources.mapped.expressions import REMOVED, CannotEvaluate, Expression, NotKept, Place, TooManySteps
from gateway.sources.mapped.kept import values_of
from gateway.sources.mapped.mapping import HOOK, MappedEvent, MappedField, Mapping
from gateway.sources.mapped.values import WrongValue, converted, text_of
from gateway.webhooks import BadWebhook, event_id
from streams.core.time_text import rfc3339

MAX_ITEMS = 10_000
MAX_EVENTS = 50_000
MAX_FAULTS = 10
"""Faults of one item that are told; they are mended one after the other."""

MAX_HOOK_STEPS = 1_000_000
"""Steps of all expressions on one hook: about a second, in slices between which others run."""

MAX_LETTER_VALUES, MAX_LETTER_BYTES = 5_000, 262_144
"""An item of which more is kept is named by its size only."""

MAX_AROUND_VALUES, MAX_AROUND_BYTES = 500, 16_384
"""Of a hook beside its items; where there is more, none of it is kept in a letter."""

Found = dict[str, Any]
"""An event as the spool keeps it: ids are the tool's own, without the name of the source."""

_HINT = (
    "mend the mapping or its tables, try it with `floorwatch map test`, then run `floorwatch "
    "dead-letters replay`; what it needs and is not kept the tool has to send again"
)


@dataclass
class HookMeaning:
    """What a hook, or an item of it, means.

    Attributes:
        events: In the order of items, and of the mapping.
        problems: What became no event, with what is kept of its item.
        ignored: Reasons of the items that mean nothing.
        items: How many items were looked at.
        steps: How many steps its expressions took.
    """

    events: list[Found] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    items: int = 0
    steps: int = 0

    def spend(self, steps: int) -> None:
        """Count steps of an expression. Raises BadWebhook where the hook took too many."""
        self.steps += steps
        if self.steps > MAX_HOOK_STEPS:
            reason = f"what the hook means takes more than {MAX_HOOK_STEPS} steps"
            raise BadWebhook("too_complex", "$", reason)


@dataclass(frozen=True)
class _Item:
    """An item as expressions see it, and where their steps are counted."""

    value: Any
    of: HookMeaning


class _Fault(Exception):
    """Why there is no event, or a field less."""

    def __init__(self, code: str, place: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.place, self.reason = code, place, reason


def find_meaning(hook: Any, mapping: Mapping, into: HookMeaning) -> Iterator[None]:
    """Find out what a hook means, and yield after each expression so that others can run.

    Args:
        hook: Within the bounds of ``gateway.sources.mapped.kept``.
        mapping: Of its tool.
        into: Filled in; it is whole at the end.

    Raises:
        BadWebhook: It has not the list that the mapping names, or takes more than ``MAX_HOOK_STEPS``.
    """
    for number, item in enumerate(_items(hook, mapping)):
        yield from find_item_meaning(number, item, hook, mapping, into)


def find_item_meaning(number: int, item: Any, hook: Any, mapping: Mapping, into: HookMeaning) -> Iterator[None]:
    """Find out what one item means; arguments and faults as of ``find_meaning``.

    Args:
        number: Which of the hook's items it is, from 0.
        item: As it came, or as a dead letter keeps it.
        hook: The hook around it; without a list of items the item itself.
        mapping: Of its tool.
        into: Added to.
    """
    into.items += 1
    faults: list[_Fault] = []
    seen = {**item, HOOK: hook} if isinstance(item, dict) else item
    yield from _read_item(_Item(seen, into), mapping, into, faults)
    if faults:
        into.problems += _problems(number, faults, _kept(item, mapping), _around(hook, mapping), mapping)


def _items(hook: Any, mapping: Mapping) -> list[Any]:
    if mapping.each is None:
        return [hook]
    try:
        items = mapping.each.of(hook)
    except (TooManySteps, CannotEvaluate, NotKept) as error:
        raise BadWebhook("wrong_type", "$", f"the list of items cannot be found: {_words(error)}") from None
    if not isinstance(items, list):
        raise BadWebhook(
            "missing_field", "$", f"there is no list at {mapping.each.text}, which the mapping names as each"
        )
    if len(items) > MAX_ITEMS:
        raise BadWebhook("too_large", "$", f"the hook has more than {MAX_ITEMS} items")
    return items


def _read_item(item: _Item, mapping: Mapping, into: HookMeaning, faults: list[_Fault]) -> Iterator[None]:
    """Add to a meaning what an item means. A fault of one event leaves the others as they are."""
    taken = False
    for rule in mapping.events:
        yield
        try:
            if _value(rule.when, item, f"{rule.place}.when", truth=True):
                taken = True
                yield from _event(rule, item, mapping, into, faults)
        except _Fault as fault:
            faults.append(fault)
    if taken or faults:
        return
    for number, (when, reason) in enumerate(mapping.ignore):
        yield
        try:
            if _value(when, item, f"ignore[{number}].when", truth=True):
                into.ignored.append(reason)
                return
        except _Fault as fault:
            faults.append(fault)
    if not faults:
        faults.append(_Fault("unmapped", "", "no event of the mapping takes it, and no ignore"))


def _event(rule: MappedEvent, item: _Item, mapping: Mapping, into: HookMeaning, faults: list[_Fault]) -> Iterator[None]:
    """Add the event. Raises _Fault where there is none; a dimension that is left out is added to the faults."""
    time = None
    if rule.time is not None:
        time = _converted(rule.time, item, f"{rule.place}.time", "time", mapping)
        if time is None:
            raise _Fault("missing_field", f"{rule.place}.time", f"{rule.time.text} says nothing: there is no time")
    found: Found = {"event": rule.event, "task": _id(rule.task, item, f"{rule.place}.task"), "time": time, "data": {}}
    if rule.revision is not None:
        found["revision"] = _id(rule.revision, item, f"{rule.place}.revision")
    for one in rule.fields:
        yield
        try:
            value = _field(one, item, mapping)
        except _Fault as fault:
            if one.name not in DIMENSIONS:
                raise
            faults.append(fault)
            continue
        if value is not None:
            _put(found["data"], one.name, value)
    into.events.append(_sound(found, rule, into))


def _sound(found: Found, rule: MappedEvent, into: HookMeaning) -> Found:
    """Return an event that the contract takes. Raises _Fault where it does not, BadWebhook where there are too many."""
    missing = next((name for name in required_of(rule.event) if found["data"].get(name) is None), None)
    if missing is not None:
        reason = f"the hook says no {missing}, and {rule.event} needs it"
        raise _Fault("missing_field", f"{rule.place}.fields.{missing}", reason)
    try:
        event_of(found, "-/-", 0)
    except msgspec.ValidationError as error:
        raise _Fault("wrong_value", rule.place, f"the event is none of the contract: {_place_of(error)}") from None
    if len(into.events) >= MAX_EVENTS:
        raise BadWebhook("too_large", "$", f"the hook means more than {MAX_EVENTS} events")
    return found


def _field(one: MappedField, item: _Item, mapping: Mapping) -> Any:
    if one.table is None:
        return _converted(one.expression, item, one.place, one.kind, mapping)
    said = _value(one.expression, item, one.place)
    words = said if isinstance(said, list) else [said]
    ours = []
    for word in words:
        if word is None or word == "":
            continue
        try:
            held = one.table.get(_word(word))
        except WrongValue as error:
            raise _Fault("wrong_value", one.place, f"{one.expression.text} {error}") from None
        if held is None:
            raise _Fault(
                "not_in_table", one.place, f"the table of {one.name} does not have what {one.expression.text} says"
            )
        ours.append(held)
    if one.kind != "texts" and len(ours) > 1:
        raise _Fault("wrong_value", one.place, f"{one.expression.text} is a list, and {one.name} is one value")
    return _conversion(
        ours if one.kind == "texts" else next(iter(ours), None), one.kind, one.place, one.expression, mapping
    )


def _word(value: Any) -> str:
    """Return the word by which a value stands in a table; true and false are words, too."""
    return str(value).lower() if isinstance(value, bool) else text_of(value)


def _converted(expression: Expression, item: _Item, place: str, kind: Any, mapping: Mapping) -> Any:
    return _conversion(_value(expression, item, place), kind, place, expression, mapping)


def _conversion(value: Any, kind: Any, place: str, expression: Expression, mapping: Mapping) -> Any:
    try:
        return converted(value, kind, mapping.times)
    except WrongValue as error:
        raise _Fault("wrong_time" if kind == "time" else "wrong_value", place, f"{expression.text} {error}") from None


def _id(expression: Expression, item: _Item, place: str) -> str:
    value = _value(expression, item, place)
    if value is None or value == "":
        raise _Fault("missing_field", place, f"{expression.text} says nothing")
    try:
        return text_of(value)
    except WrongValue as error:
        raise _Fault("wrong_value", place, f"{expression.text} {error}") from None


def _value(expression: Expression, item: _Item, place: str, *, truth: bool = False) -> Any:
    try:
        return (expression.holds if truth else expression.of)(item.value, item.of.spend)
    except NotKept as error:
        raise _Fault("not_kept", place, _words(error)) from None
    except TooManySteps as error:
        raise _Fault("too_complex", place, _words(error)) from None
    except CannotEvaluate as error:
        raise _Fault("wrong_value", place, _words(error)) from None


def _words(error: Exception) -> str:
    if isinstance(error, NotKept):
        return "what it needs of the hook was not kept; the tool has to send it again"
    return "the expression would take too long on this hook" if isinstance(error, TooManySteps) else str(error)


def _put(data: dict[str, Any], name: str, value: Any) -> None:
    if name == "active_s":
        name = "active_ms"
    outer, _, inner = name.partition(".")
    if inner:
        data.setdefault(outer, {})[inner] = value
    else:
        data[name] = value


def _place_of(error: msgspec.ValidationError) -> str:
    """Return msgspec's words on a fault: they name the place and what was expected, and quote no value but of a choice."""
    said = str(error)
    return said if "Invalid enum value" not in said else f"a word that is no choice of it{said[said.rfind(' - at') :]}"


def _kept(item: Any, mapping: Mapping) -> Any:
    count = sum(1 for _ in islice(values_of(item), MAX_LETTER_VALUES + 1))
    if count > MAX_LETTER_VALUES:
        return {REMOVED: "item", "length": count}
    kept = mapping.keeping.of(item, mapping.item)
    size = len(msgspec.json.encode(kept))
    return kept if size <= MAX_LETTER_BYTES else {REMOVED: "item", "length": size}


def _around(hook: Any, mapping: Mapping) -> Any:
    """Return what is kept of the hook beside its items; None where the hook is the item, or more is kept than of an item may be."""
    if mapping.each is None or not isinstance(hook, dict) or "*" in mapping.item:
        return None
    kept = mapping.keeping.of(_emptied(hook, mapping.item))
    count = sum(1 for _ in islice(values_of(kept), MAX_AROUND_VALUES + 1))
    return kept if count <= MAX_AROUND_VALUES and len(msgspec.json.encode(kept)) <= MAX_AROUND_BYTES else None


def _emptied(held: dict[str, Any], place: Place) -> dict[str, Any]:
    """Return a hook with an empty list of items."""
    name, rest = place[0], place[1:]
    inner = held.get(name)
    return {**held, name: _emptied(inner, rest) if rest and isinstance(inner, dict) else []}


def _problems(number: int, faults: list[_Fault], kept: Any, around: Any, mapping: Mapping) -> Iterator[dict[str, Any]]:
    """Yield the dead letters of an item. The first holds the item; the others are of the same id, and of another fault."""
    digest = hashlib.blake2b(msgspec.json.encode(kept, order="sorted"), digest_size=8).hexdigest()
    where = "$" if mapping.each is None else f"$ item {number}"
    each = None if mapping.each is None else mapping.each.text
    summary: dict[str, Any] = {"id": f"{number}-{digest}", "mapping": mapping.title, "item": kept, "each": each}
    if around is not None:
        summary["around"] = around
    for fault in faults[:MAX_FAULTS]:
        yield {
            "code": fault.code,
            "field": f"{where}: {fault.place}" if fault.place else where,
            "reason": fault.reason,
            "hint": _HINT,
            "summary": summary,
        }
        summary = {"id": summary["id"], "mapping": mapping.title}


# -- events ------------------------------------------------------------------------------------------------------


def event_of(found: Found, source: str, received_ms: int) -> Any:
    """Return the event of the contract. Every id of the tool carries the source's name, so that no two sources share one.

    Args:
        found: What the mapping gave.
        source: CloudEvents source, ``mapped/NAME``.
        received_ms: When the hook arrived, Unix milliseconds: the time of an event for which the tool tells a revision only.

    Raises:
        msgspec.ValidationError: It is none of the contract.
    """
    name = source.partition("/")[2]
    data = {key: f"{name}:{value}" if key in IDS else value for key, value in found["data"].items()}
    event: Any = msgspec.convert(
        {
            "type": event_class(found["event"]).__struct_config__.tag,
            "specversion": "1.0",
            "id": "-",
            "source": source,
            "subject": f"{name}:{found['task']}",
            "time": found["time"] or rfc3339(received_ms),
            "data": data,
        },
        event_class(found["event"]),
    )
    about = next((data[one] for one in ("label_id", "audit_id", "appeal_id") if one in data), event.subject)
    if found.get("revision") is None:
        return msgspec.structs.replace(event, id=event_id(found["event"], about, event))
    said = msgspec.json.encode([source, event.subject, found["event"], about, found["revision"]])
    digest = hashlib.blake2b(said, digest_size=8).hexdigest()
    return msgspec.structs.replace(event, id=f"{found['event']}:{about}:{digest}"[-256:])
