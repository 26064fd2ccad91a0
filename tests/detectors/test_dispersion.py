"""What a scope's panes say of how far its errors scatter."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from streams.core.detectors.bets import PaneClass, ShareBets
from streams.core.detectors.dispersion import (
    LEAST_BLOCKS,
    NANO,
    NOT_LEARNT,
    PHI_START,
    Dispersion,
    learn,
    phi_of,
    temper_of,
)
from streams.core.policy import DAY_MS, HOUR_MS
from tests.detectors.panes import audits

Draw = Callable[[random.Random, int], tuple[PaneClass, ...]]


def learnt(draw: Draw, hours: int, seed: int = 1) -> Dispersion:
    rng, known = random.Random(seed), NOT_LEARNT
    for hour in range(hours):
        known = learn(known, hour * HOUR_MS, draw(rng, hour), 0.05)
    return known


def independent(units: int, share: float = 0.05) -> Draw:
    return lambda rng, _: audits(units, sum(rng.random() < share for _ in range(units)))


def clustered(units: int, correlation: float) -> Draw:
    spread = 1 / correlation - 1

    def draw(rng: random.Random, _: int) -> tuple[PaneClass, ...]:
        chance = rng.betavariate(0.05 * spread, 0.95 * spread)
        return audits(units, sum(rng.random() < chance for _ in range(units)))

    return draw


def test_a_scope_that_is_not_known_starts_where_clusters_of_25_with_a_correlation_of_a_tenth_are() -> None:
    assert pytest.approx(1 + 24 * 0.1) == PHI_START
    assert phi_of(NOT_LEARNT) == PHI_START
    assert phi_of(learnt(independent(20), LEAST_BLOCKS - 1)) == PHI_START
    assert phi_of(learnt(independent(20), LEAST_BLOCKS)) < PHI_START


def test_phi_of_independent_audits_falls_to_its_upper_limit_and_never_below_one() -> None:
    found = [phi_of(learnt(independent(20), 240, seed)) for seed in range(8)]
    assert all(1.0 <= phi < 1.6 for phi in found), found


def test_phi_of_clusters_covers_what_they_are() -> None:
    found = [phi_of(learnt(clustered(25, 0.1), 240, seed)) for seed in range(8)]
    assert sorted(found)[3] >= 3.3, found
    assert min(found) > 2.5, found
    assert max(found) < 7.0, found


def test_worse_clusters_raise_phi_before_it_may_fall() -> None:
    assert phi_of(learnt(clustered(50, 0.5), 30)) > 5.0


def test_a_drop_in_a_new_scope_does_not_pass_for_scatter() -> None:
    def dropped(rng: random.Random, hour: int) -> tuple[PaneClass, ...]:
        return independent(90, 0.05 if hour < 12 else 0.15)(rng, hour)

    assert [phi_of(learnt(dropped, 30, seed)) for seed in range(6)] == [PHI_START] * 6


def test_panes_of_one_audit_are_put_together_before_they_say_anything() -> None:
    known = learnt(independent(1), 95)
    assert known.blocks == 9
    assert known.block.units == 5


def test_a_scope_without_an_error_is_not_known_to_have_independent_ones() -> None:
    assert phi_of(learnt(independent(20, 0.0), 60)) > 2.0


def test_weights_alone_are_no_scatter() -> None:
    """Flagged items are audited with 1/5 and wrong with 28%, others with 1/100 and 2.4%: independent audits."""

    def draw(rng: random.Random, _: int) -> tuple[PaneClass, ...]:
        flagged = sum(rng.random() < 0.69 for _ in range(40))
        return (
            PaneClass(5 * NANO, flagged, sum(rng.random() < 0.28 for _ in range(flagged))),
            PaneClass(100 * NANO, 40 - flagged, sum(rng.random() < 0.0244 for _ in range(40 - flagged))),
        )

    found = [phi_of(learnt(draw, 200, seed)) for seed in range(6)]
    assert max(found) < 2.0, found


def alternating(rng: random.Random, hour: int) -> tuple[PaneClass, ...]:
    return independent(100, (0.03, 0.07)[hour // 24 % 2])(rng, hour)


def test_days_that_differ_are_a_component_of_their_own() -> None:
    temper = temper_of(learnt(alternating, 12 * 24), 0.05)
    assert temper.phi < 1.6
    assert 0.015 < temper.day_spread < 0.03
    assert temper.day_phi > 10.0
    few = temper_of(learnt(independent(20), 12 * 24), 0.05)
    assert (few.day_phi, few.day_spread) == (few.phi, 0.0)


def test_a_new_scope_has_no_days_to_differ_unless_it_is_very_large() -> None:
    assert temper_of(learnt(independent(90), 20), 0.05).day_spread == 0.0
    assert temper_of(learnt(independent(400), 20), 0.05).day_spread == pytest.approx(0.02)


def test_days_alike_leave_little_between_them() -> None:
    assert temper_of(learnt(independent(100), 12 * 24), 0.05).day_spread < 0.009


def test_a_bet_never_looks_at_its_own_pane() -> None:
    """The temper of a pane is that of the panes before, so its factor is a function of what was known."""
    model, known = ShareBets.of(0.05), learnt(clustered(25, 0.1), 100)
    gain = model.summarise(DAY_MS * 9, audits(25, 20), NANO, known).gain
    logs = model.logs(audits(25, 20), NANO)
    assert gain[0] == pytest.approx(2.718281828459045 ** (logs[0] / phi_of(known)))
