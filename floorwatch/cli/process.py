"""``floorwatch process``: a bounded file of contract events, through the real stack, to dumped tables.

A file is folded in its own order, as one partition of the log. Lateness depends on one watermark, the greatest event
time so far in the file, so the numbers do not depend on how many partitions a live log would have.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from floorwatch.cli.options import misused
from floorwatch.output.terminal import say, say_lines
from streams.core.formatting import plural

if TYPE_CHECKING:
    from floorwatch.bounded import BoundedRun

_NO_MEASURES = frozenset({"revision", "pane_s"})
_OF_THE_LOG = frozenset({"at", "source_topic", "partition", "offset"})
_FOLDED_AT = re.compile(r"folded at offset (\d+)")

Letter = dict[str, Any]

LONGEST_BYTES = 8 * 1_048_576 - 65_536
"""The greatest ``engine.max_event_bytes`` that fits into a topic's records of 8 MiB, with what key and batch add to it."""


def process(
    events: Annotated[Path, typer.Argument(help="JSON lines of contract events; .gz is read too.")],
    dump: Annotated[
        Path,
        typer.Option(
            help="Directory for accuracy.jsonl, throughput.jsonl, sla.jsonl, late.jsonl and deadletters.jsonl."
        ),
    ],
    partitions: Annotated[  # noqa: ARG001 - scripts give it
        int, typer.Option(min=1, max=64, help="Changes nothing: a file is folded in its own order, as one partition.")
    ] = 1,
) -> None:
    """Fold a file of events on an embedded stack, wait for its end and dump every (scope, 1-hour pane) that has any fact.

    Events beyond the correction horizon are written to late.jsonl, refused ones to deadletters.jsonl, each with its line. A live
    worker's watermark is by partition of the log, so it may take an event that is late here.
    """
    import asyncio

    from floorwatch.bounded import WorkerDied

    if not events.is_file():
        say_lines([f"{events}: no such file. Give a file of JSON lines; see floorwatch check-events."], err=True)
        raise typer.Exit(2)
    try:
        dead, late = asyncio.run(_run(events, dump))
    except WorkerDied as error:
        say(str(error), err=True)
        raise typer.Exit(1) from None
    if dead:
        say(
            f"{_were(dead)} refused: each with its line and reason in {dump / 'deadletters.jsonl'}",
            err=True,
        )
    if late:
        say(
            f"{_were(late)} late: older than the correction horizon when their line came, so no number holds them. "
            f"Each with its line in {dump / 'late.jsonl'}; sort the file by time to count them.",
            err=True,
        )


def _were(count: int) -> str:
    return f"{plural(count, 'event')} {'was' if count == 1 else 'were'}"


async def _run(events: Path, dump: Path) -> tuple[int, int]:
    from floorwatch.bounded import bounded_run
    from floorwatch.cli.progress import phases

    total = sum(1 for _ in numbered(file_lines(events), array("q"), []))
    numbers = array("q")
    too_long: list[Letter] = []
    with phases() as progress:
        async with bounded_run(partitions=1, progress=progress) as run:
            await run.send(numbered(file_lines(events), numbers, too_long), total)
            watermark_ms = await run.finish()
            counts = await write_dump(run, dump, watermark_ms)
            dead, late = with_lines(await run.dead_letters(), await run.late(), numbers, too_long)
    _write_lines(dump / "deadletters.jsonl", dead)
    _write_lines(dump / "late.jsonl", late)
    told = ", ".join(f"{n} {name} row{'' if n == 1 else 's'}" for name, n in counts.items())
    say(f"{plural(run.sent + len(too_long), 'event')}, {len(dead)} refused, {len(late)} late: {told} in {dump}")
    return len(dead), len(late)


class LongLine(NamedTuple):
    """A line that is longer than any event may be: its beginning, and how many bytes it has."""

    head: bytes
    size_bytes: int


def numbered(lines: Iterable[bytes | LongLine], numbers: array[int], too_long: list[Letter]) -> Iterator[bytes]:
    """Yield the lines that hold anything, noting the number of each, from 1.

    Args:
        lines: All lines of a file.
        numbers: Takes the number of each line that is yielded.
        too_long: Takes a dead letter for each line that no record of a topic holds.
    """
    from floorwatch.bounded import JSON_SPACE

    for number, line in enumerate(lines, 1):
        if isinstance(line, LongLine):
            too_long.append({"line": number, **_too_large(line)})
        elif line.strip(JSON_SPACE):
            numbers.append(number)
            yield line


