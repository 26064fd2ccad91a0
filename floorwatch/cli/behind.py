"""What a running embedded stack has accepted that is not on the log yet: a replay of the log knows nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from floorwatch.output.terminal import say
from streams.core.formatting import plural
from streams.models.topics import RAW

if TYPE_CHECKING:
    from floorwatch.sdk.stacks import Found

MOST_BYTES = 64 * 1024 * 1024
"""Of each writer's journal so much is counted at most: after a restart of the broker all of it is sent again."""

_CHUNK_BYTES = 2 * 1024 * 1024


def tell_behind(stack: Found | None) -> None:
    """Say on standard error how many accepted events are not on the log yet; nothing where none are, or no stack was found."""
    if stack is None:
        return
    from floorwatch.cli.empty import metrics_of
    from floorwatch.embedded.state import Paths
    from streams.models.formats import NewerFormat

    events = 0
    with suppress(OSError, ValueError, NewerFormat):  # what cannot be counted now does not stop the command
        events += unsent_events(Path(stack.state.journal), Paths(stack.var).progress, stack.state.epoch)
    with suppress(ValueError):
        pages = asyncio.run(metrics_of(stack))
        events += 0 if pages is None else waiting_in(pages)
    line = behind_words(events)
    if line:
        say(line, err=True)


def behind_words(events: int) -> str:
    """Return what to say of accepted events that are not on the log yet; empty for none."""
    if not events:
        return ""
    return (
        f"Accepted and not on the log yet when the reading began: about {plural(events, 'event')}. What follows may lack them; "
        "ask again in a few seconds."
    )


def unsent_events(journal: Path, progress: Path, epoch: str) -> int:
    """Return how many events in the journal the shipper has not brought to the broker, as far as it has said.

    Args:
        journal: Folder of the writers.
        progress: File that the shipper writes, ten times a second at most.
        epoch: The broker's start. Progress of an earlier one says nothing of this broker.
    """
    from floorwatch.embedded.journal_segments import START, end_of, read_from, writers_of
    from floorwatch.embedded.shipper import load_progress

    known = load_progress(progress)
    positions = known.positions if known is not None and known.epoch == epoch else {}
    found = 0
    for name in writers_of(journal):
        folder, position = journal / name, positions.get(name, START)
        for _ in range(MOST_BYTES // _CHUNK_BYTES):
            if position >= end_of(folder):
                break
            chunk = read_from(folder, position, _CHUNK_BYTES)
            if chunk.position == position:
                break
            found += sum(record.topic == RAW for record in chunk.records)
            position = chunk.position
    return found


def waiting_in(pages: Iterable[str]) -> int:
    """Return how many records wait for intake, as pages of workers' metrics say.

    Raises:
        ValueError: A page is not in Prometheus' text format.
    """
    from prometheus_client.parser import text_string_to_metric_families

    return sum(
        int(sample.value)
        for page in pages
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "floorwatch_lag_records" and sample.labels.get("stage") == "intake"
    )
