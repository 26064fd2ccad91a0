"""Audits of labels without some dimensions: the evidence is by person's work and sampling, whatever else is missing."""

from __future__ import annotations

import pytest

from streams.core.counters import Counters, add_counters
from streams.core.detector_evidence import LabelVerdict, detector_evidence_of
from streams.core.detectors.bets import NANO
from streams.core.detectors.packed import accuracy_pane
from streams.core.policy import DIMENSIONS, Dims

AUDITS, PEOPLE = 180, 60


def _pane(**dims: str | None) -> Counters:
    """Return the counters of an hour: 180 audits of 60 people, three each, with the same other dimensions; one of three is wrong."""
    found: Counters = {}
    for n in range(AUDITS):
        named: dict[str, str | None] = {"labeler": f"p-{n % PEOPLE}", **dims}
        place: Dims = tuple(named.get(name) for name in DIMENSIONS)
        verdict = LabelVerdict(n % 3 == 0, 0, 0, "", 20 * NANO, False, 0)
        evidence = detector_evidence_of(place, verdict)
        assert evidence is not None
        add_counters(found, {evidence.counter: evidence.amount})
    return found


@pytest.mark.parametrize("missing", ["policy", "site", "team", "vendor", "queue", "market", "priority"])
def test_a_pane_says_the_same_whatever_dimension_is_missing(missing: str) -> None:
    full = {name: "x" for name in DIMENSIONS if name != "labeler"}
    whole, bare = accuracy_pane(_pane(**full)), accuracy_pane(_pane(**{**full, missing: None}))
    assert whole == bare
    assert [(one.units, one.bad) for one in bare] == [(AUDITS, AUDITS // 3)]


def test_nothing_but_the_person_is_needed() -> None:
    assert [one.units for one in accuracy_pane(_pane())] == [AUDITS]
