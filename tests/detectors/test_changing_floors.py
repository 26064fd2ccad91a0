"""The floors of 504 scopes are what their words say, and a detector that ignores how audits were drawn would not keep its budget."""

from __future__ import annotations

import numpy as np
import pytest

from floorwatch.sims import changing_floors


@pytest.mark.parametrize("kind", changing_floors.KINDS, ids=lambda kind: kind.words)
def test_a_floor_is_exactly_on_target_where_each_audit_has_its_weight(kind: changing_floors.FloorKind) -> None:
    days = 30
    drawn = [changing_floors.draw(np.random.default_rng([5, number]), kind, days) for number in range(6)]
    assert np.mean([len(floor.hour) for floor in drawn]) / days == pytest.approx(changing_floors.AUDITS_A_DAY, rel=0.01)
    wrong, total = np.zeros(2), np.zeros(2)
    for floor in drawn:
        weight = np.where(floor.flagged == 1, floor.weights[0, floor.hour], floor.weights[1, floor.hour])
        wrong += (weight * floor.wrong).sum(), floor.wrong.sum()
        total += weight.sum(), len(floor.wrong)
    assert wrong[0] / total[0] == pytest.approx(0.05, abs=0.002)
    assert wrong[1] / total[1] > 0.07


def test_without_weights_the_floor_itself_fires() -> None:
    """The fault planted: audits by risk taken as if all had been drawn alike."""
    floor = changing_floors.draw(np.random.default_rng(1), changing_floors.KINDS[0], 6)
    keys = floor.hour * 4 + floor.flagged * 2 + floor.wrong
    counts = np.bincount(keys, minlength=6 * 24 * 4).reshape(6 * 24, 2, 2)
    assert changing_floors._alarms(counts, floor.weights) == 0
    assert changing_floors._alarms(counts, np.ones_like(floor.weights)) == 1
