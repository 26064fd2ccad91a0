"""The runbooks as pages: what messages link where no ``alerts.runbook_url`` says that they are elsewhere.

``runbooks.json`` is made of docs/runbooks by ``floorwatch generate``, so that an installed Floorwatch has them.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from floorwatch.web.page import Page

PATH = "docs/runbooks/"
"""Below the address of the pages: the path in the repository, which signals name."""
_FOLDER, _FILE = "docs/runbooks", "floorwatch/web/runbooks.json"
_NAME = re.compile(r"[a-z_]{1,60}")
# Our own text; HTML in it is shown as text all the same, and addresses are only those of the web.
_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")


@lru_cache(maxsize=1)
def runbooks() -> dict[str, str]:
    """Return the Markdown of every runbook by name, that of its kind of alert."""
    found: dict[str, str] = json.loads((files("floorwatch.web") / "runbooks.json").read_text(encoding="utf-8"))
    return found


@lru_cache(maxsize=64)
def runbook_page(name: str) -> Page:
    """Return a runbook as a page; one that says so, where there is none of the name."""
    text = runbooks().get(name) if _NAME.fullmatch(name) else None
    if text is None:
        return Page("There is no such runbook", "sorry", (f"There are: {', '.join(sorted(runbooks()))}.",), status=404)
    heading, _, rest = text.partition("\n")
    html = _LINK.sub(r"\1", _markdown.render(rest))
    return Page(heading.lstrip("# ").strip(), "show", body=Markup(html))  # noqa: S704 - our own file


_LINK = re.compile(r'<a href="(?!https?://)[^"]*">(.*?)</a>', re.DOTALL)
"""Links into the repository, which lead nowhere from here: their words stay."""


def generate(root: Path) -> list[Path]:
    """Write the file of runbooks below ``root`` and return its path."""
    path = root / _FILE
    path.write_text(_text(root), encoding="utf-8")
    return [path]


def check(root: Path) -> list[str]:
    """Return what is stale, with the command that mends it; empty when all is well."""
    path = root / _FILE
    fresh = path.is_file() and path.read_text(encoding="utf-8") == _text(root)
    return [] if fresh else [f"{_FILE}: run `make generate` and commit the result"]


def _text(root: Path) -> str:
    found = {path.stem: path.read_text(encoding="utf-8") for path in sorted((root / _FOLDER).glob("*.md"))}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
