"""What runs in part in ``make test`` runs whole under ``FLOORWATCH_NIGHTLY=1``."""

from __future__ import annotations

from tests.support import NIGHTLY, seeds, size


def test_the_whole_is_for_the_night() -> None:
    assert (len(seeds(3, 9, {})), size(0.1, 0.5, {})) == (3, 0.1)
    assert (len(seeds(3, 9, {NIGHTLY: "1"})), size(0.1, 0.5, {NIGHTLY: "1"})) == (9, 0.5)
    assert (len(seeds(3, 9, {NIGHTLY: "0"})), size(0.1, 0.5, {NIGHTLY: ""})) == (3, 0.1)
