"""What a mapping rests on: bounded expressions, what is kept of a hook, exact values, and faults told with their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigErrors
from gateway.sources.mapped.document import ToolTimes
from gateway.sources.mapped.expressions import BadExpression, CannotEvaluate, Expression, NotKept, TooManySteps
from gateway.sources.mapped.kept import Keeping, bounded
from gateway.sources.mapped.mapping import load_mapping
from gateway.sources.mapped.meaning import HookMeaning, find_meaning
from gateway.sources.mapped.values import WrongValue, converted
from gateway.webhooks import BadWebhook

# -- expressions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("type == 'a'", ["type"]),
        ("a.b[?x == '1'].y | [0]", ["a.b.x", "a.b.y"]),
        ("join('-', a[*].b)", ["a.b"]),
        ("sort_by(items, &n)[-1].x", ["items.n", "items.x"]),
        ("length(items) == `2` && keys(m)", []),
        ("map(&b.c, a)", ["a.b.c"]),
        ("{a: b.c}.a", ["b.c", "b.c.a"]),
        ("user.id || user.name", ["user.id", "user.name"]),
        ("m.*.v", ["m.*.v"]),
        ("not_null(a, b).c", ["a.c", "b.c"]),
        ("`[1, 2]`", []),
    ],
)
def test_what_an_expression_names(text: str, places: list[str]) -> None:
    assert sorted(".".join(one) for one in Expression(text).places) == places


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a b", "no JMESPath at character 3"),
        ("sum(x", "no JMESPath"),
        ("foo(x)", "no function foo"),
        ("length(a, b)", "length takes 1 arguments, not 2"),
        ("merge()", "at least"),
        ("&x", "gives no value"),
        ("a." + "b" * 500, "more than 500 characters"),
        (".".join("abcdefghij" * 11), "more than 100 parts"),
        ("(" * 499, "no JMESPath"),
    ],
)
def test_an_expression_that_cannot_be_used_is_refused_when_it_is_read(text: str, said: str) -> None:
    with pytest.raises(BadExpression, match=said):
        Expression(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a[*].b.c", {"a": [{"b": {"c": 1}}] * 5000}),
        ("a[?contains(b, 'x')]", {"a": [{"b": ["y"] * 100}] * 1000}),
        ("a[?b == c]", {"a": [{"b": ["y"] * 100, "c": ["y"] * 100}] * 1000}),
        ("join('', a)", {"a": ["y" * 1000] * 2000}),
        ("a | [@, @][] | [@, @][] | [@, @][] | [@, @][] | [@, @][] | [@, @][] | [@, @][]", {"a": [[1] * 100] * 100}),
    ],
)
def test_the_steps_of_an_expression_are_bounded(text: str, value: Any) -> None:
    with pytest.raises(TooManySteps):
        Expression(text).of(value)


def test_a_function_that_gets_the_wrong_kind_quotes_nothing() -> None:
    with pytest.raises(CannotEvaluate) as fault:
        Expression("starts_with(a, 'x')").of({"a": ["secret words"]})
    assert "secret" not in str(fault.value)


def test_what_is_true() -> None:
    held = [one for one in ("a", 0, True, [0], {"b": 1}) if Expression("x").holds({"x": one})]
    assert len(held) == 5
    assert not any(Expression("x").holds({"x": one}) for one in ("", None, False, [], {}))


# -- what is kept ------------------------------------------------------------------------------------------------


def test_only_what_is_named_is_kept_and_the_shape() -> None:
    hook = {
        "a": {"b": "kept", "c": "gone"},
        "list": [{"b": 1, "c": 1.25}, {"b": None}],
        "m": {"x y": {"v": "k", "w": "g"}},
    }
    keeping = Keeping([("a", "b"), ("list", "b"), ("m", "*", "v")])
    assert keeping.of(hook) == {
        "a": {"b": "kept", "c": {"_redacted": "text", "length": 4}},
        "list": [{"b": 1, "c": {"_redacted": "number", "length": 4}}, {"b": None}],
        "m": {"<name 1 of 3 characters>": {"v": "k", "w": {"_redacted": "text", "length": 1}}},
    }
    assert Keeping([()]).of({"a": "x" * 256, "b": "x" * 257}) == {
        "a": "x" * 256,
        "b": {"_redacted": "text", "length": 257},
    }
    assert keeping.at(("a", "b", "deeper")) > keeping.at(("a",))


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("abc", max_size=4),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inside, max_size=4),
    max_leaves=20,
)
_texts = st.sampled_from(
    [
        "a",
        "a.b",
        "a[?b == 'a'].c",
        "a[].b | [0]",
        "a || b",
        "!a && b.c",
        "sort_by(a, &b)[].c",
        "a.*.b",
        "max(a)",
        "a[1:].b",
    ]
)


@given(_texts, _json)
def test_what_an_expression_names_is_all_it_needs(text: str, value: Any) -> None:
    """Evaluated again on what was kept, it gives the same: or says that it was not kept, which it does of no named value."""
    expression = Expression(text)
    kept = Keeping(expression.places).of(value)

    def result(of: Any) -> Any:
        try:
            return expression.of(of)
        except CannotEvaluate:
            return "cannot"

    try:
        again = result(kept)
    except NotKept:
        return
    if "_redacted" not in json.dumps(again):
        assert again == result(value)


def test_an_expression_that_looks_at_what_was_not_kept_says_so() -> None:
    gone = Keeping().of({"a": "x", "b": True})
    for text in ("a == 'x'", "length(a)", "a && b", "!b", "b"):
        with pytest.raises(NotKept):
            Expression(text).holds(gone)


@pytest.mark.parametrize("value", [[[]] * 50_001, 2**63, -(2**63) - 1, float("inf"), json.loads("[" * 33 + "]" * 33)])
def test_bounds_of_a_hook(value: Any) -> None:
    with pytest.raises(BadWebhook):
        list(bounded(value))
    assert len(list(bounded([[]] * 49_999))) == 50


# -- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        (7, "text", "7"),
        ("", "text", None),
        (["b", 1, None, "b"], "texts", ["b", "1"]),
        ("x", "texts", ["x"]),
        (0.1, "seconds", 100),
        ("12.3455", "seconds", 12_346),
        (2.0, "whole", 2),
        ("0.25", "number", 0.25),
        (False, "flag", False),
        (True, "text", WrongValue),
        ({}, "text", WrongValue),
        ("x" * 257, "text", WrongValue),
        (2.5, "whole", WrongValue),
        ("1e99", "number", WrongValue),
        ("nan", "number", WrongValue),
        ("9" * 41, "number", WrongValue),
        ("true", "flag", WrongValue),
    ],
)
def test_values(value: Any, kind: Any, wanted: Any) -> None:
    if wanted is WrongValue:
        with pytest.raises(WrongValue):
            converted(value, kind, ToolTimes())
    else:
        assert converted(value, kind, ToolTimes()) == wanted


@pytest.mark.parametrize(
    ("value", "times", "wanted"),
    [
        ("2026-11-23T10:00:00+08:00", {}, "2026-11-23T02:00:00+00:00"),
        ("2026-11-23T10:00:00", {}, None),
        ("2026-11-23T10:00:00", {"zone": "Asia/Kuala_Lumpur"}, "2026-11-23T02:00:00+00:00"),
        ("2026-10-25T02:30:00", {"zone": "Europe/Berlin"}, "2026-10-25T00:30:00+00:00"),
        ("soon", {"zone": "Europe/Berlin"}, None),
        (1763892000, {}, None),
        (1763892000.123456, {"format": "unix_s"}, "2025-11-23T10:00:00.123456+00:00"),
        ("1763892000123", {"format": "unix_ms"}, "2025-11-23T10:00:00.123000+00:00"),
        (10**18, {"format": "unix_s"}, None),
        ("2026-11-23T10:00:00Z", {"format": "unix_s"}, None),
    ],
)
def test_times(value: Any, times: dict[str, str], wanted: str | None) -> None:
    rule = ToolTimes.model_validate(times)
    if wanted is None:
        with pytest.raises(WrongValue) as fault:
            converted(value, "time", rule)
        assert str(value) not in str(fault.value)
    else:
        assert converted(value, "time", rule) == wanted


# -- the file ----------------------------------------------------------------------------------------------------

HEAD = "version: 1\ntitle: X\ntask: a\ntime: b\n"
FAULTY = """\
version: 1
title: Faulty
task: id
events:
  - {when: "a b", event: task.created, time: at}
  - {when: a, event: task.creatd, time: at}
  - {when: a, event: label.submitted, time: at, fields: {label_id: id, quue: q, labeler_id: {from: a, table: people}}}
  - {when: a, event: task.cancelled}
  - {when: "@", event: task.cancelled, time: at}
