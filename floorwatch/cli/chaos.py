"""``floorwatch chaos``: a real Kafka, real workers, a seeded schedule of faults, and a recount of every row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from floorwatch.output.terminal import say


def chaos(
    minutes: Annotated[float, typer.Option(min=0.5, max=10_080, help="How long events are sent.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Of the floor and the schedule; a failing one can be replayed.")] = 1,
    partitions: Annotated[int, typer.Option(min=1, max=64, help="Of every topic.")] = 4,
    rate: Annotated[float, typer.Option(min=1, max=1_000_000, help="Events per second.")] = 400.0,
    gap: Annotated[float, typer.Option(min=2, max=86_400, help="Mean seconds between two faults.")] = 16.0,
    compaction_lag: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds before a record may be compacted away.")
    ] = 5.0,
    schedule_only: Annotated[bool, typer.Option("--schedule-only", help="Print the schedule and do nothing.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep data and logs in this folder.")] = None,
) -> None:
    """Shake 1 to 3 workers on a real Kafka, then compare every row of every table; exit 1 if one is wrong or a worker fails."""
    import asyncio
    import logging
    import tempfile
    import time

    from floorwatch.chaos.kafka import KafkaStartError, KafkaUnavailableError
    from floorwatch.chaos.report import outcome_text, plan_text
    from floorwatch.chaos.run import ChaosPlan, run_chaos
    from floorwatch.chaos.schedule import schedule

    logging.getLogger("aiokafka").setLevel(
        logging.CRITICAL
    )  # aiokafka logs at length what is expected when a broker is killed
    load_s = minutes * 60
    plan = ChaosPlan(seed, load_s, rate, partitions, compaction_lag, schedule(seed, load_s, gap))
    say(plan_text(plan))
    if schedule_only:
        return
    folder = keep or Path(tempfile.mkdtemp(prefix="floorwatch-chaos-"))
    began_s = time.monotonic()

    def tell(what: str) -> None:
        say(f"{time.monotonic() - began_s:7.1f}s  {what}")

    try:
        outcome = asyncio.run(run_chaos(plan, folder, tell))
    except (KafkaUnavailableError, KafkaStartError) as error:
        say(str(error), err=True)
        raise typer.Exit(2) from None
    say(outcome_text(outcome))
    if not outcome.right:
        say(f"Logs and data are in {folder}", err=True)
        raise typer.Exit(1)
    if keep is None:
        _remove(folder)


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
