"""Reads JSON while it arrives: value by value, holding no more of it than one value that is not complete yet.

msgspec finds where a value ends: it skips it, and then says at which byte something else follows. That takes a millisecond a megabyte,
and is right for all that JSON has. Methods that read are generators: they yield when bytes are missing, and go on after ``feed``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator

import msgspec

from gateway.time_slices import MAX_COMMAS, WINDOW_BYTES, TooComplex

_PLACE = re.compile(r"\(byte (\d+)\)$")
_SPACE = re.compile(rb"[ \t\r\n]*")
_skip = msgspec.json.Decoder(msgspec.Raw).decode
_key = msgspec.json.Decoder(str).decode


_numbers = msgspec.json.Decoder(list[int | float]).decode
_MOST_DEPTH = 64
_MOST_SKIPPED = 500_000
"""Values that are skipped one by one, in all; numbers are not. They take some three microseconds each."""


class TooLargePart(Exception):
    """One value is larger than may be held."""


class JsonStream:
    """JSON that arrives in pieces."""

    def __init__(self, most: int) -> None:
        """Begin with nothing.

        Args:
            most: Bytes of the largest value that is held.
        """
        self._most = most
        self._bytes = bytearray()
        self._at = 0
        self._tried = 0
        self._skipped_values = 0
        self._ended = False

    @property
    def held_bytes(self) -> int:
        """What has arrived and is not read yet."""
        return len(self._bytes)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._ended

    def feed(self, data: bytes) -> None:
        """Take the next bytes; what was read before is let go."""
        if self._at:
            del self._bytes[: self._at]
            self._at = 0
        self._bytes += data

    def end(self) -> None:
        """Note that nothing more comes."""
        self._ended = True

    def rest(self) -> bytes:
        """Return what is not read yet."""
        return bytes(self._bytes[self._at :])

    def peek(self) -> Generator[None, None, bytes]:
        """Return the next byte that is not white space, without reading it; nothing where there is none.

        Only the last of white space is held.
        """
        while True:
            found = _SPACE.match(self._bytes, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._bytes) or self._ended:
                return bytes(self._bytes[self._at : self._at + 1])
            yield

    def opens(self, bracket: bytes) -> Generator[None, None, bool]:
        """Read an opening bracket; false, and nothing is read, where the next value is something else."""
        found = yield from self.peek()
        self._at += found == bracket
        return found == bracket

    def another(self, closing: bytes, *, first: bool) -> Generator[None, None, bool]:
        """Tell whether another member or item follows; reads the comma before it, or the closing bracket.

        Raises:
            msgspec.DecodeError: Neither stands there.
        """
        found = yield from self.peek()
        if found == closing:
            self._at += 1
            return False
        if first:
            return True
        if found != b",":
            raise msgspec.DecodeError("there is no comma between two values")
        self._at += 1
        if (yield from self.peek()) == closing:
            raise msgspec.DecodeError("there is a comma after the last value")
        return True

    def key(self) -> Generator[None, None, str]:
        """Read the name of a member, and its colon.

        Raises:
            msgspec.DecodeError: It is no name.
        """
        name = _key((yield from self.value()))
        if not (yield from self.opens(b":")):
            raise msgspec.DecodeError("there is no colon after a name")
        return name

    def value(self, most: int | None = None) -> Generator[None, None, bytes]:
        """Read a whole value, not decoded. Where it raises, nothing was read.

        Args:
            most: Bytes of the largest, where that is less than of any other.

        Raises:
            msgspec.DecodeError: It is no JSON.
            RecursionError: It is nested too deeply.
            TooLargePart: It is larger than may be held.
            TooComplex: It has more values than can be skipped in one turn.
        """
        most = self._most if most is None else min(most, self._most)
        yield from self.peek()
        while (end := self._end_of_value(most)) is None:
            yield
        raw = bytes(self._bytes[self._at : end])
        if len(raw) > most:
            raise TooLargePart
        self._at = end
        return raw.rstrip()

    def skip(self, whole: int, depth: int = 0) -> Generator[None, None, None]:
        """Read a value of any length, and let it go.

        Args:
            whole: Up to how many bytes it is skipped at once; a larger one member by member.
            depth: In how many values it is.

        Raises:
            TooComplex: It is nested too deeply for its size, or holds too many values.
            TooLargePart: A text in it is larger than may be held. Others as ``value``.
        """
        self._skipped_values += 1
        if depth > _MOST_DEPTH or self._skipped_values > _MOST_SKIPPED:
            raise TooComplex
        if (yield from self.whole(whole)) is not None:
            return
        if (yield from self.opens(b"[")):
            if not (yield from self.numbers(_let_go)):
                yield from self.skip_rest(whole, depth + 1)
        elif (yield from self.opens(b"{")):
            first = True
            while (yield from self.another(b"}", first=first)):
                first = False
                yield from self.key()
                yield from self.skip(whole, depth + 1)
        else:
            yield from self.value()  # a text

    def skip_rest(self, whole: int, depth: int = 0) -> Generator[None, None, None]:
        """Read a list from one of its items on, to its closing bracket, and let it go. Raises as ``skip``."""
        yield from self.skip(whole, depth)
        while (yield from self.another(b"]", first=False)):
            yield from self.skip(whole, depth)

    def whole(self, most: int) -> Generator[None, None, bytes | None]:
        """Read a value that has at most so many bytes, and not too many values; None, and nothing is read, where it has more."""
        try:
            return (yield from self.value(most))
        except (TooLargePart, TooComplex):
            return None

    def numbers(self, take: Callable[[list[int | float]], None]) -> Generator[None, None, bool]:
        """Read a list after its bracket, some of its numbers at a time, and its closing bracket.

        Returns:
            False where something else than a number was met: it is the next to be read.
        """
        first = True
        while (yield from self.another(b"]", first=first)):
            some = yield from self._some_numbers()
            if not some:
                return False
            take(some)
            first = False
        return True

    def _some_numbers(self) -> Generator[None, None, list[int | float]]:
        """Read numbers up to the last comma that has arrived, or to the end of their list; none where it is not of numbers."""
        while True:
            end = self._bytes.find(b"]", self._at)
            if end < 0:
                end = self._bytes.rfind(b",", self._at)
            if end >= 0:
                break
            if self._ended or len(self._bytes) - self._at > WINDOW_BYTES:
                return []
            yield
        try:
            some = _numbers(b"[%b]" % bytes(self._bytes[self._at : end]))
        except msgspec.DecodeError:
            return []
        self._at = end
        return some

    def finish(self) -> Generator[None, None, None]:
        """Read to the end. Raises msgspec.DecodeError where anything but white space follows."""
        if (yield from self.peek()):
            raise msgspec.DecodeError("something follows the value")

    def _end_of_value(self, most: int) -> int | None:
        """Return where the next value ends, or None where that has not arrived yet."""
        size = len(self._bytes) - self._at
        # Twice as much each time, so that a large value is not skipped again with each piece of it.
        if size < 2 * self._tried and not self._ended and size <= most:
            return None
        end = self._skipped(size)
        self._tried = size if end is None else 0
        if end is None and size > most:
            self._tried = 0
            raise TooLargePart
        if end is None and size > WINDOW_BYTES and self._bytes.count(b",", self._at) > MAX_COMMAS:
            self._tried = 0
            raise TooComplex
        return end

    def _skipped(self, size: int) -> int | None:
        with memoryview(self._bytes) as whole, whole[self._at :] as rest:
            try:
                _skip(rest)
            except msgspec.DecodeError as error:
                said = str(error)
                place = _PLACE.search(said)
                if place and "trailing characters" in said:
                    return self._at + int(place[1]) - 1
                # A number that is cut is told as a wrong one, at the end.
                if self._ended or (place and int(place[1]) < size) or not (place or "truncated" in said):
                    raise
                return None
        return self._at + size if self._ended else None


def _let_go(_: list[int | float]) -> None:
    """Keep nothing."""
