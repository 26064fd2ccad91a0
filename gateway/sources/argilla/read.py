"""Reads Argilla's webhooks: what is needed of them and nothing else, so that no content gets any further."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from gateway.sources.argilla.settings import ArgillaSettings
from gateway.sources.base import Webhook
from gateway.time_slices import MAX_COMMAS, WINDOW_BYTES, TimeSlices, TooComplex
from gateway.webhooks import BadWebhook

CHOICES = ("label_selection", "multi_label_selection")

_Map = dict[str, msgspec.Raw]
_map = msgspec.json.Decoder(_Map)
_list = msgspec.json.Decoder(list[_Map])
_EMPTY = (b"null", b'""', b"[]", b"{}")


async def redact(body: bytes, settings: ArgillaSettings, _: TimeSlices) -> Webhook:
    """Return a webhook reduced to ids, times, dimensions and choices.

    Fields of records, texts, spans, guidelines and names of persons do not get past this function. Nothing that is
    not needed is decoded, so a large body takes little time.

    Args:
        body: The body as it came.
        settings: Which metadata are dimensions, which questions decide.

    Raises:
        BadWebhook: It is not a webhook of Argilla.
        TooComplex: An answer of it holds more values than can be decoded at once.
        msgspec.DecodeError: It is not JSON.
    """
    try:
        held = _map.decode(body)
    except msgspec.ValidationError:
        held = {}
    action = _text(held, "type", 64)
    if action is None:
        raise BadWebhook("missing_field", "$.type", "an Argilla webhook is a JSON object with a type")
    hook: Webhook = {"action": action, "timestamp": _text(held, "timestamp", 64)}
    data = _object(held, "data")
    if action.startswith("response."):
        hook["response"] = _plain(data, "id", "status")
        hook["user"] = _plain(_object(data, "user"), "id", "username", "role")
        record = _object(data, "record")
        hook["response"] |= _answer(_object(data, "values"), _questions(_object(record, "dataset")), settings)
    else:
        record = data if action.startswith("record.") else {}
    if record:
        hook["record"] = _plain(record, "id", "status")
        hook["record"]["metadata"] = _plain(_object(record, "metadata"), *settings.metadata_fields)
    dataset = data if action.startswith("dataset.") else _object(record, "dataset")
    if dataset:
        hook["dataset"] = _plain(dataset, "id", "name")
        hook["dataset"] |= _plain(_object(dataset, "distribution"), "min_submitted")
    return hook


def _questions(dataset: _Map) -> dict[str, str]:
    """Return the type of each question of a dataset, by its name, in the dataset's order."""
    try:
        listed = _list.decode(dataset["questions"]) if "questions" in dataset else []
    except msgspec.ValidationError:
        return {}
    found: dict[str, str] = {}
    for one in listed:
        name, kind = _text(one, "name", 256), _text(_object(one, "settings"), "type", 64)
        if name is not None and kind is not None:
            found[name] = kind
    return found


def _answer(values: _Map, questions: dict[str, str], settings: ArgillaSettings) -> dict[str, Any]:
    """Return the choices by question, the severity, and how many answers are something else.

    Args:
        values: Answers by question, not decoded yet.
        questions: Type of each question.
        settings: Which question tells severity, and which hold remarks.
    """
    deciding = [name for name, kind in questions.items() if kind in CHOICES and name != settings.severity_question]
    found: dict[str, Any] = {"questions": len(deciding), "choices": {}, "others": 0}
    for name, part in values.items():
        raw = bytes(_object_of(part).get("value", msgspec.Raw(b"null")))
        if raw in _EMPTY:
            continue
        kind = questions.get(name)
        if name == settings.severity_question and kind in ("rating", *CHOICES):
            found["severity"] = next(iter(_chosen(raw) or ()), None)
        elif kind in CHOICES and (chosen := _chosen(raw)):
            found["choices"][name] = chosen
        elif not (kind == "text" and name in settings.remark_questions):
            found["others"] += 1  # its content must not be kept
    found["choices"] = {name: found["choices"][name] for name in deciding if name in found["choices"]}
    return found


def _chosen(raw: bytes) -> list[str] | None:
    """Return an answer as choices, each once; None where it is not made of choices."""
    if len(raw) > WINDOW_BYTES and raw.count(b",") > MAX_COMMAS:
        raise TooComplex
    value = msgspec.json.decode(raw)
    items = value if isinstance(value, list) else [value]
    texts = [str(one) for one in items if isinstance(one, str | int) and not isinstance(one, bool) and one != ""]
    return list(dict.fromkeys(texts)) if len(texts) == len(items) else None


def _object(held: _Map, name: str) -> _Map:
    return _object_of(held[name]) if name in held else {}


def _object_of(raw: msgspec.Raw) -> _Map:
    try:
        return _map.decode(raw)
    except msgspec.ValidationError:
        return {}


def _plain(held: _Map, *names: str) -> dict[str, Any]:
    """Return those fields that are a text or a number."""
    found: dict[str, Any] = {}
    for name in names:
        raw = bytes(held.get(name, b"null"))
        if raw[:1] not in b"[{nft":
            value = msgspec.json.decode(raw)
            found[name] = value[:256] if isinstance(value, str) else value
    return found


def _text(held: _Map, name: str, most: int) -> str | None:
    value = _plain(held, name).get(name)
    return value[:most] if isinstance(value, str) else None


def need(held: dict[str, Any] | None, name: str, place: str) -> str:
    """Return a field as text, or raise BadWebhook where it is missing or null."""
    value = (held or {}).get(name)
    if value is None or value == "":
        raise BadWebhook("missing_field", f"{place}.{name}", f"{place}.{name} is missing")
    return str(value)


def time_of(hook: Webhook) -> datetime:
    """Return when it happened: the envelope's ``timestamp``, in microseconds. Raises BadWebhook where it is none."""
    value = need(hook, "timestamp", "$")
    try:
        found = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadWebhook("wrong_time", "$.timestamp", "$.timestamp is no RFC 3339 time with a zone")
    return found
