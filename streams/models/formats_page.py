"""docs/formats.md, made of the formats that there are."""

from __future__ import annotations

from streams.models.formats import FORMATS

_PAGE = """# Formats and their versions

<!-- Generated from streams/models/formats.py by `make generate`. Do not edit. -->

Everything that is written by one version of Floorwatch and read by a later one. A value says the number before the point; one
that says none is version 1, written by the deployed commit 24565ae. A reader takes every version up to its own and refuses a newer
one with an error that says which is needed. The number behind the point counts changes that older readers pass over. How to upgrade:
[upgrading.md](upgrading.md). Why: [ADR 0027](adr/0027-format-versions.md).

"""


def page() -> str:
    """Return docs/formats.md."""
    head = (
        "| format | version | where | written by | read by | how a value says its version | a newer version | changes |"
    )
    lines = [head, "|" + "---|" * 8]
    for kind in FORMATS:
        cells = (kind.name, kind.label, kind.place, kind.writer, kind.reader, kind.marker, kind.newer, kind.changes)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return _PAGE + "\n".join(lines) + "\n"
