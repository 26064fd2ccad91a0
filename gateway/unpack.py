"""Unpacks request bodies as they arrive, in slices and with a bound on their size. Refuses bodies that are cut or damaged."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

ACCEPTED = "gzip, deflate"
"""For ``Accept-Encoding`` in an answer that refuses another one (RFC 7694)."""

SLICE_BYTES = 65_536
_MAX_MEMBERS = 1024
_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = 31, 15, -15
_DEFLATE_METHOD = 8


class Damaged(Exception):
    """The body is cut, damaged, or followed by something else. Operator: send it again, whole."""


class UnknownEncoding(Exception):
    """The body is packed in a way that is not understood."""


class Unpacker:
    """Takes a body's bytes in order and gives its content."""

    def __init__(self, encoding: str) -> None:
        """Name the Content-Encoding; empty or ``identity`` for a plain body.

        Raises:
            UnknownEncoding: It is neither gzip nor deflate, or more than one.
        """
        names = [name.strip().lower() for name in encoding.split(",")]
        known = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
        if len(names) != 1 or names[0] not in known:
            raise UnknownEncoding("neither gzip nor deflate, or packed more than once")
        self._encoding = known[names[0]]
        self._member = zlib.decompressobj(_GZIP_BITS) if self._encoding == "gzip" else None
        self._members = 0
        self._began = False

    @property
    def packed(self) -> bool:
        """Whether there is anything to unpack."""
        return bool(self._encoding)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what some bytes unpack to, at most ``SLICE_BYTES`` at a time.

        Raises:
            Damaged: They cannot be unpacked, or come after the end.
        """
        if not self._encoding:
            yield data
            return
        more = bool(data)
        while more:
            member = self._current(data)
            try:
                part = member.decompress(data, SLICE_BYTES)
            except zlib.error:
                raise Damaged(f"the body is damaged: it cannot be unpacked as {self._encoding}") from None
            yield part
            data = member.unused_data if member.eof else member.unconsumed_tail
            # A full slice may leave more inside the decompressor, though all input is consumed.
            more = bool(data) or (len(part) == SLICE_BYTES and not member.eof)

    def end(self) -> None:
        """Note that the body has ended.

        Raises:
            Damaged: The packed content has not.
        """
        if self._encoding and (self._member is None or not self._member.eof):
            raise Damaged(f"the body is cut: its {self._encoding} content has no end")

    def _current(self, data: bytes) -> zlib._Decompress:
        if self._encoding == "deflate" and not self._began:
            # Deflate is meant to be in a zlib frame (RFC 1950); some senders leave the frame out.
            framed = data[0] & 0xF == _DEFLATE_METHOD
            self._member = zlib.decompressobj(_ZLIB_BITS if framed else _RAW_BITS)
        self._began = True
        if self._member is None or self._member.eof:
            self._members += 1
            if self._encoding == "deflate" or self._members >= _MAX_MEMBERS or data[:1] != b"\x1f":
                raise Damaged(f"the body is damaged: something follows its {self._encoding} content")
            self._member = zlib.decompressobj(_GZIP_BITS)  # gzip files may follow one another (RFC 1952)
        return self._member
