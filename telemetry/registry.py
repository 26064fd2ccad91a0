"""A registry whose scrape is taken on the event loop, which owns the state, and made into text in a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, runtime_checkable

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry


@runtime_checkable
class TwoSteps(Protocol):
    """A collector with much to make of what is quickly taken."""

    def snapshot(self) -> Callable[[], Iterable[Family]]:
        """Take what a scrape needs, on the event loop; return what makes its families, called once in any thread."""
        ...


class _Taken(Collector):
    """What was taken of the collectors of a registry, in the form an encoder takes."""

    def __init__(self, parts: Iterable[Callable[[], Iterable[Family]]]) -> None:
        self._parts = tuple(parts)

    def collect(self) -> Iterator[Family]:
        for part in self._parts:
            yield from part()


class Registry(CollectorRegistry):
    """Collectors in the order of their registration."""

    def __init__(self) -> None:
        """Hold nothing; collectors need not describe themselves."""
        super().__init__(auto_describe=False)
        self._held: list[Collector] = []

    def register(self, collector: Collector) -> None:
        """Add a collector."""
        super().register(collector)
        self._held.append(collector)

    def unregister(self, collector: Collector) -> None:
        """Take a collector away."""
        super().unregister(collector)
        self._held.remove(collector)

    def snapshot(self) -> Collector:
        """Take what a scrape shows: of collectors with two steps the first one, of all others the families as they are now.

        Returns:
            A collector to encode, once, in any thread.
        """
        return _Taken([_part(collector) for collector in self._held])


def build_registry(*collectors: Collector) -> Registry:
    """Return a registry of our own holding the collectors; the global one is never used.

    The global registry would leak series between workers of one process and add the client's own defaults.
    """
    registry = Registry()
    for collector in collectors:
        registry.register(collector)
    return registry


def _part(collector: Collector) -> Callable[[], Iterable[Family]]:
    if isinstance(collector, TwoSteps):
        return collector.snapshot()
    families = tuple(collector.collect())
    return lambda: families
