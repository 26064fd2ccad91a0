"""Noise is called noise: intervals of effects, and how often a part is blamed where nothing changed."""

from fractions import Fraction
from random import Random

import pytest

from streams.core.rca.ratio_tally import RatioTally
from streams.core.rca.shift import decompose, summed
from streams.core.rca.significance import difference_interval, effect_error, family_z, judge

PARTS = 20


def draw(rng, per_part, share):
    window = {}
    for part in range(PARTS):
        total = per_part + rng.randrange(per_part)
        window[f"p{part:02d}",] = RatioTally(sum(rng.random() < share(part) for _ in range(total)), total)
    return window


def test_the_difference_is_that_of_the_shares():
    low, high = difference_interval(RatioTally(56, 70), RatioTally(48, 80))
    assert (round(low, 4), round(high, 4)) == (0.0494, 0.3395)
    with pytest.raises(ValueError, match="nothing"):
        difference_interval(RatioTally(0, 0), RatioTally(1, 2))


@pytest.mark.slow
def test_nothing_changed_hardly_ever_blames_anybody():
    rng = Random(5)
    blamed = covered = seen = 0
    runs = 300
    for _ in range(runs):
        found = decompose(("labeler",), draw(rng, 40, lambda _: 0.95), draw(rng, 40, lambda _: 0.95))
        judged = [judge(found, part) for part in found.parts]
        blamed += any(one.verdict == "evident" for one in judged)
        # Under an unchanged floor with sampled shares, a part's true effect is not 0 in mix alone; rate is.
        covered += sum(one.low <= 0 <= one.high for one in judged)
        seen += len(judged)
    assert blamed / runs <= 0.10, blamed
    assert covered / seen >= 0.93, covered / seen


def test_one_part_that_fell_is_found():
    rng = Random(6)
    right = 0
    for _ in range(60):
        before = draw(rng, 200, lambda _: 0.95)
        after = draw(rng, 200, lambda part: 0.70 if part == 3 else 0.95)
        found = decompose(("labeler",), before, after)
        evident = {part.key[0] for part in found.parts if judge(found, part).verdict == "evident"}
        right += evident == {"p03"}
    assert right >= 54, right


def test_few_outcomes_are_called_few():
    before = {("a",): RatioTally(5, 5), ("b",): RatioTally(950, 1000), ("c",): RatioTally(0, 0)}
    after = {("a",): RatioTally(0, 50), ("b",): RatioTally(950, 1000), ("c",): RatioTally(3, 9)}
    found = decompose(("labeler",), before, after)
    verdicts = {part.key[0]: judge(found, part).verdict for part in found.parts}
    assert verdicts == {"a": "few", "b": "noise", "c": "few"}


@pytest.mark.slow
def test_the_standard_error_is_that_of_repeated_samples():
    rng = Random(7)
    share = [0.95, 0.80, 0.95]
    weight_after = [0.2, 0.5, 0.3]

    def sample(weights):
        good, total = [0, 0, 0], [0, 0, 0]
        for part in rng.choices(range(3), weights, k=600):
            total[part] += 1
            good[part] += rng.random() < share[part]
        return {(str(part),): RatioTally(good[part], total[part]) for part in range(3)}

    effects, errors = [], []
    for _ in range(800):
        found = decompose(("team",), sample([0.4, 0.3, 0.3]), sample(weight_after))
        part = found.parts[1]
        effects.append(float(part.effect))
        errors.append(effect_error(found, part))
    mean = sum(effects) / len(effects)
    spread = (sum((effect - mean) ** 2 for effect in effects) / len(effects)) ** 0.5
    assert sum(errors) / len(errors) == pytest.approx(spread, rel=0.07)


def crossed(rng, share, per_part=120):
    """Outcomes by (vendor, market), three of each, with a good share of each vendor."""
    counters = {}
    for vendor in "abc":
        for market in "xyz":
            total = per_part + rng.randrange(per_part)
            counters[vendor, market] = RatioTally(sum(rng.random() < share(vendor) for _ in range(total)), total)
    return counters


def by_place(counters, place):
    found = {}
    for key, tally in counters.items():
        found.setdefault((key[place],), []).append(tally)
    return {key: summed(parts) for key, parts in found.items()}


def test_markets_are_not_blamed_for_a_vendor_that_serves_them_all():
    rng, named, blamed, runs = Random(8), 0, 0, 100
    for _ in range(runs):
        before, after = crossed(rng, lambda _: 0.95), crossed(rng, lambda vendor: 0.80 if vendor == "b" else 0.95)
        verdicts = {}
        for place, name in enumerate(("vendor", "market")):
            found = decompose((name,), by_place(before, place), by_place(after, place))
            verdicts[name] = {part.key[0] for part in found.parts if judge(found, part).verdict == "evident"}
        named += verdicts["vendor"] == {"b"}
        blamed += bool(verdicts["market"])
    assert named >= 0.9 * runs, named
    assert blamed <= 0.05 * runs, blamed


def test_when_everybody_falls_nobody_is_named():
    rng = Random(9)
    before, after = crossed(rng, lambda _: 0.95), crossed(rng, lambda _: 0.80)
    found = decompose(("vendor",), by_place(before, 0), by_place(after, 0))
    assert [judge(found, part).verdict for part in found.parts] == ["alike"] * 3


def test_auditing_one_part_more_closely_is_no_mix_effect():
    strict, usual = RatioTally(160, 200, 160 * 4, 200 * 4), RatioTally(95, 100, 95 * 20, 100 * 20)
    before = {("strict",): RatioTally(32, 40, 32 * 20, 40 * 20), ("usual",): usual}
    found = decompose(("queue",), before, {("strict",): strict, ("usual",): usual})
    assert [part.effect for part in found.parts] == [0, 0]
    plain = {key: RatioTally(one.good, one.total) for key, one in before.items()}
    raw = decompose(("queue",), plain, {("strict",): RatioTally(160, 200), ("usual",): RatioTally(95, 100)})
    assert raw.change < -Fraction(3, 100)


def test_the_standard_error_of_weighted_samples_is_that_of_repeated_ones():
    rng, share, weight = Random(10), [0.95, 0.80, 0.95], [20, 4, 10]

    def sample(counts):
        good = [sum(rng.random() < share[part] for _ in range(total)) for part, total in enumerate(counts)]
        found = {}
        for part, total in enumerate(counts):
            found[str(part),] = RatioTally(good[part], total, good[part] * weight[part], total * weight[part])
        return found

    effects, errors = [], []
    for _ in range(800):
        found = decompose(("queue",), sample([200, 150, 90]), sample([120, 240, 60]))
        effects.append(float(found.parts[1].effect))
        errors.append(effect_error(found, found.parts[1]))
    mean = sum(effects) / len(effects)
    spread = (sum((effect - mean) ** 2 for effect in effects) / len(effects)) ** 0.5
    # How many audits fall to a part is given here and chance in the formula, which is therefore a little wider.
    assert spread <= sum(errors) / len(errors) <= 1.35 * spread


def test_more_parts_need_more_evidence():
    assert family_z(1) == pytest.approx(1.96, abs=0.001)
    assert family_z(150) > family_z(10) > family_z(2)
