"""Audits of labels without some dimensions: the evidence is by person's work and sampling, whatever else is missing."""

from __future__ import annotations

import pytest

from streams.core.counters import Counters, add_counters
from streams.core.detector_evidence import LabelVerdict, detector_evidence_of
from streams.core.detectors.dispersion import ASSUMED, NANO
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
        evidence = detector_evidence_of(place, verdict, 0)
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


def test_audits_that_say_nothing_of_sampling_are_a_class_beside_those_that_look_at_everything() -> None:
    found: Counters = {}
    for weight_nano, assumed in ((NANO, False), (0, True), (0, True), (0, False)):
        verdict = LabelVerdict(False, 0, 0, "", weight_nano, False, 0, assumed)
        evidence = detector_evidence_of((None,) * len(DIMENSIONS), verdict, 0)
        if evidence is not None:
            add_counters(found, {evidence.counter: evidence.amount})
    assert [(one.weight_nano, one.units) for one in accuracy_pane(found)] == [(ASSUMED, 2), (NANO, 1)]
