"""The fleet once more, through the whole core: events, ledger, rows, floor, the readings that the alert rules see."""

from __future__ import annotations

import random
from collections.abc import Iterator

from alerts.detectors import detectors_of
from alerts.rules_file import parse_rules
from floorwatch.sims.lines import ReportLine, of_count
from streams.core.floor import Floor
from streams.core.ledger_store import LedgerStore, new_store
from streams.core.policy import DAY_MS, HOUR_MS, CorePolicy
from streams.core.records import Record
from streams.core.time_text import rfc3339

CPU_S = 80.0
PER_DAY = 3_500
"""Audits a day of the floor; each is of six watched scopes, so of 21,000 scope audits a day."""

DAYS_PER_FALSE_ALARM = 7
_LABELERS = 180
"""With 3 vendors, 20 queues and 12 policies this makes 504 watched scopes."""

START_MS = 1_795_392_000_000
_LOOK_EVERY_MS = 6 * HOUR_MS

_RULES = "rules:\n" + "".join(
    f"- {{name: {name}, kind: accuracy_low, scope: {scope}, window: 24h, "
    f"budget: {{per_day: {6 * PER_DAY}, days: {DAYS_PER_FALSE_ALARM}}}}}\n"
    for name, scope in (
        ("floor", "all"),
        ("vendor", "{by: vendor}"),
        ("queue", "{by: queue}"),
        ("labeler", "{by: labeler}"),
        ("queue-policy", "{by: [queue, policy]}"),
        ("vendor-queue", "{by: [vendor, queue]}"),
    )
)


def events(rng: random.Random, days: float, accuracy: float) -> Iterator[tuple[int, bytes]]:
    """Yield (time in ms, event): labels evenly over the days, each audited an hour later.

    Args:
        rng: Source of chance.
        days: How long.
        accuracy: True accuracy of everybody.
    """
    waiting: list[tuple[int, int]] = []
    count = round(PER_DAY * days)
    for number in range(count):
        at_ms = START_MS + round(number * DAY_MS / PER_DAY)
        while waiting and waiting[0][0] <= at_ms:
            audited_ms, audited = waiting.pop(0)
            yield audited_ms, _audit(audited, audited_ms, wrong=rng.random() >= accuracy)
        yield at_ms, _label(rng, number, at_ms)
        waiting.append((at_ms + HOUR_MS, number))


def _event(kind: str, number: int, at_ms: int, data: str) -> bytes:
    return (
        f'{{"specversion":"1.0","id":"{kind}{number}","source":"sim","type":"floorwatch.{kind}.v1",'
        f'"subject":"t{number}","time":"{rfc3339(at_ms)}","data":{{{data}}}}}'
    ).encode()


def _label(rng: random.Random, number: int, at_ms: int) -> bytes:
    labeler = rng.randrange(_LABELERS)
    place = f'"vendor":"v{labeler % 3}","labeler_id":"p{labeler}"'
    task = f'"queue":"q{rng.randrange(20)}","policy":"P{rng.randrange(12)}"'
    return _event("label.submitted", number, at_ms, f'"label_id":"l{number}","values":["x"],{place},{task}')


def _audit(number: int, at_ms: int, *, wrong: bool) -> bytes:
    verdict = (
        '"verdict":"incorrect","error_class":"wrong_selection","severity":"minor"' if wrong else '"verdict":"correct"'
    )
    sampling = '"sampling":{"method":"uniform","probability":0.05}'
    return _event("audit.completed", number, at_ms, f'"audit_id":"a{number}","auditor_id":"q",{verdict},{sampling}')


class _Core:
    """One partition of the product's core."""

    def __init__(self) -> None:
        self.policy = CorePolicy(detectors=detectors_of(parse_rules(_RULES).rules))
        self.store: LedgerStore = new_store(0, self.policy)
        self.floor = Floor(self.policy)
        self.firing: set[tuple[str, str]] = set()
        self.fired = 0
        self._next = 0

    def take(self, values: list[bytes]) -> None:
        """Fold events, bring the floor up to them and count the detectors that have begun to fire."""
        records = [Record(self._next + i, 0, None, value) for i, value in enumerate(values)]
        self._next += len(records)
        self.store.ledger.fold(records)
        flush = self.store.collect()
        if flush is None:
            return
        self.floor.apply([*flush.full, *flush.outputs, flush.watermark])
        self.floor.absorb()
        firing = {
            (key, name)
            for key, state in self.floor.scopes.items()
            for readings in state.readings("24h", self.floor.watermark_ms).values()
            for name, reading in readings.items()
            if reading["firing"]
        }
        self.fired += len(firing - self.firing)
        self.firing = firing


def firings(rng: random.Random, days: float, accuracy: float = 0.95) -> tuple[int, int]:
    """Return (firings, scopes watched) of one floor."""
    core = _Core()
    values: list[bytes] = []
    look_ms = START_MS + _LOOK_EVERY_MS
    for at_ms, value in events(rng, days, accuracy):
        if at_ms >= look_ms:
            core.take(values)
            values, look_ms = [], look_ms + _LOOK_EVERY_MS
        values.append(value)
    core.take(values)
    return core.fired, sum(len(state.watches) for state in core.floor.scopes.values())


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 -- a seeded simulation


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run 30 days (1 where ``scale`` is small) of a floor on target, and as many as two of one at .75."""
    days, few = (30, 2) if scale >= 0.1 else (1, 1)
    fired, scopes = firings(_chance(seed), days)
    bad, _ = firings(_chance(seed + 1), few, accuracy=0.75)
    return [
        of_count(
            f"{scopes} scopes on target through the whole core, {days} days: firings",
            fired,
            1.0,
            "at most",
            days / DAYS_PER_FALSE_ALARM,
            "1 a week",
        ),
        of_count(f"the same floor at .75, {few} days: firings", bad, 1.0, "at least", 10 * few, "shown"),
    ]
