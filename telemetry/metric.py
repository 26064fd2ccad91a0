"""What one metric of the catalogue is: its name, type, unit and labels, and the row fields it is read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "summary", "histogram"]
Table = Literal["accuracy", "throughput", "sla"]

PREFIX = "floorwatch_"


@dataclass(frozen=True, slots=True)
class RowField:
    """Where one sample comes from: a field of a table row.

    Attributes:
        name: Field of the row, ``outer.inner`` inside an object; a null or absent field gives no sample, because
            "unknown" is not zero.
        scale: Factor to the metric's base unit.
        labels: Labels of this sample beyond the scope's, e.g. ``(("quantile", "0.5"),)``.
        since: Field that holds a time, as ``name`` does: the sample is the seconds between the two.
    """

    name: str
    scale: float = 1.0
    labels: tuple[tuple[str, str], ...] = ()
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family.

    Attributes:
        name: Full name; a counter's ends in ``_total``.
        kind: Prometheus type.
        help: What it says, in a sentence.
        unit: Base unit for people (``ratio``, ``seconds``, ``labels``, ...).
        labels: Label names in the order they are exported.
        table: Table whose rows are the source; None for the engine's own metrics.
        fields: Fields of that table's rows.
        owner: Stage that owns the series when no label says so; ``drop_partition`` of it removes them.
    """

    name: str
    kind: Kind
    help: str
    unit: str
    labels: tuple[str, ...]
    table: Table | None = None
    fields: tuple[RowField, ...] = ()
    owner: str | None = None
