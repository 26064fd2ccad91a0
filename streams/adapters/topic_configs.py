"""Configurations of topics that exist: read them, and change single settings of them.

aiokafka only has ``AlterConfigs``, which resets every setting that it does not name. ``IncrementalAlterConfigs`` (KIP-339,
Kafka 2.3) changes what is named and leaves the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

from streams.adapters.admin import open_admin
from streams.models.topics import ARRIVAL, TopicSpec

_SET = 0


class _Answer(Response):
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _Ask(RequestStruct):
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(("name", String("utf-8")), ("config_operation", Int8), ("value", String("utf-8"))),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _IncrementalAlterConfigs(Request[_Ask]):
    API_KEY = 44

    def __init__(self, changes: Mapping[str, Mapping[str, str]]) -> None:
        self._changes = changes

    def build(self, request_struct_class: type[_Ask]) -> _Ask:
        resources = [
            (int(ConfigResourceType.TOPIC), topic, [(name, _SET, value) for name, value in settings.items()])
            for topic, settings in self._changes.items()
        ]
        return request_struct_class(resources, False)


class ConfigChange(NamedTuple):
    """One setting of one topic, before and after; ``refused`` says why the broker did not change it."""

    topic: str
    setting: str
    before: str
    after: str
    refused: str = ""

    def __str__(self) -> str:
        text = f"{self.topic}: {self.setting} {self.before} -> {self.after}"
        return f"{text} REFUSED: {self.refused}" if self.refused else text


async def topic_configs(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the configuration in force of each topic; nothing for those the broker does not tell of.

    Raises:
        KafkaError: The broker does not answer such questions.
    """
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    configs: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources):
        for code, _, _, name, entries in (resource[:5] for resource in answer.resources):
            if not code:
                configs[name] = {str(entry[0]): str(entry[1]) for entry in entries}
    return configs


async def stamp_arrival(settings: dict[str, Any], specs: list[TopicSpec]) -> list[ConfigChange]:
    """Have the broker stamp arrival on topics that exist and leave it to the sender; other settings stay as they are.

    Args:
        settings: aiokafka connection settings.
        specs: Our topics.

    Returns:
        What was changed, and what the broker refused to change. Records that are there keep their times.

    Raises:
        KafkaError: The broker could not be reached, or answers no questions about configurations.
    """
    admin = await open_admin(settings)
    try:
        present = set(await admin.list_topics())
        found = await topic_configs(admin, [spec.name for spec in specs if spec.name in present])
        changes = [
            ConfigChange(topic, setting, config[setting], wanted)
            for topic, config in found.items()
            for setting, wanted in ARRIVAL.items()
            if config.get(setting, wanted) != wanted
        ]
        return await _make(admin, changes) if changes else []
    finally:
        await admin.close()


async def _make(admin: AIOKafkaAdminClient, changes: list[ConfigChange]) -> list[ConfigChange]:
    asked = {change.topic: {change.setting: change.after} for change in changes}
    try:
        answer = await admin._send_request(_IncrementalAlterConfigs(asked))  # noqa: SLF001 - it has no method for it
    except (KafkaError, NotImplementedError) as error:
        return [change._replace(refused=str(error) or type(error).__name__) for change in changes]
    said = {name: _said(code, message) for code, message, _, name in answer.responses}
    return [change._replace(refused=said.get(change.topic, "not answered")) for change in changes]


def _said(code: int, message: str | None) -> str:
    return f"{for_code(code).__name__} {message or ''}".strip() if code else ""
