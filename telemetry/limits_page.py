"""The tables of ``docs/limits.md``, made of ``telemetry.limits``; what stands around them is written by hand."""

from __future__ import annotations

from telemetry.limit import Limit
from telemetry.limits import LIMITS

BEGIN = "<!-- tables: made of telemetry/limits.py by `make generate` -->\n"
END = "<!-- end of tables -->\n"


def _table(limits: tuple[Limit, ...]) -> list[str]:
    lines = [
        "| buffer | bound | at the bound | how full | who waits or is refused | bounded in |",
        "|---|---|---|---|---|---|",
    ]
    for limit in limits:
        wait = f"`{limit.wait}`" if limit.wait else "nobody"
        lines.append(
            f"| {limit.buffer} | {limit.bound} | {limit.at_bound} | `{limit.fill}` | {wait} | `{limit.where}` |"
        )
    return lines


def renewed(page: str) -> str:
    """Return the page with its tables as they should be.

    Args:
        page: The page, with both marks.
    """
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    lines: list[str] = []
    for title, limits in LIMITS:
        lines += [f"## {title}", "", *_table(limits), ""]
    return before + BEGIN + "\n".join(lines) + "\n" + END + after
