"""Where the measures are kept: all counters and all tables. Records that clash are refused when they are added."""

from __future__ import annotations

from collections.abc import Iterator

from streams.models.measures.records import (
    Computed,
    Count,
    Family,
    Measure,
    Shown,
    Source,
    Total,
)

HISTOGRAM_SPAN = 2000
"""How many counters a histogram has."""


class Clash(ValueError):
    """Two records want the same counter or the same field. Developer: choose a free one."""


class MeasureRegistry:
    """All counters and all tables.

    Attributes:
        names: Name of each counter that is not of a histogram.
        histograms: Name of the buckets of each histogram, by its first counter.
        prefixes: Name of each prefix of counters that count something by its name.
        tables: The tables by name, in their order.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.names: dict[int, str] = {}
        self.histograms: dict[int, str] = {}
        self.prefixes: dict[str, str] = {}
        self.tables: dict[str, Table] = {}

    def counter(self, number: int, name: str) -> int:
        """Add a counter and return its number. The number stands in stored rows: it never changes, nor is it used again.

        Raises:
            Clash: Number or name are taken.
        """
        inside = (known for first, known in self.histograms.items() if first <= number < first + HISTOGRAM_SPAN)
        known = next(inside, None) or self.names.get(number) or (name if name in self.names.values() else None)
        if known is not None:
            raise Clash(f"counter {number}, {name}: the number or the name is taken by {known}; choose another")
        self.names[number] = name
        return number

    def family(self, first: int, name: str, members: tuple[str, ...]) -> int:
        """Add a counter ``name.member`` for each member, numbered from ``first``, and return ``first``."""
        for place, member in enumerate(members):
            self.counter(first + place, f"{name}.{member}")
        return first

    def histogram(self, first: int, name: str) -> int:
        """Add a histogram and return its first counter."""
        if any(
            first < number + HISTOGRAM_SPAN and number < first + HISTOGRAM_SPAN for number in self.histograms
        ) or any(first <= number < first + HISTOGRAM_SPAN for number in self.names):
            raise Clash(f"histogram {name}: its {HISTOGRAM_SPAN} counters from {first} are not all free")
        self.histograms[first] = name
        return first

    def by_name(self, prefix: str, name: str) -> str:
        """Add a prefix of counters that are texts: they count labellers, pairs of decisions and the like."""
        self.prefixes[prefix] = name
        return prefix

    def table(self, name: str, about: str, explained: str) -> Table:
        """Add a table.

        Args:
            name: Its name.
            about: One sentence, for the contract.
            explained: The measure that ``floorwatch why`` explains unless it is told another.
        """
        made = self.tables[name] = Table(self, name, about, explained)
        return made


class Table:
    """The measures of one table, in the order of the row's fields.

    Attributes:
        name: Its name.
        about: One sentence, for the contract.
        explained: The measure that ``floorwatch why`` explains unless it is told another.
        measures: The fields of its rows, by name.
        composed: Columns that are made of several fields.
        unshown: Counters without a field that ``floorwatch why`` explains too, by name.
    """

    def __init__(self, registry: MeasureRegistry, name: str, about: str, explained: str) -> None:
        """Start without measures."""
        self._registry = registry
        self.name, self.about, self.explained = name, about, explained
        self.measures: dict[str, Measure] = {}
        self.composed: list[Measure] = []
        self.unshown: dict[str, int] = {}

    def _add(self, measure: Measure) -> None:
        if measure.name in self.measures:
            raise Clash(f"table {self.name} has a field {measure.name} already")
        self.measures[measure.name] = measure

    def count(
        self,
        number: int,
        name: str,
        unit: str,
        help: str,
        *shown: Shown,
        counter: str = "",
        scale: int = 1,
        nullable: bool = False,
    ) -> int:
        """Add a counter and the field that shows it; return the counter.

        Args:
            number: Number of the counter.
            name: The field.
            unit: Unit of the field.
            help: One sentence, for the contract.
            shown: Where people see it.
            counter: Name of the counter, where it is not that of the field.
            scale: What the counter is divided by for the field.
            nullable: The field can be null.

        Raises:
            Clash: The counter or the field is there already.
        """
        self._registry.counter(number, counter or name)
        self._add(Measure(self.name, name, unit, help, Count(number, scale), nullable, shown))
        return number

    def family(
        self,
        first: int,
        name: str,
        members: tuple[str, ...],
        unit: str,
        help: str,
        *shown: Shown,
        counter: str = "",
        scale: int = 1,
        sparse: bool = False,
    ) -> int:
        """Add a counter for each member and an object that shows them; return the first counter.

        Args:
            first: Number of the first counter; the others follow it.
            name: The field.
            members: Names of the members.
            unit: Unit of the members.
            help: One sentence, for the contract.
            shown: Where people see it.
            counter: Name of the counters before the member's, where it is not that of the field.
            scale: What each counter is divided by for the field.
            sparse: Members that are 0 are left out.
        """
        self._registry.family(first, counter or name, members)
        self.show(name, unit, help, Family(first, members, scale, sparse), *shown)
        return first

    def show(self, name: str, unit: str, help: str, source: Source, *shown: Shown) -> None:
        """Add a field that is made of counters which are known.

        Raises:
            Clash: The table has such a field already.
        """
        self._add(Measure(self.name, name, unit, help, source, shown=shown))

    def compose(self, made_of: str, unit: str, *shown: Shown) -> None:
        """Add a column that is made of several fields."""
        self.composed.append(Measure(self.name, made_of, unit, "", None, shown=shown))

    def explain(self, number: int, name: str) -> int:
        """Add a counter that no field shows but ``floorwatch why`` explains; return it."""
        self.unshown[name] = self._registry.counter(number, name)
        return number

    def explained_counters(self) -> dict[str, tuple[int, ...]]:
        """Return, by measure, the counters that it is the sum of; a scaled count by the counter's own name.

        The first is the one explained by default.
        """
        found = dict(self._explained())
        return {self.explained: found.pop(self.explained), **found}

    def _explained(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for name, measure in self.measures.items():
            match measure.source:
                case Count(counter, scale):
                    yield (name if scale == 1 else self._registry.names[counter]), (counter,)
                case Total(plus, ()):
                    yield name, plus
                case Family(first, members, scale, sparse):
                    own = name if scale == 1 else self._registry.names[first].rpartition(".")[0]
                    yield own, tuple(range(first, first + len(members)))
                    if not sparse:  # the names would be too many to list
                        yield from ((f"{own}.{member}", (first + at,)) for at, member in enumerate(members))
                case _:
                    pass
        yield from ((name, (number,)) for name, number in self.unshown.items())

    def recounted(self) -> tuple[str, ...]:
        """Return the numbers that are counted, not derived: an independent recount must find the same."""
        found: list[str] = []
        for name, measure in self.measures.items():
            match measure.source:
                case Count() | Total() | Computed(_, True):
                    found.append(name)
                case Family(members=members):
                    found += [f"{name}.{member}" for member in members]
                case _:
                    pass
        return tuple(found)


registry = MeasureRegistry()
"""The one that all records are added to."""

REVISION = registry.counter(0, "revision")
NAMES_LEFT_OUT = registry.counter(51, "names_left_out")
"""Marks a row that would have been too large for its topic. It counts nothing by name; all other numbers are exact."""
