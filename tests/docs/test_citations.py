"""What the project cites is in the project: pages, decisions and tests by their paths, and no notes that a reader does not have."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUFFIXES = {".md", ".py", ".toml", ".yaml", ".yml", ".tsv"}
ABSENT = re.compile(r"\b(?:DESIGN|STATISTICS|ENGINE|UPSTREAM)\b|\b(?:ALERTS|STYLE)\.md\b|§")
PATH = re.compile(r"\b(?:docs|tests|contract)/[\w./-]+\.(?:md|py|json|yaml|jsonl|txt)\b")
DECISION = re.compile(r"\bADR 0*(\d+)\b")


def texts() -> Iterator[tuple[str, str]]:
    """(path, text) of everything that people read, but for the changelog, which tells of the past."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    for name in listed:
        path = ROOT / name
        if path.suffix in SUFFIXES and path.is_file() and name not in ("CHANGELOG.md", "tests/docs/test_citations.py"):
            yield name, path.read_text()


def test_no_note_is_cited_that_is_not_here() -> None:
    assert [f"{name}: {found}" for name, text in texts() for found in ABSENT.findall(text)] == []


def test_every_path_cited_exists() -> None:
    missing = {f"{name}: {path}" for name, text in texts() for path in PATH.findall(text) if not there(name, path)}
    assert sorted(missing - {"tests/contract/test_contract.py: contract/schema/gone.schema.json"}) == []


def there(name: str, path: str) -> bool:
    """Paths are from the root, or beside the page that names them."""
    return (ROOT / path).exists() or (ROOT / name).parent.joinpath(path).exists()


def test_every_link_of_a_page_leads_somewhere() -> None:
    broken = []
    for name, text in texts():
        if name.endswith(".md"):
            targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
            broken += [f"{name}: {one}" for one in targets if not (ROOT / name).parent.joinpath(one).exists()]
    assert broken == []


def test_decisions_have_numbers_without_a_gap_and_those_cited_exist() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/adr").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
    for path in (ROOT / "docs/adr").glob("[0-9]*.md"):
        assert path.read_text().startswith(f"# {path.name[:4]} "), path.name
    assert {
        f"{name}: ADR {one}" for name, text in texts() for one in DECISION.findall(text) if int(one) not in numbers
    } == set()


def test_a_link_to_a_decision_has_the_number_of_the_decision() -> None:
    wrong = [
        f"{name}: ADR {number} is a link to {file}"
        for name, text in texts()
        for number, file in re.findall(r"\[ADR 0*(\d+)\]\([^)]*?(\d{4})-[^)]*\)", text)
        if int(number) != int(file)
    ]
    assert wrong == []
