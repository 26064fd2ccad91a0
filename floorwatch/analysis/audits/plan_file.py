"""An audit plan as a document: what ``floorwatch audits plan --json`` prints and ``floorwatch audits feed`` carries out.

It is all that the drawing depends on, so it can be reviewed, signed and kept. It is not changed: another plan begins when it ends.

Source: the drawing is that of ``floorwatch.analysis.audits.drawing``.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from floorwatch.analysis.audits.allocation import LEAST_PROBABILITY
from floorwatch.analysis.audits.drawing import KEY_BYTES, drawn
from floorwatch.analysis.audits.planned_labels import FlagRule, PlannedLabel
from floorwatch.analysis.audits.rates import APPROVED, FLAGGED
from streams.core.policy import DIMENSIONS
from streams.models.timestamps import BadTimestamp, parse_rfc3339_ms

FORMAT = 1

MOST_NAME = 100
"""Characters of a plan's name."""

Share = Annotated[float, Meta(ge=LEAST_PROBABILITY, le=1.0)]
Names = Annotated[list[str], Meta(max_length=len(DIMENSIONS))]


class BadPlan(ValueError):
    """A plan that cannot be carried out; the message says which part is at fault."""


class PlannedStratum(Struct, forbid_unknown_fields=True):
    """One stratum: the values of the plan's dimensions and the side, and the probability of each of its labels.

    Attributes:
        key: The values in the order of the plan's dimensions, then ``flagged`` or ``approved``.
        probability: π.
        labels: Labels expected.
        audits: Audits expected.
        wrong_ratio: Share of wrong ones expected.
    """

    key: list[str]
    probability: Share
    labels: int = 0
    audits: int = 0
    wrong_ratio: float = 0.0


class AuditPlan(Struct, forbid_unknown_fields=True, kw_only=True):
    """A plan.

    Attributes:
        plan: Its name; the audits asked for carry it.
        begins: Labels made from here on are drawn, RFC 3339.
        ends: Labels made from here on are not; None for a plan without an end.
        key: The secret of the drawing, hex. Who has it can tell which labels will be audited.
        dimensions: What the strata are made of.
        value: Flagged are labels that give this value; None takes any that does not approve.
        approvals: Values that approve, in lower case.
        otherwise: π of labels of a stratum that is not listed.
        strata: The strata.
        goal: What the plan is for, in words.
        format: Version of this form.
    """

    plan: Annotated[str, Meta(min_length=1, max_length=MOST_NAME)]
    begins: str
    ends: str | None = None
    key: str
    dimensions: Names
    value: str | None = None
    approvals: list[str]
    otherwise: Share
    strata: list[PlannedStratum]
    goal: list[str] = []
    format: int = FORMAT


def rounded_up(probability: float) -> float:
    """Return a probability with six decimals, not below the least, so that what is drawn is what is written."""
    return min(1.0, max(LEAST_PROBABILITY, math.ceil(probability * 1e6 - 1e-6) / 1e6))


_decode = msgspec.json.Decoder(AuditPlan).decode

_AT = re.compile(r" - at `(?P<place>[^`]*)`$")
_FAULTS = (
    (re.compile(r"Object missing required field `(.*?)`"), "{place}{0} is missing"),
    (re.compile(r"Object contains unknown field `(.*?)`"), "{place}{0}: a plan has no such field"),
    (re.compile(r"Expected `(.*?)`, got `(.*?)`"), "{at}must be {0}, not {1}"),
    (re.compile(r"Expected `\w+` (?:matching|of length) .*"), "{at}is too long, too short or of the wrong form"),
    (re.compile(r"Expected `\w+` ([<>]=?) (.*)"), "{at}must be {0} {1}"),
    (re.compile(r"Input data was truncated"), "the JSON ends too early"),
    (re.compile(r"JSON is malformed: (.*)"), "is no JSON: {0}"),
)
_KINDS = {
    "str": "text",
    "float": "a number",
    "int": "a whole number",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
    "bool": "true or false",
    ">=": "at least",
    "<=": "at most",
    ">": "more than",
    "<": "less than",
}


def fault_words(message: str) -> str:
    """Return what the decoder says of a plan in plain words.

    Example:
        >>> fault_words("Object missing required field `key` - at `$.strata[0]`")
        'strata[0].key is missing'
    """
    found = _AT.search(message)
    place = "" if found is None else found["place"].removeprefix("$").lstrip(".")
    said = _AT.sub("", message)
    for pattern, words in _FAULTS:
        match = pattern.fullmatch(said)
        if match is not None:
            parts = [
                " or ".join(_KINDS.get(one.strip(), one.strip()) for one in part.split("|")) for part in match.groups()
            ]
            return words.format(*parts, place=f"{place}." if place else "", at=f"{place} " if place else "the plan ")
    return f"{place}: {said}" if place else said


