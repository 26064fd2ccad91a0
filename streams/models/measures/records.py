"""The parts of a measure: what a field of a table's row is made of, and where people see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Count(NamedTuple):
    """The value of one counter.

    Attributes:
        counter: The counter.
        scale: What the counter is divided by for the row; with 1 the field is an integer.
    """

    counter: int
    scale: int = 1


class Total(NamedTuple):
    """Some counters added, less some others."""

    plus: tuple[int, ...]
    minus: tuple[int, ...] = ()


class Ratio(NamedTuple):
    """The sum of some counters through the sum of others; null where the second is 0.

    Attributes:
        part: Counters above the line.
        whole: Counters below the line.
        unit: What the sum below the line is divided by first, such as milliseconds an hour.
    """

    part: tuple[int, ...]
    whole: tuple[int, ...]
    unit: int = 1


class Quantile(NamedTuple):
    """A quantile of a histogram; null where it is empty.

    Attributes:
        histogram: Counter of the histogram's bucket 0.
        share: In 0..1.
    """

    histogram: int
    share: float


class Family(NamedTuple):
    """A counter for each member of a list: an object in the row.

    Attributes:
        first: Counter of the first member; the others follow it.
        members: Their names.
        scale: What each counter is divided by for the row; with 1 the values are integers.
        sparse: Members that are 0 are left out, for a list of which a row mostly has few.
    """

    first: int
    members: tuple[str, ...]
    scale: int = 1
    sparse: bool = False


class Computed(NamedTuple):
    """Something that ``streams.core.tables`` computes.

    Attributes:
        kind: Type of the field; None where ``streams.models.outputs`` says it.
        counts: It is a whole number that the oracle counts too.
    """

    kind: object = None
    counts: bool = False


Source = Count | Total | Ratio | Quantile | Family | Computed


class Column(NamedTuple):
    """A column of ``floorwatch table``.

    Attributes:
        heading: Its heading.
        place: Columns of a table stand in the order of this number.
        spare: A narrow terminal leaves out the column with 1 first; one with 0 it never leaves out.
    """

    heading: str
    place: int
    spare: int = 0


class Series(NamedTuple):
    """A metric of Prometheus.

    Attributes:
        name: Without the prefix ``floorwatch_``.
        help: What it says, in a sentence.
        unit: Base unit; empty for the measure's own, milliseconds being exported as seconds.
        field: Field within the measure, where that is an object.
        since: Field of the row with a time, as the measure's is: the sample is the seconds between the two.
    """

    name: str
    help: str
    unit: str = ""
    field: str = ""
    since: str = ""


class Meaning(NamedTuple):
    """What docs/numbers.md says of the measure.

    Attributes:
        text: Plain words.
        shown_as: What a board calls it, where the measure has no column.
    """

    text: str
    shown_as: str = ""


class Beside(NamedTuple):
    """The measure stands in docs/numbers.md on the line of another."""

    name: str


Shown = Column | Series | Meaning | Beside


@dataclass(frozen=True, slots=True)
class Measure:
    """One field of a table's row, or a column that is made of several fields.

    Attributes:
        table: The table.
        name: The field; of a column made of several, what it is made of.
        unit: Of the field: ``ratio``, ``ms``, ``labels``, ``tasks``, …
        help: One sentence, for the contract.
        source: What it is made of; None for a column that is made of several fields.
        nullable: A count that can be null, because it is unknown.
        shown: Where people see it.
    """

    table: str
    name: str
    unit: str
    help: str
    source: Source | None
    nullable: bool = False
    shown: tuple[Shown, ...] = ()

    @property
    def column(self) -> Column | None:
        """Its column of ``floorwatch table``."""
        return next((one for one in self.shown if isinstance(one, Column)), None)

    @property
    def series(self) -> tuple[Series, ...]:
        """Its metrics."""
        return tuple(one for one in self.shown if isinstance(one, Series))

    @property
    def meaning(self) -> Meaning | None:
        """Its text in docs/numbers.md."""
        return next((one for one in self.shown if isinstance(one, Meaning)), None)

    @property
    def beside(self) -> str:
        """The measure on whose line of docs/numbers.md it stands; empty for a line of its own."""
        return next((one.name for one in self.shown if isinstance(one, Beside)), "")
