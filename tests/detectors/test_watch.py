"""Detectors on panes written by hand: which hours and quarters they look at, and what they make of the counts."""

from __future__ import annotations

from streams.core import counters as c
from streams.core.detectors.bets import ShareBets
from streams.core.detectors.pace import WEEK_MS, PaceBets, PaceWatch, first_judged_ms
from streams.core.detectors.watch import Detector, Watch, source_of
from streams.core.policy import DAY_MS, HOUR_MS, QUARTER_MS

NOW_MS = 40 * WEEK_MS + 3 * DAY_MS
QUARTER, HOUR = 1, 2


class Held:
    """A scope's panes, by tier."""

    def __init__(self, **by_tier: dict[int, dict[int, int]]) -> None:
        self._tiers = {QUARTER: by_tier.get("quarters", {}), HOUR: by_tier.get("hours", {})}

    def starts(self, tier: int) -> list[int]:
        return list(self._tiers[tier])

    def counters(self, tier: int, pane_ms: int) -> dict[int, int]:
        return self._tiers[tier].get(pane_ms, {})

    def kept_ms(self, tier: int) -> int:
        return 2 * DAY_MS if tier == QUARTER else 14 * DAY_MS


def detector(measure: str, model: ShareBets | None) -> Detector:
    return Detector("rule", measure, frozenset(("queue",)), (), "8h", model, 2_688.0)


def sla(quarters: dict[int, dict[int, int]], watermark_ms: int) -> float:
    source = source_of("sla", evidence_tier=3, met=c.MET, missed=(c.LATE, c.OVERDUE))
    model = ShareBets.of(0.05)
    return Watch(detector("sla", model), model, source).read(Held(quarters=quarters), watermark_ms).score


def test_a_quarter_of_due_tasks_counts_once_it_is_over() -> None:
    before = {NOW_MS - QUARTER_MS: {c.MET: 10, c.LATE: 5}}
    under_way = before | {NOW_MS: {c.MET: 0, c.LATE: 12}}
    assert sla(before, NOW_MS) > 1.0
    assert sla(under_way, NOW_MS + QUARTER_MS - 1) == sla(before, NOW_MS)
    assert sla(under_way, NOW_MS + QUARTER_MS) > 2 * sla(before, NOW_MS)


def test_the_quarter_that_has_just_ended_counts_and_open_tasks_past_due_are_missed() -> None:
    late, open_still = ({NOW_MS - QUARTER_MS: {c.MET: 10, counter: 5}} for counter in (c.LATE, c.OVERDUE))
    assert sla(late, NOW_MS) == sla(open_still, NOW_MS)
    assert sla(late, NOW_MS - 1) == 0.0


def pace(judged_hours: int) -> float:
    """Score after so many hours of people in which nothing came where 40 labels had come in each before."""
    first_ms = first_judged_ms(NOW_MS)
    on_shift = {c.SCHEDULED_MS: 3 * HOUR_MS}
    hours = {ms: on_shift | {c.LABELS: 40} for ms in range(first_ms - 9 * DAY_MS, first_ms, HOUR_MS)}
    hours |= {first_ms + n * HOUR_MS: on_shift for n in range(judged_hours)}
    watch = PaceWatch(detector("throughput", None), PaceBets(), c.LABELS, c.SCHEDULED_MS)
    return watch.read(Held(hours=hours), NOW_MS).score


def test_a_day_is_only_learnt_from_before_the_first_bet() -> None:
    assert pace(24) == 0.0
    assert pace(25) > 0.0
