"""The emitter: what ``send`` has taken is delivered, in order and once, and what is refused can be read."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from floorwatch.embedded.child_process import free_port
from floorwatch.sdk import BadEvents, Emitter, EmitterSettings, NotEmitted, RefusedEvent, SpoolBusy, SpoolFull
from streams.models.formats import NewerFormat
from tests.sdk.scripted_gateway import GONE, QUICK, emitter, made, refusing, said, scripted
from tests.waits import until_plain

pytestmark = pytest.mark.fixed_clock  # the emitter's thread waits with deadlines

NOWHERE = "http://127.0.0.1:9"
WAIT_S = 60.0


def ids(*numbers: int) -> list[str]:
    return [f"e-{number}" for number in numbers]


# -- what is delivered -------------------------------------------------------------------------------------------------


def test_events_arrive_in_order_with_the_token_and_are_gone_from_the_disk(tmp_path: Path) -> None:
    with scripted() as gateway, emitter(gateway.url + "/", tmp_path / "spool", token="secret-token") as fw:
        assert fw.send() == 0
        for number in range(20):
            assert fw.send(made(number)) == 1
        assert fw.send(*map(made, range(20, 25))) == 5
        fw.flush(WAIT_S)
        assert gateway.ids == ids(*range(25))
        assert gateway.asked[0].headers["Authorization"] == "Bearer secret-token"
        assert gateway.asked[0].headers["User-Agent"].startswith("floorwatch-sdk/")
        status = fw.status()
        assert (status.waiting, status.waiting_bytes, status.delivered, status.refused) == (0, 0, 25, 0)
        assert status.trouble == ""
    with emitter(NOWHERE, tmp_path / "spool", GONE) as again:
        assert again.status().waiting == 0
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        (replace(QUICK, linger_s=60.0, batch_events=4), [4, 4]),
        (replace(QUICK, linger_s=60.0, batch_bytes=1), [1] * 8),
        (replace(QUICK, linger_s=0.2), [8]),
    ],
)
def test_a_batch_is_bounded_by_count_bytes_and_time(
    tmp_path: Path, settings: EmitterSettings, sizes: list[int]
) -> None:
    with scripted() as gateway, emitter(gateway.url, tmp_path, settings) as fw:
        fw.send(*map(made, range(8)))
        until_plain(lambda: len(gateway.ids) == 8 or len(gateway.sizes) == len(sizes), "the batches")
        assert (gateway.ids, gateway.sizes) == (ids(*range(8)), sizes)


def test_flush_and_close_do_not_wait_for_others_to_come(tmp_path: Path) -> None:
    settings = replace(QUICK, linger_s=3600.0)
    with scripted() as gateway:
        with emitter(gateway.url, tmp_path, settings) as fw:
            fw.send(made(1))
            fw.flush(WAIT_S)
            assert gateway.ids == ids(1)
            fw.send(made(2))
        assert gateway.ids == ids(1, 2)


def test_threads_keep_each_its_order_and_lose_nothing(tmp_path: Path) -> None:
    def work(fw: Emitter, thread: int) -> None:
        for number in range(25):
            fw.send(made(1000 * thread + number, f"t-{thread}"))

    with scripted() as gateway, emitter(gateway.url, tmp_path) as fw:
        threads = [threading.Thread(target=work, args=(fw, number)) for number in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        fw.flush(WAIT_S)
        assert len(gateway.ids) == len(set(gateway.ids)) == 200
        for thread in range(8):
            mine = [one for one in gateway.ids if int(one[2:]) // 1000 == thread]
            assert mine == ids(*range(1000 * thread, 1000 * thread + 25))


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_what_breaks_the_contract_is_told_at_once_and_nothing_is_kept(tmp_path: Path) -> None:
    with emitter(NOWHERE, tmp_path, GONE) as fw:
        with pytest.raises(BadEvents, match="event 1: "):
            fw.send(made(1), {"type": "floorwatch.label.submitted.v1"})
        assert fw.status().waiting == 0


def test_a_refused_event_is_told_kept_with_its_reason_and_not_sent_again(tmp_path: Path) -> None:
    told: list[RefusedEvent] = []

    def note(one: RefusedEvent) -> None:
        told.append(one)
        raise ValueError("a callback that fails stops nothing")

    with scripted(answering=refusing("e-1", "e-3")) as gateway:
        with emitter(gateway.url, tmp_path, on_refused=note) as fw:
            fw.send(*map(made, range(4)))
            fw.flush(WAIT_S)
            fw.send(made(4))
            fw.flush(WAIT_S)
            until_plain(lambda: len(told) == 2, "the callback")
            assert [(one.event["id"], one.refusal.reason, one.refusal.hint) for one in fw.refused()] == [
                ("e-1", "e-1 is bad", "mend"),
                ("e-3", "e-3 is bad", "mend"),
            ]
            assert (fw.status().delivered, fw.status().refused) == (3, 2)
        assert gateway.ids == ids(0, 1, 2, 3, 4)
        (tmp_path / "refused.jsonl").open("ab").write(b'{"at": "cut')
        with emitter(gateway.url, tmp_path) as fw:
            fw.send(made(1), made(5))
            fw.flush(WAIT_S)
            assert [one.event["id"] for one in fw.refused()] == ["e-1", "e-3"], "once, though refused twice"


def test_refusals_that_cannot_be_kept_are_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "refused.jsonl").mkdir(parents=True)
    with scripted(answering=refusing("e-1")) as gateway, emitter(gateway.url, tmp_path) as fw:
        fw.send(made(1))
        until_plain(lambda: "refused.jsonl cannot be written" in fw.status().trouble, "the trouble")
        (tmp_path / "refused.jsonl").rmdir()
        fw.flush(WAIT_S)
        assert [one.event["id"] for one in fw.refused()] == ["e-1"]


def test_refused_events_fill_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(answering=refusing(*ids(*range(9)))) as gateway, emitter(gateway.url, tmp_path) as fw:
        fw._refused_events._max_bytes = 100
        for number in range(9):
            fw.send(made(number))
            fw.flush(WAIT_S)
        assert [one.event["id"] for one in fw.refused()] == ids(7, 8)
        assert sorted(path.name for path in tmp_path.glob("refused*")) == ["refused.jsonl", "refused.older.jsonl"]


# -- a gateway that is busy or away ------------------------------------------------------------------------------------


def test_a_busy_gateway_is_asked_again_with_the_same_events(tmp_path: Path) -> None:
    busy = said(503, {"error": {"code": "unavailable", "reason": "no broker", "hint": "again"}}, Retry_After="0")
    with scripted(busy, said(429, {}), said(500, b"oops"), said(408, b"")) as gateway:
        with emitter(gateway.url, tmp_path) as fw:
            fw.send(made(1), made(2))
            fw.flush(WAIT_S)
        assert gateway.ids == ids(1, 2) * 5


def test_a_gateway_is_not_asked_before_it_wants_to_be(tmp_path: Path) -> None:
    with scripted(said(429, {}, Retry_After="1")) as gateway, emitter(gateway.url, tmp_path) as fw:
        fw.send(made(1))
        until_plain(lambda: "answered 429" in fw.status().trouble, "the trouble")
        with pytest.raises(NotEmitted, match="1 events wait in .*answered 429"):
            fw.flush(0.01)
        fw.flush(WAIT_S)
        first, second = gateway.asked
        assert second.at_s - first.at_s >= 1.0
        assert fw.status().trouble == ""


def test_while_the_gateway_is_away_events_wait_and_then_come_in_order(tmp_path: Path) -> None:
    port = free_port()
    with emitter(f"http://127.0.0.1:{port}", tmp_path, replace(QUICK, batch_events=7)) as fw:
        for number in range(50):
            fw.send(made(number, f"t-{number % 3}"))
        until_plain(lambda: "nothing listens there" in fw.status().trouble, "the trouble")
        assert fw.status().waiting == 50
        with scripted(port=port) as gateway:
            fw.flush(WAIT_S)
            assert gateway.ids == ids(*range(50))


def test_an_emitter_that_was_stopped_goes_on_where_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with emitter(NOWHERE, tmp_path, GONE) as fw:
        fw.send(*map(made, range(3)))
    assert "3 events wait in" in caplog.text
    with pytest.raises(NotEmitted, match="closed"):
        fw.send(made(9))
    (segment,) = tmp_path.glob("events-*.jsonl")
    with segment.open("ab") as file:
        file.write(b'1234abcd 4 {"cut')  # the write in which it was killed; nobody was promised it
    with scripted() as gateway, emitter(gateway.url, tmp_path) as again:
        assert again.status().damage == ()
        again.send(made(3))
        again.flush(WAIT_S)
        assert gateway.ids == ids(0, 1, 2, 3)
    with scripted() as gateway, emitter(gateway.url, tmp_path) as third:
        assert third.status().waiting == 0


def test_a_token_that_is_not_known_is_told_and_nothing_is_given_up(tmp_path: Path) -> None:
    unknown = said(401, {"error": {"code": "unauthorized", "reason": "no such token", "hint": "give one"}})
    with scripted(answering=lambda _: unknown) as gateway, emitter(gateway.url, tmp_path, GONE) as fw:
        fw.send(made(1))
        until_plain(lambda: len(gateway.asked) > 2, "it tries again")
        assert fw.status().trouble == f"{gateway.url} answered 401: no such token (give one)"
    with scripted() as gateway, emitter(gateway.url, tmp_path) as fw:
        fw.flush(WAIT_S)
        assert gateway.ids == ids(1)


# -- the spool ---------------------------------------------------------------------------------------------------------


def test_a_full_spool_refuses_what_is_new_and_drops_nothing(tmp_path: Path) -> None:
    port = free_port()
    settings = replace(QUICK, max_spool_bytes=2000)
    with emitter(f"http://127.0.0.1:{port}", tmp_path, settings) as fw:
        with pytest.raises(SpoolFull, match=r"the spool is full: \d+ events wait in .*raise max_spool_bytes"):
            send_many(fw, 100)
        sent = fw.status().waiting
        assert sent > 2
        assert fw.status().waiting_bytes <= 2000
        with pytest.raises(SpoolFull, match="more than the spool may hold"):
            fw.send(*map(made, range(100, 200)))
        with scripted(port=port) as gateway:
            fw.flush(WAIT_S)
            fw.send(made(sent))
            fw.flush(WAIT_S)
            assert gateway.ids == ids(*range(sent + 1))


def send_many(fw: Emitter, count: int) -> None:
    for number in range(count):
        fw.send(made(number))


def test_who_has_time_waits_for_room(tmp_path: Path) -> None:
    with scripted(said(429, {}, Retry_After="1")) as gateway:
        with emitter(gateway.url, tmp_path, replace(QUICK, max_spool_bytes=600, full_wait_s=WAIT_S)) as fw:
            for number in range(12):
                fw.send(made(number))
            fw.flush(WAIT_S)
        assert list(dict.fromkeys(gateway.ids)) == ids(*range(12))


def test_a_disk_that_fails_promises_nothing_and_is_told(tmp_path: Path) -> None:
    failing = True

    def sync(fd: int) -> None:
        if failing:
            raise OSError(28, "No space left on device")
        os.fsync(fd)

    with scripted() as gateway, emitter(gateway.url, tmp_path) as fw:
        fw._spool._sync = sync
        with pytest.raises(NotEmitted, match=r"cannot be written: No space left on device \(make room"):
            fw.send(made(1))
        assert fw.status().waiting == 0
        failing = False
        fw.send(made(2))
        fw.flush(WAIT_S)
        assert gateway.ids == ids(2)
        assert fw._reserved_bytes == 0


def test_a_folder_has_one_emitter_and_one_that_is_newer_is_left_alone(tmp_path: Path) -> None:
    with emitter(NOWHERE, tmp_path, GONE), pytest.raises(SpoolBusy, match="give each its own folder"):
        emitter(NOWHERE, tmp_path)
    (tmp_path / "format").write_text("9\n")
    with pytest.raises(NewerFormat, match="an emitter's spool"):
        emitter(NOWHERE, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        emitter(NOWHERE, tmp_path / "file")


def test_damage_costs_one_event_and_is_told(tmp_path: Path) -> None:
    with emitter(NOWHERE, tmp_path, GONE) as fw:
        fw.send(*map(made, range(3)))
    (segment,) = tmp_path.glob("events-*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b"l-1", b"l-\x00"))
    with scripted() as gateway, emitter(gateway.url, tmp_path) as fw:
        fw.flush(WAIT_S)
        assert gateway.ids == ids(0, 2)
        assert "events that were promised may be in them" in fw.status().damage[0]


# -- the process -------------------------------------------------------------------------------------------------------


@pytest.mark.servers
def test_after_a_fork_the_parent_has_the_spool(tmp_path: Path) -> None:
    with scripted() as gateway:
        with emitter(gateway.url, tmp_path) as fw:
            fw.send(made(1))
            fw.flush(WAIT_S)
            reading, writing = os.pipe()
            hold, release = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    fw.send(made(2))
                except NotEmitted as error:
                    os.write(writing, str(error).encode())
                os.close(release)
                os.read(hold, 1)
                os._exit(0)
            os.close(hold)
            assert b"make one in each process" in os.read(reading, 1000)
            fw.send(made(3))
            fw.flush(WAIT_S)
        with emitter(gateway.url, tmp_path):  # though the child still lives
            assert gateway.ids == ids(1, 3)
        os.close(release)
        os.waitpid(child, 0)


def test_closing_is_bounded_and_may_be_done_twice(tmp_path: Path) -> None:
    fw = emitter(NOWHERE, tmp_path, replace(GONE, retry_first_s=3600.0, retry_most_s=3600.0))
    fw.send(made(1))
    began_s = time.monotonic()
    fw.close(0.2)
    fw.close()
    assert time.monotonic() - began_s < WAIT_S
    until_plain(lambda: not fw._thread.is_alive(), "the end of the thread")
    with pytest.raises(NotEmitted, match="1 events wait"):
        fw.flush(0.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "gateway:8090"}, "http://host:port"),
        ({"url": "http://"}, "http://host:port"),
        ({"url": "http://host:port"}, "http://host:port"),
        ({"token": "two\nlines"}, "without line ends"),
    ],
)
def test_what_cannot_work_is_refused_before_a_file_is_made(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Emitter(**{"url": NOWHERE, "spool": tmp_path / "spool", **given})
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize(
    "wrong",
    [{"batch_events": 1001}, {"batch_events": 0}, {"timeout_s": 0}, {"linger_s": -1}, {"retry_most_s": 0.1}],
)
def test_settings_that_cannot_work_are_refused_by_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is {wrong[name]}: give"):
        EmitterSettings(**wrong)
