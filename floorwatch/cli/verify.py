"""``floorwatch verify``: simulate a floor, run it through the whole stack, compare with an independent oracle."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from floorwatch.output.terminal import say
from streams.core.formatting import plural


def verify(
    seed: Annotated[int, typer.Option(help="Seed of the simulated floor.")] = 7,
    days: Annotated[float, typer.Option(min=0.01, max=3660, help="Simulated days of labelling.")] = 2.0,
    rate: Annotated[
        float, typer.Option(min=0.001, max=1_000_000, help="Events per second of the floor, on average.")
    ] = 1.0,
    partitions: Annotated[int, typer.Option(min=1, max=64)] = 4,
) -> None:
    """Print ``0 differences in N rows``: every pane and window of every table against a naive recount."""
    import asyncio

    from floorwatch.simulate.compare import report

    found, rows = asyncio.run(_verify(seed, days, rate, partitions))
    say(report(found, rows))
    if found:
        raise typer.Exit(1)


async def _verify(seed: int, days: float, rate: float, partitions: int) -> tuple[list[Any], int]:
    from floorwatch.bounded import bounded_run
    from floorwatch.cli.progress import phases
    from floorwatch.simulate.compare import COMPARED, differences, keyed, row_count
    from floorwatch.simulate.oracle import Oracle
    from floorwatch.simulate.runs import simulated_log

    with phases() as progress:
        progress("simulating", 0, None)
        lines = simulated_log(seed, days, rate)
        say(f"{plural(len(lines), 'event')}, seed {seed}, {days:g} days", err=True)
        async with bounded_run(partitions=partitions, progress=progress) as run:
            await run.send(lines, len(lines))
            await run.finish()
            progress("reading the tables", 0, None)
            actual = {table: await run.table(table) for table in COMPARED}
            dead, late = await run.dead_letters(), await run.late()
        progress("recounting", 0, None)
        oracle = Oracle.from_events(lines)
    if late:
        say(
            f"{len(late)} events were late: beyond the correction horizon, so the recount holds them and no row does.",
            err=True,
        )
    refused = sum(letter["code"] != "conflicting_duplicate" for letter in dead)
    conflicts = len(dead) - refused
    if (conflicts, refused) != (oracle.conflicts, oracle.refused):
        say(
            f"dead letters: {conflicts} conflicts and {refused} refused, "
            f"should be {oracle.conflicts} and {oracle.refused}",
            err=True,
        )
        raise typer.Exit(1)
    pane_rows = {table: keyed(rows, panes=True) for table, rows in actual.items()}
    window_rows = {table: keyed(rows, panes=False) for table, rows in actual.items()}
    expected_panes, expected_windows = oracle.panes(3600), oracle.windows()
    found = differences(expected_panes, pane_rows, COMPARED)
    found += differences(expected_windows, window_rows, {**COMPARED, "sla": (*COMPARED["sla"], "backlog")})
    return found, row_count(expected_panes, pane_rows) + row_count(expected_windows, window_rows)
