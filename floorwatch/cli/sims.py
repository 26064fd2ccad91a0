"""``floorwatch sims``: rerun the simulations behind every promised rate, with the code that a worker runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.nearest import choices
from floorwatch.cli.options import json_option, misused
from floorwatch.output.terminal import say, say_json, say_lines

if TYPE_CHECKING:
    from floorwatch.sims.runner import Finished
    from floorwatch.sims.table import SituationResult


def sims(
    only: Annotated[list[str] | None, typer.Argument(help="Names of simulations; all by default.")] = None,
    row: Annotated[
        list[int] | None, typer.Option(help="Only what measures this situation of the table; may be repeated.")
    ] = None,
    scale: Annotated[
        float,
        typer.Option(min=0.001, max=1000, help="Multiplies the number of runs; 1 takes up to an hour on two cores."),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same numbers.")] = 7,
    jobs: Annotated[int | None, typer.Option(min=1, max=256, help="Processes; by default one a core.")] = None,
    keep: Annotated[
        Path | None, typer.Option(help="File in which finished simulations are kept, and not run again.")
    ] = None,
    picture: Annotated[
        bool, typer.Option(help="Also write the pictures and tables of docs/statistics.md (the situations if all ran).")
    ] = False,
    as_json: Annotated[bool, json_option("One JSON object instead of text.")] = False,
) -> None:
    """Print promised against measured numbers; leave with code 1 if a promise is not kept or a situation not measured."""
    from floorwatch.sims import simulations
    from floorwatch.sims.runner import cores, run_all
    from floorwatch.sims.table import PAGE, measured

    names, rows = _chosen(only or [], row or [])
    if picture and not PAGE.exists():
        misused(f"--picture writes into {PAGE}: run it where the source of Floorwatch lies")
    try:
        done = run_all(names, scale, seed, jobs=jobs or cores(), keep=keep, say=lambda text: say(text, err=True))
    except ValueError as error:
        misused(f"--keep {error}")
    lines = [line for one in done for line in one.lines]
    table = measured(lines, rows)
    if as_json:
        _say_json(done, table, scale, seed)
    else:
        _say(done, table, only_rows=bool(row))
    if picture:
        from floorwatch.sims import intervals
        from floorwatch.sims import table as situations
        from floorwatch.sims.picture import write_pictures

        written = [*write_pictures(), intervals.write_table()]
        if len(names) == len(simulations()) and not any(one.error for one in done):
            written.append(situations.write_table(table, scale, seed))
        say("wrote " + ", ".join(str(path) for path in dict.fromkeys(written)), err=as_json)
    broken = [line for line in lines if not line.ok and (not row or line.row in rows)]
    if broken or any(one.error for one in done) or not all(one.passes for one in table):
        raise typer.Exit(1)


def _chosen(only: Sequence[str], wanted: Sequence[int]) -> tuple[list[str], list[int]]:
    """Return the simulations to run and the situations to show."""
    from floorwatch.sims import rows_of, simulations
    from floorwatch.sims.table import ROWS

    known = list(simulations())
    unknown = [name for name in only if name not in known]
    if unknown:
        misused(f"floorwatch sims: {unknown[0]!r} is not a simulation; {choices(unknown[0], known)}")
    beyond = [number for number in wanted if number not in ROWS]
    if beyond:
        misused(f"--row {beyond[0]}: there is no such situation; use {ROWS[0]} to {ROWS[-1]}")
    names = [name for name in only or known if not wanted or set(rows_of(name)) & set(wanted)]
    if not names:
        misused(f"--row {', '.join(map(str, wanted))}: no simulation {'of these ' if only else ''}measures it")
    of_names = {number for name in names for number in rows_of(name)}
    return names, sorted(set(wanted)) if wanted else [number for number in ROWS if not only or number in of_names]


def _say(done: Sequence[Finished], table: Sequence[SituationResult], *, only_rows: bool) -> None:
    from floorwatch.sims.table import as_text, summary

    for one in done:
        if one.error or not only_rows:
            say_lines(["", one.name, *(f"  {line}" for line in one.lines)])
        if one.error:
            say_lines([f"  NOT run: {one.error}"])
    say_lines(as_text(table))
    lines = [line for one in done for line in one.lines]
    say(f"\n{sum(line.ok for line in lines)} of {len(lines)} as promised" if not only_rows else "")
    if table:
        say(summary(table))


def _say_json(done: Sequence[Finished], table: Sequence[SituationResult], scale: float, seed: int) -> None:
    from floorwatch.sims.runner import as_json, line_as_json

    rows = [
        one.situation._asdict() | {"passes": one.passes, "lines": [line_as_json(line) for line in one.lines]}
        for one in table
    ]
    say_json(
        {
            "scale": scale,
            "seed": seed,
            "situations": rows,
            "simulations": [as_json(one) | {"error": one.error or None} for one in done],
        }
    )
