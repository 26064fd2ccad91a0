"""An audit plan as a document: what ``floorwatch audits plan --json`` prints and ``floorwatch audits feed`` carries out.

It is all that the drawing depends on, so it can be reviewed, signed and kept. It is not changed: another plan begins when it ends.

Source: the drawing is that of ``floorwatch.analysis.audits.drawing``.
"""

from __future__ import annotations

import math
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

    plan: Annotated[str, Meta(min_length=1, max_length=100)]
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
    try:
        return ReadyPlan(_decode(raw))
    except msgspec.MsgspecError as error:
        raise BadPlan(f"{error}. Write one with floorwatch audits plan --json") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise BadPlan(f"not JSON ({type(error).__name__}). Write one with floorwatch audits plan --json") from None


def as_json(document: AuditPlan) -> dict[str, Any]:
    """Return a plan as plain data."""
    found: dict[str, Any] = msgspec.to_builtins(document)
    return found
