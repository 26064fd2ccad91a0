"""The measures of the tables, one record each: what is counted, how the field is called, where people see it.

Read by the core (counters, rows), the contract, ``floorwatch table`` and ``why``, the metrics, docs/numbers.md and ``verify``.
How to add one: docs/extending.md.
"""

from __future__ import annotations

from streams.models.measures import accuracy, sla, throughput
from streams.models.measures.registry import registry

TABLES = {table.name: table for table in (accuracy.accuracy, throughput.throughput, sla.sla)}
"""The tables by name, in the order in which they are shown."""

__all__ = ["TABLES", "registry"]
