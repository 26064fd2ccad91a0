"""``floorwatch topics``: create every topic with its partitions and policies, or print them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from floorwatch.cli.options import ConfigOption, VarOption
from floorwatch.output.terminal import say


class Action(str, Enum):
    """What to do with the topics."""

    list = "list"
    create = "create"


def topics(
    action: Annotated[Action, typer.Argument(help="list prints them; create makes and mends them too.")] = Action.list,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """List the topics Floorwatch uses as they are configured, or create those that do not exist.

    Topics that exist are altered so that the broker stamps the arrival of each record; nothing else of them is changed.
    """
    import asyncio
    import logging

    from floorwatch.cli.common import exit_on_config_error, exit_on_kafka_error, load_target
    from floorwatch.settings.policies import topics_of
    from streams.adapters.admin import create_topics
    from streams.adapters.clients import kafka_settings
    from streams.adapters.topic_configs import stamp_arrival

    with exit_on_config_error():
        settings, stack = load_target(config, var, needed=action is Action.create or var is not None, process="reader")
    where = (
        f"the `floorwatch up` on {stack.var}" if stack is not None else f"Kafka at {', '.join(settings.kafka.brokers)}"
    )
    say(f"Topics as configured for {where}:", err=True)
    specs = topics_of(settings)
    for spec in specs:
        policy = " ".join(f"{name}={value}" for name, value in spec.config.items())
        say(f"{spec.name}  partitions={spec.partitions}  {policy}")
    if action is not Action.create:
        return
    connection = kafka_settings(settings)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say is said below
    with exit_on_kafka_error(settings, "Topics cannot be created"):
        made = asyncio.run(create_topics(connection, specs, settings.kafka.replication))
        changes = asyncio.run(stamp_arrival(connection, specs))
    say(f"created {len(made)}" + (f": {', '.join(made)}" if made else ", all exist"))
    for change in changes:
        say(f"altered {change}", err=bool(change.refused))
    if any(change.refused for change in changes):
        say(
            "The broker refused the changes above: grant AlterConfigs on the topics, or have its operator make them with "
            "kafka-configs --alter.",
            err=True,
        )
        raise typer.Exit(1)
