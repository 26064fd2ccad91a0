"""Incidents stay alive in an Alertmanager for as long as they go on, and end there too: over restarts of both, and without Redis."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from alerts.channels.alertmanager import AlertmanagerChannel
from alerts.dues import with_told
from alerts.incident import Incident, Notify, Silence, Stamp, incident_key
from alerts.mirror import ENDS_MS, MOST_AT_ONCE, Mirror, to_mirror
from alerts.notice import Notice, Target
from alerts.outgoing import notification
from streams.agents.incident_state import message_of
from streams.core.formatting import rfc3339
from tests.alerts.channels.recorder import AT_MS, Answer, Recorder, built, faults, recording
from tests.alerts.channels.test_alertmanager import alertmanager, amtool, states
from tests.alerts.incident_world import World, on, run
from tests.alerts.machine import opened, routing
from tests.redis_clients import blocking_client
from tests.waits import until


def told(incident: Incident, step: str = "open", at_ms: int = AT_MS, channels: tuple[str, ...] = ("ops",)) -> Incident:
    """An incident of whose step channel ops was told."""
    return with_told(incident, "g", step, (Target("channel:ops", channels, "route default"),), "g:1", at_ms)


def over(incident: Incident, at_ms: int = AT_MS) -> Incident:
    return told(structs.replace(incident, state="resolved", resolved_ms=at_ms), "resolved-0", at_ms)


ONE = told(opened())


def of(url: str, **settings: Any) -> AlertmanagerChannel:
    channel = built({"type": "alertmanager", "url": url, **settings})
    assert isinstance(channel, AlertmanagerChannel)
    return channel


class Seconds:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Floor:
    """What is known of incidents, for a mirror."""

    def __init__(self, *incidents: Incident) -> None:
        self.incidents: list[Incident] | None = list(incidents)
        self.clock_s = Seconds()

    def mirror(self, *channels: AlertmanagerChannel) -> Mirror:
        return Mirror(
            channels,
            lambda _since_ms: self.incidents,
            lambda: AT_MS,
            zone_of=lambda _note, _channel: "UTC",
            link_of=lambda _channel: None,
            clock_s=self.clock_s,
        )


def posts(recorder: Recorder) -> list[list[tuple[str, bool]]]:
    """By request: the key of each alert, and whether it ends."""
    now = rfc3339(AT_MS)
    return [[(alert["labels"]["incident"], alert["endsAt"] <= now) for alert in one.json] for one in recorder.seen]


def test_an_incident_is_posted_once_and_again_after_a_while_and_its_end_for_a_quarter_of_an_hour() -> None:
    async def main() -> None:
        async with recording() as am:
            floor = Floor(ONE)
            mirror = floor.mirror(of(am.url, resend="3m"))
            await mirror.turn()
            await mirror.turn()
            assert posts(am) == [[(ONE.key, False)]]
            floor.clock_s.now += 180
            floor.incidents = [structs.replace(ONE, value=0.5)]
            await mirror.turn()
            assert "accuracy 50%" in am.seen[-1].json[0]["annotations"]["summary"]
            floor.incidents = [over(ONE)]
            await mirror.turn()  # at once: something has changed
            floor.clock_s.now += 180
            await mirror.turn()
            assert posts(am)[1:] == [[(ONE.key, False)], [(ONE.key, True)], [(ONE.key, True)]]
            floor.incidents = [over(ONE, AT_MS - ENDS_MS)]
            floor.clock_s.now += 180
            await mirror.turn()
            assert len(am.seen) == 4

    asyncio.run(main())


@pytest.mark.parametrize(
    ("incident", "there"),
    [
        (ONE, True),
        (structs.replace(ONE, state="acknowledged"), True),
        (structs.replace(ONE, silenced_until_ms=AT_MS + 1), True),  # it was told before
        (opened(), False),  # nobody was told: it is held back
        (told(opened(), channels=("mail",)), False),
        (structs.replace(ONE, state="resolved"), False),  # its end is not told yet
        (over(ONE), True),
    ],
)
def test_which_incidents_an_alertmanager_hears_of(incident: Incident, there: bool) -> None:
    assert bool(list(to_mirror([incident], "ops", AT_MS))) is there


def test_an_alertmanager_that_is_down_is_told_all_when_it_is_back_and_hinders_no_other() -> None:
    async def main() -> None:
        async with recording(usual=Answer(status=503)) as down, recording() as up:
            floor = Floor(ONE, structs.replace(ONE, key="f" * 32))
            other = of(up.url)
            other.name = "other"
            floor.incidents = [told(one, channels=("ops", "other")) for one in floor.incidents or ()]
            mirror = floor.mirror(of(down.url), other)
            await mirror.turn()
            assert mirror.failing() == {"ops": (AT_MS, "alertmanager ops: the receiver answered 503")}
            assert len(up.seen) == 1
            down.usual = Answer()
            await mirror.turn()
            assert mirror.failing() == {}
            assert [key for key, _ in posts(down)[-1]] == [ONE.key, "f" * 32]

    asyncio.run(main())


def test_many_go_in_pieces_and_a_failure_between_repeats_only_what_is_missing() -> None:
    async def main() -> None:
        many = [structs.replace(ONE, key=f"{place:032x}") for place in range(2 * MOST_AT_ONCE + 50)]
        async with recording(Answer(), Answer(status=500)) as am:
            mirror = Floor(*many).mirror(of(am.url))
            await mirror.turn()
            await mirror.turn()
            assert [len(one) for one in posts(am)] == [100, 100, 100, 50]
            assert {key for number in (0, 2, 3) for key, _ in posts(am)[number]} == {one.key for one in many}

    asyncio.run(main())


def test_only_the_owner_of_the_incidents_posts_and_a_new_one_posts_all() -> None:
    async def main() -> None:
        async with recording() as am:
            floor = Floor(ONE)
            mirror = floor.mirror(of(am.url))
            await mirror.turn()
            floor.incidents = None
            await mirror.turn()
            floor.incidents = [ONE]
            await mirror.turn()
            assert len(am.seen) == 2

    asyncio.run(main())


def test_an_older_message_that_comes_late_opens_nothing_again() -> None:
    async def main() -> None:
        async with recording() as am:
            channel = of(am.url)
            late = notification(Notify("g:1", "open", "default", structs.replace(ONE, stamp=Stamp(0, 1))))
            newer = structs.replace(over(ONE), stamp=Stamp(0, 9))
            await Floor(newer).mirror(channel).turn()
            await channel.send(late, "late")
            assert posts(am) == [[(ONE.key, True)]]

    asyncio.run(main())


def test_a_message_about_several_incidents_is_an_alert_for_each() -> None:
    async def main() -> None:
        other = structs.replace(ONE, key="f" * 32, rule="sla-vendor", kind="sla_attainment", severity="warn")
        members = ((ONE.key, "open"), (other.key, "resolved-0"))
        notice = Notice("g:1", "g", "default", "changed", members, (), AT_MS, Stamp(0, 1))
        made = message_of(notice, {ONE.key: ONE, other.key: over(other)})
        assert made is not None
        async with recording() as am:
            await of(am.url).send(notification(made), "g:1:ops")
            (alerts,) = [one.json for one in am.seen]
            assert [(one["labels"]["alertname"], one["labels"]["severity"]) for one in alerts] == [
                ("accuracy-low-vendor", "page"),
                ("sla-vendor", "warn"),
            ]
            assert posts(am) == [[(ONE.key, False), (other.key, True)]]
            assert alerts[0]["annotations"]["summary"].startswith("bpo-a: accuracy 88.1%")

    asyncio.run(main())


def test_an_alert_that_would_end_before_it_is_posted_again_is_a_fault() -> None:
    settings = {"type": "alertmanager", "url": "http://am:9093", "lasts": "5m", "resend": "3m"}
    assert faults(settings) == [
        (("lasts",), "an alert would end before it is posted again", "write 12m, or a shorter resend")
    ]


def test_after_a_restart_and_with_an_empty_redis_all_that_goes_on_is_posted_again(redis_url: str) -> None:
    """The stage reads its incidents from the log; the outbox is not asked."""

    async def story(world: World) -> None:
        async with recording() as am:
            await world.put(on())
            await world.turn()
            key = incident_key("the-rule", "vendor=bpo-a", 1)
            channel = of(am.url)

            async def mirrored() -> None:
                mirror = Mirror(
                    [channel],
                    world.stage.known_since,
                    lambda: world.now_ms,
                    zone_of=lambda _note, _channel: "UTC",
                    link_of=lambda _channel: None,
                )
                await mirror.turn()

            await mirrored()
            assert [one for one, _ in posts(am)[-1]] == [key]
            await asyncio.to_thread(blocking_client(redis_url).flushall)
            await world.restart()
            await mirrored()
            assert [one for one, _ in posts(am)[-1]] == [key]
            await world.put(Silence(key, "mei", world.now_ms, world.now_ms + 60_000))
            await world.turn()
            await mirrored()
            assert len(am.seen) == 3  # silenced here after it was told: it goes on there

    run(redis_url, story, how=routing(default=("ops",)))


@pytest.mark.servers
def test_a_real_alertmanager_keeps_it_alive_forgets_it_and_hears_of_it_again(tmp_path: Path) -> None:
    async def main() -> None:
        now_ms = int(time.time() * 1000)
        floor = Floor(told(opened(), at_ms=now_ms))

        async def firing(url: str) -> list[str]:
            found = await amtool(url, "alert", "query", "alertname=accuracy-low-vendor")
            return [alert["annotations"]["summary"] for alert in found]

        def mirror(url: str) -> Mirror:
            channel = built({"type": "alertmanager", "url": url, "lasts": "3s", "resend": "1s"}, now_ms)
            assert isinstance(channel, AlertmanagerChannel)
            channel._clock = clock_ms
            return Mirror(
                [channel],
                lambda _since_ms: floor.incidents,
                clock_ms,
                zone_of=lambda _note, _channel: "UTC",
                link_of=lambda _channel: None,
            )

        async with alertmanager(tmp_path) as (url, seen):
            kept = mirror(url)

            async def goes_on() -> bool:
                return await goes_on_at(kept, firing, url)

            await until(goes_on, "it fires")
            began_s = time.monotonic()
            while time.monotonic() - began_s < 6:  # twice as long as an alert stands
                assert await goes_on()
            assert all(status == "firing" for status, _, _ in states(seen))
            floor.incidents = [structs.replace(one, value=0.5) for one in floor.incidents or ()]

            async def says_so() -> bool:
                return await goes_on() and "accuracy 50%" in (await firing(url))[0]

            await until(says_so, "the value of now")

            async def forgotten() -> bool:
                return not await firing(url)

            await until(forgotten, "without a mirror it is forgotten")
            await until(goes_on, "the next owner posts it")
        async with alertmanager(tmp_path / "again") as (url, seen):  # it comes back without its alerts
            kept = mirror(url)
            await until(lambda: goes_on_at(kept, firing, url), "it fires there")
            floor.incidents = [over(one, clock_ms()) for one in floor.incidents or ()]
            await kept.turn()
            await until(
                lambda: any(status == "resolved" for status, _, _ in states(seen)), "it is told that it is over"
            )
            assert await firing(url) == []

    (tmp_path / "again").mkdir()
    asyncio.run(main())


async def goes_on_at(kept: Mirror, firing: Any, url: str) -> bool:
    await kept.turn()
    return not kept.failing() and bool(await firing(url))  # it may not listen yet


def clock_ms() -> int:
    return int(time.time() * 1000)
