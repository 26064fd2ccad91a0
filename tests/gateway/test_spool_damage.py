"""A flipped bit in the spool costs at most the webhook it is in, and is told."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest

from floorwatch.sdk.spool import DiskSpool
from floorwatch.sdk.spool_records import framed, framed_number, read_number, read_records
from gateway.settings import GatewaySettings
from tests.gateway.harness import Bench, raw_fixture

HOOKS = [
    (number, b'{"source":"label-studio/kul","received_ms":%d,"hook":{"action":"X"}}' % number)
    for number in range(8, 12)
]
FILE = b"".join(framed(number, text) for number, text in HOOKS)


def test_any_flipped_bit_costs_at_most_the_record_it_is_in() -> None:
    starts = [found.start() for found in re.finditer(rb"^", FILE, re.MULTILINE)][: len(HOOKS)]
    for place in range(len(FILE)):
        which = max(index for index, start in enumerate(starts) if start <= place)
        for bit in range(8):
            data = FILE[:place] + bytes([FILE[place] ^ (1 << bit)]) + FILE[place + 1 :]
            kept, damaged = read_records(data)
            others = [one for index, one in enumerate(HOOKS) if index != which]
            assert [one for one in kept if one != HOOKS[which]] == others, (place, bit)
            assert HOOKS[which] in kept or len(damaged) == 1
            assert not any(one.torn for one in damaged) or place >= starts[-1]


@pytest.mark.parametrize("cut", range(1, len(framed(*HOOKS[-1]))))
def test_a_cut_end_is_told_as_such_and_costs_only_itself(cut: int) -> None:
    kept, damaged = read_records(FILE[:-cut])
    assert kept == HOOKS[: len(kept)]
    assert len(kept) == len(HOOKS) - (cut > 1)  # without its line feed alone a record is whole
    assert [one.torn for one in damaged] == [True] * (cut > 1)


def test_how_far_it_is_done_is_never_read_wrong() -> None:
    data = framed_number(12)
    assert read_number(data) == read_number(b"12") == 12  # as older versions wrote it
    for place in range(len(data)):
        for bit in range(8):
            flipped = data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]
            assert read_number(flipped) in (None, 12)


@pytest.mark.parametrize("name", ["done", "id"])
@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"7x", b"99999 1234567890\n"])
def test_damaged_small_files_lose_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    spool = DiskSpool(tmp_path)
    spool.open()
    spool.append(HOOKS)
    spool.done(9)
    spool.close()
    (tmp_path / name).write_bytes(content)
    again = DiskSpool(tmp_path)
    assert again.open()[-2:] == HOOKS[-2:]
    assert again.next_number > 11
    again.close()


def test_damage_is_set_aside_and_told_and_numbers_it_hides_are_never_used_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = DiskSpool(tmp_path)
    spool.open()
    spool.append(HOOKS)
    spool.close()
    (path,) = tmp_path.glob("hooks-*.jsonl")
    path.write_bytes(FILE[:-40] + b"\x00" + FILE[-39:])
    (tmp_path / "hooks-strange.jsonl").write_bytes(b"?")
    for _ in range(2):  # told anew at each start, kept once
        again = DiskSpool(tmp_path)
        assert again.open() == HOOKS[:-1]
        assert again.next_number > 11
        (said,) = again.damage
        assert f"{len(framed(*HOOKS[-1])) - 1} bytes at {len(FILE) - len(framed(*HOOKS[-1]))}" in said
        (beside,) = tmp_path.glob("*.damaged")
        assert again.damaged_bytes == beside.stat().st_size == len(framed(*HOOKS[-1]))
        assert beside.stat().st_mode & 0o077 == 0
        again.close()
    assert "cannot be read" in caplog.text
    assert "cut" not in caplog.text


@pytest.mark.slow
def test_a_gateway_delivers_the_others_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = GatewaySettings(
        spool_dir=tmp_path, hook_deadline_s=0.3
    )  # each must be on disk by then, on a busy machine too

    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True
        for name in ("0009", "0014", "0009"):
            assert (await bench.hook(raw_fixture(name), f"?source={name}"))[0] == 202

    Bench(settings).run(steps)
    (path,) = tmp_path.glob("hooks-*.jsonl")
    first, second, third, _ = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([first, second[:50] + b"\xff" + second[51:], third, b""]))

    async def restarted(bench: Bench) -> None:
        for _ in range(500):
            if len(bench.publisher.records) >= 2:
                break
            await asyncio.sleep(0.01)
        async with bench.client.get("/readyz") as answer:
            said = await answer.json()
            assert answer.status == 200
            assert "bytes at" in said["reasons"][0]
        assert (await bench.metrics())["floorwatch_gateway_spool_damaged_bytes"] == len(second) + 1
        assert (await bench.hook(raw_fixture("0014")))[1]["events"] == 1

    with caplog.at_level(
        logging.ERROR
    ):  # a restarted gateway answers when events are on the log, however long it takes
        bench = Bench(GatewaySettings(spool_dir=tmp_path)).run(restarted)
    assert len({event["source"] for event in bench.events}) == 2
    assert sum("cannot be read" in record.message for record in caplog.records) == 1
