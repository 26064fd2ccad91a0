"""Rows and their JSON as bytes, whatever the size of their numbers.

A sum has no bound: weights of 1/probability and the handle times of a tool that sends year 1 pass 64 bits within ten
thousand events. MessagePack and orjson hold 64 bits, so an amount that is larger is written as its decimal digits. Every
number stays exact, and rows without such an amount are written as ever.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import orjson

from streams.core.counters import Counters

_LEAST, _MOST = -(1 << 63), (1 << 64) - 1

_encode = msgspec.msgpack.Encoder().encode
_decode: Any = msgspec.msgpack.Decoder(tuple[int, Counters]).decode
_decode_digits: Any = msgspec.msgpack.Decoder(tuple[int, Counters], strict=False).decode


def encode_row(stamp: int, counters: Counters) -> bytes:
    """Return a row as it stands on the changelog and on the partial rows.

    Args:
        stamp: The row holds every event of its partition below this offset.
        counters: What it counts.
    """
    try:
        return _encode((stamp, counters))
    except OverflowError:
        shown = {counter: amount if _LEAST <= amount <= _MOST else str(amount) for counter, amount in counters.items()}
        return _encode((stamp, shown))


def decode_row(value: bytes) -> tuple[int, Counters]:
    """Return stamp and counters of an encoded row.

    Raises:
        msgspec.DecodeError: The bytes are no row.
    """
    found: tuple[int, Counters]
    try:
        found = _decode(value)
    except msgspec.ValidationError:
        found = _decode_digits(value)
    return found


def json_bytes(value: Any) -> bytes:
    """Return JSON of a row or of any plain value; a number that is not finite is null.

    orjson refuses integers above 64 bits, which JSON itself allows.

    Example:
        >>> json_bytes({"sum": 1 << 70, "share": float("nan")})
        b'{"sum":1180591620717411303424,"share":null}'
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        pass
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 cannot hold
        return json.dumps(value, separators=(",", ":")).encode()


_UINT_BYTES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}


def stamp_of(value: bytes) -> int:
    """Return the stamp of an encoded row without decoding the row: the first item of its msgpack array."""
    marker = value[1]
    if marker < 0x80:
        return marker
    size = _UINT_BYTES.get(marker)
    if size is None:
        raise ValueError(f"row does not begin with a stamp: {value[:12]!r}")
    return int.from_bytes(value[2 : 2 + size], "big")