class ReadyPlan:
    """A plan that was checked, ready to draw labels.

    Attributes:
        document: The plan.
        begins_ms: From when.
        ends_ms: Until when; None for no end.
    """

    def __init__(self, document: AuditPlan) -> None:
        """Check a plan.

        Raises:
            BadPlan: It cannot be carried out.
        """
        if document.format != FORMAT:
            raise BadPlan(f"format {document.format} is not {FORMAT}: use the version of Floorwatch that wrote it")
        unknown = [name for name in document.dimensions if name not in DIMENSIONS]
        if unknown:
            raise BadPlan(f"dimensions: there is no {unknown[0]}; use of {', '.join(DIMENSIONS)}")
        if not document.strata:
            raise BadPlan(
                "strata: there is none, so the plan was edited. Use it as floorwatch audits plan --json wrote it"
            )
        self.document = document
        self._places = [DIMENSIONS.index(name) for name in document.dimensions]
        self._flagging = FlagRule(document.value, frozenset(document.approvals))
        self._probabilities: dict[tuple[str, ...], float] = {}
        for at, stratum in enumerate(document.strata):
            self._take(at, stratum)
        try:
            self._key = bytes.fromhex(document.key)
            self.begins_ms = parse_rfc3339_ms(document.begins)
            self.ends_ms = None if document.ends is None else parse_rfc3339_ms(document.ends)
        except (BadTimestamp, ValueError) as error:
            raise BadPlan(f"key, begins or ends: {error}") from None
        if len(self._key) != KEY_BYTES:
            raise BadPlan(f"key: {KEY_BYTES} bytes in hex are needed, {2 * KEY_BYTES} digits")

    def _take(self, at: int, stratum: PlannedStratum) -> None:
        key = tuple(stratum.key)
        if len(key) != len(self._places) + 1 or key[-1] not in (FLAGGED, APPROVED):
            raise BadPlan(
                f"strata[{at}].key: one value for each of the {len(self._places)} dimensions is needed, then {FLAGGED} or {APPROVED}"
            )
        if key in self._probabilities:
            raise BadPlan(f"strata[{at}].key: {', '.join(key)} is there twice")
        self._probabilities[key] = stratum.probability

    def edits(self) -> list[str]:
        """Return where a plan contradicts itself, as sentences: somebody has edited it, for its parts were written of one another."""
        found = []
        for at, one in enumerate(self.document.strata):
            if one.labels and rounded_up(one.audits / one.labels) != one.probability:
                planned = rounded_up(one.audits / one.labels)
                found.append(f"strata[{at}].probability is {one.probability:g}, its audits / labels are {planned:g}")
        labels = sum(one.labels for one in self.document.strata)
        even = rounded_up(sum(one.audits for one in self.document.strata) / labels) if labels else None
        if even is not None and even != self.document.otherwise:
            found.append(f"otherwise is {self.document.otherwise:g}, audits / labels of all strata are {even:g}")
        return found

    def covers(self, time_ms: int) -> bool:
        """Tell whether a label made at this time is the plan's to draw."""
        return self.begins_ms <= time_ms and (self.ends_ms is None or time_ms < self.ends_ms)

    def stratum_of(self, label: PlannedLabel) -> tuple[str, ...]:
        """Return the stratum of a label: by its first version, which nothing changes later."""
        side = FLAGGED if self._flagging.flagged(label.values) else APPROVED
        return (*(label.dims[place] for place in self._places), side)

    def probability_of(self, stratum: tuple[str, ...]) -> float:
        """Return π of a stratum."""
        return self._probabilities.get(stratum, self.document.otherwise)

    def draws(self, label: PlannedLabel, probability: float) -> bool:
        """Tell whether the plan draws a label of a stratum with this π."""
        return drawn(self._key, label.task_id, label.label_id, probability)


def read_plan(raw: bytes | str) -> ReadyPlan:
    """Return the plan in a document.

    Raises:
        BadPlan: It cannot be read or carried out; the message says which part.
    """
    if not raw.strip():
        raise BadPlan("is empty. Write one with floorwatch audits plan --json")
    try:
        return ReadyPlan(_decode(raw))
    except msgspec.MsgspecError as error:
        raise BadPlan(f"{fault_words(str(error))}. Write one with floorwatch audits plan --json") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise BadPlan(f"not JSON ({type(error).__name__}). Write one with floorwatch audits plan --json") from None


def as_json(document: AuditPlan) -> dict[str, Any]:
    """Return a plan as plain data."""
    found: dict[str, Any] = msgspec.to_builtins(document)
    return found
