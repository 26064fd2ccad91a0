"""``floorwatch comment``, ``assign``, ``link``, ``snooze``, ``escalate``, ``merge``: what they write, refuse and say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs
from typer.testing import CliRunner

from alerts.acts import on_act
from alerts.codec import encode_incident, incident_record
from alerts.incident import Act, Incident, OperatorAction, Snooze, Stamp
from alerts.text import title_of
from floorwatch.cli import build, operator_actions
from floorwatch.cli.act_words import act_lines
from floorwatch.cli.incident_told import who_words
from floorwatch.cli.incidents import state_words, whole
from tests.alerts.machine import opened
from tests.alerts.rows import NOW_MS
from tests.redis_clients import blocking_client

KEY, OTHER, OVER, AGAIN = "aaaaaa" + "0" * 26, "bbbbbb" + "0" * 26, "cccccc" + "0" * 26, "dddddd" + "0" * 26
CAN = {"state": "resolved", "resolved_ms": NOW_MS}

Say = Callable[..., tuple[int, str]]


@pytest.fixture
def floor(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Say, list[Act]]:
    """Return how a command is given, and the actions written. An incident shows an action at once."""
    incidents = {
        KEY: structs.replace(opened(), key=KEY, stamp=Stamp(0, 1)),
        OTHER: structs.replace(opened(), key=OTHER, stamp=Stamp(0, 1), scope_key="vendor=b"),
        OVER: structs.replace(opened(), key=OVER, stamp=Stamp(0, 1), scope_key="vendor=c", **CAN),
        AGAIN: structs.replace(opened(), key=AGAIN, stamp=Stamp(0, 1), scope_key="vendor=c", episode=2),
    }
    client = blocking_client(redis_url)
    client.flushall()
    written: list[Act] = []

    def show(incident: Incident) -> None:
        incidents[incident.key] = incident
        client.hset("floorwatch:incidents", incident.key, encode_incident(incident, title_of(incident)))

    for one in list(incidents.values()):
        show(one)

    async def put(_settings: Any, act: Act, _journal: Any) -> str:
        written.append(act)
        show(on_act(incidents[act.key], act))
        return "signals.v1[0] offset 0"

    monkeypatch.setattr(operator_actions, "put", put)
    monkeypatch.setenv("FLOORWATCH_REDIS__URL", redis_url)

    def say(*words: str, **more: Any) -> tuple[int, str]:
        result = CliRunner().invoke(build(words[0]), list(words), **more)
        return result.exit_code, " ".join(result.output.split())

    return say, written


def test_each_command_writes_one_action_and_says_it(floor: tuple[Say, list[Act]]) -> None:
    say, written = floor
    by = ("--by", "mei")
    for words, said in (
        (("comment", KEY, "seen\nby me"), "commented by mei: Accuracy below target"),
        (("assign", KEY, "--to", "lee"), "assigned to lee by mei"),
        (("link", KEY, "https://wiki.example/a"), "linked by mei"),
        (("snooze", KEY, "--for", "2h"), "snoozed by mei until"),
        (("merge", KEY, OTHER[:6]), "merged by mei into Accuracy below target"),
        (("unmerge", KEY), "unmerged by mei"),
        (("escalate", KEY), "escalated by mei"),
        (("assign", KEY), "assigned to nobody by mei"),
    ):
        code, out = say(*words, *by)
        assert (code, said in out) == (0, True), out
    assert [act.what for act in written] == [
        "comment", "owner", "link", "snooze", "merge", "unmerge", "escalate", "owner",
    ]  # fmt: skip
    assert written[4].target == OTHER
    assert written[3].until_ms is not None
    assert written[3].until_ms - written[3].at_ms <= 7_200_000
    assert len({act.id for act in written}) == len(written)


def test_what_is_so_already_is_said_and_not_written(floor: tuple[Say, list[Act]]) -> None:
    say, written = floor
    twice = (
        (("assign", KEY, "--to", "lee"), "lee has it already"),
        (("link", KEY, "https://wiki.example/a"), "it has this link already"),
        (("escalate", KEY), "somebody has escalated it already"),
        (("merge", KEY, OTHER), "it is merged into that one already"),
    )
    for words, said in twice:
        assert say(*words, "--by", "mei")[0] == 0
        code, out = say(*words, "--by", "bo")
        assert (code, said in out) == (0, True), out
    assert say("unmerge", OTHER, "--by", "mei") == (
        0,
        f"it is not merged: Accuracy below target: vendor bpo-a ({OTHER[:12]})",
    )
    assert len(written) == len(twice)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("comment", "ffffff", "x"), "no incident begins with ffffff"),
        (("comment", KEY, " "), "TEXT: it is empty, write some words"),
        (("comment", KEY, "x" * 1001), "TEXT: 1,001 characters are too many, write at most 1,000"),
        (("comment", KEY, "a\x1bb"), "TEXT: it holds U+001B (a control character) at character 2, leave that out"),
        (("comment", KEY, "a\nb\u202ec"), "TEXT: it holds U+202E (right-to-left override) at character 4"),
        (("comment", KEY, "x", "--by", "m\u2066ei"), "--by: it holds U+2066 (left-to-right isolate) at character 2"),
        (("assign", KEY, "--to", "a\nb"), "--to: it holds U+000A (the end of a line) at character 2"),
        (("ack", KEY, "--note", "a\tb"), "--note: it holds U+0009 (a tab) at character 2"),
        (("comment", OVER, "x"), "this was episode 1, and it began again since"),
        (("link", KEY, "javascript:alert(1)"), "no web address: write it whole, beginning with https://"),
        (("link", KEY, "https://a@b.example/"), "leave out all up to the @"),
        (("snooze", KEY, "--for", "1s"), "a time between 1m and 30d"),
        (("snooze", OVER, "--for", "1h"), "resolved since"),
        (("escalate", OVER), "resolved since"),
        (("merge", OVER, KEY), "resolved since"),
        (("merge", KEY, OVER), "resolved since"),
        (("merge", KEY, KEY), "not merged into itself"),
        (("merge", KEY, "x"), "at least 6 digits"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(
    floor: tuple[Say, list[Act]], words: tuple[str, ...], said: str
) -> None:
    say, written = floor
    code, out = say(*(words if "--by" in words else (*words, "--by", "mei")))
    assert (code, said in out) == (2, True), out
    assert written == []


GOOD = (
    "🤷\u200d♀️ 👨\u200d👩\u200d👧",
    "می\u200cرود",
    "\u200fسلام",
    "soft\u00adhyphen and a\tcolumn",
    "12\u202f000 €, 3\u00a0h",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
)
"""Emoji and words that are spelt with characters which show nothing by themselves."""


def test_an_option_that_is_missing_has_an_example(floor: tuple[Say, list[Act]]) -> None:
    say, written = floor
    code, out = say("ack", KEY)
    assert (code, "Missing option '--by'. Write who you are: --by mei" in out, written) == (2, True, []), out
    assert "Missing option '--for'. Write how long: --for 2h" in say("snooze", KEY, "--by", "mei")[1]


def test_a_comment_may_hold_what_spelling_and_emoji_need(floor: tuple[Say, list[Act]]) -> None:
    say, written = floor
    for text in GOOD:
        assert say("comment", KEY, text, "--by", f"Zo\u200cë{len(written)}")[0] == 0, ascii(text)
    assert [act.note for act in written] == [text.replace("\t", " ") for text in GOOD]
    assert (
        say("comment", KEY, "-", "--by", "mei", input="x" * 20_000)[1]
        .strip()
        .endswith("TEXT: 20,000 characters are too many, write at most 1,000")
    )
    assert (
        "TEXT: more than 1,000,000 characters are too many"
        in say("comment", KEY, "-", "--by", "mei", input="x" * 1_000_001)[1]
    )
    assert "at character 1" in say("comment", KEY, "-", "--by", "mei", input=b"\xff\xfe")[1]


def test_no_circle_and_no_escalation_of_what_is_merged(floor: tuple[Say, list[Act]]) -> None:
    say, written = floor
    assert say("merge", KEY, OTHER, "--by", "mei")[0] == 0
    code, out = say("merge", OTHER, KEY, "--by", "mei")
    assert (code, "they would go round in a circle" in out) == (2, True), out
    code, out = say("escalate", KEY, "--by", "mei")
    assert (code, f"it is merged: escalate {OTHER[:12]}" in out) == (2, True), out
    assert len(written) == 1


def test_a_comment_comes_from_standard_input(floor: tuple[Say, list[Act]]) -> None:
    say, written = floor
    assert say("comment", KEY, "-", "--by", "mei", input="one\r\ntwo\n")[0] == 0
    assert written[0].note == "one\ntwo"


def test_an_incident_shows_all_that_was_done(floor: tuple[Say, list[Act]]) -> None:
    say, _ = floor
    for words in (
        ("comment", KEY, "seen\nby me"),
        ("assign", KEY, "--to", "lee"),
        ("link", KEY, "https://wiki.example/a"),
        ("merge", KEY, OTHER),
    ):
        assert say(*words, "--by", "mei")[0] == 0
    _, out = say("incidents", "show", KEY)
    for words in (
        "Owner: lee",
        f"Merged: into Accuracy below target: vendor bpo-a ({OTHER[:12]})",
        "Link: https://wiki.example/a",
        "commented by mei: seen by me",
        "assigned to lee by mei",
        "gave a link (https://wiki.example/a) by mei",
    ):
        assert words in out
    assert f"With it: Accuracy below target: vendor bpo-a ({KEY[:12]})" in say("incidents", "show", OTHER)[1]
    assert "merged into bbbbbb000000, owner lee" in say("incidents")[1]


def test_words_of_what_was_done() -> None:
    incident = structs.replace(opened(), snooze=Snooze(NOW_MS + 60_000, "page", -0.07))
    assert state_words(incident_record(incident, "")) == "open, snoozed until Mon 23 Nov 10:03 UTC"
    taken = incident_record(structs.replace(incident, state="acknowledged", acknowledged_by="mei", told_people=()), "")
    assert who_words(taken, [], {}) == "nobody: mei had it before anybody was told"
    assert who_words(incident_record(incident, ""), [], {}) == "nobody yet"
    asked = OperatorAction("snooze", "mei", NOW_MS, until_ms=NOW_MS + 120_000)
    woken = structs.replace(incident, snooze=None, woken_ms=NOW_MS + 60_000, acts=(asked,))
    said = "open, snooze ended Mon 23 Nov 10:03 UTC"
    assert state_words(incident_record(woken, "")) == f"{said} because it became worse"
    woken = structs.replace(woken, acts=(structs.replace(asked, until_ms=NOW_MS + 60_000),))
    assert state_words(incident_record(woken, "")) == said
    act = {"what": "comment", "by": "a\x1bb", "at": "2026-11-23T10:02:00Z", "note": "one\n[bold]two", "via": "link"}
    assert act_lines(act, {}) == [
        "  Mon 23 Nov 10:02 UTC  commented by a\ufffdb, by a message's link: one",
        "    [bold]two",
    ]
    snoozed = act | {"what": "snooze", "by": "bo", "note": "", "until": "2026-11-23T11:02:00Z", "via": "slack"}
    assert act_lines(snoozed, {}) == ["  Mon 23 Nov 10:02 UTC  snoozed by bo until Mon 23 Nov 11:02 UTC, by Slack"]
    assert "What people did:" not in whole(incident_record(incident, "x"), [])
