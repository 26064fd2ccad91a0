"""A process that runs and is useless is started again; one that keeps ending is told with its reason; the doctor is red for both."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from floorwatch.cli.doctor_var import ready_checks, stack_checks
from floorwatch.embedded.child_process import Child, ChildSpec, last_error
from floorwatch.embedded.health import (
    CONFIG_BACKOFF_S,
    LOOP_ENDS,
    MAX_BACKOFF_S,
    STABLE_S,
    Readiness,
    Restarts,
    UnreadyWatch,
)
from floorwatch.embedded.status import Status
from floorwatch.embedded.supervisor import Stack
from floorwatch.sdk.stacks import Found
from tests.embedded.test_stack import children_of, plan_of
from tests.waits import until

RED = json.dumps({"status": "unavailable", "reasons": ["background task notifier has been down for 300 s"]})
RECOVERING = json.dumps({"reasons": ["ledger[2] is recovering"], "recovering": True, "waits": True})
AWAY = json.dumps({"reasons": ["waiting for Kafka"], "waits": True})


def test_only_what_a_new_start_may_mend_counts_as_useless() -> None:
    now_s = [0.0]
    watch = UnreadyWatch(120.0, lambda: now_s[0])

    def after(seconds: float, answer: Readiness) -> float | None:
        now_s[0] += seconds
        return watch.note(answer)

    red, silent = Readiness(ok=False, reasons=("x",)), Readiness(ok=False, answered=False)
    assert after(0, red) is None
    assert after(119, silent) is None
    assert after(1, red) == 120
    assert after(0, Readiness(ok=False, reasons=("ledger[0] is recovering",), recovering=True, waits=True)) is None
    assert after(500, Readiness(ok=False, reasons=("waiting for Kafka",), waits=True)) is None
    assert after(1, red) is None
    assert after(60, Readiness(ok=True)) is None
    assert after(100, red) is None


def test_pauses_grow_and_a_long_run_begins_anew() -> None:
    restarts = Restarts()
    pauses = [restarts.ended("worker-1", 1.0, 1, "exit code 1") for _ in range(10)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == MAX_BACKOFF_S
    assert restarts.failing == {"worker-1": "ended 10 times in a row, the last time with exit code 1"}
    assert restarts.settled(["gateway"]) is False
    assert restarts.settled(["worker-1"]) is True
    assert restarts.failing == {}
    assert restarts.ended("worker-1", STABLE_S + 1, 1, "exit code 1") == 0.1
    codes = [restarts.ended("worker-2", 1.0, os.EX_CONFIG, "exit code 78") for _ in range(LOOP_ENDS)]
    assert codes[-1] == CONFIG_BACKOFF_S


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("one\ntwo\n", "two"),
        (
            "2026-12-01 18:03:28,461 E streams.worker: the worker stopped after a failure: too large\nnext\n",
            "too large",
        ),
        ("Traceback\n  File\nKeyError: 'x'\n", "KeyError: 'x'"),
        ("thread 'main' panicked at src/a.rs:3\nnote: run with RUST_BACKTRACE\n", "panicked at"),
        ("2026-12-01 18:03:28,461 C telemetry.shutdown: the worker did not end within 20 s; x\n", "did not end within"),
    ],
)
def test_the_line_that_says_why(text: str, said: str, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("ValueError: of an earlier run\n" + text)
    found = last_error(log, len("ValueError: of an earlier run\n"))
    assert said in found if said else found == ""
    assert not found.startswith("2026")


SURVIVED = "2026-12-01 18:03:20,461 E streams.notify: redis.exceptions.ResponseError: WRONGTYPE, tried again\n"


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ("2026-12-01 18:09:28,461 E streams.worker: the worker stopped after a failure: too large\n", "too large"),
        ("2026-12-01 18:09:28,461 I streams.worker: ready\n", "streams.worker: ready"),
        ("2026-12-01 18:09:28,461 E x: no\nTraceback\nKeyError: 'x'\n", "KeyError: 'x'"),
    ],
)
def test_an_error_that_a_process_survived_is_not_the_reason_for_its_end(later: str, said: str, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(SURVIVED + later)
    assert said in last_error(log)
    assert "WRONGTYPE" not in last_error(log)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("end", "age_s", "told"),
    [
        ("kill -9 $$", 0, "killed (SIGKILL), no message; log: "),
        ("kill -9 $$", 600, "killed (SIGKILL), no message; log: "),
        ("exit 3", 0, "exit code 3: streams.notify: redis.exceptions.ResponseError: WRONGTYPE, tried again; log: "),
        ("exit 3", 600, "exit code 3, no message (last line of its log: streams.notify: redis.exceptions"),
        ("kill -15 $$", 600, "SIGTERM, no message (last line of its log: "),
    ],
)
def test_the_cause_told_is_of_the_death(end: str, age_s: int, told: str, tmp_path: Path) -> None:
    log = tmp_path / "x.log"

    async def run() -> str:
        child = Child(
            ChildSpec("x", ["/bin/sh", "-c", f"cat {tmp_path}/said; touch -d @{at_s - age_s} {log}; {end}"], log)
        )
        await child.start()
        await child.wait()
        return child.why_ended

    at_s = int(time.time())
    (tmp_path / "said").write_text(SURVIVED)
    assert asyncio.run(run()).startswith(told)


def told_of(told: list[Status], phase: str) -> list[str]:
    return [status.detail for status in told if (status.name, status.phase) == ("worker-1", phase)]


async def comes(true: Callable[[], bool], what: str) -> None:
    async def holds() -> bool:
        return true()

    await until(holds, what)


@pytest.mark.servers
def test_a_useless_worker_is_replaced_and_one_that_recovers_is_not(tmp_path: Path) -> None:
    async def run() -> None:
        told: list[Status] = []
        fault = tmp_path / "fault"
        plan = plan_of(tmp_path / "var", gateway=False)
        plan.extra_env["STUB_FAULT"] = str(fault)  # type: ignore[index]
        async with Stack(plan, told.append, unready_s=1.0, ask_s=0.1) as stack:
            pid = children_of(stack)["worker-1"]
            for passing in (RECOVERING, AWAY):
                fault.write_text(passing)
                checks = await ready_checks(Found(plan.var, stack_state(stack)))
                assert [check.status for check in checks] == ["warn" if passing == RECOVERING else "fail"]
                await asyncio.sleep(2.0)
            assert children_of(stack)["worker-1"] == pid
            for number, (ill, why) in enumerate([(RED, "has been down for 300 s"), ("mute", "does not answer")], 1):
                fault.write_text(ill)
                if ill == RED:
                    checks = await ready_checks(Found(plan.var, stack_state(stack)))
                    assert [(check.status, why in check.detail) for check in checks] == [("fail", True)]
                await comes(lambda n=number: len(told_of(told, "unready")) >= n, f"told that it is {ill}")
                fault.unlink()
                assert why in told_of(told, "unready")[-1]
                assert "worker-1.log" in told_of(told, "unready")[-1]
                await comes(lambda n=number: len(told_of(told, "ready")) > n, "ready again")
                assert children_of(stack)["worker-1"] != pid
                pid = children_of(stack)["worker-1"]

    asyncio.run(run())


def stack_state(stack: Stack):
    from floorwatch.sdk.stacks import read_state

    state = read_state(stack.plan.var)
    assert state is not None
    return state


@pytest.mark.servers
def test_a_worker_that_keeps_ending_is_told_with_its_reason_and_the_doctor_is_red(tmp_path: Path) -> None:
    async def run() -> None:
        told: list[Status] = []
        fault = tmp_path / "fault"
        plan = plan_of(tmp_path / "var", gateway=False)
        plan.extra_env["STUB_FAULT"] = str(fault)  # type: ignore[index]
        async with Stack(plan, told.append) as stack:
            fault.write_text("end")
            os.kill(children_of(stack)["worker-1"], signal.SIGKILL)
            await comes(lambda: bool(told_of(told, "waiting")), "told that it is in a crash loop")
            ended = told_of(told, "ended")
            assert ended[0].startswith("killed (SIGKILL), no message; log: ")
            assert (
                "exit code 78: streams.worker: the worker stopped after a failure: the record is too large" in ended[-1]
            )
            assert "worker-1.log" in ended[-1]
            assert "ended 3 times in a row" in told_of(told, "waiting")[0]
            checks = stack_checks(Found(plan.var, stack_state(stack)), None, {})
            assert [(check.status, check.name) for check in checks] == [("fail", "worker-1")]
            assert "the record is too large" in checks[0].detail
            fault.unlink()

    asyncio.run(run())
