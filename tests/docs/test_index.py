"""docs/README.md leads to every page by the question it answers."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
ROWS = [
    line.strip("| ").split(" | ") for line in (DOCS / "README.md").read_text().splitlines() if line.startswith("| ")
]
QUESTIONS = [row for row in ROWS if len(row) == 2 and row[1].strip(" |") and row[0] != "question"]


def test_every_page_answers_a_question() -> None:
    linked = re.findall(r"\]\(([\w.-]+)\)", " ".join(row[1] for row in QUESTIONS))
    pages = {path.name for path in DOCS.iterdir() if path.suffix == ".md" or path.is_dir()} - {"README.md"}
    assert set(linked) == pages
    assert len(linked) == len(set(linked)), "a page that answers two questions says two things"


def test_what_leads_to_a_page_is_a_question() -> None:
    assert len(QUESTIONS) > 20
    assert [row[0] for row in QUESTIONS if not row[0].endswith("?")] == []
