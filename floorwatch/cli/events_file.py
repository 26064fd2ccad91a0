"""Opens a file of events, plain or gzip. Every command that reads such a file uses this, so all tell its faults in the same words."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any, BinaryIO, cast

GZIP_FAULTS = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading a gzip file raises where it is damaged."""

HOW_TO_MEND = "compress it again, or fetch it again"

_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 1 << 20


def plain_text(stream: BinaryIO) -> io.BufferedReader:
    """Return a reader of the plain text; gzip is told by the first bytes, so that it works for standard input too.

    Args:
        stream: The file as it is.

    Raises:
        gzip.BadGzipFile: Its name ends in ``.gz`` and its content is something else. Reading raises any of ``GZIP_FAULTS``.
    """
    buffered: Any = io.BufferedReader(cast("io.RawIOBase", stream), _BUFFER_BYTES)
    start = buffered.peek(2)[:2]
    if start == _MAGIC:
        return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=buffered)), _BUFFER_BYTES)
    if start and str(getattr(stream, "name", "")).endswith(".gz"):
        raise gzip.BadGzipFile("the name ends in .gz, the content is not gzip")
    return cast("io.BufferedReader", buffered)


def damage_words(error: Exception) -> str:
    """Return what is wrong with a gzip file in plain words.

    Args:
        error: One of ``GZIP_FAULTS``.
    """
    said = "it is cut short" if isinstance(error, EOFError) else str(error)
    return f"the gzip file is damaged: {said}"
