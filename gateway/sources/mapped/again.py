"""What a dead letter of a mapped tool means by the mapping of now. Pure.

The letter holds the item as the mapping of then kept it. Events have the ids that the hook itself would give, so that
nothing counts twice when the tool sends it again, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.sources.mapped.expressions import REMOVED
from gateway.sources.mapped.kept import REMOVED_NAME, values_of
from gateway.sources.mapped.mapping import HOOK, Mapping
from gateway.sources.mapped.meaning import HookMeaning, event_of, find_item_meaning
from gateway.webhooks import BadWebhook


class NotUnderstood(Exception):
    """A letter still makes no events. Operator: the message says what to mend, or that the tool has to send the hook again."""


def holds_item(value: str) -> bool:
    """Tell whether a letter holds an item: of several faults of one item the first letter does."""
    try:
        summary = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return False
    return isinstance(summary, dict) and "item" in summary


def _names(value: Any) -> Iterator[str]:
    """Yield the names of all members."""
    for one in values_of(value):
        if isinstance(one, dict):
            yield from one


def looks_at_items(mapping: Mapping) -> bool:
    """Tell whether an expression about an item reaches the list of all items through ``_hook``: a letter holds one of them."""
    said = [one for rule in mapping.events for one in (rule.when, rule.task, rule.time, rule.revision)]
    said += [one.expression for rule in mapping.events for one in rule.fields]
    said += [when for when, _ in mapping.ignore]
    texts = [one.text for one in said if one is not None and HOOK in one.text]
    places = {place[1:] for one in said if one is not None for place in one.places if place[:1] == (HOOK,)}
    # By its text, too, because to ask for a length names no place. Rather once too often than once too little.
    return any(mapping.item[-1] in text for text in texts) or any("*" in place for place in places)


def events_again(value: str, source: str, received_ms: int, mapping: Mapping) -> list[Any]:
    """Return the events of a letter.

    Args:
        value: The letter's, of which ``holds_item`` is true.
        source: CloudEvents source, ``mapped/NAME``.
        received_ms: When the hook arrived, Unix milliseconds.
        mapping: Of the source, as it is now.

    Raises:
        NotUnderstood: It makes none, or not all that it should.
    """
    summary = msgspec.json.decode(value)
    item, each = summary["item"], None if mapping.each is None else mapping.each.text
    if "each" not in summary or (isinstance(item, dict) and REMOVED in item):
        raise NotUnderstood("too little of it was kept; the tool has to send the hook again")
    if any(REMOVED_NAME.fullmatch(name) for name in _names(summary)):
        raise NotUnderstood("names in it were not kept; the tool has to send the hook again")
    if each is not None and ("around" not in summary or looks_at_items(mapping)):
        raise NotUnderstood("what it needs of the hook around it was not kept; the tool has to send the hook again")
    if summary["each"] != each:
        raise NotUnderstood("the mapping takes its items from another list now; the tool has to send the hook again")
    hook = item if each is None else summary["around"]
    found = HookMeaning()
    try:
        for _ in find_item_meaning(0, item, hook, mapping, found):
            pass
    except BadWebhook as fault:
        raise NotUnderstood(fault.reason) from None
    if found.problems:
        raise NotUnderstood(f"{found.problems[0]['field']}: {found.problems[0]['reason']}")
    if not found.events:
        raise NotUnderstood(f"the mapping ignores it now: {'; '.join(found.ignored)}")
    try:
        return [event_of(one, source, received_ms) for one in found.events]
    except msgspec.ValidationError:
        raise NotUnderstood("with the source's name an id is too long") from None
