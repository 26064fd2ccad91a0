"""Messages by kind, step and channel: golden texts, and what holds for every incident."""

from __future__ import annotations

import html as html_module
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from alerts.escape import HTML, MARKDOWN, PLAIN, SINKS
from alerts.incident import Incident, Notify
from alerts.kinds.registry import KIND_OF, KINDS, phrase_of
from alerts.message.compose import compose, compose_members
from alerts.message.model import MOST_BEFORE, MOST_LINES, MOST_TITLE, Link, Message, Reader
from alerts.message.texts import MOST_SMS, chat, html, plain, sms
from alerts.message.times import clock
from alerts.message.titles import Member, title_of_many
from alerts.outgoing import in_zone, notification
from alerts.signals import Contributor
from alerts.text import Links
from streams.core.policy import DIMENSIONS
from tests.alerts.message.told import KUL, MAKERS, STEPS, at_step, incident_of_kind, message_on
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.nasty import NASTY, WHAT

GOLDEN = Path(__file__).parent / "golden"
RENDERERS = {
    "plain": plain,
    "markdown": lambda message: "{0.title}\n{0.body}".format(chat(message, MARKDOWN)),
    "html": lambda message: "{0.title}\n{0.body}".format(chat(message, HTML)),
    "sms": lambda message: sms(message) + "\n",
}
INCIDENTS = {kind: incident_of_kind(kind) for kind in MAKERS}


def golden(name: str, shown: str) -> None:
    path = GOLDEN / name
    if os.environ.get("FLOORWATCH_UPDATE_GOLDEN") == "1":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), (
        "set FLOORWATCH_UPDATE_GOLDEN=1 to write it anew, then read the diff"
    )


def test_there_is_one_of_every_kind() -> None:
    assert MAKERS.keys() == KIND_OF.keys()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "SLA is missed from now on"), (59.0, "from now on"), (61.0, "SLA will be missed in 1 min")],
)
def test_a_breach_that_has_begun_is_not_foreseen_in_no_time(seconds: float, said: str) -> None:
    assert said in phrase_of(structs.replace(INCIDENTS["sla_breach_predicted"], value=seconds)).what


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("how", RENDERERS)
def test_text_is_golden(kind: str, how: str) -> None:
    shown = [f"# {step}\n{RENDERERS[how](message_on(at_step(INCIDENTS[kind], step), step, KUL))}" for step in STEPS]
    golden(f"{kind}.{how}.txt", "\n".join(shown))


def test_the_mail_is_golden() -> None:
    golden("mail.html", html(message_on(INCIDENTS["sla_attainment"], "open", KUL)))


@pytest.mark.parametrize("kind", MAKERS)
def test_figures_are_those_that_the_kind_tells(kind: str) -> None:
    assert INCIDENTS[kind].figures.keys() == KIND_OF[kind].figures.keys()
    assert all(KIND_OF[kind].figures.values())


def holds(incident: Incident, message: Message) -> None:
    """Scope, number and target are in the first 80 characters; the message is short."""
    said, begin = phrase_of(incident), message.title[:MOST_BEFORE]
    assert said.number in said.what
    assert said.target in said.what
    assert said.what in begin, message.title
    for name in incident.scope.values():
        assert name[:4] in begin.replace("\N{REPLACEMENT CHARACTER}", ""), message.title
    if not incident.scope:
        assert "whole floor" in begin
    assert len(message.title) <= MOST_TITLE
    assert len(message.lines) <= MOST_LINES
    assert all(len(line) <= 120 for line in message.lines)
    assert "\n" not in message.title


NAMES = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=4, max_size=200)
SCOPES = st.dictionaries(st.sampled_from(DIMENSIONS), NAMES, max_size=2)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(list(MAKERS)),
    scope=SCOPES,
    step=st.sampled_from(STEPS),
    value=st.none() | st.floats(0, 1e7),
    figures=st.booleans(),
    parts=st.lists(
        st.builds(Contributor, st.sampled_from(DIMENSIONS), NAMES, st.floats(-100, 0), st.just(5), NAMES), max_size=5
    ),
    taken=st.none() | NAMES,
)
def test_any_incident_is_told_in_a_title_and_six_lines(
    kind: str,
    scope: dict[str, str],
    step: str,
    value: float | None,
    figures: bool,
    parts: list[Contributor],
    taken: str | None,
) -> None:
    found = structs.replace(
        at_step(INCIDENTS[kind], step), scope=scope, value=value, contributors=tuple(parts), acknowledged_by=taken
    )
    found = found if figures else structs.replace(found, figures={})
    message = message_on(found, step, KUL)
    holds(found, message)
    assert len(sms(message)) <= MOST_SMS
    assert phrase_of(found).what in sms(message)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("step", STEPS)
def test_each_kind_holds_it(kind: str, step: str) -> None:
    found = at_step(INCIDENTS[kind], step)
    holds(found, message_on(found, step, KUL))


