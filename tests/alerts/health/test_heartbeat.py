"""Signs of life over real HTTP: given while all works, refused or told what is broken otherwise."""

from __future__ import annotations

import asyncio
import json

import pytest
from pydantic import SecretStr

from alerts.channels.base import Channel, ChannelFault
from alerts.health.heartbeat import Heartbeat, HeartbeatState, decode_state, encode_state, fail_url
from alerts.settings.health import HeartbeatSettings
from tests.alerts.channels.recorder import AT_MS, Answer, Recorder, built, recording

SECRET = "u-u-i-d"


class Counts:
    """What was counted."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def heartbeat(self, to: str, outcome: str, at_ms: int) -> None:
        assert at_ms == AT_MS
        self.seen.append((to, outcome))


def heartbeat(url: str, counts: Counts | None = None, am: Channel | None = None, **settings: object) -> Heartbeat:
    channels = {} if am is None else {"am": am}
    given = HeartbeatSettings.model_validate({"url": url or None, "alertmanager": tuple(channels), **settings})
    return Heartbeat(given, channels, lambda: AT_MS, counts)


def told(recorder: Recorder) -> list[tuple[str, str]]:
    return [(one.path, one.body.decode()) for one in recorder.seen]


def test_the_url_is_asked_for_while_all_works_and_hears_what_is_broken() -> None:
    async def main() -> None:
        counts = Counts()
        async with recording() as receiver:
            beat = heartbeat(f"{receiver.url}/{SECRET}", counts)
            state = await beat.tell(())
            assert [one.ok_ms for one in state.beats] == [AT_MS]
            state = await beat.tell(("Rules have not looked since 10:40.", "Route lead reaches nobody."))
            assert state.broken == ("Rules have not looked since 10:40.", "Route lead reaches nobody.")
            await beat.close()
        assert told(receiver) == [
            (f"/{SECRET}", "all works"),
            (f"/{SECRET}/fail", "Rules have not looked since 10:40.\nRoute lead reaches nobody."),
        ]
        assert counts.seen == [("url", "alive"), ("url", "broken")]

    asyncio.run(main())


def test_a_receiver_without_fail_hears_nothing_while_something_is_broken() -> None:
    async def main() -> None:
        counts = Counts()
        async with recording() as receiver:
            beat = heartbeat(receiver.url, counts, on_fault="stop")
            await beat.tell(("Rules have not looked.",))
            assert (receiver.seen, counts.seen) == ([], [])
            await beat.tell(())
            assert told(receiver) == [("/", "all works")]
            await beat.close()

    asyncio.run(main())


def test_get_sends_no_body() -> None:
    async def main() -> None:
        async with recording() as receiver:
            beat = heartbeat(f"{receiver.url}/x", method="get")
            await beat.tell(())
            await beat.tell(("broken",))
            await beat.close()
        assert [(one.path, one.body) for one in receiver.seen] == [("/x", b""), ("/x/fail", b"")]

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer", [Answer(status=500), Answer(status=404), Answer(then="cut")], ids=["500", "404", "cut"]
)
def test_a_receiver_that_does_not_take_it_is_noted_and_asked_again(answer: Answer) -> None:
    async def main() -> None:
        counts = Counts()
        async with recording(answer) as receiver:
            beat = heartbeat(f"{receiver.url}/{SECRET}", counts)
            (one,) = (await beat.tell(())).beats
            assert (one.ok_ms, one.failed_ms) == (None, AT_MS)
            assert one.reason
            assert SECRET not in one.reason
            assert SECRET not in encode_state(beat.state).decode()
            (one,) = (await beat.tell(())).beats
            assert (one.ok_ms, one.reason) == (AT_MS, "")
            await beat.close()
        assert counts.seen == [("url", "failed"), ("url", "alive")]

    asyncio.run(main())


def test_the_watchdog_fires_while_all_works_and_ends_with_the_fault() -> None:
    async def main() -> None:
        async with recording() as receiver, recording(usual=Answer(status=503)) as down:
            am = built({"type": "alertmanager", "url": receiver.url})
            beat = heartbeat(down.url, am=am, every="1m")
            state = await beat.tell(())  # a url that is down hinders no other
            assert [(one.to, bool(one.reason)) for one in state.beats] == [("url", True), ("am", False)]
            await beat.tell(("Rules have not looked.",))
            await beat.close()
            await am.close()
        fires, ends = [json.loads(one.body)[0] for one in receiver.seen]
        assert fires["labels"] == ends["labels"]
        assert fires["labels"]["alertname"] == "FloorwatchWatchdog"
        assert fires["startsAt"] < fires["endsAt"]
        assert ends["endsAt"] == fires["startsAt"]
        assert ends["annotations"]["summary"] == "Rules have not looked."

    asyncio.run(main())


def test_a_url_that_cannot_be_called_is_refused_without_showing_it() -> None:
    settings = HeartbeatSettings(url=SecretStr(f"ftp://host/{SECRET}"))
    with pytest.raises(ChannelFault) as fault:
        Heartbeat(settings, {}, lambda: AT_MS)
    assert SECRET not in str(fault.value)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://hc.example/1", "https://hc.example/1/fail"),
        ("https://hc.example", "https://hc.example/fail"),
        ("https://hc.example/1/?a=b#c", "https://hc.example/1/fail?a=b#c"),
        ("http://[bad", "http://[bad"),
    ],
)
def test_where_it_is_told_what_is_broken(url: str, wanted: str) -> None:
    assert fail_url(url) == wanted


def test_its_state_is_read_back_and_another_version_is_not_guessed() -> None:
    state = HeartbeatState(AT_MS, ("a",))
    assert decode_state(encode_state(state)) == state
    assert decode_state(b'{"format": 99}') is None
    assert decode_state(b"no json") is None
