"""Takes single fields out of a body whose other parts are never decoded: what a tool's ``redact`` is made of."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.webhooks import BadWebhook

RawMap = dict[str, msgspec.Raw]
decode_map = msgspec.json.Decoder(RawMap).decode
"""Decode a JSON object, its values not. Raises msgspec.DecodeError; ValidationError where it is no object."""

_MOST_CHARS = 256


def object_in(held: RawMap, name: str) -> RawMap:
    """Return a field that is an object; an empty one where it is missing or something else."""
    return object_of(held[name]) if name in held else {}


def object_of(raw: msgspec.Raw) -> RawMap:
    """Return what is an object, its values not decoded; an empty one where it is something else."""
    try:
        return decode_map(raw)
    except msgspec.ValidationError:
        return {}


def plain(held: RawMap, *names: str) -> dict[str, Any]:
    """Return those fields that are a text or a number; texts are cut to 256 characters."""
    found: dict[str, Any] = {}
    for name in names:
        raw = bytes(held.get(name, b"null"))
        if raw[:1] not in b"[{nft":
            value = msgspec.json.decode(raw)
            found[name] = value[:_MOST_CHARS] if isinstance(value, str) else value
    return found


def text(held: RawMap, name: str, most: int) -> str | None:
    """Return a field that is a text, cut to ``most`` characters; None where it is missing or something else."""
    value = plain(held, name).get(name)
    return value[:most] if isinstance(value, str) else None


def need(held: dict[str, Any] | None, name: str, place: str) -> str:
    """Return a field as text, or raise BadWebhook where it is missing or null."""
    value = (held or {}).get(name)
    if value is None or value == "":
        raise BadWebhook("missing_field", f"{place}.{name}", f"{place}.{name} is missing")
    return str(value)
