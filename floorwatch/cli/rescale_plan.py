"""The steps from one set of topics to another with more partitions, with the names of a floor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.kafka import KafkaSettings
    from floorwatch.settings.schema import FloorwatchConfig


@dataclass(frozen=True)
class NewSet:
    """Names of the new set of topics."""

    prefix: str
    group: str
    redis_prefix: str
    raw: tuple[str, ...]


def new_set(kafka: KafkaSettings, redis_prefix: str, partitions: int) -> NewSet:
    """Return names beside the present ones: ``floorwatch.`` becomes ``floorwatch-p8.`` for 8 partitions."""
    stem = kafka.topic_prefix.rstrip(".") or "floorwatch"
    redis_stem = redis_prefix.rstrip(":") or "floorwatch"
    return NewSet(
        f"{stem}-p{partitions}.", f"{kafka.group}-p{partitions}", f"{redis_stem}-p{partitions}:", kafka.intake_topics
    )


def steps(settings: FloorwatchConfig, config: str, partitions: int) -> str:
    """Return the steps to another number of partitions, with this floor's names.

    Args:
        settings: Of the running floor.
        config: Name of its YAML file, as typed.
        partitions: To have.
    """
    kafka = settings.kafka
    new = new_set(kafka, settings.redis.prefix, partitions)
    new_config = str(Path(config).with_name(f"{Path(config).stem}-p{partitions}.yaml"))
    days = settings.tables.correction_horizon_days
    raw = ", ".join(new.raw)
    return _STEPS.format(
        old_prefix=kafka.topic_prefix,
        old_partitions=kafka.partitions,
        old_group=kafka.group,
        config=config,
        new_config=new_config,
        partitions=partitions,
        prefix=new.prefix,
        group=new.group,
        redis_prefix=new.redis_prefix,
        raw=raw,
        retention=days + 1,
        horizon=days,
    )


_STEPS = """\
From {old_partitions} partitions ({old_prefix}*) to {partitions} ({prefix}*), by replay. The old set serves until step 5.
Why a new set: a partition holds its tasks by crc32(task_id) % partitions, so another count moves every task.

1. Check that {raw} still holds all you need: {retention} days of retention cover the horizon of {horizon} days.
     kafka-configs --describe --entity-type topics --entity-name {raw}   # retention.ms
2. Copy {config} to {new_config} and change in the copy:
     kafka.topic_prefix: {prefix}
     kafka.partitions: {partitions}
     kafka.group: {group}
     kafka.foreign_raw_topics: [{raw}]     # the new set reads what the old one reads, from the beginning;
                                           # an entry that has a grant keeps it: {{topic: …, may: …}}
     redis.prefix: '{redis_prefix}'
     alerts.rules: []                      # a replay must not tell of last week's incidents
     metrics.port: another one, where it is fixed
3. Create the topics and start the new workers beside the old ones:
     floorwatch topics create --config {new_config}
     floorwatch doctor --config {new_config}
     floorwatch worker --config {new_config}       # as many as advised
4. Wait until they have caught up, then compare both sets:
     floorwatch rescale --config {new_config}      # "0 waiting"
     floorwatch rescale --config {config} --compare {new_config}
5. Switch the readers (boards, `floorwatch table`, `floorwatch incidents`, web) to {new_config}, and the alerts:
     remove alerts.rules: [] from {new_config}, stop the old workers (group {old_group}), restart the new ones.
   Incidents open at this moment are raised anew by the new set; acknowledge or resolve the old ones first.
6. Switch the senders: stop the gateway (its senders try again), wait until {group} has no lag on {raw}, then start
   the gateway with {new_config}. Order per task holds because the new raw topic gets its first event after the old one
   has been read to its end. (Or leave the senders where they are: {new_config} goes on reading {raw}.)
7. When nobody reads {old_prefix}* any more, and {retention} days have passed if you may want to go back, delete its
   topics and its keys in Redis. Remove kafka.foreign_raw_topics if the senders have moved.

Going back before step 6: start the old workers again. They go on at their committed offsets; nothing was taken away.
"""
