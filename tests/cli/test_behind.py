"""What was accepted and is not on the log yet is told before a replay."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from floorwatch.cli.behind import behind_words, tell_behind, unsent_events, waiting_in
from floorwatch.embedded.journal import JournalWriter
from floorwatch.embedded.journal_segments import end_of
from floorwatch.embedded.shipper import Progress, save_progress
from floorwatch.embedded.state import Paths
from floorwatch.sdk.stacks import Found, ProcessMark, StackState
from streams.models.topics import DEAD_LETTERS, RAW


def write(journal: Path, writer: str, count: int, topic: str = RAW) -> None:
    async def run() -> None:
        async with JournalWriter(journal, writer, segment_bytes=2_000) as opened:
            for n in range(count):
                await opened.publish([(b"t-%d" % n, b"value-%d" % n)], topic)

    asyncio.run(run())


def stack_on(var: Path) -> Found:
    state = StackState(ProcessMark(1, "now"), {}, {}, {}, str(Paths(var).journal), "", 1, "e1")
    return Found(var, state)


def sent_until_now(paths: Paths, epoch: str) -> None:
    paths.run.mkdir(exist_ok=True)
    save_progress(paths.progress, Progress(epoch, {"a": end_of(paths.journal / "a")}, 0, 0))


def test_events_that_the_shipper_has_not_sent_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The fault planted: right after a 202 a replay lacked 3,946 of 57,600 events without a word."""
    paths = Paths(tmp_path)
    write(paths.journal, "a", 120)
    sent_until_now(paths, "e1")
    assert unsent_events(paths.journal, paths.progress, "e1") == 0
    tell_behind(stack_on(tmp_path))
    assert capsys.readouterr().err == ""
    write(paths.journal, "a", 70)
    write(paths.journal, "b", 30)
    write(paths.journal, "b", 9, DEAD_LETTERS)
    tell_behind(stack_on(tmp_path))
    said = capsys.readouterr()
    assert said.out == ""
    assert "not on the log yet when the reading began: about 100 events." in " ".join(said.err.split())


def test_a_new_broker_has_nothing_yet(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    write(paths.journal, "a", 50)
    sent_until_now(paths, "of the broker before")
    assert unsent_events(paths.journal, paths.progress, "e1") == 50
    assert unsent_events(tmp_path / "none", paths.progress, "e1") == 0


def test_what_waits_for_intake_is_of_every_worker() -> None:
    page = (
        "# TYPE floorwatch_lag_records gauge\n"
        'floorwatch_lag_records{{stage="intake",partition="{0}"}} {1}\n'
        'floorwatch_lag_records{{stage="scopes",partition="{0}"}} 1000.0\n'
    )
    assert waiting_in([page.format(0, 5.0), page.format(1, 37.0)]) == 42
    assert behind_words(0) == ""
    assert "about 1 event." in behind_words(1)


def test_neither_a_strange_page_nor_a_stack_without_files_stops_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_behind(None)
    tell_behind(stack_on(tmp_path))
    assert capsys.readouterr().err == ""
