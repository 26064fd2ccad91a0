"""A small floor for tests about people: labels made by hand or by a seeded chance."""

from __future__ import annotations

import math
from random import Random

from floorwatch.analysis.people.recovery import Untouched
from floorwatch.analysis.people.standing_labels import StandingLabel, StandingVerdict

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BASE = 1_795_392_000_000  # 2026-11-23T00:00:00Z
NANO = 1_000_000_000


def judged(
    wrong=False, *, technical=False, weight=1, gold=False, truth="safe", severity="major", error="false_positive"
):
    return StandingVerdict(
        wrong or technical,
        technical,
        "technical" if technical else error if wrong else "",
        severity if wrong or technical else "",
        truth,
        weight * NANO,
        gold,
    )


def work(
    number: int,
    who: str = "a",
    at: int = 0,
    handle: int | None = 30_000,
    verdict: StandingVerdict | None = None,
    **other,
) -> StandingLabel:
    """Label ``number`` of somebody, ``at`` ms after BASE."""
    place = {"site": "KUL", "vendor": "inhouse", "team": "t1", "queue": "q", "policy": "P1", "values": "hate"} | other
    return StandingLabel(f"t-{who}-{number}", f"l-{who}-{number}", who, place["site"], place["vendor"], place["team"], place["queue"],
                place["policy"], BASE + at, handle, None, place["values"], verdict)  # fmt: skip


def log_normal(rng: Random, median_ms: float, sigma: float = 0.5) -> int:
    return max(1, round(median_ms * math.exp(rng.gauss(0, sigma))))


def steady(
    rng: Random, who: str, labels: int, start: int, length: int, *, median: float = 30_000, wrong=0.05, share=0.2,
    fast_wrong: float | None = None, queue: str = "q",
) -> list[StandingLabel]:  # fmt: skip
    """Labels of somebody over a stretch of time; ``fast_wrong`` is the chance to be wrong below 15 s."""
    found = []
    for number in range(labels):
        at = start + length * number // labels
        handle = log_normal(rng, median)
        chance = fast_wrong if fast_wrong is not None and handle < 15_000 else wrong
        verdict = judged(rng.random() < chance) if rng.random() < share else None
        found.append(work(at, who, at, handle, verdict, queue=queue))
    return found


def labels(first_day: int, wrong: int, total: int) -> list[StandingLabel]:
    """Audited labels from a day on, four an hour, the first so many of them wrong."""
    return [
        work(1000 * first_day + n, at=first_day * DAY + n * HOUR // 4, verdict=judged(n < wrong)) for n in range(total)
    ]


def peers_at(before: int, after: int, count: int = 8) -> Untouched:
    """Peers who were not coached: so many wrong of 120 audits before, and of 80 after, some more or less."""
    works = {
        f"peer-{n}": [
            one._replace(labeler_id=f"peer-{n}")
            for one in labels(5, max(0, before - 3 + n), 120) + labels(12, max(0, after - 2 + n // 2), 80)
        ]
        for n in range(count)
    }
    return Untouched(works, list(works))
