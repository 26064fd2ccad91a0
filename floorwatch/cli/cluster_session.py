"""A reader's session with a running cluster: loads the configuration, opens the log, and reports errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from floorwatch.output.reader_zone import local_rfc3339
from floorwatch.output.terminal import say
from floorwatch.replay.as_of import LogTooShort
from floorwatch.replay.reader import EventLog, NoLog, open_log
from floorwatch.replay.replayer import Replay
from floorwatch.replay.why import NoSuchRow
from streams.core.formatting import plural
from streams.core.policy import CorePolicy

if TYPE_CHECKING:
    from floorwatch.sdk.stacks import Found
    from floorwatch.settings.schema import FloorwatchConfig

T = TypeVar("T")

NOTHING_TO_SHOW = 1
LOG_TOO_SHORT = 3


@dataclass(frozen=True)
class ClusterSession:
    """What a command that replays needs.

    Attributes:
        settings: The loaded configuration.
        policy: The same, lowered for the core.
        stack: The embedded stack that is read, if it is one.
    """

    settings: FloorwatchConfig
    policy: CorePolicy
    stack: Found | None = None

    @property
    def topic(self) -> str:
        """Full name of the topic of events."""
        from streams.models.topics import EVENTS

        return self.settings.kafka.topic_prefix + EVENTS

    def _name(self, topic: str | None) -> str:
        return self.topic if topic is None else self.settings.kafka.topic_prefix + topic

    def run(self, work: Callable[[EventLog], Awaitable[T]], topic: str | None = None) -> T:
        """Open the log, do the work, close it. Exits with a message if that is not possible.

        Args:
            work: What is done with it.
            topic: Short name of another topic to open in place of that of events.

        Raises:
            typer.Exit: 1 without broker, log or row; 3 where the log does not reach back far enough.
        """
        from aiokafka.errors import KafkaError

        from floorwatch.cli.away import Away, check_kafka, kafka_away
        from floorwatch.cli.behind import tell_behind
        from streams.adapters.clients import kafka_settings

        async def go() -> T:
            await check_kafka(self.settings)
            async with open_log(kafka_settings(self.settings), self._name(topic)) as log:
                return await work(log)

        tell_behind(self.stack)
        try:
            return asyncio.run(go())
        except (NoLog, NoSuchRow, Away) as error:
            said = str(error)
        except LogTooShort as error:
            say(str(error), err=True)
            raise typer.Exit(LOG_TOO_SHORT) from None
        except (KafkaError, OSError) as error:
            said = kafka_away(self.settings, error)
        say(said, err=True)
        raise typer.Exit(NOTHING_TO_SHOW)


def open_session(config: Path | None, var: Path | None) -> ClusterSession:
    """Load the configuration of a running stack.

    Raises:
        typer.Exit: 2 with diagnostics where the configuration is at fault.
    """
    import logging

    from floorwatch.cli.common import exit_on_config_error, load_target
    from floorwatch.settings.policies import core_policy

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say is said below, once and in words
    with exit_on_config_error():
        settings, stack = load_target(config, var, process="reader")
    return ClusterSession(settings, core_policy(settings), stack)


def told(done: Replay) -> list[str]:
    """Return what a replay did, in plain sentences, for standard error."""
    watermark_ms = done.floor.watermark_ms
    event_time = (
        f"event time had reached {local_rfc3339(watermark_ms)}" if watermark_ms >= 0 else "no event had come yet"
    )
    lines = []
    partitions = plural(len(done.parts), "partition")
    if done.until_ms is None:
        lines.append(f"Replayed {plural(done.events, 'record')} of {partitions} to the end of the log; {event_time}.")
    else:
        lines.append(
            f"Replayed {plural(done.events, 'record')} of {partitions}, each up to its first record stamped after "
            f"{local_rfc3339(done.until_ms)}; {event_time}. Computed with today's configuration."
        )
        last_ms = max((part.last_ms for part in done.parts if part.last_ms is not None), default=None)
        if last_ms is None:
            lines.append("Nothing was on the log at that moment, so nothing was known.")
        if done.stragglers:
            lines.append(
                f"{done.stragglers:,} records stamped at or before that moment stand behind later ones and are left out: "
                "they were still on their way, or a sender's clock is wrong."
            )
    begins_ms = done.begins_ms
    if begins_ms is not None:
        lines.append(
            f"The log begins at {local_rfc3339(begins_ms)}; facts older than that were deleted by the broker's retention, so a "
            "task begun before may lack its first facts."
        )
    return lines
