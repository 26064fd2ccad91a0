"""One sender never keeps the others waiting: connections, requests, bodies, and how slowly they may come."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway.body
import gateway.http_connections
from gateway.context import GATEWAY
from gateway.fair_share import FairShare
from gateway.http_connections import ConnectionTable, most_connections
from gateway.listen import GatewaySite
from gateway.refusal_log import RefusalLog
from gateway.settings import GatewaySettings
from telemetry.occasionally import Occasionally
from tests.gateway.harness import Bench, label, raw_fixture
from tests.gateway.raw import KUL, MNL, Raw, head, raw, secured
from tests.waits import until


async def others_are_served(bench: Bench) -> None:
    """Another sender's events, and webhooks of both, are taken at once."""
    theirs, ours = {"Authorization": f"Bearer {MNL}"}, {"Authorization": f"Bearer {KUL}"}
    assert (await bench.post(label(), **theirs))[0] == 202
    assert (await bench.hook(raw_fixture("0009"), **theirs))[0] == 200
    assert (await bench.hook(raw_fixture("0014"), **ours))[0] == 200
    async with bench.client.get("/readyz") as answer:
        assert answer.status == 200


async def many(bench: Bench, stack: AsyncExitStack, count: int, first: bytes) -> list[Raw]:
    found = [await stack.enter_async_context(raw(bench.url)) for _ in range(count)]
    for one in found:
        await one.send(first)
    return found


@pytest.mark.parametrize("count", [16, 60])
@pytest.mark.parametrize("begin", [b"", b"[", b"[" + b" " * 300_000])
def test_one_that_announces_much_and_sends_little_is_alone_with_it(count: int, begin: bytes) -> None:
    async def steps(bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            await many(bench, stack, count, head() + begin)
            events = bench.app[GATEWAY].events
            await until(lambda: events.requests.of("kul") == min(count, 24), "as many requests as it may have")
            await others_are_served(bench)
            if count > 24:
                status, said = await bench.post(label(), Authorization=f"Bearer {KUL}")
                assert (status, said["error"]["code"]) == (429, "sender_share")
            held = events.body_bytes.held
            assert held <= count * (len(begin) + 1)  # what has arrived, not what was announced
        await until(lambda: events.requests.held == 0, "no request held", progress=lambda: events.requests.held)
        assert events.body_bytes.held == 0
        assert (await bench.post(label(), Authorization=f"Bearer {KUL}"))[0] == 202

    Bench(secured(max_requests=64)).run(steps)


def test_bodies_of_one_sender_stay_within_its_share_of_memory() -> None:
    async def steps(bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            await many(bench, stack, 10, head(length=100_000) + b" " * 90_000)
            events = bench.app[GATEWAY].events
            await until(lambda: events.requests.of("kul") < 10, "a request to go")  # somebody was refused
            assert events.body_bytes.of("kul") <= events.body_bytes.most // 2
            await others_are_served(bench)

    Bench(secured(max_body_bytes=100_000)).run(steps)


@pytest.mark.parametrize("drip", [b"", b"["])
def test_a_slow_body_is_408(monkeypatch: pytest.MonkeyPatch, drip: bytes) -> None:
    monkeypatch.setattr(gateway.body, "GRACE_S", 0.2)

    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(head())
            asking = asyncio.create_task(one.answer())
            while not asking.done():
                if drip:
                    one.writer.write(drip)
                await asyncio.sleep(0.02)
            status, said = asking.result()
            assert (status, said["error"]["code"]) == (408, "slow_body")
        metrics = await bench.metrics()
        assert metrics['floorwatch_gateway_refused_total{reason="slow_body",sender="kul"}'] == 1

    Bench(secured()).run(steps)


def test_a_body_that_comes_steadily_may_take_longer_than_the_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.body, "GRACE_S", 0.05)

    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(head(length=2048))
            for _ in range(32):
                await one.send(b" " * 64)
                await asyncio.sleep(0.01)
            assert (await one.answer())[1]["rejected"][0]["code"] == "empty"

    Bench(secured(min_body_bytes_per_s=100)).run(steps)


@pytest.mark.parametrize(
    "begin", [b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\n", b"P", b"\r\n", b"POST / HTTP/1.1\r\nX: "]
)
def test_a_slow_head_is_ended(begin: bytes) -> None:
    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one, raw(bench.url) as silent, raw(bench.url) as later:
            await one.send(begin)
            await later.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await later.answer())[0] == 200
            await later.send(begin)  # the second request of a connection
            for slow in (one, later, silent):
                status, said = await slow.answer()
                assert (status, said["error"]["code"]) == (408, "slow_head")
                assert await slow.is_ended()
        await until(lambda: len_of(bench) <= 1, "one connection left", progress=lambda: len_of(bench))

    Bench(secured(header_timeout_s=0.2)).run(steps)


def len_of(bench: Bench) -> int:
    registry = bench.app[GATEWAY].metrics.registry
    return int(registry.get_sample_value("floorwatch_gateway_connections") or 0)


def test_an_idle_connection_is_ended() -> None:
    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await one.answer())[0] == 200
            assert await one.is_ended()

    Bench(secured(idle_timeout_s=0.2)).run(steps)


