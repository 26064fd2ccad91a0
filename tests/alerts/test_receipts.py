"""Receipts: what became of a notification is on the log, and an outbox that was lost is filled from there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from alerts.channels.base import ChannelError
from alerts.deliveries import channel_states, deliveries, listed
from alerts.incident import Ack, Outcome, Receipt, Stamp, Tick
from alerts.notice import Notice, Target
from alerts.receipts import NO_CHANNEL, NoticeReceipts, ReceiptBook, received
from alerts.routing.policy import RoutePolicy, RoutingPolicy
from tests.alerts.durable_world import Dead, DurableWorld, Hearing, run
from tests.alerts.incident_world import KEY, Killed, on
from tests.alerts.machine import signal
from tests.alerts.rows import MINUTE_MS, NOW_MS

STATE = NoticeReceipts("g:1", 1, ("ops", "phone"))


def receipt(channel: str, outcome: Outcome, at_ms: int = 5, **more: object) -> Receipt:
    return structs.replace(Receipt("g:1", "g", channel, outcome, at_ms), **more)


def notice(name: str, *channels: str) -> Notice:
    return Notice(name, "g", "default", "open", (), (Target("person:mei", channels, ""),), 1, Stamp(0, 1))


def folded(*receipts: Receipt) -> NoticeReceipts:
    state = STATE
    for one in receipts:
        state = received(state, one)
    return state


def test_a_notice_waits_for_its_channels_and_for_those_that_come_in_their_place() -> None:
    assert STATE.open == ("ops", "phone")
    state = folded(receipt("ops", "sent"), receipt("phone", "failing", reason="503"))
    assert state.open == ("phone",)
    state = received(state, receipt("phone", "given_up", 9, reason="404", instead=("mail",)))
    assert (state.open, state.revivable) == (("mail",), True)
    phone = state.receipts[1]
    assert (phone.since_ms, phone.at_ms, phone.reason) == (5, 9, "404")
    assert state.replaces("mail") == phone
    assert received(state, receipt("mail", "sent")).open == ()
    assert folded(receipt("ops", "sent"), receipt(NO_CHANNEL, "given_up", reason="no route")).open == ()


@given(
    st.lists(
        st.builds(
            receipt,
            st.sampled_from(["ops", "phone", "mail"]),
            st.sampled_from(["sent", "failing", "given_up", "gone"]),
            st.integers(1, 9),
        ),
        max_size=8,
    ),
    st.data(),
)
def test_a_receipt_that_is_met_twice_counts_once_and_who_has_it_keeps_it(
    receipts: list[Receipt], data: st.DataObject
) -> None:
    once = folded(*receipts)
    twice = folded(*(one for given in receipts for one in (given, given)))
    assert once == twice
    sent = {one.channel for one in receipts if one.outcome == "sent"}
    assert {one.channel for one in once.receipts if one.outcome == "sent"} == sent
    if receipts:
        one = data.draw(st.sampled_from(receipts))
        assert set(folded(*receipts, one).open) <= set(STATE.channels)


def test_the_book_is_bounded_and_forgets_what_is_over_first() -> None:
    book = ReceiptBook(most_open=3, most_ended=2)
    for number in range(5):
        assert book.decide(notice(f"g:{number}", "ops"))
        book.written(f"g:{number}")
    assert not book.decide(notice("g:0", "ops"))
    assert book.forget(1) == 2
    assert [one.id for one in book.waiting()] == ["g:2", "g:3", "g:4"]
    for number in (2, 3, 4):
        book.fold(Receipt(f"g:{number}", "g", "ops", "sent", 7))
    book.fold(Receipt("not:known", "g", "ops", "sent", 7))
    assert book.forget(1) == 0
    changes = book.changes()
    assert list(changes.forgotten) == ["g:0", "g:1", "g:2"]
    assert (list(changes.states), list(changes.ended)) == (["g:3", "g:4"], ["g:3", "g:4"])
    assert [name for name, _, _ in changes.sent] == ["g:2", "g:3", "g:4"]
    assert len(book) == 2
    book.forget(2 + 30 * 86_400_000)
    assert len(book) == 0


def test_what_became_of_a_message_is_on_the_log(redis_url: str) -> None:
    async def story(world: DurableWorld) -> None:
        await world.put(on())
        await world.turn()
        (sent,) = world.receipts()
        assert (sent.outcome, sent.ref, sent.channel) == ("sent", "default/1", "default")
        (state,) = world.states().values()
        assert (state.id, state.open, world.messages()) == (sent.notice, ("default",), {sent.notice})
        await world.turn()
        (state,) = world.states().values()
        assert (state.open, state.receipts[0].ref, world.messages()) == ((), "default/1", set())
        await world.restart()
        await world.wait(1)
        assert world.heard() == {("default", "open"): 1}

    run(redis_url, story)


def test_who_fails_and_since_when_and_who_gets_it_instead_is_told_also_when_redis_was_lost(redis_url: str) -> None:
    async def story(world: DurableWorld) -> None:
        world.fallbacks["default"] = "mail"
        default = world.ears["default"]
        default.faults = [ChannelError("503"), ChannelError("503"), ChannelError("404", permanent=True)]
        began = world.now_ms
        await world.put(on())
        await world.turn()
        await world.turn()
        assert [(one.channel, one.outcome, one.reason) for one in world.receipts()] == [("default", "failing", "503")]
        await world.redis.flushall()
        world.ears["mail"].down = True
        await world.settle()
        assert len([one for one in world.receipts() if one.outcome == "failing" and one.channel == "default"]) == 1
        (state,) = world.states().values()
        assert [(one.outcome, one.since_ms) for one in state.receipts if one.channel == "default"] == [
            ("given_up", began)
        ]
        assert state.open == ("mail",)
        await world.redis.flushall()
        world.ears["mail"].down = False
        await world.settle()
        assert world.heard() == {("mail", "open"): 1}
        held = (await deliveries(world.outbox, [state.id]))[state.id]
        assert [(one.channel, one.state, one.failing_since_ms) for one in held] == [
            ("default", "dead", began),
            ("mail", "sent", None),
        ]
        assert held[1].instead_of == "default: 404"
        await world.redis.flushall()
        await world.settle(30)
        assert [(one.channel, one.state) for one in await listed(world.outbox, "dead")] == [("default", "dead")]
        assert await world.outbox.revive(state.id, "default")
        await world.settle()
        assert world.heard() == {("mail", "open"): 1, ("default", "open"): 1}
        assert world.messages() == set()

    run(redis_url, story, channels=("mail",))


def test_a_channel_that_is_configured_no_more_is_gone_and_ends_the_waiting(redis_url: str) -> None:
    async def story(world: DurableWorld) -> None:
        del world.ears["default"]
        world.ears["new"] = Hearing("new")
        await world.put(on())
        await world.turn()
        await world.wait(0.5)
        (state,) = world.states().values()
        assert state.open == ("default",)
        world.replaced["default"] = "new"
        await world.settle(30)
        (state,) = world.states().values()
        assert {one.channel: one.outcome for one in state.receipts} == {"default": "gone", "new": "sent"}
        assert state.open == ()

    run(redis_url, story)


def test_a_notifier_killed_between_answer_and_receipt_sends_it_again_with_the_same_key(redis_url: str) -> None:
    async def story(world: DurableWorld) -> None:
        def die() -> None:
            world.ears["default"].after = lambda: None
            raise Dead

        world.ears["default"].after = die
        await world.put(on())
        await world.turn()
        assert not world.receipts()
        await world.settle()
        keys = [key for key, _ in world.ears["default"].heard]
        assert (len(keys), len(set(keys))) == (2, 1)
        assert world.ears["default"].titles[1].startswith("(possible repeat)")
        assert [one.outcome for one in world.receipts()] == ["sent"]

    run(redis_url, story)


BOTH = RoutingPolicy(
    {name: RoutePolicy(name, ("channel:ops", "channel:mail")) for name in ("default", "lead", "manager")},
    channels=("ops", "mail"),
)


def test_a_notifier_killed_behind_the_receipt_sends_nothing_again(redis_url: str) -> None:
    async def story(world: DurableWorld) -> None:
        world.killed_behind_receipt = True
        await world.put(on())
        await world.turn()
        world.ears["mail"].down = True
        await world.settle()
        assert world.heard() == {("ops", "open"): 1}
        (state,) = world.states().values()
        held = (await deliveries(world.outbox, [state.id]))[state.id]
        assert [(one.channel, one.state) for one in held] == [("mail", "waiting"), ("ops", "sent")]
        (ops,) = [one for one in await channel_states(world.outbox, ["ops"]) if one.name == "ops"]
        assert (ops.sent, ops.waiting) == (1, 0)
        world.ears["mail"].down = False
        await world.settle()
        assert world.heard() == {("ops", "open"): 1, ("mail", "open"): 1}
        assert await world.redis.hmget(f"f:{{outbox}}:item:{state.id}", "state", "payload") == [b"done", None]

    run(redis_url, story, how=BOTH)


def test_receipts_that_the_log_cannot_take_are_kept_until_it_can(redis_url: str) -> None:
    async def story(world: DurableWorld) -> None:
        world.away = True
        await world.put(on())
        await world.turn()
        assert world.heard() == {("default", "open"): 1}
        (owed,) = await world.outbox.owed()
        assert b'"outcome":"sent"' in owed
        await world.outbox.paid([owed])
        assert await world.outbox.owed() == []

    run(redis_url, story)


def test_what_was_decided_and_not_enqueued_is_told_by_the_next_worker_as_it_was_decided(redis_url: str) -> None:
    async def story(world: DurableWorld) -> None:
        async def killed(_note: object) -> bool:
            raise Killed

        await world.turn()
        enqueue, world.outbox.enqueue = world.outbox.enqueue, killed  # type: ignore[method-assign]
        await world.put(on())
        with pytest.raises(Killed):
            await world.turn()
        assert len(world.messages()) == 1
        world.outbox.enqueue = enqueue  # type: ignore[method-assign]
        await world.restart()
        await world.turn()
        assert world.heard() == {("default", "open"): 1}
        assert not world.ears["default"].titles[0].startswith("(possible repeat)")

    run(redis_url, story)


STEPS = ("opened", "told", "acknowledged", "opened again", "escalated", "over", "told of the end")


@pytest.mark.parametrize("lost_at", [*range(len(STEPS))], ids=STEPS)
@pytest.mark.parametrize("down", [False, True], ids=["receivers up", "receivers down"])
@pytest.mark.parametrize("restarted", [False, True], ids=["same worker", "next worker"])
def test_redis_flushed_at_any_step_loses_no_message_and_repeats_none(
    redis_url: str, lost_at: int, down: bool, restarted: bool
) -> None:
    async def story(world: DurableWorld) -> None:
        async def lose(step: int) -> None:
            if step == lost_at:
                await world.redis.flushall()
                if restarted:
                    await world.restart()

        for ear in world.ears.values():
            ear.down = down
        await world.put(on())
        await world.turn()
        await lose(0)
        await world.settle(30)
        await lose(1)
        await world.put(Ack(KEY, "mei", world.now_ms))
        await world.turn()
        await lose(2)
        await world.wait(20)
        for ear in world.ears.values():
            ear.down = False
        await world.settle()
        await lose(3)
        for minute in (21, 22):
            await world.put(signal(False, NOW_MS + minute * MINUTE_MS, rule="the-rule"))
        await world.turn()
        await lose(4)
        await world.settle()
        await world.put(on(30))
        await world.turn()
        await lose(5)
        await world.wait(16)
        await world.settle()
        await lose(6)
        await world.settle()
        heard = world.heard()
        assert set(heard.values()) == {1}, heard
        assert heard.keys() == {
            *(("default", step) for step in ("open", "resolved-0", "reopened-1")),
            ("lead", "escalated-1-1"),
        }
        shown = await world.shown()
        assert shown["state"] == "escalated"
        assert not [one for one in world.states().values() if one.open]

    run(redis_url, story)


def test_a_redis_lost_again_while_it_is_filled_is_filled_again(redis_url: str) -> None:
    async def story(world: DurableWorld) -> None:
        world.ears["default"].down = True
        await world.put(on())
        await world.turn()
        await world.redis.flushall()
        finish, lost = world.outbox.finish_rebuild, []

        async def lose_again(begun: str) -> bool:
            if not lost:
                lost.append(begun)
                await world.redis.flushall()
            return await finish(begun)

        world.outbox.finish_rebuild = lose_again  # type: ignore[method-assign]
        await world.settle(30)
        assert lost
        world.ears["default"].down = False
        await world.settle()
        assert world.heard() == {("default", "open"): 1}

    run(redis_url, story)


def test_a_redis_that_restarts_without_its_last_second_gets_what_it_lacks(redis_url: str) -> None:
    """As with ``appendfsync everysec``: most is there, the last message is not, and what was sent last is noted as waiting."""

    async def story(world: DurableWorld) -> None:
        default = world.ears["default"]
        await world.put(on())
        await world.turn()
        await world.turn()
        (first,) = world.states()
        kept = await world.redis.dump(f"f:{{outbox}}:item:{first}")
        default.down = True
        await world.put(on(1, scope={"vendor": "b"}, scope_key="vendor=b"))
        world.now_ms += 5 * MINUTE_MS
        await world.put(Tick(world.now_ms))
        await world.turn()
        second = next(name for name in world.states() if name != first)
        await world.redis.delete(f"f:{{outbox}}:item:{second}", "f:{outbox}:due:default")
        await world.redis.restore(f"f:{{outbox}}:item:{first}", 0, kept, replace=True)
        await world.redis.set("f:{outbox}:whole", "another run of the server")
        default.down = False
        await world.settle()
        assert [key.partition(":default")[0] for key, _ in default.heard] == [first, second]
        assert await world.outbox.lost() is False

    run(redis_url, story)
