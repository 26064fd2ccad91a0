"""``table --watch`` into a pipe prints a table each time, and the heading of CSV once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from config.tables import TableSettings
from floorwatch.cli import table
from tests.telemetry.sample_rows import floor_rows


class _Enough(Exception):
    pass


def _watch(form: str, monkeypatch: pytest.MonkeyPatch, turns: int = 3) -> None:
    from streams.adapters import clients, readmodel

    rows = {str(number): row for number, row in enumerate(floor_rows(("1h",))) if row["table"] == "sla"}

    class Model:
        def __init__(self, *_: object) -> None:
            pass

        async def watermark_ms(self) -> int:
            return 1_795_430_000_000

        async def idle(self, _: object) -> bool:
            return False

        async def rows(self, *_: object) -> dict[str, Any]:
            return rows

    async def aclose() -> None:
        return None

    left = iter(range(turns - 1))

    async def sleep(_: float) -> None:
        if next(left, None) is None:
            raise _Enough

    monkeypatch.setattr(clients, "redis_client", lambda _: SimpleNamespace(aclose=aclose))
    monkeypatch.setattr(readmodel, "ReadModel", Model)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    settings = SimpleNamespace(redis=SimpleNamespace(prefix="x:"), tables=TableSettings())
    names = frozenset(next(iter(rows.values()))["scope"])
    with pytest.raises(_Enough):
        asyncio.run(table._show(settings, None, table._Asked("sla", names, "1h", "vendor"), form, 1.0, 0.0, None))


def test_a_pipe_gets_a_table_each_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _watch("rich", monkeypatch)
    assert capsys.readouterr().out.count("attainment") == 3


def test_csv_is_one_table_that_grows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _watch("csv", monkeypatch)
    first, *rest = capsys.readouterr().out.splitlines()
    assert "attainment_ratio" in first
    assert rest
    assert not any("attainment_ratio" in line for line in rest)
    assert "True" not in "".join(rest)


def test_help_of_simulate_names_the_scenarios() -> None:
    from floorwatch.cli.simulate import _SCENARIO_HELP
    from floorwatch.simulate.config import SCENARIO_KINDS

    assert all(kind in _SCENARIO_HELP for kind in SCENARIO_KINDS)
