"""Detectors on panes written by hand: which hours and quarters they look at, and what they make of the counts."""

from __future__ import annotations

from dataclasses import replace

from streams.core import counters as c
from streams.core.detectors.bets import ShareBets
from streams.core.detectors.dispersion import NANO
from streams.core.detectors.pace import WEEK_MS, PaceBets, PaceWatch, first_judged_ms
from streams.core.detectors.packed import evidence_amount, evidence_counter
from streams.core.detectors.watch import Detector, LabelCounts, Watch, source_of
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS

NOW_MS = 40 * WEEK_MS + 3 * DAY_MS
QUARTER, HOUR, EVIDENCE = 1, 2, 3


class Held:
    """A scope's panes, by tier."""

    def __init__(self, **by_tier: dict[int, dict[int, int]]) -> None:
        names = {0: "minutes", QUARTER: "quarters", HOUR: "hours", EVIDENCE: "evidence"}
        self._tiers = {tier: by_tier.get(name, {}) for tier, name in names.items()}

    def starts(self, tier: int) -> list[int]:
        return list(self._tiers[tier])

    def counters(self, tier: int, pane_ms: int) -> dict[int, int]:
        return self._tiers[tier].get(pane_ms, {})

    def kept_ms(self, tier: int) -> int:
        return {0: 3 * HOUR_MS, QUARTER: 2 * DAY_MS}.get(tier, 14 * DAY_MS)


def detector(measure: str, model: ShareBets | None) -> Detector:
    return Detector("rule", measure, frozenset(("queue",)), (), "8h", model, 2_688.0)


def sla(quarters: dict[int, dict[int, int]], watermark_ms: int) -> float:
    source = source_of(
        "sla", evidence_tier=3, labels=LabelCounts(HOUR, c.LABELS), met=c.MET, missed=(c.LATE, c.OVERDUE)
    )
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


WRONG = {evidence_counter("kul-1", "hate", NANO, technical=False): 9 * evidence_amount(wrong=True, critical=False)}


def began(watermark_ms: int, bar: float = 1.5, **tiers: dict[int, dict[int, int]]) -> float | None:
    """When the change began by a detector of accuracy whose only audits are nine wrong ones of one hour, in minutes of it."""
    model = ShareBets.of(0.05)
    labels = LabelCounts(HOUR, c.LABELS)
    source = source_of(
        "accuracy", evidence_tier=EVIDENCE, labels=labels, met=c.MET, missed=(c.LATE,), audited=c.AUDITED
    )
    watch = Watch(replace(detector("accuracy", model), bar=bar), model, source)
    reading = watch.read(Held(evidence={NOW_MS: WRONG}, **tiers), watermark_ms)
    assert reading.firing == (bar < 1e6)
    return None if reading.since_ms is None else (reading.since_ms - NOW_MS) / MINUTE_MS


def test_a_change_is_dated_to_the_first_minute_with_an_audit_never_before_the_first_event() -> None:
    minutes = {NOW_MS + n * MINUTE_MS: {c.LABELS: 3} for n in (2, 5)} | {NOW_MS + 19 * MINUTE_MS: {c.AUDITED: 9}}
    quarters = {NOW_MS + QUARTER_MS: {c.AUDITED: 9}}
    assert began(NOW_MS + 21 * MINUTE_MS, minutes=minutes, quarters=quarters) == 19
    assert began(NOW_MS + 21 * MINUTE_MS, quarters=quarters) == 15, "minutes may be missing: audits alone are kept"
    assert began(NOW_MS + 21 * MINUTE_MS) == 0
    assert began(NOW_MS + 21 * MINUTE_MS, 1e9, minutes=minutes) == 0, "only what fires is dated so"


def test_panes_that_may_be_gone_date_nothing() -> None:
    """Minutes are kept for 3 h and quarters for 2 d; who has heard less has them longer, and must say the same."""
    minutes, quarters = {NOW_MS + 19 * MINUTE_MS: {c.AUDITED: 9}}, {NOW_MS + QUARTER_MS: {c.AUDITED: 9}}
    assert began(NOW_MS + 2 * HOUR_MS - 1, minutes=minutes, quarters=quarters) == 19
    assert began(NOW_MS + 2 * HOUR_MS, minutes=minutes, quarters=quarters) == 15
    assert began(NOW_MS + 46 * HOUR_MS, minutes=minutes, quarters=quarters) == 0


def test_the_date_of_a_quarter_of_due_tasks_is_the_minute_of_the_first_that_was_decided() -> None:
    source = source_of(
        "sla", evidence_tier=EVIDENCE, labels=LabelCounts(HOUR, c.LABELS), met=c.MET, missed=(c.LATE, c.OVERDUE)
    )
    model = ShareBets.of(0.05)
    watch = Watch(replace(detector("sla", model), bar=1.5), model, source)
    late = {c.LATE: 9}
    held = Held(quarters={NOW_MS: late}, minutes={NOW_MS + MINUTE_MS: {c.MET: 0}, NOW_MS + 7 * MINUTE_MS: late})
    assert watch.read(held, NOW_MS + QUARTER_MS).since_ms == NOW_MS + 7 * MINUTE_MS
