"""``floorwatch worker``: run the stages against a Kafka and a Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from floorwatch.cli.options import LogLevelOption, config_option


def worker(
    config: Annotated[Path | None, config_option("YAML configuration; the environment overrides it.")] = None,
    kept_alerts: Annotated[Path | None, typer.Option(envvar="FLOORWATCH_KEPT_ALERTS", hidden=True)] = None,
    log_level: LogLevelOption = "info",
) -> None:
    """Run a worker: intake, ledger, aggregate and incidents stages for its share of the partitions."""
    import asyncio
    import os

    from floorwatch.cli.common import exit_on_config_error
    from floorwatch.output.logs import set_up_logging
    from floorwatch.settings.load import load
    from streams.worker import run_worker

    set_up_logging(log_level)
    with exit_on_config_error():
        settings = load(config, os.environ, channels="tolerated", process="worker")
    raise typer.Exit(asyncio.run(run_worker(settings, kept_alerts)))


if __name__ == "__main__":
    typer.run(worker)
