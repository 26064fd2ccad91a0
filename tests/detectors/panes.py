"""Strategies: panes of audits."""

from __future__ import annotations

from hypothesis import strategies as st

from streams.core.detectors.bets import PaneClass, ShareBets, merge_classes
from streams.core.detectors.dispersion import ASSUMED, NANO

QUARTER_MS = 900_000
MODEL = ShareBets.of(0.05)


def audits(units: int, bad: int, weight: int = 1) -> tuple[PaneClass, ...]:
    """A pane of audits of one weight."""
    return (PaneClass(weight * NANO, units, bad),)


@st.composite
def classes(draw) -> PaneClass:
    units = draw(st.integers(1, 6))
    weight_nano = draw(st.sampled_from((ASSUMED, NANO, 2 * NANO, 20 * NANO)))
    return PaneClass(weight_nano, units, draw(st.integers(0, units)))


audit_panes = st.lists(classes(), min_size=1, max_size=4).map(merge_classes)
starts = st.integers(0, 40).map(lambda n: n * QUARTER_MS)
audit_floors = st.dictionaries(starts, audit_panes, max_size=30)
