"""The refusal of an event, which every check of the contract returns."""

from __future__ import annotations

from msgspec import Struct


class Refusal(Struct, frozen=True):
    """Why an event is refused.

    Attributes:
        code: For machines and counters.
        field: JSON path of the place, or None where it is the whole event.
        reason: What is wrong, in a sentence.
        hint: What to do about it.
    """

    code: str
    field: str | None
    reason: str
    hint: str
