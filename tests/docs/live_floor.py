"""Draws docs/live-floor.svg: the three tables by vendor. ``python -m tests.docs.live_floor`` writes it."""

from __future__ import annotations

import io
from pathlib import Path

from floorwatch.cli.table_text import rich_table
from floorwatch.output.terminal import DataConsole
from floorwatch.simulate.config import parse_scenario
from streams.core.policy import CorePolicy
from streams.models.measures import TABLES
from tests.replay.memory import PlainRun, floor_log

PICTURE = Path(__file__).parents[2] / "docs" / "live-floor.svg"
WINDOW = "8h"
DROP = parse_scenario("vendor_quality_drop@6h:vendor=bpo-a,policies=hate/scam,factor=0.6")


def main() -> None:
    """Fold a simulated floor on which one vendor's quality drops, and draw its tables."""
    log = floor_log(11, days=0.75, rate=2.0, scenarios=(DROP,), audit_delay_scale=0.02, errors=0.5)
    run = PlainRun(log, policy=CorePolicy(scopes=((), ("vendor",)), audit_scopes=()))
    console = DataConsole(record=True, width=120, file=io.StringIO())
    console.print("$ floorwatch table accuracy --by vendor --window 8h")
    for name in TABLES:
        rows = sorted(
            (
                row
                for row in run.windows(name, WINDOW).values()
                if set(row["scope"]) == {"vendor"} and row["scope"]["vendor"]
            ),
            key=lambda row: str(row["scope"]["vendor"]),
        )
        console.print(rich_table(name, rows, WINDOW))
    PICTURE.write_text(console.export_svg(title="Floorwatch"))


if __name__ == "__main__":
    main()
