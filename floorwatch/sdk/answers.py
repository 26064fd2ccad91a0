"""What an answer to ``POST /v1/events`` means for the events that were sent. Pure.

Only an answer that says what became of every event settles them. Whatever else comes (a proxy's page with status 200, a
cut body, numbers that do not add up) is no word of a gateway: the events stay where they are, and are sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from floorwatch.sdk.trouble import refused as meaning_of
from streams.models.refusal import Refusal

_ASK_AGAIN = frozenset((408, 425, 429))
_TOO_MUCH = frozenset((400, 413))
_SHOWN = 300


@dataclass(frozen=True)
class Settled:
    """The gateway has all events but those refused.

    Attributes:
        refused: (place in what was sent, why), ascending. Sending these again as they are cannot help.
    """

    refused: tuple[tuple[int, Refusal], ...] = ()


@dataclass(frozen=True)
class TooMuch:
    """Nothing was accepted; fewer events may be. An event that comes alone is refused with the reason."""

    refusal: Refusal


@dataclass(frozen=True)
class NotNow:
    """Nothing may be assumed of the events.

    Attributes:
        said: What happened, and what to do about it.
        asked_s: When the gateway wants to be asked again, in seconds; None where it does not say.
        lasting: Somebody has to change something first.
    """

    said: str
    asked_s: float | None = None
    lasting: bool = False


Answer = Settled | TooMuch | NotNow


def meaning(status: int, body: bytes, count: int, asked_s: float | None = None) -> Answer:
    """Return what an answer means.

    Args:
        status: The HTTP status.
        body: The answer's body.
        count: How many events were sent.
        asked_s: What ``Retry-After`` said, in seconds.
    """
    told = _object(body)
    if status in (202, 422):
        return _counted(status, told, count) or NotNow(
            f"answered {status} without a word of what became of the events (is this a Floorwatch gateway, or something "
            f"before it? It said: {_shown(body)})"
        )
    error = told.get("error")
    own = error if isinstance(error, dict) else {}
    if status == 413 or (status in _TOO_MUCH and "code" in own):
        return TooMuch(_refusal(own, status))
    if status in _ASK_AGAIN or status >= 500:
        said = f"{own['reason']}" if isinstance(own.get("reason"), str) else _shown(body)
        return NotNow(f"answered {status}: {said}", asked_s)
    if isinstance(own.get("reason"), str):
        hint = f" ({own['hint']})" if isinstance(own.get("hint"), str) else ""
        return NotNow(f"answered {status}: {own['reason']}{hint}", asked_s, lasting=True)
    return NotNow(meaning_of(status, _shown(body)), asked_s, lasting=True)


def _counted(status: int, told: dict[str, Any], count: int) -> Settled | TooMuch | None:
    """Return what the gateway says of each event; None where its numbers are not those of this request."""
    rejected = told.get("rejected")
    if not isinstance(rejected, list) or told.get("rejected_count") != len(rejected):
        return None
    if [one.get("index", 0) for one in rejected if isinstance(one, dict)] == [None]:
        return TooMuch(_refusal(rejected[0], status))
    if told.get("accepted") != count - len(rejected) or (status == 202) != (not rejected):
        return None
    places = [one.get("index") if isinstance(one, dict) else None for one in rejected]
    if len(set(places)) != len(places) or not all(type(one) is int and 0 <= one < count for one in places):
        return None
    return Settled(tuple(sorted(((one["index"], _refusal(one, status)) for one in rejected), key=lambda one: one[0])))


def _refusal(told: dict[str, Any], status: int) -> Refusal:
    """Return a refusal in the gateway's words; where something before the gateway refused, in ours."""

    def text(name: str, instead: str) -> str:
        found = told.get(name)
        return found if isinstance(found, str) else instead

    field = told.get("field")
    return Refusal(
        text("code", f"status_{status}"),
        field if isinstance(field, str) else None,
        text("reason", meaning_of(status, "no reason given")),
        text("hint", "something before the gateway refused it: ask who runs the proxy between"),
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _shown(body: bytes) -> str:
    """Return the beginning of a body, in one line that a terminal can show."""
    text = body[:_SHOWN].decode(errors="replace")
    return "".join(one if one.isprintable() else " " for one in text).strip() or "nothing"
