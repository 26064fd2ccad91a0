"""``require`` skips where something is missing, and fails where everything is required."""

from __future__ import annotations

import pytest

from tests.support import require


def test_what_is_there_is_found() -> None:
    assert require("sh").endswith("/sh")


def test_what_is_missing_is_skipped_with_the_way_to_mend_it() -> None:
    with pytest.raises(pytest.skip.Exception, match="amtool is not installed; comes with"):
        require("amtool", {"PATH": "/nowhere"})


def test_where_everything_is_required_it_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="amtool is not installed"):
        require("amtool", {"PATH": "/nowhere", "FLOORWATCH_REQUIRE_ALL": "1"})
