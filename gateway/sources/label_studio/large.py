"""Reads large webhooks, such as a project of 20,000 tasks, in slices, so that other requests get their turn."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.sources.label_studio.read import Hook, distill
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.time_slices import MAX_COMMAS, WINDOW_BYTES, TimeSlices, TooComplex, windows

_AT_ONCE = 64


class _Parts(msgspec.Struct):
    """The parts of a webhook that ``distill`` reads, not decoded yet. Everything else is ignored."""

    action: msgspec.Raw = msgspec.Raw(b"null")
    project: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    task: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tasks: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    annotation: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    annotations: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    review: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    reviews: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_parts = msgspec.json.Decoder(_Parts)


async def distill_in_slices(body: bytes, settings: LabelStudioSettings, time_slices: TimeSlices) -> Hook:
    """Return a webhook reduced to what is needed of it; as ``distill``, but in slices.

    Raises:
        BadWebhook: It is not a webhook of Label Studio.
        TooComplex: A part of it has too many values to be decoded in one turn.
        msgspec.DecodeError: It is not JSON.
    """
    try:
        parts = _parts.decode(body)
    except msgspec.ValidationError:
        return distill(None, settings)  # no object: says so
    head: dict[str, Any] = {"action": _decoded(bytes(parts.action))}
    if isinstance(parts.project, msgspec.Raw):
        head["project"] = _decoded(bytes(parts.project))
    hook = distill(head, settings)
    for name, plural in (("task", "tasks"), ("annotation", "annotations"), ("review", "reviews")):
        raw = next((raw for raw in (getattr(parts, name), getattr(parts, plural)) if _is_there(raw)), None)
        if raw is None:
            continue  # as ``distill`` has it: the webhook came without this part
        kept: list[Any] = []
        for some in _slices(bytes(raw)):
            # ``distill`` accepts its own result, so each slice can be reduced by itself.
            kept += distill({"action": head["action"], plural: some}, settings)[plural]
            await time_slices.give_way()
        hook[plural] = kept
    return hook


def _is_there(raw: msgspec.Raw | msgspec.UnsetType) -> bool:
    return isinstance(raw, msgspec.Raw) and bytes(raw) != b"null"


def _slices(raw: bytes) -> Any:
    """Yield the items under a name, a few at a time."""
    if raw[:1] != b"[":
        yield _decoded(raw)
        return
    for window, _ in windows(raw, 1):
        for at in range(0, len(window), _AT_ONCE):
            yield [_decoded(bytes(one)) for one in window[at : at + _AT_ONCE]]


def _decoded(raw: bytes) -> Any:
    if len(raw) > WINDOW_BYTES and raw.count(b",") > MAX_COMMAS:
        raise TooComplex
    return msgspec.json.decode(raw)
