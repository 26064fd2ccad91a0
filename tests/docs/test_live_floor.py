"""The picture in README shows the columns that tables have."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from floorwatch.cli.table_text import COLUMNS
from tests.docs.live_floor import PICTURE


def test_the_picture_shows_the_columns_of_today() -> None:
    """Where it does not: ``python -m tests.docs.live_floor`` draws it anew."""
    text = " ".join("".join(ET.parse(PICTURE).getroot().itertext()).replace("\xa0", " ").split())
    wanted = {heading for headings in COLUMNS.values() for heading, _ in headings}
    assert {heading for heading in wanted if heading not in text} == set()
