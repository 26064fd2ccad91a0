"""JSON of incidents, groups and inputs: topics incidents.v1, notices.v1 and signals.v1, Redis hash ``incidents``."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import structs, to_builtins

from alerts.incident import (
    Ack,
    Act,
    Calendar,
    Hold,
    Incident,
    Maintenance,
    OperatorAction,
    Override,
    Receipt,
    Silence,
    Tick,
    ToldReceiver,
)
from alerts.notice import IncidentGroup
from alerts.receipts import NoticeReceipts
from alerts.signals import Signal
from alerts.text import contributors_heading, is_link
from alerts.view import instant_ms
from streams.core.formatting import rfc3339
from streams.models import formats

_MACHINE = ("reopened", "tier", "streak", "announced", "timer_ms", "acknowledged_by", "silenced_until_ms", "groups")
_TIMES = (
    ("opened_at", "opened_ms"),
    ("updated_at", "updated_ms"),
    ("resolved_at", "resolved_ms"),
    ("since", "since_ms"),
)
_LINKS = ("board_url", "runbook_url")
_WHERE_SET = ("owner", "links", "merged_into")
"""What people gave an incident: left out where there is nothing."""
_ACT_WHERE_SET = ("target", "via", "id")
_MACHINE_WHERE_SET = ("snooze", "woken_ms", "asked_tier", "reopened_at_ms", "flapping")
_PLAIN = (
    *("key", "rule", "kind", "severity", "scope", "scope_key", "episode", "state", "evidence"),
    *("value", "target", "window"),
)
Input = Signal | Ack | Silence | Tick | Act | Receipt | Override | Maintenance | Calendar
"""The inputs of incidents. One log (topic signals.v1) orders signals, what people do and plan, receipts and ticks."""

_groups = msgspec.json.Decoder(IncidentGroup)
_receipts = msgspec.json.Decoder(NoticeReceipts)
_inputs: msgspec.json.Decoder[Input] = msgspec.json.Decoder(Input)


def incident_record(incident: Incident, title: str) -> dict[str, Any]:
    """An incident as a JSON object, with what the machine needs to go on under ``machine``.

    A link that cannot be built is null: without a host nobody can follow it. ``runbook_page`` then names the page in the repository.
    """
    record: dict[str, Any] = {name: getattr(incident, name) for name in _PLAIN}
    record["title"] = title
    for name, field in _TIMES:
        at_ms = getattr(incident, field)
        record[name] = None if at_ms is None else rfc3339(at_ms)
    record["board_url"] = incident.board_url if is_link(incident.board_url) else None
    record["runbook_url"] = incident.runbook_url if is_link(incident.runbook_url) else None
    record["runbook_page"] = None if record["runbook_url"] else incident.runbook_url.lstrip("/") or None
    record["contributors_say"] = contributors_heading(incident.contributors, over=incident.state == "resolved")
    record["contributors"] = [structs.asdict(part) for part in incident.contributors]
    record["examples"] = list(incident.examples)
    if incident.figures:
        record["figures"] = incident.figures
    record["stamp"] = None if incident.stamp is None else structs.asdict(incident.stamp)
    record["acts"] = [_act_record(act) for act in incident.acts]
    record |= {name: value for name in _WHERE_SET if (value := getattr(incident, name))}
    record["told"] = [_told_record(one) for one in incident.told_people]
    record["held"] = [_hold_record(one) for one in incident.held]
    record["machine"] = {**{name: getattr(incident, name) for name in _MACHINE}, "groups": list(incident.groups)}
    record["machine"] |= {name: to_builtins(value) for name in _MACHINE_WHERE_SET if (value := getattr(incident, name))}
    return record


def incident_of(record: dict[str, Any]) -> Incident:
    """The incident of a record made by :func:`incident_record`.

    Raises:
        msgspec.ValidationError: A field is missing or has the wrong type.
        ValueError: A time is not RFC 3339.
    """
    named = (*_PLAIN, *_WHERE_SET, "contributors", "examples", "stamp", "figures")
    plain = {name: record[name] for name in named if name in record}
    for name, field in _TIMES:
        at = record.get(name)
        plain[field] = None if at is None else instant_ms(at)
    plain["board_url"] = record.get("board_url") or ""
    plain["runbook_url"] = record.get("runbook_url") or record.get("runbook_page") or ""
    plain["acts"] = [_act_of(act) for act in record.get("acts", ())]
    plain["told_people"] = list(record.get("told", ()))
    plain["held"] = list(record.get("held", ()))
    return msgspec.convert({**plain, **record.get("machine", {})}, Incident)


def _act_record(act: OperatorAction) -> dict[str, Any]:
    until = None if act.until_ms is None else rfc3339(act.until_ms)
    record = {"what": act.what, "by": act.by, "at": rfc3339(act.at_ms), "note": act.note, "until": until}
    return {**record, **{name: value for name in _ACT_WHERE_SET if (value := getattr(act, name)) not in ("", "cli")}}


def _act_of(record: dict[str, Any]) -> dict[str, Any]:
    until = record.get("until")
    times = {"at_ms": instant_ms(record["at"]), "until_ms": None if until is None else instant_ms(until)}
    return {**{name: record[name] for name in ("what", "by", "note", *_ACT_WHERE_SET) if name in record}, **times}


def _told_record(told: ToldReceiver) -> dict[str, Any]:
    return {**structs.asdict(told), "channels": list(told.channels), "at": rfc3339(told.at_ms)}


def _hold_record(hold: Hold) -> dict[str, Any]:
    until = None if hold.until_ms is None else rfc3339(hold.until_ms)
    record = {**structs.asdict(hold), "receivers": list(hold.receivers), "until": until}
    if not hold.after:
        del record["after"]
    return record


def encode_incident(incident: Incident, title: str) -> bytes:
    """JSON bytes for topic and read model.

    Links that cannot be built are left out, because older workers, which may read this during a rolling upgrade, do not
    accept null.
    """
    record = incident_record(incident, title)
    encoded = msgspec.json.encode(
        {name: value for name, value in record.items() if value is not None or name not in _LINKS}
    )
    return formats.stamped_json(formats.INCIDENT, encoded)


def decode_incident(value: bytes | str) -> Incident:
    """The incident of JSON bytes.

    Raises:
        msgspec.DecodeError: No JSON, or not an incident.
        ValueError: A time is not RFC 3339.
        NewerFormat: A newer version of Floorwatch wrote it.
    """
    formats.check_json(formats.INCIDENT, value)
    return incident_of(msgspec.json.decode(value, type=dict[str, Any]))


def encode_group(group: IncidentGroup) -> bytes:
    """JSON bytes for topic notices.v1."""
    return formats.stamped_json(formats.NOTICE, msgspec.json.encode(group))


def decode_group(value: bytes | str) -> IncidentGroup:
    """The group of JSON bytes.

    Raises:
        msgspec.DecodeError: No JSON, or not a group.
        NewerFormat: A newer version of Floorwatch wrote it.
    """
    formats.check_json(formats.NOTICE, value)
    return _groups.decode(value)


def encode_receipts(state: NoticeReceipts) -> bytes:
    """JSON bytes of what became of a notice, for topic notices.v1."""
    return formats.stamped_json(formats.NOTICE, msgspec.json.encode(state))


def decode_receipts(value: bytes | str) -> NoticeReceipts:
    """What became of a notice, of JSON bytes; raises as :func:`decode_group`."""
    formats.check_json(formats.NOTICE, value)
    return _receipts.decode(value)


def encode_input(given: Input) -> bytes:
    """JSON bytes for topic signals.v1; ``type`` names the kind."""
    return formats.stamped_json(formats.SIGNAL, msgspec.json.encode(given))


def decode_input(value: bytes | str) -> Input:
    """The input of JSON bytes.

    Raises:
        msgspec.DecodeError: No JSON, or none of these.
        NewerFormat: A newer version of Floorwatch wrote it.
    """
    formats.check_json(formats.SIGNAL, value)
    return _inputs.decode(value)
