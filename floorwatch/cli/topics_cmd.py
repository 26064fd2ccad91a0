"""``floorwatch topics``: create every topic with its partitions and policies, or print them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Action(str, Enum):
    """What to do with the topics."""

    list = "list"
    create = "create"


def topics(
    action: Annotated[Action, typer.Argument(help="list prints them; create makes what is missing too.")] = Action.list,
    config: Annotated[Path | None, typer.Option(help="YAML configuration.")] = None,
) -> None:
    """List the topics Floorwatch uses, or create those that do not exist."""
    import asyncio
    import os

    from aiokafka.errors import KafkaError

    from config.load import load
    from config.lower import topics_of
    from floorwatch.cli.common import exit_on_config_error
    from streams.adapters.admin import create_topics
    from streams.adapters.connections import kafka_settings

    with exit_on_config_error():
        settings = load(config, os.environ)
    specs = topics_of(settings)
    for spec in specs:
        policy = " ".join(f"{name}={value}" for name, value in spec.config.items())
        typer.echo(f"{spec.name}  partitions={spec.partitions}  {policy}")
    if action is not Action.create:
        return
    try:
        made = asyncio.run(create_topics(kafka_settings(settings), specs, settings.kafka.replication))
    except (KafkaError, OSError) as error:
        typer.echo(f"topics could not be created at {', '.join(settings.kafka.brokers)}: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"created {len(made)}" + (f": {', '.join(made)}" if made else ", all exist"))
