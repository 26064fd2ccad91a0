"""Splits large bodies in time slices, so that other requests can run whatever a body holds.

msgspec holds the interpreter's lock while it decodes, also in a thread; 16 MiB of ``1,1,1,…`` take a second. So a large
JSON array is cut into windows that are decoded one after the other. A window must be cut between two items. Decoding
shows whether it is: if a window begins at an item and decodes as ``[window]``, it also ends at one.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from gateway.split import BATCH, GUESSED, LINES, Item, is_json, is_object, split
from streams.models.acceptance import Refusal, explain_failure

WINDOW_BYTES = 16_384
TURN_S = 0.005
"""How long a slice of work may take before other requests run."""

FIRST_TURN_S = 0.001
"""Length of the first slice, which starts at once."""

MAX_COMMAS = 200_000
"""Most commas in a piece that cannot be cut further. More would keep the interpreter busy for too long."""

_ROUNDS_BETWEEN = 8
"""Rounds of the event loop between two slices. A small request needs about twenty, and should have to wait for few
slices."""

_TRIES = 8
_LINES_AT_ONCE = 256
_BETWEEN_OBJECTS = re.compile(rb"\}[ \t\r\n]*,(?=[ \t\r\n]*\{)")
_PLACE = re.compile(r"\(byte (\d+)\)$")
_array = msgspec.json.Decoder(list[msgspec.Raw])
_space = b" \t\r\n"


class TooManyItems(Exception):
    """A body holds more items than allowed."""


class TooComplex(Exception):
    """A piece of a body holds more values than can be decoded without keeping others waiting."""


class SliceScheduler:
    """Runs long work one slice at a time, in turn by sender, with all other work in between."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._is_next_due = False

    async def wait(self, sender: str) -> None:
        """Return when it is the sender's turn."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(sender, deque()).append(turn)
        self._plan()
        await turn

    def _plan(self) -> None:
        if not self._is_next_due and self._waiting:
            self._is_next_due = True
            self._next(_ROUNDS_BETWEEN)

    def _next(self, rounds: int) -> None:
        if rounds:
            asyncio.get_running_loop().call_soon(self._next, rounds - 1)
            return
        self._is_next_due = False
        while self._waiting:
            sender = next(iter(self._waiting))
            mine = self._waiting.pop(sender)
            turn = mine.popleft()
            if mine:
                self._waiting[sender] = mine  # behind the others
            if not turn.done():
                turn.set_result(None)
                break
        self._plan()


class TimeSlices:
    """One request's turns."""

    def __init__(self, queue: SliceScheduler, sender: str) -> None:
        """Begin with a short slice; most requests need no other."""
        self._queue = queue
        self._sender = sender
        self._now_s = asyncio.get_running_loop().time
        self._until_s = self._now_s() + FIRST_TURN_S

    async def give_way(self) -> None:
        """Let others run if the slice is over."""
        if self._now_s() >= self._until_s:
            await self._queue.wait(self._sender)
            self._until_s = self._now_s() + TURN_S


async def split_in_slices(body: bytes, media: str, most: int, time_slices: TimeSlices) -> list[Item] | Refusal:
    """Return the events of a body, unchecked, or why it cannot be taken apart; as ``split``, but in slices.

    Args:
        body: The whole body.
        media: Media type, one of ``split.KNOWN``.
        most: Items allowed.
        time_slices: The request's.

    Raises:
        TooManyItems: There are more.
        TooComplex: A piece of it cannot be decoded in one turn.
    """
    found: list[Item] = []
    for some in _pieces(body, media):
        if isinstance(some, Refusal):
            return some
        found += some
        if len(found) > most:
            raise TooManyItems
        await time_slices.give_way()
    return found


def _pieces(body: bytes, media: str) -> Iterator[list[Item] | Refusal]:
    if len(body) <= WINDOW_BYTES:
        found = split(body, media)
        yield found
        return
    begin = len(body) - len(body.lstrip())
    if media in LINES:
        yield from _lines(body)
    elif media in BATCH or (media in GUESSED and body[begin : begin + 1] == b"["):
        yield from _array_items(body, begin)
    elif media in GUESSED and body.strip().count(b"\n") and not is_json(body):
        yield from _lines_if_objects(body)
    else:
        yield split(body, media)


