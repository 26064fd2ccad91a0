"""The AsyncAPI 3.0 document: which topics there are, who writes them and what they carry."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from streams.models import topics
from streams.models.contract_schema import Json, components, type_name
from streams.models.events import EVENT_CLASSES
from streams.models.outputs import (
    OUTPUT_CLASSES,
    AccuracyRow,
    AuditDrawn,
    AuditRequested,
    DeadLetter,
    SlaRow,
    ThroughputRow,
)

PREFIX = "floorwatch."

_HEAD = """\
# The topics of Floorwatch as AsyncAPI 3.0. Generated from streams/models by `make generate`; do not edit.
"""

_CHANNELS: tuple[tuple[str, str, str, str], ...] = (
    ("raw", topics.RAW, "events", "Events as sent by tools, the gateway and the SDK. Write here."),
    ("events", topics.EVENTS, "events", "The log: accepted events, ordered by task. Read only."),
    (
        "late",
        topics.LATE,
        DeadLetter.__name__,
        "Events past the correction horizon, each in a letter: kept, not counted. Read only.",
    ),
    ("deadLetters", topics.DEAD_LETTERS, DeadLetter.__name__, "Refused events, each with its reason. Read only."),
    (
        "auditRequests",
        topics.AUDIT_REQUESTS,
        f"{AuditRequested.__name__} {AuditDrawn.__name__}",
        "For labelling tools: where more audits would soon decide, and labels drawn for audit. Compacted: the latest of a key counts.",
    ),
    ("accuracy", topics.ACCURACY, AccuracyRow.__name__, "Accuracy rows, compacted: the latest of a key counts."),
    ("throughput", topics.THROUGHPUT, ThroughputRow.__name__, "Throughput rows, compacted."),
    ("sla", topics.SLA, SlaRow.__name__, "SLA rows, compacted."),
)


def document(examples: list[Json]) -> Json:
    """Return the AsyncAPI document as data.

    Args:
        examples: One event of each type, put beside its message.
    """
    schemas = components((*EVENT_CLASSES, *OUTPUT_CLASSES), "#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "id": "urn:floorwatch:events",
        "info": {
            "title": "Floorwatch",
            "version": "1.0.0",
            "description": "Facts of a labelling floor in, tables and dead letters out. Topic names carry the prefix "
            "floorwatch. unless configured otherwise; the key of raw and log events is the task's id (subject), the "
            "partition crc32(key) modulo the partitions.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{broker}",
                "protocol": "kafka",
                "description": "Any broker of kafka.brokers in the configuration.",
                "variables": {"broker": {"default": "127.0.0.1:9092", "description": "host:port"}},
            }
        },
        "channels": {name: _channel(topic, carries, about) for name, topic, carries, about in _CHANNELS},
        "operations": {name: _operation(name) for name, _, _, _ in _CHANNELS},
        "components": {"messages": _messages(examples), "schemas": schemas},
    }


def _channel(topic: str, carries: str, about: str) -> Json:
    names = [cls.__name__ for cls in EVENT_CLASSES] if carries == "events" else carries.split()
    return {
        "address": PREFIX + topic,
        "description": about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": {"bindingVersion": "0.5.0", "topic": PREFIX + topic}},
    }


def _operation(channel: str) -> Json:
    """Return what Floorwatch does on a channel: it receives raw events and sends everything else."""
    action = "receive" if channel == "raw" else "send"
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _messages(examples: list[Json]) -> Json:
    first: dict[str, Json] = {}
    for example in examples:
        first.setdefault(str(example["type"]), example)
    messages: Json = {}
    for cls in EVENT_CLASSES:
        name = type_name(cls)
        message: Json = _message(cls.__name__, name)
        message["bindings"] = _key("The task's id, equal to subject.")
        if name in first:
            message["examples"] = [{"name": "example", "payload": first[name]}]
        messages[cls.__name__] = message
    for out in OUTPUT_CLASSES:
        messages[out.__name__] = _message(out.__name__, out.__name__)
    messages[DeadLetter.__name__]["bindings"] = _key(
        "Names what was refused, so that a letter that is written again can be recognised: topic|partition|offset of a record; of a "
        "part of a webhook gateway|source|time of arrival in ms|code|field|id; of a row that has left the topic, its key."
    )
    messages[AuditRequested.__name__]["bindings"] = _key("The rule and the scope's key.")
    messages[AuditDrawn.__name__]["bindings"] = _key(
        "~label, the task's and the label's id, with | between them; | and % of an id are written %7C and %25."
    )
    for row in (AccuracyRow, ThroughputRow, SlaRow):
        messages[row.__name__]["bindings"] = _key("The window and the scope's key.")
    return messages


def _message(schema: str, name: str) -> Json:
    return {
        "name": name,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{schema}"},
    }


def _key(about: str) -> Json:
    return {"kafka": {"bindingVersion": "0.5.0", "key": {"type": "string", "description": about}}}


class _Dumper(yaml.SafeDumper):
    """Writes every value out: no anchors, list items indented."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, False)


def render_asyncapi(examples: list[Json]) -> str:
    """Return the document as YAML."""
    data = copy.deepcopy(document(examples))
    return _HEAD + yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