times: {zone: MYT}
tables:
  both: {values: {}, csv: a.csv}
kep: all
"""


def told(folder: Path, text: str) -> list[tuple[int, str]]:
    path = folder / "mapping.yaml"
    path.write_text(text)
    with pytest.raises(ConfigErrors) as faults:
        load_mapping(path)
    assert all(one.hint or one.source for one in faults.value.errors)
    return [(one.line, one.reason) for one in faults.value.errors]


def test_every_fault_of_a_mapping_is_told_with_its_line(tmp_path: Path) -> None:
    assert told(tmp_path, FAULTY) == [
        (5, "events[0].when: this is no JMESPath at character 3"),
        (6, 'events[1].event: there is no event "task.creatd"'),
        (7, "events[2].fields.quue: label.submitted has no such field"),
        (9, "events[4].when: the expression takes all of the hook, so all of its content would be kept"),
        (10, 'times.zone: "MYT" is no time zone'),
        (12, "tables.both: a table has either values or a csv"),
        (13, "kep: there is no such setting"),
    ]


def test_an_update_without_a_time_or_a_revision_of_the_tool_is_refused(tmp_path: Path) -> None:
    text = "version: 1\ntitle: X\ntask: id\nevents:\n  - {when: a, event: task.cancelled}\n"
    ((line, reason),) = told(tmp_path, text)
    assert line == 5
    assert "sent again cannot be told from a new change" in reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a group"),
        ("version: 2\ntitle: X\n", "version"),
        ("version: 1\ntitle: X\n", "the mapping says nothing"),
        ('version: 1\ntitle: X\neach: "[a, b]"\nignore: [{when: a, reason: b}]\n', "leads to no list, or to several"),
        ("version: 1\ntitle: X\nevents: [{when: a, event: task.cancelled, time: at}]\n", "no task is named"),
        (f"{HEAD}events: [{{when: a, event: label.submitted, fields: {{label_id: c}}}}]\n", "needs labeler_id"),
        (f"{HEAD}events: [{{when: a, event: task.created, fields: {{queue: {{from: q, table: t}}}}}}]\n", "no table t"),
    ],
)  # fmt: skip
def test_faults_of_the_whole(text: str, said: str, tmp_path: Path) -> None:
    assert said in told(tmp_path, text)[0][1]


# -- names from a file -------------------------------------------------------------------------------------------

PEOPLE = """\
version: 1
title: People
task: id
time: at
tables: {people: {csv: people.csv, key: user}}
events:
  - when: id
    event: label.submitted
    fields:
      label_id: id
      labeler_id: {from: user, table: people, column: name}
      team: {from: user, table: people}
      site: {from: user, table: people}
