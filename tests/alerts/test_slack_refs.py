"""After Redis is lost, a later step changes the message in Slack that told of its incident: receipts on the log name it."""

from __future__ import annotations

from msgspec import structs

from alerts.channels.slack_posts import Post, RedisPosts
from alerts.incident import Incident, ToldReceiver
from alerts.receipts import ChannelReceipt, NoticeReceipts
from alerts.slack_refs import posts_of
from tests.alerts.durable_world import DurableWorld, run
from tests.alerts.incident_world import KEY, on
from tests.alerts.machine import opened, signal
from tests.alerts.rows import MINUTE_MS, NOW_MS


def told(key: str, *notices: str) -> Incident:
    entries = (ToldReceiver("channel:ops", ("ops", "pd"), name, "open", 1, "") for name in notices)
    return structs.replace(opened(), key=key, told_people=tuple(entries))


def sent(name: str, **refs: str) -> NoticeReceipts:
    return NoticeReceipts(
        name, 1, tuple(refs), tuple(ChannelReceipt(one, "sent", 1, ref=ref) for one, ref in refs.items())
    )


def test_the_first_message_of_an_incident_is_the_one_to_change() -> None:
    book = {one.id: one for one in (sent("n1", ops="C1/17.5", pd=""), sent("n2", ops="C1/18.5"))}
    found = posts_of([told("a", "n1", "n2"), told("b", "n2"), told("c", "gone")], book.get)
    assert found == {
        ("ops", "a"): Post("C1", "17.5", ("a",), {}),
        ("ops", "b"): Post("C1", "18.5", ("a", "b"), {}),
    }


def test_a_message_that_does_not_name_all_is_not_changed() -> None:
    many = [told(f"k{number:02d}", "n1") for number in range(11)]
    found = posts_of(many, {"n1": sent("n1", ops="C1/17.5")}.get)
    assert {post.keys for post in found.values()} == {()}


def test_what_was_not_delivered_names_nothing() -> None:
    failing = NoticeReceipts("n1", 1, ("ops",), (ChannelReceipt("ops", "failing", 1, ref="C1/1"),))
    assert posts_of([told("a", "n1")], {"n1": failing}.get) == {}


def test_after_a_flush_the_message_is_known_again_and_a_newer_one_stays(redis_url: str) -> None:
    async def story(world: DurableWorld) -> None:
        await world.put(on(0))
        await world.turn()
        await world.turn()
        posts = RedisPosts(world.redis, world.outbox.prefix)
        for newer in (False, True):
            await world.redis.flushall()
            if newer:
                await posts.keep("default", [KEY], Post("C9", "99.9", (KEY,), {}))
            await world.settle(60)
            (found,) = await posts.of("default", [KEY])
            assert found is not None
            assert found.ts == ("99.9" if newer else "1")
            assert found.keys == (KEY,)
        for minute in (1, 2):
            await world.put(signal(False, NOW_MS + minute * MINUTE_MS, rule="the-rule"))
        await world.settle(60)
        assert world.heard()["default", "resolved-0"] == 1

    run(redis_url, story)
