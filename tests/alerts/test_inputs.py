"""Inputs of the incidents' log: their limits, the older form of an action, and where they are appended."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from alerts.acts import as_act, check
from alerts.append import ALERTS_KEY, append_input
from alerts.codec import Input, decode_incident, decode_input, encode_incident, encode_input
from alerts.incident import MOST_CALENDAR, Ack, Act, Calendar, Maintenance, Override, Receipt, Silence
from alerts.lifecycle import IncidentPolicy, step
from alerts.oncall.facts import fold
from alerts.oncall.policy import RotaFacts
from streams.adapters.topic_names import TopicNames
from tests.alerts.incident_world import KEY, World, on, run
from tests.alerts.machine import signal

NAMES = TopicNames("f.", 8)


class Written:
    """A producer that keeps what is written."""

    def __init__(self) -> None:
        self.records: list[tuple[Any, ...]] = []

    async def send_and_wait(self, topic: str, value: Any = None, key: Any = None, partition: Any = None) -> Any:
        self.records.append((topic, partition, key, value))
        return SimpleNamespace(offset=len(self.records) - 1)


def test_the_older_form_of_an_action_is_one_of_all() -> None:
    assert as_act(Ack("k", "mei", 5, "mine")) == Act("ack", "k", "mei", 5, note="mine")
    assert as_act(Silence("k", "mei", 5, 9)) == Act("silence", "k", "mei", 5, until_ms=9)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (Act("silence", "k", "mei", 5), "without until_ms"),
        (Act("snooze", "k", "mei", 5), "without until_ms"),
        (Act("comment", "k", "mei", 5, note=" \n"), "without note"),
        (Act("merge", "k", "mei", 5), "without target"),
        (Act("merge", "k", "mei", 5, target="k"), "into itself"),
        *(
            (Act("link", "k", "mei", 5, target=url), "no web address")
            for url in (
                "",
                "wiki",
                "javascript:alert(1)",
                "ftp://a.example",
                "https://",
                "https://a b",
                "//a.example",
                "https://[",
            )
        ),
        (Act("link", "k", "mei", 5, target="https://bank.example@evil.example/"), "name before its host"),
    ],
)
def test_an_action_that_is_not_whole_is_refused(act: Act, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check(act)


@pytest.mark.parametrize(
    "given",
    [
        Act("shout", "k", "mei", 5),  # type: ignore[arg-type]
        Act("ack", "k", "", 5),
        Act("ack", "k", "a\x1bb", 5),
        Ack("k", "mei\n", 5),
        Act("comment", "k", "mei", 5, note="x" * 1001),
        Act("link", "k", "mei", 5, target="https://a.example/\n"),
        Maintenance("m", ("x" * 2001,), 1, 2, "mei", 5),
        Calendar("c", "00", "x" * (MOST_CALENDAR + 1), 5),
    ],
    ids=lambda given: type(given).__name__.lower(),
)
def test_what_is_too_long_or_cannot_be_shown_is_refused(given: Input) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_input(encode_input(given))


def test_a_comment_may_have_lines() -> None:
    act = Act("comment", "k", "mei", 5, note="one\ntwo")
    assert decode_input(encode_input(act)) == act


def test_inputs_are_appended_to_the_partition_of_all_alerts() -> None:
    writer, act = Written(), Act("ack", "k", "mei", 5)
    assert asyncio.run(append_input(writer, NAMES, act)) == (NAMES.partition_of(ALERTS_KEY), 0)
    assert asyncio.run(append_input(writer, NAMES, act)) == (NAMES.partition_of(ALERTS_KEY), 1)
    assert [record[:3] for record in writer.records] == [
        ("f.signals.v1", NAMES.partition_of(b"alerts"), b"alerts"),
        ("f.signals.v1", NAMES.partition_of(b"alerts"), b"alerts"),
    ]
    assert decode_input(writer.records[0][3]) == act


def test_figures_of_a_signal_are_those_of_its_incident() -> None:
    told = msgspec.structs.replace(signal(True), figures={"late": 1426.0})
    opened = step(None, told, IncidentPolicy())
    assert opened is not None
    assert opened.figures == {"late": 1426.0}
    assert decode_incident(encode_incident(opened, "t")) == opened
    quiet = msgspec.structs.replace(signal(False), figures={"late": 3.0})
    after = step(opened, quiet, IncidentPolicy(resolve_after=2))
    assert after is not None
    assert after.figures == {"late": 3.0}


def test_the_last_record_of_an_id_counts() -> None:
    first = Override("o", "kul", "mei", 1, 2, "ann", 5)
    given = [first, Maintenance("m", ("site=kul",), 1, 2, "ann", 5), Calendar("c", "00", "", 5)]
    facts = RotaFacts()
    for one in [*given, msgspec.structs.replace(first, removed=True)]:
        facts = fold(facts, one)
    assert facts.overrides["o"].removed
    assert (facts.maintenance["m"], facts.calendars["c"]) == (given[1], given[2])


def test_an_action_of_any_way_counts_and_what_is_not_whole_is_set_aside(redis_url: str) -> None:
    async def story(world: World) -> None:
        await world.put(on())
        await world.put(Act("useful", KEY, "bo", world.now_ms), Act("snooze", KEY, "bo", world.now_ms))
        await world.put(
            Receipt("g:1", "g", "ops", "sent", world.now_ms), Act("ack", KEY, "mei", world.now_ms, via="link")
        )
        await world.turn()
        shown = await world.shown()
        acts = [(act["what"], act["by"]) for act in shown["acts"]]
        assert (shown["state"], acts) == ("acknowledged", [("useful", "bo"), ("ack", "mei")])
        letters = [json.loads(record.value or b"{}") for record in world.log.records["f.deadletters.v1"]]
        (said,) = [letter["reason"] for letter in letters]
        assert "a snooze without until_ms: say when it ends" in said

    run(redis_url, story)
