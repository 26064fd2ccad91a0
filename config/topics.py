"""Topics in the configuration: their names, and raw topics that are bound to a sender."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from config.addresses import topic_part
from config.base import refuse
from config.grants import GrantSettings

TopicPart = Annotated[str, AfterValidator(topic_part), Field(max_length=200)]
TopicName = Annotated[str, AfterValidator(topic_part), Field(min_length=1, max_length=200)]


class RawTopic(GrantSettings):
    """A raw topic whose records come from one sender with these rights. Kafka's ACLs see to it that only that sender writes."""

    topic: TopicName = Field(description="Its name.")
    source: str | None = Field(
        default=None,
        min_length=1,
        description="The sender's name; null takes the topic's. Of gateway.sources: its rights.",
    )

    @model_validator(mode="after")
    def _sound(self) -> RawTopic:
        refuse(self.faults())
        return self


def _kind_of_topic(value: object) -> str:
    return "(a name)" if isinstance(value, str) else "(a group)"


RawTopicEntry = Annotated[
    Annotated[TopicName, Tag("(a name)")] | Annotated[RawTopic, Tag("(a group)")], Discriminator(_kind_of_topic)
]


def name_of(entry: str | RawTopic) -> str:
    """Return the name of a raw topic, as it is written."""
    return entry if isinstance(entry, str) else entry.topic
