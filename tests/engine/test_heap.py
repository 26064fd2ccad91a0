"""The heap of a worker gives back what lies free below what is kept."""

from __future__ import annotations

import asyncio
import ctypes
from contextlib import suppress
from pathlib import Path

import pytest

from streams import heap

STATM = Path("/proc/self/statm")
PAGE_BYTES = 4096
PIECES, PIECE_BYTES = 600, 100_000  # each below the size that glibc maps on its own

pytestmark = pytest.mark.skipif(
    not STATM.exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc on Linux"
)


def resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * PAGE_BYTES


def free_below_what_is_kept() -> bytes:
    """Take 60 MB and free all but the last piece."""
    return [b"\x01" * PIECE_BYTES for _ in range(PIECES)][-1]


def test_free_pages_below_what_is_kept_go_back() -> None:
    trim = heap.trimmer()
    kept = free_below_what_is_kept()
    before = resident_bytes()
    assert trim()
    assert before - resident_bytes() > PIECES * PIECE_BYTES / 2
    assert len(kept) == PIECE_BYTES


def test_it_goes_on_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[bool] = []
    enough = asyncio.Event()

    def trim() -> bool:
        trimmed.append(True)
        if len(trimmed) == 3:
            enough.set()
        return True

    monkeypatch.setattr(heap, "trimmer", lambda: trim)

    async def run() -> None:
        forever = asyncio.ensure_future(heap.trim_forever(0.0))
        await enough.wait()
        forever.cancel()
        with suppress(asyncio.CancelledError):
            await forever

    asyncio.run(run())


def test_a_library_without_trimming_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: object())
    assert heap.trimmer()() is False
