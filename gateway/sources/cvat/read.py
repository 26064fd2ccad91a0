"""Reads CVAT's webhooks: what is needed of them and nothing else, so that no content gets any further."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from gateway.sources.base import Webhook
from gateway.sources.cvat.settings import CvatSettings
from gateway.sources.raw_json import RawMap, decode_map, need, object_in, plain, text
from gateway.time_slices import TimeSlices
from gateway.webhooks import BadWebhook
from streams.models.timestamps import BadTimestamp, parse_rfc3339

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATE = ("stage", "state", "updated_date", "assignee_updated_date")
_JOB = ("id", "type", "task_id", "task_name", "project_id", "project_name", "created_date", *_STATE)


async def redact(body: bytes, settings: CvatSettings, _: TimeSlices) -> Webhook:
    """Return a webhook reduced to ids, times, names of project and task, stage, state and usernames.

    Comments, positions, labels, addresses and names of persons do not get past this function. Nothing that is not needed is
    decoded.

    Args:
        body: The body as it came.
        settings: Not used: what is kept does not depend on them.

    Raises:
        BadWebhook: It is not a webhook of CVAT.
        msgspec.DecodeError: It is not JSON.
    """
    del settings
    try:
        held = decode_map(body)
    except msgspec.ValidationError:
        held = {}
    action = text(held, "event", 64)
    if action is None:
        raise BadWebhook("missing_field", "$.event", "a CVAT webhook is a JSON object with an event")
    hook: Webhook = {"action": action, "sender": text(object_in(held, "sender"), "username", 256)}
    resource = action.partition(":")[2]
    if resource == "job":
        job = object_in(held, "job")
        hook["job"] = plain(job, *_JOB) | {"assignee": text(object_in(job, "assignee"), "username", 256)}
        hook["before"] = _before(object_in(held, "before_update"))
    elif resource == "issue":
        issue = object_in(held, "issue")
        hook["issue"] = plain(issue, "id", "job", "created_date")
        hook["issue"]["owner"] = text(object_in(issue, "owner"), "username", 256)
    return hook


def _before(held: RawMap) -> dict[str, Any]:
    """Return what an update changed, with the former values; newer versions of CVAT do not send it."""
    found: dict[str, Any] = {name: plain(held, name).get(name) for name in _STATE if name in held}
    if "assignee" in held:
        found["assignee"] = text(object_in(held, "assignee"), "username", 256)
    return found


def number_of(held: dict[str, Any], name: str, place: str) -> int:
    """Return an id. Raises BadWebhook where it is missing or no whole number."""
    need(held, name, place)
    value = held[name]
    if type(value) is not int:
        raise BadWebhook("wrong_id", f"{place}.{name}", f"{place}.{name} is no whole number")
    return value


def micros_of(held: dict[str, Any], name: str, place: str) -> int:
    """Return a time in Unix microseconds. Raises BadWebhook where it is missing or no RFC 3339 time with a zone."""
    value = need(held, name, place)
    try:
        return (parse_rfc3339(value) - _EPOCH) // timedelta(microseconds=1)
    except BadTimestamp:
        reason = f"{place}.{name} is no RFC 3339 time with a zone"
        raise BadWebhook("wrong_time", f"{place}.{name}", reason) from None


def time_of(at_us: int) -> datetime:
    """Return Unix microseconds as a time in UTC."""
    return _EPOCH + timedelta(microseconds=at_us)
