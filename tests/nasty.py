"""Names nobody would choose and somebody sends: one list for every sink that shows a name.

``tests/data/nasty_names.json`` holds them with what each is after. A sink passes when no name does anything in it but show.
"""

from __future__ import annotations

import json
from pathlib import Path

_DATA: list[dict[str, str]] = json.loads((Path(__file__).parent / "data/nasty_names.json").read_text(encoding="utf-8"))

NASTY: tuple[str, ...] = tuple(one["name"] for one in _DATA)
WHAT: tuple[str, ...] = tuple(one["what"] for one in _DATA)
"""What each of ``NASTY`` is after: ids of parametrized tests."""