@pytest.mark.parametrize("first", [b"", b"POST /v1/ev", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_idle_connections_make_room_for_new_ones(first: bytes) -> None:
    async def steps(bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            await many(bench, stack, 100, first)
            for _ in range(5):
                await others_are_served(bench)
                assert len_of(bench) <= 32
        metrics = await bench.metrics()
        assert metrics['floorwatch_gateway_connections_ended_total{reason="too_many"}'] > 60

    Bench(secured(max_connections=32)).run(steps)


def test_busy_connections_of_one_sender_leave_room_for_the_others() -> None:
    async def steps(bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            events = bench.app[GATEWAY].events
            for count in range(1, 9):
                await many(bench, stack, 1, head())
                await until(lambda count=count: events.requests.of("kul") == count, f"{count} requests held")
            for one in await many(bench, stack, 2, head()):
                status, said = await one.answer()
                assert (status, said["error"]["code"]) == (503, "sender_share")
            await others_are_served(bench)

    Bench(secured(max_connections=32)).run(steps)


def test_a_sender_that_does_not_read_its_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.http_connections, "WRITE_TIMEOUT_S", 0.2)

    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            one.writer.transport.pause_reading()  # type: ignore[attr-defined]
            # Pipelined requests whose answers nobody reads.
            ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30
            ended = bench.app[GATEWAY].metrics.registry
            name = "floorwatch_gateway_connections_ended_total"

            def is_ended() -> bool:
                return bool(ended.get_sample_value(name, {"reason": "slow_reader"}))

            for _ in range(200):
                if is_ended() or one.writer.is_closing():
                    break
                one.writer.write(ask)
                await asyncio.sleep(0.02)
            await until(is_ended, "the connection to end")
        await others_are_served(bench)

    Bench(secured()).run(steps)


def test_a_flood_of_webhooks_of_one_tool_leaves_room_in_the_spool() -> None:
    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True
        ours, theirs = {"Authorization": f"Bearer {KUL}"}, {"Authorization": f"Bearer {MNL}"}
        taken = [(await bench.hook(raw_fixture("0009"), **ours))[0] for _ in range(12)]
        assert (taken[:8], taken[-1]) == ([202] * 8, 503)
        assert (await bench.hook(raw_fixture("0014"), **theirs))[0] == 202
        bench.publisher.broken = False

    Bench(secured(spool_max_hooks=10, hook_deadline_s=0.02)).run(steps)


def test_without_tokens_each_address_has_its_own_rate() -> None:
    async def steps(bench: Bench) -> None:
        assert [(await bench.post(label()))[0] for _ in range(2)] == [202, 429]
        assert bench.app[GATEWAY].buckets.wait_s("ip:203.0.113.9") == 0

    Bench(GatewaySettings(requests_per_s=0.01, burst_requests=1)).run(steps)


class NoDescriptors:
    """A listening socket that cannot take a connection."""

    tries = 0

    def __init__(self) -> None:
        self._real = socket.socket()
        self.fileno = self._real.fileno

    def accept(self) -> Any:
        self.tries += 1
        raise OSError(errno.EMFILE, "Too many open files")


def test_without_descriptors_it_pauses_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        table = ConnectionTable(100, RefusalLog((), Occasionally(10, lambda: 0.0)))
        counted: list[str] = []
        table.counted = counted.append
        site = GatewaySite.__new__(GatewaySite)
        site._table, site._paused = table, []
        listening: Any = NoDescriptors()
        for _ in range(50):
            site._accept(listening)
        assert (listening.tries, counted) == (50, ["no_descriptors"] * 50)
        assert len(site._paused) <= 50

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert caplog.text.count("\n") == 1
    assert "Too many open files" in caplog.text


def test_connections_never_need_more_descriptors_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(256, 256)]
    monkeypatch.setattr(gateway.http_connections.resource, "getrlimit", lambda _: limits[0])
    monkeypatch.setattr(gateway.http_connections.resource, "setrlimit", lambda _, __: None)
    assert most_connections(2000) == 128
    limits[0] = (1024, 4096)
    assert most_connections(2000) == 2000


def test_a_repeated_thing_is_said_now_and_then() -> None:
    now = [0.0]
    say = Occasionally(10, lambda: now[0])
    assert [say.due("a"), say.due("a"), say.due("b"), say.due("a")] == [1, 0, 1, 0]
    now[0] = 10.0
    assert [say.due("a"), say.due("b")] == [3, 1]


def test_what_was_not_said_is_said_when_its_while_is_over() -> None:
    now = [0.0]
    say = Occasionally(10, lambda: now[0])
    assert [say.due("a", 2) for _ in range(4)] == [1, 1, 0, 0]
    assert say.due("quiet") == 1
    now[0] = 9.0
    assert say.overdue() == []
    now[0] = 10.0
    assert say.overdue() == [("a", 2)]
    assert not say.knows("quiet")
    assert say.due("a", 1) == 0  # that sentence counts
    assert say.overdue(last=True) == [("a", 1)]
    now[0] = 20.0
    assert say.overdue() == []
    assert not say.knows("a")


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 30), st.booleans()), max_size=60))
def test_shares_add_up_and_a_newcomer_always_gets_something(steps: list[tuple[str, int, bool]]) -> None:
    shares = FairShare(100)
    held: list[tuple[str, int]] = []
    for sender, size, back in steps:
        if back and held:
            shares.give(*held.pop())
        elif shares.take(sender, size):
            held.append((sender, size))
        assert shares.held == sum(size for _, size in held)
        assert shares.held <= 100
        assert shares.of("new") == 0
        if len({sender for sender, _ in held}) == 1:
            assert shares.take("new", 20) or max(size for _, size in held) > 50
            if shares.of("new"):
                shares.give("new", 20)
    for one in held:
        shares.give(*one)
    assert shares.held == 0


@pytest.mark.parametrize(
    "ask", [b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", head(token="no-token-of-ours", length=0)]
)
def test_a_flood_without_a_token_is_cut_with_all_that_is_pipelined(ask: bytes) -> None:
    async def steps(bench: Bench) -> None:
        async with AsyncExitStack() as stack:
            answered = 0
            for one in await many(bench, stack, 30, ask * 50):
                said = await one.rest() if answered >= 400 else await one.reader.read(200)
                answered += said.count(b"HTTP/1.1 429") * 400
            registry = bench.app[GATEWAY].metrics.registry
            name = "floorwatch_gateway_refused_total"

            def refused() -> float:
                labels = {"reason": "too_many_requests", "sender": "unknown"}
                return registry.get_sample_value(name, labels) or 0

            await until(lambda: refused() >= 20, "most connections to be refused", progress=refused)
            assert refused() <= 30  # one a connection, not one a request
            theirs = {"Authorization": f"Bearer {MNL}"}
            assert (await bench.post(label(), **theirs))[0] == 202
            assert (await bench.hook(raw_fixture("0009"), **theirs))[0] == 200

    Bench(secured()).run(steps)