"""


def test_names_come_from_a_file_beside_the_mapping_and_an_unknown_one_is_told_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(PEOPLE)
    (tmp_path / "people.csv").write_text("user,name,team,site\n17,ana,red,\n18,bo,blue,kul\n")
    mapping = load_mapping(tmp_path / "mapping.yaml")

    def meaning(user: Any) -> HookMeaning:
        found = HookMeaning()
        for _ in find_meaning({"id": "t", "at": "2026-11-23T10:00:00Z", "user": user}, mapping, found):
            pass
        return found

    (label,) = meaning(18).events
    assert label["data"] == {"label_id": "t", "labeler_id": "bo", "team": "blue", "site": "kul"}
    found = meaning(17)  # without a site: the label counts, and its place is told
    assert found.events[0]["data"] == {"label_id": "t", "labeler_id": "ana", "team": "red"}
    assert [(one["code"], one["field"]) for one in found.problems] == [("not_in_table", "$: events[0].fields.site")]
    found = meaning(19)  # nobody knows who it is: no label
    assert found.events == []
    assert found.problems[0]["summary"]["item"]["user"] == 19


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("name,team,site\n", "no column user"),
        ("user,name,site\n", "no column team"),
        ("user,name,team,site\n1,a,b\n", "people.csv:2 has more or fewer values than names"),
        ("user,name,team,site\n1,a,b,c\n1,a,b,c\n", "people.csv:3 has '1' again"),
        ('user,name,team,site\n1,"a,b,c\n', "is no CSV"),
    ],
)
def test_a_faulty_file_of_names_is_told(text: str | None, said: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "people.csv").write_text(text)
    assert said in told(tmp_path, PEOPLE)[0][1]
