"""``floorwatch sims``: rerun the simulations behind every promised rate, with the product's own detectors."""

from __future__ import annotations

from typing import Annotated

import typer

from config.nearest import choices
from floorwatch.output.terminal import say


def sims(
    only: Annotated[list[str] | None, typer.Argument(help="Names of simulations; all by default.")] = None,
    scale: Annotated[
        float, typer.Option(min=0.001, max=1000, help="Multiplies the number of runs; 1 takes minutes.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 7,
    picture: Annotated[bool, typer.Option(help="Also write the pictures and the table of docs/statistics.md.")] = False,
) -> None:
    """Print promised against measured numbers; leave with code 1 if one promise is not kept."""
    from floorwatch.sims import simulations

    known = simulations()
    names = only or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        say(f"floorwatch sims: {unknown[0]!r} is not a simulation; {choices(unknown[0], known)}", err=True)
        raise typer.Exit(2)
    broken = total = 0
    for name in names:
        say(f"\n{name}")
        for line in known[name](scale, seed):
            say(f"  {line}")
            total += 1
            broken += not line.ok
    if picture:
        from floorwatch.sims.intervals import write_table
        from floorwatch.sims.picture import write_pictures

        say("\nwrote " + ", ".join(str(path) for path in (*write_pictures(), write_table())))
    say(f"\n{total - broken} of {total} as promised")
    if broken:
        raise typer.Exit(1)
