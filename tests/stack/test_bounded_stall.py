"""A worker that stands still ends a bounded run with what it was at, instead of being waited for without end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from floorwatch import bounded
from streams.models import topics


def run_with(commits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until three records are folded, while the group's commits are read one after another."""
    seen = iter(commits)

    async def committed(*_: object) -> dict[int, int]:
        return {0: next(seen)}

    async def at_once(_: float) -> None:
        clock.now_s += 200

    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(bounded, "committed", committed)
    monkeypatch.setattr(bounded, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    monkeypatch.setattr(bounded.asyncio, "sleep", at_once)
    servers = SimpleNamespace(log_tail=lambda _: "the end of its log")
    worker = SimpleNamespace(poll=lambda: None)
    run = bounded.BoundedRun(servers, worker, None, None, None, 1, lambda *_: None)  # type: ignore[arg-type]
    asyncio.run(run._folded(topics.RAW, [3], None))


@pytest.mark.slow
def test_a_worker_that_commits_nothing_for_long_is_given_up_with_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    said = r"nothing for 300 s \(raw.v1: 1 of 3 records\):\nthe end of its log"
    with pytest.raises(bounded.WorkerDied, match=said):
        run_with([0, 1, 1, 1, 1, 1], monkeypatch)


@pytest.mark.slow
def test_a_slow_one_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    run_with([0, 0, 1, 1, 2, 2, 3], monkeypatch)
