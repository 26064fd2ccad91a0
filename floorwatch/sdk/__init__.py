"""The typed SDK: make contract events and emit them, to Kafka or to the gateway.

    label = LabelSubmittedData(label_id="l-1", labeler_id="ana", values=["hate"])
    async with Client(brokers="kafka:9092") as client:
        await client.emit([event(label, task_id="t-1", source="my-tool")])

``emit`` returns when every event is durable, and checks all of them before it sends the first. Events of one task keep
their order. What fails may be sent again as it is: the same (source, id) counts once.
"""

from __future__ import annotations

from floorwatch.sdk.async_emitter import AsyncEmitter
from floorwatch.sdk.blocking import emit, emit_http
from floorwatch.sdk.emitter import Emitter
from floorwatch.sdk.emitter_settings import EmitterSettings, EmitterStatus, SpoolFull
from floorwatch.sdk.events import BadEvents, NotEmitted, event
from floorwatch.sdk.http import HttpClient
from floorwatch.sdk.kafka import Client
from floorwatch.sdk.labelling import AsyncLabeller, Labeller
from floorwatch.sdk.refused_events import RefusedEvent
from floorwatch.sdk.spool import SpoolBusy
from streams.models.acceptance import Refusal
from streams.models.events import (
    AppealDecided,
    AppealDecidedData,
    AppealOpened,
    AppealOpenedData,
    AuditCompleted,
    AuditCompletedData,
    AuditWithdrawn,
    AuditWithdrawnData,
    BreakData,
    BreakEnded,
    BreakStarted,
    Event,
    LabelSubmitted,
    LabelSubmittedData,
    LabelWithdrawn,
    LabelWithdrawnData,
    Prediction,
    Sampling,
    ShiftScheduled,
    ShiftScheduledData,
    TaskCancelled,
    TaskCancelledData,
    TaskClaimed,
    TaskClaimedData,
    TaskCreated,
    TaskCreatedData,
)
from streams.models.time_rules import EventLimits

__all__ = [
    "AppealDecided",
    "AppealDecidedData",
    "AppealOpened",
    "AppealOpenedData",
    "AsyncEmitter",
    "AsyncLabeller",
    "AuditCompleted",
    "AuditCompletedData",
    "AuditWithdrawn",
    "AuditWithdrawnData",
    "BadEvents",
    "BreakData",
    "BreakEnded",
    "BreakStarted",
    "Client",
    "Emitter",
    "EmitterSettings",
    "EmitterStatus",
    "Event",
    "EventLimits",
    "HttpClient",
    "LabelSubmitted",
    "LabelSubmittedData",
    "LabelWithdrawn",
    "LabelWithdrawnData",
    "Labeller",
    "NotEmitted",
    "Prediction",
    "Refusal",
    "RefusedEvent",
    "Sampling",
    "ShiftScheduled",
    "ShiftScheduledData",
    "SpoolBusy",
    "SpoolFull",
    "TaskCancelled",
    "TaskCancelledData",
    "TaskClaimed",
    "TaskClaimedData",
    "TaskCreated",
    "TaskCreatedData",
    "emit",
    "emit_http",
    "event",
]
