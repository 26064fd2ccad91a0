"""Reads Argilla's webhooks: what is needed of them and nothing else, so that no content gets any further."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from gateway.sources.argilla.settings import ArgillaSettings
from gateway.sources.base import Webhook
from gateway.sources.raw_json import RawMap, decode_map, need, object_in, object_of, plain, text
from gateway.time_slices import MAX_COMMAS, WINDOW_BYTES, TimeSlices, TooComplex
from gateway.webhooks import BadWebhook

CHOICES = ("label_selection", "multi_label_selection")

_list = msgspec.json.Decoder(list[RawMap])
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
        held = decode_map(body)
    except msgspec.ValidationError:
        held = {}
    action = text(held, "type", 64)
    if action is None:
        raise BadWebhook("missing_field", "$.type", "an Argilla webhook is a JSON object with a type")
    hook: Webhook = {"action": action, "timestamp": text(held, "timestamp", 64)}
    data = object_in(held, "data")
    if action.startswith("response."):
        hook["response"] = plain(data, "id", "status")
        hook["user"] = plain(object_in(data, "user"), "id", "username", "role")
        record = object_in(data, "record")
        hook["response"] |= _answer(object_in(data, "values"), _questions(object_in(record, "dataset")), settings)
    else:
        record = data if action.startswith("record.") else {}
    if record:
        hook["record"] = plain(record, "id", "status")
        hook["record"]["metadata"] = plain(object_in(record, "metadata"), *settings.metadata_fields)
    dataset = data if action.startswith("dataset.") else object_in(record, "dataset")
    if dataset:
        hook["dataset"] = plain(dataset, "id", "name")
        hook["dataset"] |= plain(object_in(dataset, "distribution"), "min_submitted")
    return hook


def _questions(dataset: RawMap) -> dict[str, str]:
    """Return the type of each question of a dataset, by its name, in the dataset's order."""
    try:
        listed = _list.decode(dataset["questions"]) if "questions" in dataset else []
    except msgspec.ValidationError:
        return {}
    found: dict[str, str] = {}
    for one in listed:
        name, kind = text(one, "name", 256), text(object_in(one, "settings"), "type", 64)
        if name is not None and kind is not None:
            found[name] = kind
    return found


def _answer(values: RawMap, questions: dict[str, str], settings: ArgillaSettings) -> dict[str, Any]:
    """Return the choices by question, the severity, and how many answers are something else.

    Args:
        values: Answers by question, not decoded yet.
        questions: Type of each question.
        settings: Which question tells severity, and which hold remarks.
    """
    deciding = [name for name, kind in questions.items() if kind in CHOICES and name != settings.severity_question]
    found: dict[str, Any] = {"questions": len(deciding), "choices": {}, "others": 0}
    for name, part in values.items():
        raw = bytes(object_of(part).get("value", msgspec.Raw(b"null")))
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
