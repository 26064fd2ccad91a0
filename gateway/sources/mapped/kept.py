"""What is kept of a hook: its shape, and of its values those that the mapping names. Bounds on what is looked at."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gateway.sources.mapped.expressions import REMOVED, Place
from gateway.webhooks import BadWebhook

MAX_BYTES = 1_048_576
MAX_VALUES = 50_000
MAX_DEPTH = 32
MAX_TEXT_CHARS = 256
"""No field of the contract holds a longer text, so none is kept."""

_MAX_SEPARATORS = 200_000
_WHOLE = 2**63
_AT_ONCE = 1_000
_LONG_NUMBER = re.compile(rb"[\s:,\[]-?[0-9]{64}")
REMOVED_NAME = re.compile(r"<name [0-9]+ of [0-9]+ characters>")
"""What stands for the name of a member that is not kept."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


def read_json(body: bytes) -> Any:
    """Return what a body says, unless it is so large that to decode it would keep others waiting; some 5 ms at worst.

    Raises:
        BadWebhook: It is too large.
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: It is not JSON.
    """
    if len(body) > MAX_BYTES:
        raise BadWebhook("too_large", "$", f"the webhook has more than {MAX_BYTES} bytes")
    if body.count(b",") + body.count(b"[") + body.count(b"{") > _MAX_SEPARATORS:
        raise BadWebhook("too_large", "$", f"the webhook has more than {MAX_VALUES} values")
    if _LONG_NUMBER.search(body):
        raise BadWebhook("number_too_long", "$", "the webhook has a number of 64 digits or more")
    return msgspec.json.decode(body)


def bounded(value: Any) -> Iterator[None]:
    """Look at every value of a hook, and yield now and then so that others can run.

    Raises:
        BadWebhook: There are too many, nested too deeply, or a number is beyond 64 bits.
    """
    count, rest = 0, [(value, 1)]
    while rest:
        one, depth = rest.pop()
        count += 1
        if count > MAX_VALUES:
            raise BadWebhook("too_large", "$", f"the webhook has more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise BadWebhook("too_deep", "$", f"the webhook is nested deeper than {MAX_DEPTH} levels")
        if isinstance(one, int) and not -_WHOLE <= one < _WHOLE:
            raise BadWebhook("number_too_long", "$", "the webhook has a whole number beyond 64 bits")
        if isinstance(one, float) and not math.isfinite(one):
            raise BadWebhook("number_too_long", "$", "the webhook has a number that is not finite")
        if isinstance(one, list):
            rest += [(item, depth + 1) for item in one]
        elif isinstance(one, dict):
            rest += [(item, depth + 1) for item in one.values()]
        if count % _AT_ONCE == 0:
            yield


def values_of(value: Any) -> Iterator[Any]:
    """Yield every value of a hook, itself first."""
    rest = [value]
    while rest:
        one = rest.pop()
        yield one
        if isinstance(one, list):
            rest += one
        elif isinstance(one, dict):
            rest += one.values()


class Keeping:
    """Which values of a hook are kept: those at the places named, and all below them.

    Attributes:
        whole: Whether all that is here is kept.
        inside: What is kept of a member, by its name; ``*`` is any.
    """

    def __init__(self, places: Iterable[Place] = ()) -> None:
        """Name the places; ``()`` keeps all, but for texts longer than ``MAX_TEXT_CHARS``."""
        self.whole = False
        self.inside: dict[str, Keeping] = {}
        for place in places:
            here = self
            for name in place:
                here = here.inside.setdefault(name, Keeping())
            here.whole = True

    def at(self, place: Place) -> bool:
        """Tell whether the value at a place is kept."""
        return any(one.whole for one in self._at(place))

    def of(self, value: Any, place: Place = ()) -> Any:
        """Return what is kept of a value: its shape, with ``{"_redacted": kind, "length": n}`` for what is not named.

        Args:
            value: A part of a hook, within the bounds.
            place: Where it stands.
        """
        return _kept(value, self._at(place))

    def _at(self, place: Place) -> tuple[Keeping, ...]:
        here: tuple[Keeping, ...] = (self,)
        for name in place:
            if any(one.whole for one in here):
                break
            here = _member(here, name)
        return here


def _member(here: tuple[Keeping, ...], name: str) -> tuple[Keeping, ...]:
    return tuple(one.inside[each] for one in here for each in (name, "*") if each in one.inside)


def _kept(value: Any, here: tuple[Keeping, ...]) -> Any:
    whole = any(one.whole for one in here)
    if isinstance(value, list):
        return [_kept(one, here) for one in value]
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for name, one in value.items():
            plain = _NAME.fullmatch(name) or any(name in each.inside for each in here)
            # A member's name may be content, e.g. where a tool lists people by their address.
            shown = name if plain else f"<name {len(found) + 1} of {len(name)} characters>"
            found[shown] = _kept(one, here if whole else _member(here, name))
        return found
    if value is None or (whole and not (isinstance(value, str) and len(value) > MAX_TEXT_CHARS)):
        return value
    return removed(value)


def removed(value: Any) -> dict[str, Any]:
    """Return what stands for a value that is not kept: its kind and its length, of a number that in digits."""
    if isinstance(value, bool):
        return {REMOVED: "boolean"}
    kind = "text" if isinstance(value, str) else "number"
    return {REMOVED: kind, "length": len(str(value))}