def _too_large(line: LongLine) -> Letter:
    """Return the dead letter of a line that is longer than any event may be."""
    import json
    from dataclasses import replace

    from streams.core.dead_letters import RemovedPart, dead_letter, kept_of
    from streams.models.refusal import Refusal

    reason = f"the line has {line.size_bytes} bytes, and no event may have more than {LONGEST_BYTES}"
    refusal = Refusal("too_large", None, reason, "send ids and labels, not content; give each event a line of its own")
    kept = replace(kept_of(line.head), removed=(RemovedPart("$", line.size_bytes),), value_bytes=line.size_bytes)
    letter: Letter = json.loads(dead_letter("intake", refusal, kept, 0))
    return {name: held for name, held in letter.items() if name not in _OF_THE_LOG}


def with_lines(
    dead: list[Letter], late: list[Letter], numbers: array[int], too_long: Iterable[Letter] = ()
) -> tuple[list[Letter], list[Letter]]:
    """Return dead letters and late events with their line in the file instead of their place on the log, in file order.

    Args:
        dead: Dead letters of intake, by place on the raw topic, and of the ledger, by place on the log of events.
        late: Late events, by place on the log of events.
        numbers: The line of each record of the raw topic.
        too_long: Letters of lines that were never sent, with their lines.
    """
    refused = {letter["offset"] for letter in dead if letter["stage"] == "intake"}
    kept = array("q", (number for offset, number in enumerate(numbers) if offset not in refused))

    def line_of(letter: Letter) -> int | None:
        of = numbers if letter["stage"] == "intake" else kept
        return of[letter["offset"]] if letter["offset"] < len(of) else None

    def told(letter: Letter) -> Letter:
        rest = {name: held for name, held in letter.items() if name not in _OF_THE_LOG}
        rest["reason"] = _FOLDED_AT.sub(lambda found: f"folded from line {kept[int(found[1])]}", rest["reason"])
        return {"line": line_of(letter), **rest}

    def in_order(letters: Iterable[Letter]) -> list[Letter]:
        return sorted(letters, key=lambda letter: letter["line"] or 0)

    return in_order([*map(told, dead), *too_long]), in_order(map(told, late))


def file_lines(path: Path) -> Iterator[bytes | LongLine]:
    """Yield the lines of a file, unpacking gzip. Of a line of any length no more than ``LONGEST_BYTES`` is in memory.

    Raises:
        typer.Exit: 2 where the file cannot be read, or is a damaged gzip file.
    """
    from floorwatch.cli.events_file import GZIP_FAULTS, HOW_TO_MEND, damage_words, plain_text

    try:
        with path.open("rb") as stream:
            lines = plain_text(stream)
            while line := lines.readline(LONGEST_BYTES + 2):
                size_bytes, last = len(line), line
                while not last.endswith(b"\n") and (more := lines.readline(LONGEST_BYTES)):
                    size_bytes, last = size_bytes + len(more), more
                size_bytes -= len(last) - len(last.rstrip(b"\r\n"))
                yield LongLine(line, size_bytes) if size_bytes > LONGEST_BYTES else line
    except GZIP_FAULTS as error:
        misused(f"{path}: {damage_words(error)}; {HOW_TO_MEND}")
    except OSError as error:
        misused(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}; check the path and its rights")


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file; one that is longer than any event may be is cut off, and still too long for one."""
    for line in file_lines(path):
        yield line.head if isinstance(line, LongLine) else line


async def write_dump(run: BoundedRun, directory: Path, watermark_ms: int) -> dict[str, int]:
    """Write the hour panes of each table that have any fact, ordered by scope and time; return the number of rows by table."""
    from streams.core.tables import TABLES

    counts = {}
    for table in TABLES:
        found = (row for row in (await run.table(table)).values() if row["window"] == "pane" and has_facts(row))
        rows = [as_of_the_end(row, watermark_ms) for row in found]
        rows.sort(key=lambda row: (row["scope_key"], row["start"]))
        _write_lines(directory / f"{table}.jsonl", rows)
        counts[table] = len(rows)
    return counts


def has_facts(row: Mapping[str, Any]) -> bool:
    """Tell whether any count of a row is other than zero."""
    return any(
        has_facts(held) if isinstance(held, dict) else type(held) in (int, float) and held != 0
        for name, held in row.items()
        if name not in _NO_MEASURES
    )


def as_of_the_end(row: dict[str, Any], watermark_ms: int) -> dict[str, Any]:
    """Return a pane's row with what time alone decides as of the end of the file; it is shown as of its last change."""
    from streams.core.tables import labels_per_hour
    from streams.core.time_text import rfc3339
    from streams.models.timestamps import parse_rfc3339_ms

    start_ms, end_ms = (parse_rfc3339_ms(row[name]) for name in ("start", "end"))
    now = {"watermark": rfc3339(watermark_ms), "closed": end_ms <= watermark_ms}
    if "labels_per_hour" in row:
        now["labels_per_hour"] = labels_per_hour(row["labels"], start_ms, end_ms, watermark_ms)
    return {**row, **now}


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    from streams.core.rowcodec import json_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        for row in rows:
            out.write(json_bytes(row) + b"\n")