def _lines(body: bytes) -> Iterator[list[Item]]:
    number, line, at = 0, 1, 0
    some: list[Item] = []
    while at < len(body):
        end = body.find(b"\n", at)
        end = len(body) if end < 0 else end
        raw = body[at:end]
        if raw.strip():
            some.append(Item(number, line, raw.rstrip(b"\r")))
            number += 1
        at, line = end + 1, line + 1
        if line % _LINES_AT_ONCE == 0:
            yield some
            some = []
    yield some


def _lines_if_objects(body: bytes) -> Iterator[list[Item] | Refusal]:
    """Yield lines, or the whole body as one item where no line is an object."""
    for some in _lines(body):
        if any(is_object(item.raw) for item in some):
            yield from _lines(body)
            return
        yield []
    yield [Item(0, 1, body)]


def _array_items(body: bytes, begin: int) -> Iterator[list[Item] | Refusal]:
    number, line = 0, 1 + body.count(b"\n", 0, begin)
    if body[begin : begin + 1] != b"[":
        yield _refused(body)
        return
    try:
        for window, start in windows(body, begin + 1):
            some = []
            at = 0
            line += body.count(b"\n", begin, start)
            begin = start
            for raw in map(bytes, window):
                place = body.index(raw, start + at)
                line += body.count(b"\n", begin, place)
                some.append(Item(number, line, raw))
                line += raw.count(b"\n")
                number += 1
                begin = place + len(raw)
                at = begin - start
            yield some
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        yield _refused(body)


def _refused(body: bytes) -> Refusal:
    """Return why a body is not an array. It is decoded whole, because that tells the place of the fault."""
    try:
        _array.decode(body)
    except msgspec.ValidationError:
        return Refusal("wrong_type", "$", "a batch is a JSON array of events", "send [event, event, …]")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return explain_failure(body, error)
    return Refusal("not_json", "$", "a batch is a JSON array of events", "send [event, event, …]")


def windows(body: bytes, start: int) -> Iterator[tuple[list[msgspec.Raw], int]]:
    """Yield the items of a JSON array, window by window, each with the place where its window begins.

    Args:
        body: Ends with the array's closing bracket, and white space perhaps.
        start: The place after its opening bracket.

    Some windows are empty, so that the caller can let others run.

    Raises:
        msgspec.DecodeError: It is no JSON array.
        TooComplex: An item, or what looks like one, has too many values.
    """
    end = len(body.rstrip(_space)) - 1
    if end < start - 1 or body[end : end + 1] != b"]":
        raise msgspec.DecodeError("the array has no end")
    size = WINDOW_BYTES
    while start < end:
        if end - start <= size:
            _bound(body, start, end)
            found = _array.decode(_as_array(body, start, end))
            if not found and body[start - 1 : start] == b",":
                raise msgspec.DecodeError("the array ends with a comma")
            yield found, start
            return
        for comma in _candidates(body, start, start + size):
            window = _cut(body, start, comma)
            if window is not None:
                yield window, start
                start, size = comma + 1, WINDOW_BYTES
                break
            yield [], start  # a try may take long: others get their turn
        else:
            size *= 2
    if body[start - 1 : start] == b",":
        raise msgspec.DecodeError("the array ends with a comma")


def _cut(body: bytes, start: int, comma: int) -> list[msgspec.Raw] | None:
    """Return the items up to a comma, or None if the comma is not between two items."""
    try:
        _bound(body, start, comma)
        return _array.decode(_as_array(body, start, comma))
    except msgspec.DecodeError as error:
        place = _PLACE.search(str(error))
        if place and int(place[1]) < comma - start:
            raise  # the cut is not the cause: what comes before it is not JSON
    except (UnicodeDecodeError, RecursionError, TooComplex):
        pass
    return None


def _as_array(body: bytes, start: int, end: int) -> bytes:
    return b"".join((b"[", memoryview(body)[start:end], b"]"))


def _candidates(body: bytes, start: int, until: int) -> Iterable[int]:
    """Yield places of commas that may stand between items, the likeliest and longest first."""
    between = [found.end() - 1 for found in _BETWEEN_OBJECTS.finditer(body, max(start, until - 16_384), until)]
    yield from reversed(between[-_TRIES:])
    comma = until
    for _ in range(_TRIES):
        comma = body.rfind(b",", start, comma)
        if comma < 0:
            return
        yield comma


def _bound(body: bytes, start: int, end: int) -> None:
    if end - start > WINDOW_BYTES and body.count(b",", start, end) > MAX_COMMAS:
        raise TooComplex
