"""What people see of the stack, and the pace of the simulated floor."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from msgspec import structs
from rich.console import Console

from alerts.codec import incident_record
from floorwatch.cli.demo_view import incident_text, screen
from floorwatch.embedded.child_process import cap_log, describe_exit, free_port, log_end
from floorwatch.embedded.journal import JournalWriter
from floorwatch.embedded.journal_segments import START, read_from
from floorwatch.embedded.player import demo_floor, play
from floorwatch.embedded.show import StackView
from floorwatch.embedded.status import Status
from floorwatch.simulate.wire import Sent
from tests.alerts.machine import opened

INCIDENT = incident_record(structs.replace(opened(), scope={"vendor": "[bold]bpo-a\x1b[31m"}), "what and where")


def plain(width: int = 100) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=False, width=width), out


def test_without_a_terminal_each_change_is_one_line_and_markup_is_text() -> None:
    console, out = plain()
    with StackView(console) as view:
        view(Status("broker", "starting"))
        view(Status("broker", "starting"))
        view(Status("broker", "ready", "127.0.0.1:9"))
    assert out.getvalue() == "broker: starting\nbroker: ready (127.0.0.1:9)\n"


def test_an_incident_says_what_since_when_why_and_which_tasks_and_its_values_are_only_text() -> None:
    console, out = plain()
    console.print(screen([], [INCIDENT], "status"))
    said = out.getvalue()
    for part in (
        "1 open incidents",
        "[page] [bold]bpo-a\N{REPLACEMENT CHARACTER}[31m: accuracy 88.1% (target 95%)",
        "since 09:03 UTC",
        "95% interval",
        "queue hate",
        "t-1001, t-1002",
    ):
        assert part in said
    assert "\x1b" not in incident_text(INCIDENT).plain


def test_playing_keeps_pace_and_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    now = [100.0]

    async def sleep(seconds: float, real=asyncio.sleep) -> None:
        slept.append(seconds)
        now[0] += seconds
        await real(0)

    events = [Sent(1000 + 60_000 * n, f"t{n}", b"%d" % n) for n in range(11)]

    async def run():
        async with JournalWriter(tmp_path, "w") as journal:
            monkeypatch.setattr("floorwatch.embedded.player.asyncio.sleep", sleep)
            return await play(events, journal, start_ms=1000, speed=60.0, now_s=lambda: now[0])

    played = asyncio.run(run())
    assert played.events == 11
    assert sum(slept) == pytest.approx(10.0)
    assert [int(record.value) for record in read_from(tmp_path / "w", START, 10_000).records] == list(range(11))


def test_the_demo_floor_ends_now_and_is_no_busier_than_can_be_folded() -> None:
    floor = demo_floor(4, 60, 1_000_000_000_000)
    assert floor.start_ms + floor.duration_s * 1000 == 1_000_000_000_000
    assert floor.rate * floor.duration_s / 60 == pytest.approx(2000)
    assert demo_floor(1, 3600, 0).rate == 26.0
    # Played in a few seconds it still has evidence enough for its alert.
    assert demo_floor(4, 5, 0).rate == demo_floor(4, 30, 0).rate


def test_small_things_of_processes(tmp_path: Path) -> None:
    assert (describe_exit(-9), describe_exit(1)) == ("SIGKILL", "exit code 1")
    log = tmp_path / "x.log"
    assert log_end(log) == "  (no log)"
    log.write_bytes(b"a\n" * 100)
    assert not cap_log(log, 1000)
    log.write_bytes(b"b" * 3_000_000)
    assert cap_log(log, 2_000_000)
    assert (log.stat().st_size, (tmp_path / "x.log.1").stat().st_size) == (0, 1024 * 1024)
    port = free_port()
    assert free_port(port) == port
