"""Situations in which taking people's or hours' means would mislead, through the watches that a worker uses.

Labellers differ in volume and in errors, hours differ in load, work stays a little below target, or everything goes wrong at
once. A scope's rows are made as the floor keeps them, its watch reads them, and the incident follows from its readings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np

from alerts.incident import Incident
from alerts.lifecycle import IncidentPolicy, step
from alerts.signals import Signal
from floorwatch.sims.delays import BAR, EvidenceRows, accuracy_watch
from floorwatch.sims.lines import ReportLine, of_median, of_share
from floorwatch.sims.watches import watch_of_rule
from streams.core import counters as c
from streams.core.detectors.pace import PaceWatch
from streams.core.detectors.watch import Reading, Watch
from streams.models.timestamps import DAY_MS, HOUR_MS

ROWS = (3, 4, 5, 10, 16)
CPU_S = 850.0
_SLA_RULE = (
    "{name: sla, kind: sla_attainment, scope: {by: queue}, window: 8h, target: 0.95, budget: {per_day: 96, days: 28}}"
)
_QUARTER_MS = HOUR_MS // 4

People = Sequence[tuple[float, float]]
"""(audits an hour, share of errors) of each labeller."""

MIXED: People = [(20, 0.02)] * 2 + [(1, 0.10)] * 8
"""96.7% of the audits are right: the two who do most are good."""

ONE_BAD: People = [(40, 0.20)] + [(1, 0.02)] * 20
"""86% are right: the one who does most is bad."""


def fill_hour(rng: np.random.Generator, rows: EvidenceRows, hour_ms: int, people: People) -> None:
    """Put an hour of Poisson many audits of each labeller into the rows."""
    for number, (rate, share) in enumerate(people):
        units = int(rng.poisson(rate))
        bad = int(rng.binomial(units, share))
        for wrong, count in ((False, units - bad), (True, bad)):
            if count:
                rows.audit(hour_ms, f"p{number}", "P", wrong=wrong, count=count)


def first_page(rng: np.random.Generator, people: People, days: int) -> float:
    """Return the hours to the first alarm, looked at every hour; infinity without."""
    rows, watch = EvidenceRows(), accuracy_watch()
    for hour in range(days * 24):
        fill_hour(rng, rows, hour * HOUR_MS, people)
        if watch.read(rows, (hour + 1) * HOUR_MS - 1).firing:
            return hour + 1.0
    return math.inf


def incident_after(incident: Incident | None, reading: Reading, watermark_ms: int) -> Incident | None:
    """Return the incident after a look at a reading, as the rules and the incident machine make it."""
    signal = Signal(
        rule="accuracy",
        kind="accuracy_low",
        scope={},
        scope_key="all",
        firing=reading.firing,
        value=None,
        target=0.95,
        evidence="",
        since_ms=reading.since_ms or 0,
        watermark_ms=watermark_ms,
        window="24h",
        holds=not reading.firing and not reading.recovered,
    )
    return step(incident, signal, IncidentPolicy())


def incidents(
    rng: np.random.Generator, per_hour: float, shares: Callable[[int], float], days: int
) -> tuple[int, bool, int]:
    """Return (incidents, whether the last is open, first day of the last end) of a scope looked at every six hours.

    Args:
        rng: Source of chance.
        per_hour: Audits an hour, Poisson.
        shares: Share of errors by day.
        days: How long.
    """
    rows, watch, incident, begun, ended = EvidenceRows(), accuracy_watch(), None, 0, -1
    for hour in range(days * 24):
        fill_hour(rng, rows, hour * HOUR_MS, [(per_hour, shares(hour // 24))])
        if hour % 6 == 5:
            before = incident is not None and incident.live
            incident = incident_after(incident, watch.read(rows, (hour + 1) * HOUR_MS - 1), (hour + 1) * HOUR_MS)
            now = incident is not None and incident.live
            begun += now and not before
            ended = hour // 24 if before and not now else ended
    return begun, incident is not None and incident.live, ended


class QuarterRows:
    """Quarters of due tasks of one queue, as the floor keeps them for two days."""

    def __init__(self) -> None:
        """Start empty."""
        self.rows: dict[int, dict[int | str, int]] = {}

    def starts(self, tier: int) -> Collection[int]:
        """Return the starts of the quarters."""
        return self.rows.keys() if tier == 1 else ()

    def counters(self, tier: int, pane_ms: int) -> dict[int | str, int]:
        """Return a quarter's counters."""
        return self.rows.get(pane_ms, {}) if tier == 1 else {}

    def kept_ms(self, tier: int) -> int:  # noqa: ARG002
        """Return the product's retention."""
        return 2 * DAY_MS


def sla_watch() -> Watch | PaceWatch:
    """Return the watch a worker has for an attainment of 95%."""
    return watch_of_rule(_SLA_RULE)


