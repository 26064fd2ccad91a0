"""Whatever a fold comes to can be written down: times beyond the calendar, sums beyond 64 bits."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floorwatch.cli.demo_view import clock
from floorwatch.simulate.wire import rfc3339 as rfc3339_of_floor
from streams.agents.ticker import tick_event
from streams.core.accumulate import Accumulator
from streams.core.effects import Group
from streams.core.formatting import instant
from streams.core.formatting import rfc3339 as rfc3339_of_alerts
from streams.core.policy import DEFAULT_WINDOWS, DIMENSIONS, CorePolicy, Window
from streams.core.rowcodec import decode_row, encode_row, json_bytes
from streams.core.scopes import ScopeIndex
from streams.core.sums import sum_by_key
from streams.core.time_text import FIRST_MS, LAST_MS, local_moment, rfc3339
from streams.core.windows import window_range
from streams.models.events import decode_log_event

FAR_MS = st.one_of(
    st.integers(-(1 << 62), 1 << 62),
    st.sampled_from([FIRST_MS - 1, FIRST_MS, -1, 0, LAST_MS, LAST_MS + 1, LAST_MS + 43_200_000, -(1 << 61), 1 << 61]),
)
SHIFTS = Window("shift", 1, starts_min=(0, 480, 960))


@given(FAR_MS)
def test_every_time_is_rendered_and_can_be_read(time_ms: int) -> None:
    for text in (rfc3339(time_ms), rfc3339_of_alerts(time_ms), rfc3339_of_floor(time_ms)):
        read = datetime.fromisoformat(text)
        assert read.utcoffset() is not None
        assert len(text.split("-")[0]) == 4
    assert instant(time_ms).endswith("UTC")
    assert clock(time_ms)
    assert decode_log_event(tick_event(0, time_ms, "no events").value).time.tzinfo is not None
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        assert local_moment(time_ms, ZoneInfo(zone)).year


@given(FAR_MS, st.sampled_from(["UTC", "Asia/Kuala_Lumpur", "Pacific/Kiritimati", "America/New_York"]))
def test_every_watermark_has_its_windows(time_ms: int, zone: str) -> None:
    for window in (*DEFAULT_WINDOWS, SHIFTS):
        start_ms, end_ms = window_range(window, time_ms, zone)
        assert start_ms <= time_ms < end_ms, window.name


def test_sums_beyond_64_bits_are_exact() -> None:
    amounts = [10**15] * 20_000 + [-(10**15)] * 3 + [5]
    keys = [0] * 20_000 + [1] * 3 + [2]
    sums = sum_by_key(np.array(keys), np.array(amounts), 3)
    assert sums.by_key() == {0: 20_000 * 10**15, 1: -3 * 10**15, 2: 5}


@pytest.mark.parametrize("count", [3, 20_000])
def test_the_accumulator_is_exact_beyond_64_bits(count: int) -> None:
    """Twenty thousand audits drawn with the least probability the contract allows weigh 2e19 together."""
    policy = CorePolicy()
    pending = Accumulator(ScopeIndex(policy), policy)
    dims = (None,) * len(DIMENSIONS)
    for _ in range(count):
        pending.add(Group(dims, 0, (13, 10**15)), 1, -1)
    found = [dict(zip(change.counters, change.amounts, strict=True)) for change in pending.drain() if change.tier == 2]
    assert [counters[13] for counters in found] == [count * 10**15]


@given(st.integers(0, 1 << 40), st.dictionaries(st.one_of(st.integers(0, 5000), st.just("L:x")), st.integers()))
def test_rows_of_any_numbers_are_read_back(stamp: int, counters: dict[int | str, int]) -> None:
    assert decode_row(encode_row(stamp, counters)) == (stamp, counters)


def test_json_of_any_numbers() -> None:
    text = json_bytes({"a": 1 << 80, "b": float("inf"), "c": float("nan"), "d": 0.25, "e": "\u202e😀"})
    assert json.loads(text) == {"a": 1 << 80, "b": None, "c": None, "d": 0.25, "e": "\u202e😀"}
