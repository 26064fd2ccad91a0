"""The oracle reads the times that the contract allows."""

from __future__ import annotations

import pytest

from floorwatch.simulate.oracle_read import instant_us


@pytest.mark.parametrize("text", ["2026-11-23t11:00:00z", "2026-11-23T11:00:00z", "2026-11-23t12:00:00+01:00"])
def test_small_letters_are_rfc_3339(text: str) -> None:
    """Found by the fuzz campaign (seed 11): the product took the event, the recount could not."""
    assert instant_us(text) == instant_us("2026-11-23T11:00:00Z")