@pytest.mark.parametrize("kind", MAKERS)
def test_contributors_are_named_only_where_evident(kind: str) -> None:
    found = INCIDENTS[kind]
    doubtful = structs.replace(
        found, contributors=(Contributor("queue", "perhaps", -5.0, 9, "may be chance", clear=False),)
    )
    assert not any("perhaps" in line for line in message_on(doubtful).lines)
    assert any("perhaps" in line for line in message_on(doubtful).details)
    evident = structs.replace(found, contributors=(Contributor("queue", "surely", -5.0, 9, "bad; rate 1"),))
    assert any("surely" in line and "rate" not in line for line in message_on(evident).lines)


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]


def named(name: str) -> Incident:
    """An incident that holds a name wherever it can."""
    return structs.replace(
        INCIDENTS["sla_attainment"],
        scope={"queue": name},
        contributors=(Contributor("vendor", name, -5.0, 9, name),),
        examples=(name,),
        acknowledged_by=name,
        rule=name,
    )


@pytest.mark.parametrize("name", NASTY, ids=WHAT)
def test_names_do_nothing_anywhere(name: str) -> None:
    message, harmless = message_on(named(name)), message_on(named("x"))
    own = {link.url for link in harmless.links}
    found = _Tags(html(message))
    assert found.tags == _Tags(html(harmless)).tags
    assert {url for url in found.links if url} == own
    assert not re.search(
        r"@(everyone|here|channel)|<[!#]", html_module.unescape(html(message)).replace("<!doctype", "")
    )
    for sink in SINKS:
        text = chat(message, sink)
        assert text.body.count("\n") == chat(harmless, sink).body.count("\n")
        assert "\n" not in text.title
        assert all(char.isprintable() or char in "\n\N{ZERO WIDTH SPACE}" for char in text.title + text.body)
    assert len(sms(message)) <= MOST_SMS
    assert "\x1b" not in sms(message) + plain(message)


def test_times_are_short_and_never_in_doubt() -> None:
    day_ms = 86_400_000
    assert clock(NOW_MS, NOW_MS + MINUTE_MS, "Asia/Kuala_Lumpur", "KUL") == "18:02 KUL"
    assert clock(NOW_MS, NOW_MS + MINUTE_MS, "Asia/Kuala_Lumpur") == "18:02 UTC+8"
    assert clock(NOW_MS - 10 * 3_600_000, NOW_MS, "Asia/Kuala_Lumpur", "KUL") == "08:02 KUL"
    assert clock(NOW_MS - 11 * 3_600_000, NOW_MS, "UTC") == "Sun 23:02 UTC"
    assert clock(NOW_MS - day_ms, NOW_MS, "UTC") == "Sun 10:02 UTC"
    assert clock(NOW_MS - 7 * day_ms, NOW_MS, "UTC") == "Mon 16 Nov 10:02 UTC"


def many(count: int, kind: str = "sla_attainment", dimension: str = "queue") -> list[Member]:
    return [
        Member(
            structs.replace(
                INCIDENTS[kind],
                scope={dimension: f"{dimension}-{n}"},
                scope_key=f"{dimension}={n}",
                key=f"{n:032x}",
                value=0.9 - n / 100,
            ),
            "open",
        )
        for n in range(count)
    ]


def test_several_incidents_are_one_message_that_names_the_worst() -> None:
    site = Member(structs.replace(INCIDENTS["throughput_drop"], severity="warn"), "open")
    message = compose_members([*many(20), site], KUL)
    golden("storm.txt", plain(message))
    assert "20 queues, worst queue-19: SLA 71% (target 95%)" in message.title[:MOST_BEFORE]
    assert "throughput -40%" in message.title
    assert len(message.lines) <= MOST_LINES
    assert (message.state, message.severity) == ("open", "page")
    assert message.lines[-1] == "and 16 more"
    assert compose_members(many(20), KUL, counts={many(1)[0].incident.kind: 50}).lines[-1] == "and 45 more"


def test_members_that_are_over_are_counted_and_all_over_is_said() -> None:
    over = [Member(at_step(member.incident, "resolved-0"), "resolved-0") for member in many(3)]
    mixed = compose_members([*many(2), *over], KUL)
    assert mixed.lines[-1] == "Over: queue-0, queue-1, queue-2"
    more = [Member(at_step(member.incident, "resolved-0"), "resolved-0") for member in many(12)]
    assert compose_members([*many(2), *more], KUL).lines[-1] == "Over: 12, among them queue-0, queue-1, queue-10"
    unnamed = compose_members(many(2), KUL, counts={"sla_attainment": 2, "sla_attainment/over": 7})
    assert unnamed.lines[-1] == "Over: 7"
    assert mixed.state == "open"
    ended = compose_members(over, KUL)
    assert ended.state == "resolved"
    assert ended.title.startswith("Resolved: 3 queues, worst ")


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(MAKERS)), SCOPES, st.sampled_from(STEPS), st.sampled_from(["page", "warn", "info"])
        ),
        min_size=2,
        max_size=25,
    )
)
def test_any_group_is_told_in_a_title_and_six_lines(chosen: list[tuple[str, dict[str, str], str, str]]) -> None:
    members = [
        Member(structs.replace(at_step(INCIDENTS[kind], step), scope=scope, severity=severity), step)
        for kind, scope, step, severity in chosen
    ]
    message = compose_members(members, KUL)
    assert len(message.title) <= MOST_TITLE
    assert len(message.lines) <= MOST_LINES
    assert any(phrase_of(member.incident).what in message.title[:MOST_BEFORE] for member in members), message.title
    assert len(sms(message)) <= MOST_SMS
    assert title_of_many(members, {}) == title_of_many(list(reversed(members)), {})


