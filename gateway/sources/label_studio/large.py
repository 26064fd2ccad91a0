"""Reduces a webhook while it arrives. Of a project of 20,000 tasks one task is in memory, and what is kept of the others."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import msgspec

from gateway.json_stream import JsonStream
from gateway.sources.base import Bounds, TooManyParts, Webhook
from gateway.sources.label_studio.large_parts import WHOLE_BYTES, LargeItems
from gateway.sources.label_studio.read import distill
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.time_slices import MAX_COMMAS, WINDOW_BYTES, TimeSlices, TooComplex

_SMALL_BYTES = 65_536
_PIECE_BYTES = 65_536
_AT_ONCE = 64
_DECODED = 4
"""How many times as large as its text a decoded answer is, about."""

_PART_TASKS = 1000
"""Tasks that are worked off together; a webhook with more of them waits as several."""

_NAMES = ("task", "annotation", "review")
_LISTS = frozenset([*_NAMES, *(f"{name}s" for name in _NAMES)])


class HookStream:
    """A webhook of Label Studio that arrives in pieces. ``feed`` them, then ``end`` gives what is kept.

    What its lists hold is kept encoded, which takes a fifth of the memory.
    """

    def __init__(self, settings: LabelStudioSettings, bounds: Bounds) -> None:
        """Begin with nothing.

        Args:
            settings: What is kept.
            bounds: What may be held of it.
        """
        self._settings = settings
        self._bounds = bounds
        self._json = JsonStream(bounds.part_bytes)
        self._large = LargeItems(self._json, settings)
        self._kept: dict[str, list[bytes]] = {}
        self._kept_bytes = self._raw_bytes = 0
        self._reading = self._read()
        self._hooks: list[Webhook] = []
        next(self._reading)

    @property
    def held_bytes(self) -> int:
        """Bytes in memory: what is kept, and what has arrived of the next part."""
        return self._json.held_bytes + self._kept_bytes + self._raw_bytes + _DECODED * self._large.held_bytes

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            BadWebhook: It is not a webhook of Label Studio.
            TooComplex: A part of it has too many values to be decoded in one turn.
            TooLargePart: A part of it is larger than may be held.
            TooManyParts: It has more tasks, annotations or reviews than are taken.
            msgspec.DecodeError: It is not JSON.
        """
        self._json.feed(data)
        next(self._reading, None)

    def end(self) -> list[Webhook]:
        """Return the webhook as ``distill`` does, its lists as ``msgspec.Raw``. Raises as ``feed``.

        Returns:
            One. Where it only has tasks, and many, several: each with the place of its ``first`` task.
        """
        self._json.end()
        for _ in self._reading:  # it asks for nothing more
            pass
        return self._hooks

    def _read(self) -> Generator[None, None, None]:
        while self._json.held_bytes <= _SMALL_BYTES and not self._json.ended:
            yield
        if self._json.held_bytes <= _SMALL_BYTES:
            self._hooks = [distill(msgspec.json.decode(self._json.rest()), self._settings)]
            return
        if not (yield from self._json.opens(b"{")):
            yield from self._json.value()
            yield from self._json.finish()
            distill(None, self._settings)  # says so
        head: dict[str, Any] = {}
        first = True
        while (yield from self._json.another(b"}", first=first)):
            first = False
            name = yield from self._json.key()
            if name in _LISTS:
                yield from self._list(name)
            else:
                raw = yield from self._json.value()
                if name in ("action", "project"):
                    head[name] = _decoded(raw)
        yield from self._json.finish()
        self._hooks = list(_in_parts(distill(head, self._settings), self._lists()))

    def _lists(self) -> dict[str, list[bytes]]:
        """Return what is kept, by the plural of its name."""
        found: dict[str, list[bytes]] = {}
        for one in _NAMES:
            kept = next((self._kept[name] for name in (one, f"{one}s") if name in self._kept), None)
            if kept is not None:
                found[f"{one}s"] = kept
        return found

    def _list(self, name: str) -> Generator[None, None, None]:
        """Reduce what is under a name, a few at a time. The same name again replaces it, as in any JSON."""
        self._kept_bytes -= sum(map(len, self._kept.pop(name, ())))
        if not (yield from self._json.opens(b"[")):
            raw = yield from self._item(name)
            if raw != b"null":
                self._keep(name, [raw])
            return
        self._kept[name] = []
        some: list[bytes] = []
        count = 0
        while (yield from self._json.another(b"]", first=not count)):
            some.append((yield from self._item(name)))
            count += 1
            if count > self._bounds.parts:
                raise TooManyParts
            if len(some) == _AT_ONCE or self._raw_bytes > WHOLE_BYTES:
                self._keep(name, some)
                some = []
        self._keep(name, some)

    def _item(self, name: str) -> Generator[None, None, bytes]:
        """Read one item; of a large one only what is reduced further."""
        raw = yield from self._json.whole(WHOLE_BYTES)
        if raw is None:
            raw = msgspec.json.encode((yield from self._large.read(f"{name.removesuffix('s')}s")))
            self._large.held_bytes = 0
        self._raw_bytes += len(raw)
        return raw

    def _keep(self, name: str, raws: list[bytes]) -> None:
        if not raws:
            return
        plural = f"{name.removesuffix('s')}s"
        payload = {"action": "", plural: [_decoded(raw) for raw in raws]}
        # ``distill`` reduces each part by itself, so a few can be reduced without the others.
        text = msgspec.json.encode(distill(payload, self._settings)[plural])[1:-1]
        self._kept.setdefault(name, []).append(text)
        self._kept_bytes += len(text)
        self._raw_bytes = 0


def _in_parts(hook: Webhook, lists: dict[str, list[bytes]]) -> Iterator[Webhook]:
    """Yield a webhook with its lists; one that has only tasks in parts."""
    some = max(1, _PART_TASKS // _AT_ONCE)
    if lists.keys() != {"tasks"} or len(lists["tasks"]) <= some:
        yield {**hook, **{name: _joined(kept) for name, kept in lists.items()}}
        return
    for at in range(0, len(lists["tasks"]), some):
        yield {**hook, "tasks": _joined(lists["tasks"][at : at + some]), "first": at * _AT_ONCE}


def _joined(kept: list[bytes]) -> msgspec.Raw:
    return msgspec.Raw(b"[%b]" % b",".join(kept))


async def distill_in_slices(
    body: bytes, settings: LabelStudioSettings, time_slices: TimeSlices, bounds: Bounds | None = None
) -> Webhook:
    """Return a whole webhook reduced to what is needed of it, as ``distill`` does, but in slices. Raises as ``HookStream.feed``."""
    reading = HookStream(settings, bounds or Bounds(len(body), len(body)))
    for at in range(0, len(body), _PIECE_BYTES):
        reading.feed(body[at : at + _PIECE_BYTES])
        await time_slices.give_way()
    found: list[Webhook] = msgspec.json.decode(msgspec.json.encode(reading.end()))
    whole = {name: held for name, held in found[0].items() if name != "first"}
    return whole if len(found) == 1 else {**whole, "tasks": [task for part in found for task in part["tasks"]]}


def _decoded(raw: bytes) -> Any:
    if len(raw) > WINDOW_BYTES and raw.count(b",") > MAX_COMMAS:
        raise TooComplex
    return msgspec.json.decode(raw)
