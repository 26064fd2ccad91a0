"""How often alerts were right: against a naive count, whatever the order of other records."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from alerts.incident import Ack, Act, Silence, Tick
from alerts.quality import Deeds, quality_by_rule
from floorwatch.cli.alerts import lines_of
from streams.core.binomial import interval_limits
from tests.alerts.machine import opened
from tests.alerts.rows import MINUTE_MS, NOW_MS

KEYS, PEOPLE = ("a" * 32, "b" * 32, "c" * 32), ("mei", "ana", "link of ops")
INCIDENTS = [
    structs.replace(opened(), key=key, rule=rule, opened_ms=NOW_MS, resolved_ms=NOW_MS + n * MINUTE_MS or None)
    for n, (key, rule) in enumerate(zip(KEYS, ("one", "one", "two"), strict=True))
]
acts = st.lists(
    st.tuples(st.sampled_from(KEYS), st.sampled_from(PEOPLE), st.sampled_from(["useful", "not_useful", "ack"])),
    max_size=20,
)


@settings(max_examples=60)
@given(acts)
def test_it_is_what_a_naive_count_gives(given_acts: list[tuple[str, str, str]]) -> None:
    deeds = Deeds.none()
    for n, (key, by, what) in enumerate(given_acts):
        deeds.take(Act(what, key, by, NOW_MS + n * 1000))  # type: ignore[arg-type]
        deeds.take(Tick(NOW_MS + n))
        deeds.take(Silence(key, by, NOW_MS, NOW_MS + 1))
    for rule in quality_by_rule(INCIDENTS, deeds):
        keys = [one.key for one in INCIDENTS if one.rule == rule.rule]
        last = {(key, by): what for key, by, what in given_acts if what != "ack"}
        sums = {key: sum((w == "useful") - (w != "useful") for (k, _), w in last.items() if k == key) for key in keys}
        said = {key for key, _ in last}
        assert rule.useful == sum(sums[key] > 0 for key in keys)
        assert rule.marked == sum(sums[key] != 0 for key in keys)
        assert rule.disputed == sum(key in said and sums[key] == 0 for key in keys)
        firsts = [
            min((n for n, (k, _, w) in enumerate(given_acts) if (k, w) == (key, "ack")), default=None) for key in keys
        ]
        assert rule.acknowledged == sum(first is not None for first in firsts)
        if rule.marked:
            assert (rule.low_ratio, rule.high_ratio) == interval_limits(rule.useful, rule.marked)[:2]


def test_the_table_says_of_how_many() -> None:
    deeds = Deeds.none()
    useful, useless = Act("useful", KEYS[0], "mei", NOW_MS), Act("not_useful", KEYS[1], "mei", NOW_MS)
    for given_input in (useful, useless, Ack(KEYS[0], "m", NOW_MS + 90_000)):
        deeds.take(given_input)
    first, second, third = lines_of(quality_by_rule(INCIDENTS, deeds))
    assert first.split()[:3] == ["rule", "incidents", "marked"]
    for words in ("2 of 2", "50", "1 min 30 s"):
        assert words in second
    assert "no marks" in third
    assert quality_by_rule(INCIDENTS, deeds, NOW_MS + 1) == []
