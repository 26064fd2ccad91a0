"""``floorwatch process``: a bounded file of contract events, through the real stack, to dumped tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from floorwatch.bounded import BoundedRun

PANE_FIELDS = {
    "accuracy": ("labels", "audited", "correct", "weight_sum", "weight_correct"),
    "throughput": ("labels", "handle_ms_sum"),
    "sla": ("due", "met", "missed", "cancelled"),
}
"""Per table, the fields of which one must be more than zero for a pane row to be dumped."""


def process(
    events: Annotated[Path, typer.Argument(help="JSON lines of contract events; .gz is read too.")],
    dump: Annotated[Path, typer.Option(help="Directory for accuracy.jsonl, throughput.jsonl, sla.jsonl.")],
    partitions: Annotated[int, typer.Option(min=1, max=64, help="Partitions of the embedded log.")] = 4,
) -> None:
    """Fold a file of events on an embedded stack, wait for its end and dump every (scope, 1-hour pane)."""
    import asyncio

    from floorwatch.bounded import WorkerDied

    if not events.is_file():
        typer.echo(f"{events}: no such file. Give a file of JSON lines; see floorwatch check-events.", err=True)
        raise typer.Exit(2)
    try:
        dead = asyncio.run(_run(events, dump, partitions))
    except WorkerDied as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if dead:
        typer.echo(f"{dead} events were refused: each with its reason in {dump / 'deadletters.jsonl'}", err=True)


async def _run(events: Path, dump: Path, partitions: int) -> int:
    from floorwatch.bounded import bounded_run
    from floorwatch.cli.progress import phases

    total = sum(1 for line in read_lines(events) if line.strip())
    with phases() as progress:
        async with bounded_run(partitions=partitions, progress=progress) as run:
            await run.send(read_lines(events), total)
            await run.finish()
            counts = await write_dump(run, dump)
            dead = await run.dead_letters()
    _write_lines(dump / "deadletters.jsonl", dead)
    typer.echo(f"{run.sent} events: " + ", ".join(f"{n} {name} rows" for name, n in counts.items()) + f" in {dump}")
    return len(dead)


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, unpacking ``.gz``."""
    import gzip

    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        yield from lines


async def write_dump(run: BoundedRun, directory: Path) -> dict[str, int]:
    """Write the hour panes of each table, ordered by scope and time; return the number of rows by table."""
    counts = {}
    for table, fields in PANE_FIELDS.items():
        rows = [
            row
            for row in (await run.table(table)).values()
            if row["window"] == "pane" and any(row[name] for name in fields)
        ]
        rows.sort(key=lambda row: (row["scope_key"], row["start"]))
        _write_lines(directory / f"{table}.jsonl", rows)
        counts[table] = len(rows)
    return counts


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    from streams.core.rowcodec import json_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        for row in rows:
            out.write(json_bytes(row) + b"\n")
