"""A labeller at work: fields are filled in, time is measured by a clock that nobody sets, and only what was labelled is sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from floorwatch.sdk import AsyncLabeller, Labeller, Prediction
from floorwatch.sdk.events import Given, checked
from floorwatch.sdk.labelling import WorkClock

START = datetime(2026, 11, 23, 10, tzinfo=UTC)


@dataclass
class Bench:
    """Sends into a list, and is the clock."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    now: datetime = START
    elapsed_s: float = 100.0

    def send(self, *events: Given) -> int:
        self.sent += [msgspec.json.decode(value) for _, value in checked(events)]
        return len(events)

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.elapsed_s += seconds

    @property
    def clock(self) -> WorkClock:
        return WorkClock(lambda: self.now, lambda: self.elapsed_s)

    def labeller(self, **more: Any) -> Labeller:
        return Labeller(self, "ana", source="tool", clock=self.clock, **more)

    @property
    def kinds(self) -> list[str]:
        return [one["type"].removeprefix("floorwatch.").removesuffix(".v1") for one in self.sent]


class AsyncBench(Bench):
    async def send(self, *events: Given) -> int:  # type: ignore[override]
        return super().send(*events)


def test_a_label_has_who_where_what_and_how_long() -> None:
    bench = Bench()
    ana = bench.labeller(vendor="bpo-a", queue="comments", policy="spam")
    with ana.task("t-1", policy="hate", due_at=START + timedelta(hours=1)) as task:
        bench.passes(40)
        given = task.label("hate", "threat", prediction=Prediction(values=["hate"], score=0.5))
    (sent,) = bench.sent
    assert (sent["subject"], sent["source"], sent["time"]) == ("t-1", "tool", "2026-11-23T10:00:40Z")
    assert sent["data"]["label_id"] == given
    held = {name: value for name, value in sent["data"].items() if value is not None and name != "label_id"}
    assert held == {
        "labeler_id": "ana",
        "vendor": "bpo-a",
        "queue": "comments",
        "policy": "hate",
        "values": ["hate", "threat"],
        "started_at": "2026-11-23T10:00:00Z",
        "due_at": "2026-11-23T11:00:00Z",
        "prediction": {"values": ["hate"], "score": 0.5, "model": None},
    }


def test_a_clock_that_is_set_meanwhile_makes_no_wrong_handle_time() -> None:
    bench = Bench()
    with bench.labeller().task("t-1") as task:
        bench.passes(40)
        bench.now -= timedelta(hours=3)
        task.label()
    (sent,) = bench.sent
    took = datetime.fromisoformat(sent["time"]) - datetime.fromisoformat(sent["data"]["started_at"])
    assert took == timedelta(seconds=40)


def test_work_is_what_was_not_paused_where_the_tool_measures_it() -> None:
    bench = Bench()
    for measures in (True, False):
        with bench.labeller(measures_work=measures).task("t-1") as task:
            bench.passes(10)
            with task.paused():
                bench.passes(25)
            bench.passes(5)
            task.label()
    assert [one["data"]["active_ms"] for one in bench.sent] == [15_000, None]


def test_a_task_left_open_overnight_has_no_handle_time() -> None:
    bench = Bench()
    with bench.labeller(handle_limit_s=3600, measures_work=True).task("t-1") as task:
        bench.passes(3600)
        task.label()
        bench.passes(1)
        task.label()
    assert [one["data"]["started_at"] is None for one in bench.sent] == [False, True]
    assert bench.sent[1]["data"]["active_ms"] is None


def test_a_second_label_is_a_new_version_and_a_withdrawal_is_of_the_last() -> None:
    bench = Bench()
    with bench.labeller().task("t-1") as task:
        with pytest.raises(ValueError, match="t-1"):
            task.withdraw()
        first = task.label("hate")
        assert task.label("threat") == first
        assert task.label("spam", label_id="own") == "own"
        task.withdraw("wrong task")
    assert bench.kinds == ["label.submitted"] * 3 + ["label.withdrawn"]
    assert [one["data"]["label_id"] for one in bench.sent] == [first, first, "own", "own"]
    assert len({one["id"] for one in bench.sent}) == 4


def test_a_block_that_fails_sends_no_label_and_says_why() -> None:
    bench = Bench()
    with pytest.raises(KeyError), bench.labeller().task("t-1", claim=True):
        raise KeyError
    assert bench.kinds == ["task.claimed"]
    with pytest.raises(KeyError), bench.labeller().on_break():
        raise KeyError
    assert bench.kinds[1:] == ["break.started", "break.ended"]
    assert {one["data"]["labeler_id"] for one in bench.sent} == {"ana"}


@pytest.mark.parametrize("given", [{"vender": "bpo-a"}])
def test_a_field_that_does_not_exist_is_told_when_it_is_given(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"vender: no such field; use .*vendor"):
        Bench().labeller(**given)
    with pytest.raises(TypeError, match="vender"):
        Bench().labeller().task("t-1", **given)


def test_with_asyncio_it_is_the_same() -> None:
    bench = AsyncBench()

    async def main() -> None:
        ana = AsyncLabeller(bench, "ana", source="tool", clock=bench.clock, vendor="bpo-a")
        async with ana.task("t-1", claim=True, queue="comments") as task:
            bench.passes(7)
            assert await task.label("hate") == task.label_id
            await task.withdraw()
        async with ana.on_break():
            bench.passes(60)

    asyncio.run(main())
    assert bench.kinds == ["task.claimed", "label.submitted", "label.withdrawn", "break.started", "break.ended"]
    data = bench.sent[1]["data"]
    assert (data["vendor"], data["queue"], data["started_at"]) == ("bpo-a", "comments", "2026-11-23T10:00:00Z")
