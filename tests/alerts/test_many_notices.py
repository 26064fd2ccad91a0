"""Ten thousand messages decided in a minute: bounded in memory, held to each channel's rate, none lost, also when Redis is."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any, cast

import pytest

from alerts.incident import Receipt, Stamp
from alerts.notice import Notice, Target
from alerts.outbox import SendingRate
from alerts.outgoing import encode_notification
from alerts.receipts import MOST_ENDED, MOST_OPEN, ReceiptBook
from alerts.routing.policy import RoutePolicy, RoutingPolicy
from streams.adapters.redis_retry import RedisRetry
from streams.adapters.topic_names import TopicNames
from streams.agents import notice_delivery
from streams.agents.notice_delivery import NoticeDelivery
from tests.alerts.durable_world import DurableWorld, run
from tests.alerts.machine import signal
from tests.alerts.rows import NOW_MS

MANY = 10_000
ALONE = RoutingPolicy({"default": RoutePolicy("default", ("channel:ops",), group_by=("vendor",))}, channels=("ops",))
"""Each vendor is told of in a message of its own."""


@pytest.mark.slow
def test_the_book_takes_about_a_kilobyte_a_notice_and_no_more_than_its_bound() -> None:
    tracemalloc.start()
    book = ReceiptBook()
    for number in range(MOST_OPEN + MOST_ENDED + 10_000):
        name = f"90e1e1b7f2a94c0b8f3f8f2e4c5d6a7b:{number:016x}"
        book.decide(
            Notice(name, "g", "default", "open", (), (Target("channel:ops", ("ops", "mail"), ""),), 1, Stamp(0, 1))
        )
        book.written(name)
        book.fold(Receipt(name, "g", "ops", "sent", 5, ref="C0123ABCD/1795428120.000100"))
        if number % 3 == 0:
            book.fold(Receipt(name, "g", "mail", "sent", 5))
        book.forget(2)
        if number % 1000 == 0:
            book.changes()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(book.waiting()) <= MOST_OPEN
    assert len(book) <= MOST_OPEN + MOST_ENDED
    assert held < 1_300 * len(book), held


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_messages_in_a_minute_are_held_to_their_rate_and_none_is_lost(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 2 * 1_048_576
    monkeypatch.setattr(notice_delivery, "MOST_HELD_BYTES", most)
    held: list[int] = []

    async def story(world: DurableWorld) -> None:
        ops, enqueue = world.ears["ops"], world.stage._delivery.enqueue

        async def noted(notes: list[object], sent: object) -> None:
            held.append(sum(len(encode_notification(note)) for note in notes))  # type: ignore[arg-type]
            await enqueue(notes, sent)  # type: ignore[arg-type]

        world.stage._delivery.enqueue = noted  # type: ignore[assignment, method-assign]
        world.rates["ops"] = SendingRate(600.0, 50)
        names = [f"v-{number:05}" for number in range(MANY)]
        await world.put(
            *(
                signal(True, NOW_MS, rule="the-rule", scope={"vendor": name}, scope_key=f"vendor={name}")
                for name in names
            )
        )
        await world.turn()
        assert 0 < max(held) <= most
        assert len(ops.heard) == 50, "the burst"
        world.now_ms += 30_000
        await world._deliver()
        assert len(ops.heard) == 100, "the burst is full again, and no more"
        await world.redis.flushall()
        for _ in range(3):
            await world.wait(0.1)
        assert await world.redis.zcard("f:{outbox}:due:ops") == MANY - len(ops.heard)
        world.rates.clear()
        await world.wait(0.1)
        assert len(ops.heard) == len(set(ops.heard)) == MANY
        await world.turn()
        assert world.messages() == set()
        assert all(state.open == () for state in world.states().values())

    run(redis_url, story, how=ALONE)


def test_messages_go_to_the_outbox_sixteen_at_a_time() -> None:
    """What comes after ten thousand of them is not held up for as long as one by one would take."""
    under_way, most, done = 0, 0, []

    class Outbox:
        async def enqueue(self, note: object) -> bool:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            done.append(note)
            return True

    nothing: Any = None
    delivery = NoticeDelivery(0, TopicNames("f.", 1), nothing, nothing, cast("Any", Outbox()), RedisRetry())
    notes: Any = list(range(100))
    asyncio.run(delivery.enqueue(notes, ()))
    assert sorted(done) == notes
    assert most == 16