def first_sla_page(rng: np.random.Generator, load: Callable[[int], tuple[float, float]], days: int) -> float:
    """Return the hours to the first alarm on a queue, looked at every hour; ``load`` is (due an hour, share missed) by hour of day."""
    rows, watch = QuarterRows(), sla_watch()
    for quarter in range(days * 96):
        rate, share = load(quarter // 4 % 24)
        due = int(rng.poisson(rate / 4))
        late = int(rng.binomial(due, share))
        if due:
            rows.rows[quarter * _QUARTER_MS] = {c.MET: due - late, c.LATE: late}
        if quarter % 4 == 3 and watch.read(rows, (quarter + 1) * _QUARTER_MS).firing:
            return (quarter + 1) / 4
    return math.inf


def _by_day_and_night(hour: int) -> tuple[float, float]:
    """98.7% in time: few tasks at night, and they are the late ones."""
    return (200.0, 0.01) if 8 <= hour < 20 else (4.0, 0.15)


def _one_peak(hour: int) -> tuple[float, float]:
    """74% in time: the one peak hour is late."""
    return (400.0, 0.40) if hour == 10 else (10.0, 0.01)


def catastrophe(rng: np.random.Generator) -> bool:
    """Return whether an hour in which 60 of 60 audits of three labellers are wrong fires with the next look at it."""
    rows, watch = EvidenceRows(), accuracy_watch()
    for hour in range(48):
        fill_hour(rng, rows, hour * HOUR_MS, [(2.0, 0.03)] * 3)
    for labeler in range(3):
        rows.audit(48 * HOUR_MS, f"p{labeler}", "P", wrong=True, count=20)
    return watch.read(rows, 49 * HOUR_MS - 1).firing


def _people(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    days = 13
    false = [first_page(rng, MIXED, days) for _ in range(runs)]
    audits = sum(rate for rate, _ in MIXED) * 24 * days
    name = "two good labellers with 20 audits an hour, eight bad ones with 1 (96.7%): page in 13 days"
    lines = [of_share(name, sum(map(math.isfinite, false)), runs, "at most", audits / BAR, "the budget", row=3)]
    found = [first_page(rng, ONE_BAD, days) for _ in range(runs)]
    total = sum(rate for rate, _ in ONE_BAD)
    share = sum(rate * wrong for rate, wrong in ONE_BAD) / total
    alike = [first_page(rng, [(total, share)], days) for _ in range(runs)]
    name = "one bad labeller with 40 an hour, twenty good ones with 1 (86.3%): median hours to a page"
    lines.append(
        of_median(name, found, "at most", 1.1 * float(np.median(alike)), "as if all were alike, and a tenth", row=4)
    )
    hits = sum(catastrophe(rng) for _ in range(runs))
    lines.append(
        of_share(
            "60 of 60 audits wrong in an hour, three labellers: page at the next look",
            hits,
            runs,
            "at least",
            1.0,
            row=16,
        )
    )
    return lines


def _stays(rng: np.random.Generator, runs: int) -> list[ReportLine]:
    lines = []
    for per_hour in (160 / 24, 40.0):
        found = [incidents(rng, per_hour, lambda _: 0.07, 75) for _ in range(runs)]
        alarmed = [(begun, is_open) for begun, is_open, _ in found if begun]
        stays = sum(begun == 1 and is_open for begun, is_open in alarmed)
        name = f"93% against 95%, {per_hour * 24:.0f} audits a day, 75 days: of floors with an incident, one that stays"
        lines.append(of_share(name, stays, max(1, len(alarmed)), "at least", 0.95, "one incident", row=10))
    back = [incidents(rng, 20.0, lambda day: 0.12 if 14 <= day < 21 else 0.02, 35) for _ in range(max(2, runs // 2))]
    ends = [ended - 21.0 for _, is_open, ended in back if ended >= 0 and not is_open]
    name = "a week at 88%, then 98%, 480 audits a day: share of incidents that end"
    lines.append(of_share(name, len(ends), len(back), "at least", 0.95, "shown", row=10))
    if ends:
        lines.append(of_median("the same: median days from recovery to the end", ends, "at most", 4, "shown", row=10))
    return lines


def _queues(rng: np.random.Generator, runs: int, days: int) -> list[ReportLine]:
    false = [first_sla_page(rng, _by_day_and_night, days) for _ in range(runs)]
    name = f"due by day 200 an hour and 1% missed, by night 4 and 15% (98.7%): page in {days} days"
    lines = [of_share(name, sum(map(math.isfinite, false)), runs, "at most", 0.035, "as for independent misses", row=5)]
    found = [first_sla_page(rng, _one_peak, 2) for _ in range(runs)]
    name = "a peak hour of 400 due with 40% missed, else 10 and 1% (74%): paged the same day"
    hits = sum(hours <= 24 for hours in found)
    return [*lines, of_share(name, hits, runs, "at least", 1.0, row=5)]


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run all of them (400 runs of people and queues at scale 1, 40 of a floor's incidents)."""
    rng = np.random.default_rng([seed, 8])
    runs = max(4, round(400 * scale))
    return [
        *_people(rng, max(10, runs)),
        *_stays(rng, max(1, round(40 * scale))),
        *_queues(rng, runs, 28 if scale >= 0.1 else 4),
    ]