def test_links_come_before_what_must_be_typed_and_replace_it() -> None:
    found = INCIDENTS["accuracy_low"]
    typed = message_on(found)
    assert [link.does for link in typed.links] == ["board", "runbook"]
    assert [command.does for command in typed.commands] == ["ack", "silence", "details"]
    signed = message_on(
        found, reader=Reader(link=lambda what, key, notice: f"https://fw.example/a/{what}/{key}/{notice}")
    )
    assert [link.does for link in signed.links] == [
        "board",
        "tasks",
        "ack",
        "silence",
        "useful",
        "not_useful",
        "runbook",
        "details",
    ]
    assert signed.commands == ()
    over = message_on(at_step(found, "resolved-0"), "resolved-0")
    assert [command.does for command in over.commands] == ["details"]
    assert "to=now" not in over.links[0].url
    assert "to=now" in typed.links[0].url


def test_an_example_task_is_one_word_of_a_shell() -> None:
    assert any(
        line.endswith("floorwatch facts 'a b; rm -rf /'")
        for line in message_on(structs.replace(named("x"), examples=("a b; rm -rf /",))).details
    )


def test_a_note_that_cannot_be_read_is_told_by_its_own_words() -> None:
    note = notification(Notify("k:open", "open", "default", INCIDENTS["accuracy_low"]))
    assert note.title == compose(note, Reader()).title
    for record in ({}, {"key": "k", "board_url": "https://g.example/d/x"}):
        cut = structs.replace(note, incident=record)
        message = compose(cut, KUL)
        assert (message.title, message.lines[0]) == (note.title, note.body.splitlines()[0])
        assert in_zone(cut, "Asia/Kuala_Lumpur") == cut


def test_an_incident_without_figures_or_of_an_unknown_kind_is_told() -> None:
    old = structs.replace(INCIDENTS["sla_attainment"], figures={})
    assert message_on(old).title.startswith("comments: SLA 62.9% (target 95%), since ")
    strange = structs.replace(old, kind="from_the_future", value=3.0, target=2.0)
    assert message_on(strange).title.startswith("comments: from the future 3 (target 2), since ")


NAMED = Message(
    "<b>a</b> *b*",
    ("<!channel> late", "x" * 150),
    (),
    (Link("Board", "https://g.example/d/x", "board"),),
    "page",
    "open",
)


def test_a_short_message_has_the_link_and_whole_lines_only() -> None:
    assert sms(NAMED) == "<b>a</b> *b*\nhttps://g.example/d/x"
    assert len(sms(NAMED, 8)) == 8
    assert sms(structs.replace(NAMED, title="a…–×")) == "a..-x\nhttps://g.example/d/x"
    assert plain(structs.replace(NAMED, repeat=True)).startswith("(possible repeat) <b>")
    assert PLAIN.text(NAMED.title) in plain(NAMED)
    assert [kind.name for kind in KINDS] == list(KIND_OF)


SHORT_URL = "https://floorwatch.example/a/s." + "x" * 46


def test_a_short_message_has_the_link_that_takes_it_and_the_first_eighty_characters() -> None:
    message = structs.replace(NAMED, title="t" * 75 + " 62.9% (target 95%), late", short_link=SHORT_URL)
    said = sms(message)
    assert said.splitlines()[:2] == ["t" * 75 + " 62.9..", SHORT_URL]
    assert len(said) == MOST_SMS
    assert sms(structs.replace(message, title="short")).splitlines()[:2] == ["short", SHORT_URL]
    far = structs.replace(message, short_link=SHORT_URL + "y" * 10)
    assert SHORT_URL not in sms(far), "of a link that leaves no room the title is told whole"
    assert SHORT_URL in sms(far, 306)


def test_what_is_over_is_not_taken() -> None:
    found = INCIDENTS["accuracy_low"]
    links = Links(ack_short=SHORT_URL)
    said = {
        step: compose_members([Member(at_step(found, step), step)], Reader(), links=links).short_link
        for step in ("open", "resolved-0")
    }
    assert said == {"open": SHORT_URL, "resolved-0": ""}


def test_of_several_a_command_is_named_only_where_no_link_shows_them() -> None:
    several = [Member(INCIDENTS[kind], "open") for kind in ("accuracy_low", "sla_attainment")]
    for links, typed in ((Links(), ["floorwatch incidents"]), (Links(details="https://fw.example/a/x"), [])):
        assert [one.text for one in compose_members(several, Reader(), links=links).commands] == typed
