"""POST /v1/hooks/mapped: a tool that a file of 20 lines describes; forged, sent twice, unmapped, hostile."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from floorwatch.settings.review import faults
from floorwatch.settings.schema import FloorwatchConfig
from gateway.authenticator import MappingFault
from gateway.settings import GatewaySettings
from gateway.sources.mapped.kept import MAX_BYTES, MAX_DEPTH, MAX_VALUES
from gateway.sources.mapped.meaning import HookMeaning
from tests.gateway.argilla_hooks import tables, total
from tests.gateway.harness import Bench
from tests.gateway.mapped_hooks import HMAC, HOOKS, SECRET, STAMPIT, post, run_hooks, settings, signed, written
from tests.waits import until

# -- what it means -----------------------------------------------------------------------------------------------


def test_the_invented_tool_is_written_in_20_lines() -> None:
    text = STAMPIT.read_text().partition("examples:")[0]
    assert len([line for line in text.splitlines() if line and not line.startswith("#")]) == 20


def test_every_hook_of_the_invented_tool_is_accounted_for_and_the_tables_have_it() -> None:
    bench, said = run_hooks(*HOOKS)
    assert [one["events"] for one in said] == [2, 1, 1, 0]
    assert [[two["code"] for two in one["problems"]] for one in said] == [[], [], ["not_in_table"], []]
    assert said[3]["ignored"] == "a greeting"
    assert {one["source"] for one in bench.events} == {"mapped/kul"}
    assert [one["subject"] for one in bench.events] == ["kul:7", "kul:8", "kul:7", "kul:7"]
    label = bench.events[2]["data"]
    assert (label["label_id"], label["labeler_id"], label["active_ms"]) == ("kul:41", "kul:ana", 12_500)
    audit = bench.events[3]["data"]
    assert (audit["label_id"], audit["auditor_id"], audit["verdict"]) == ("kul:41", "kul:bo", "incorrect")
    panes, _ = tables(value for _, value in bench.publisher.records)
    assert total(panes, "throughput", "labels") == 1
    assert total(panes, "accuracy", "audited", "queue=hate") == 1


def test_sent_twice_nothing_changes_and_the_same_events_come() -> None:
    once, _ = run_hooks(*HOOKS)
    twice, _ = run_hooks(*HOOKS, *HOOKS)
    records = twice.publisher.records
    assert records[: len(records) // 2] == records[len(records) // 2 :] == once.publisher.records
    assert tables(value for _, value in records) == tables(value for _, value in once.publisher.records)


def test_two_sources_with_equal_ids_are_two_tasks_and_two_people() -> None:
    source = {"tool": "mapped", "secret": SECRET, "mapped": {"mapping": STAMPIT, "signature": HMAC}}
    both = GatewaySettings.model_validate({"sources": {"kul": source, "mnl": source}})

    async def steps(bench: Bench) -> None:
        for name in ("kul", "mnl"):
            assert (await post(bench, HOOKS[1], query=f"?source={name}"))[0] == 200

    events = Bench(both).run(steps).events
    assert len({one["subject"] for one in events}) == len({one["id"] for one in events}) == 2
    assert len({one["data"]["labeler_id"] for one in events}) == 2


def test_an_item_that_nothing_takes_is_a_dead_letter_of_its_own_with_its_shape_and_no_content() -> None:
    items = [
        {"ref": n, "at": "2026-11-23T10:00:00Z", "text": "hateful words", "ann@tool.example": True} for n in (1, 2)
    ]
    bench, (said,) = run_hooks({"kind": "burnt", "items": items})
    assert [one["code"] for one in said["problems"]] == ["unmapped", "unmapped"]
    assert len({key for key, _ in bench.publisher.dead}) == 2
    first = json.loads(bench.dead[0]["value"])
    assert first["item"] == {
        "ref": 1,
        "at": "2026-11-23T10:00:00Z",
        "text": {"_redacted": "text", "length": 13},
        "<name 4 of 16 characters>": {"_redacted": "boolean"},
    }
    assert bench.dead[0]["field"] == "$ item 0"
    assert "hateful" not in json.dumps(bench.dead) + json.dumps(said)


def test_all_that_match_give_events_and_a_fault_of_one_leaves_the_others(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
version: 1
title: Both
task: id
time: at
tables: {teams: {values: {a: team-a}}}
events:
  - {when: id, event: task.created, fields: {team: {from: team, table: teams}}}
  - {when: id, event: label.submitted, fields: {label_id: id, labeler_id: who, values: said}}
  - {when: id, event: task.cancelled}
""",
    )
    bench, (said,) = run_hooks({"id": 5, "at": "2026-11-23T10:00:00Z", "team": "z", "said": "x"}, mapping=path)
    assert [one["type"].split(".")[1:3] for one in bench.events] == [["task", "created"], ["task", "cancelled"]]
    assert bench.events[0]["data"]["team"] is None  # counted without it, and told
    assert [(one["code"], one["field"]) for one in said["problems"]] == [
        ("not_in_table", "$: events[0].fields.team"),
        ("missing_field", "$: events[1].fields.labeler_id"),
    ]


def test_a_revision_makes_an_event_of_a_tool_without_times_the_same_whenever_it_comes(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "{version: 1, title: Timeless, task: id, events: [{when: id, event: task.cancelled, revision: change}]}",
    )
    ids = []

    async def steps(bench: Bench) -> None:
        for change in (1, 1, 2):
            bench.now_ms += 60_000
            assert (await post(bench, {"id": "t", "change": change}))[0] == 200
        ids.extend(one["id"] for one in bench.events)

    Bench(settings(path)).run(steps)
    assert ids[0] == ids[1] != ids[2]


def test_an_item_with_many_faults_stands_in_one_letter_of_ten_at_most(tmp_path: Path) -> None:
    rules = "".join("  - {when: id, event: task.cancelled, time: gone}\n" for _ in range(12))
    path = written(tmp_path, f"version: 1\ntitle: Many\ntask: id\nevents:\n{rules}")
    bench, (said,) = run_hooks({"id": 1, "text": "x"}, mapping=path)
    letters = [json.loads(one["value"]) for one in bench.dead]
    assert len(said["problems"]) == len({key for key, _ in bench.publisher.dead}) == len(letters) == 10
    assert len({one["id"] for one in letters}) == 1
    assert ["item" in one for one in letters] == [True] + [False] * 9


def test_hooks_that_wait_in_the_spool_are_published_by_the_next_gateway(tmp_path: Path) -> None:
    """The spool holds what a hook meant when it came: a mapping that has changed meanwhile, or is gone, does not change it."""
    path = written(tmp_path, STAMPIT.read_text())

    async def while_away(bench: Bench) -> None:
        bench.publisher.broken = True
        assert (await post(bench, HOOKS[1]))[0] == 202

    first = Bench(settings(path, folder=tmp_path / "spool").model_copy(update={"hook_deadline_s": 0.2})).run(while_away)
    assert first.events == []
    path.write_text("version: 1\ntitle: Other\nignore: [{when: kind, reason: nothing}]\n")

    async def afterwards(bench: Bench) -> None:
        await until(lambda: bench.webhook_queue.waiting == 0, "the spool is empty")

    again = Bench(settings(path, folder=tmp_path / "spool")).run(afterwards)
    assert [one["data"]["label_id"] for one in again.events] == ["kul:41"]


# -- who sends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["body", "signature", "unsigned", "secret", "source", "none", "token"])
def test_a_forged_webhook_is_refused_and_nothing_of_it_is_kept(
    fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"kind": "arrived", "items": [{"ref": "forged", "at": "2026-11-23T10:00:00Z"}]}).encode()
    caplog.set_level(logging.DEBUG)
    headers = {
        "signature": {"X-Stampit": "sha256=00"},
        "unsigned": {},
        "secret": signed(body, "another-secret-than-that"),
        "token": {"Authorization": f"Bearer {SECRET}"},
    }.get(fault, signed(body))
    query = {"source": "?source=other", "none": ""}.get(fault, "?source=kul")
    sent = body.replace(b"forged", b"f0rged") if fault == "body" else body

    async def steps(bench: Bench) -> None:
        status, said = await post(bench, sent, headers, query)
        if fault == "none":  # the only source of the tool needs no name
            assert status == 200
            return
        assert status == 401, said
        assert "forged" not in json.dumps(said)

    bench = Bench(settings(folder=tmp_path / "spool")).run(steps)
    if fault != "none":
        assert (bench.publisher.records, bench.publisher.dead) == ([], [])
        assert b"rged" not in b"".join(one.read_bytes() for one in (tmp_path / "spool").iterdir() if one.is_file())
        assert "rged" not in caplog.text


def test_a_secret_header() -> None:
    async def steps(bench: Bench) -> None:
        assert (await post(bench, HOOKS[1], {"X-Auth": SECRET}))[0] == 200
        for wrong in ({"X-Auth": SECRET[:-1]}, {"Authorization": f"Bearer {SECRET}"}, {}):
            assert (await post(bench, HOOKS[1], wrong))[0] == 401

    bench = Bench(settings(signature={"kind": "header", "header": "X-Auth"})).run(steps)
    assert len(bench.events) == 1


def test_without_a_signature_the_token_of_the_source_is_demanded_and_its_grant_holds() -> None:
    async def steps(bench: Bench) -> None:
        for headers, wanted in (
            ({}, 401),
            ({"Authorization": "Bearer wrong-token"}, 401),
            (signed(json.dumps(HOOKS[1]).encode()), 401),
            ({"Authorization": "Bearer another-sender-here"}, 403),
            ({"Authorization": f"Bearer {SECRET}"}, 200),
        ):
            for query in ("?source=kul", ""):
                assert (await post(bench, HOOKS[1], headers, query))[0] == wanted
        _, said = await post(bench, HOOKS[0], {"Authorization": f"Bearer {SECRET}"})
        assert [one["code"] for one in said["problems"]] == ["not_permitted", "not_permitted"], said

    bench = Bench(settings(signature={"kind": "none"}, may=["label.*"])).run(steps)
    assert {one["type"] for one in bench.events} == {"floorwatch.label.submitted.v1"}


# -- hostile hooks -----------------------------------------------------------------------------------------------


HOSTILE = {
    "bytes": (b'{"kind": "' + b"x" * MAX_BYTES + b'"}', "too_large"),
    "values": (b'{"kind": [' + b"1," * (MAX_VALUES + 1) + b"1]}", "too_large"),
    "commas": (b"[" + b"," * 900_000 + b"]", "too_large"),
    "depth": (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "too_deep"),
    "deeper": (b"[" * 100_000 + b"]" * 100_000, "not_json"),
    "digits": (b'{"kind": ' + b"9" * 4000 + b"}", "number_too_long"),
    "beyond": (b'{"kind": ' + b"9" * 30 + b"}", "number_too_long"),
    "json": (b"{'kind'}", "not_json"),
    "no list": (b'{"kind": "arrived", "items": {"a": 1}}', "missing_field"),
    "items": (json.dumps({"kind": 1, "items": [0] * 10_001}).encode(), "too_large"),
    "surrogate": (b'{"kind": "\\ud800"}', "not_json"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_hook_is_refused_with_its_reason(name: str) -> None:
    body, code = HOSTILE[name]

    async def steps(bench: Bench) -> None:
        status, said = await post(bench, body)
        assert (status, said["error"]["code"]) == (400, code)

    bench = Bench(settings()).run(steps)
    assert (bench.publisher.records, bench.publisher.dead) == ([], [])


SLOW = """
version: 1
title: Slow
each: items
task: id
time: at
events:
  - {when: "_hook.items[?words[?contains(@, 'x')]] | [0].id == id", event: task.cancelled}
"""


@pytest.mark.parametrize(("items", "status"), [(180, 200), (1500, 400)])
def test_a_hook_that_takes_long_lets_others_run_and_ends(
    items: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up in all items for each of many: it is done in slices, and all of it has a bound."""
    path = written(tmp_path, SLOW)
    hook = {"items": [{"id": n, "at": "2026-11-23T10:00:00Z", "words": ["y" * 10] * 28} for n in range(items)]}
    turns: Counter[int] = Counter()  # steps of expressions in each turn of the loop

    def counted(self: HookMeaning, steps: int) -> None:
        turns[turns[-1]] += steps
        spend(self, steps)

    spend = HookMeaning.spend
    monkeypatch.setattr(HookMeaning, "spend", counted)

    async def steps(bench: Bench) -> None:
        done = asyncio.create_task(post(bench, hook))
        while not done.done():
            turns[-1] += 1
            await asyncio.sleep(0)
        got, said = done.result()
        assert got == status
        codes = {one["code"] for one in said["problems"]} if got == 200 else {said["error"]["code"]}
        assert codes == {"too_complex"}

    bench = Bench(settings(path)).run(steps)
    assert len(bench.dead) == (items if status == 200 else 0)
    del turns[-1]
    assert sum(turns.values()) > 800_000
    assert max(turns.values()) < 200_000  # 5 ms and one expression: some 10,000 here


def test_a_letter_of_an_outsized_item_holds_its_size_alone() -> None:
    bench, _ = run_hooks(
        {"kind": "burnt", "items": [{"ref": 1, "list": [0] * 6000}, {"ref": 2, "words": ["x" * 200] * 4000}]}
    )
    kept = [json.loads(one["value"])["item"] for one in bench.dead]
    assert kept[0] == {"_redacted": "item", "length": 5001}
    assert len(kept[1]["words"]) == 4000


# -- the configuration -------------------------------------------------------------------------------------------


def test_a_mapping_that_cannot_be_used_keeps_the_gateway_from_starting_and_config_check_says_so(tmp_path: Path) -> None:
    for path, said in (
        (
            written(tmp_path, "version: 1\ntitle: X\nevents: [{when: 'a b', event: task.cancelled}]\n"),
            "mapping.yaml:3:",
        ),
        (tmp_path / "none.yaml", "cannot be read"),
    ):
        with pytest.raises(MappingFault, match=r"gateway\.sources\.kul\.mapped\.mapping") as fault:
            Bench(settings(path)).run(lambda _: asyncio.sleep(0))
        assert said in str(fault.value)
        held = FloorwatchConfig.model_validate({"gateway": settings(path).model_dump(exclude_unset=True)})
        assert said in faults(held)[0]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"tool": "mapped", "token": SECRET}, "names no mapping"),
        ({"tool": "mapped", "secret": SECRET, "mapped": {"mapping": STAMPIT}}, "nothing is signed with it"),
        ({"tool": "mapped", "token": SECRET, "mapped": {"mapping": STAMPIT, "signature": HMAC}}, "signs its webhooks"),
        ({"tool": "mapped", "mapped": {"mapping": STAMPIT}}, "has no token"),
        ({"tool": "mapped", "mapped": {"mapping": STAMPIT, "signature": HMAC}}, "has no secret"),
        (
            {"tool": "mapped", "mapped": {"mapping": STAMPIT, "signature": {"kind": "hmac"}}},
            "needs the name of the header",
        ),
        ({"tool": "mapped", "mapped": {"mapping": STAMPIT, "signature": {"header": "X"}}}, "names a header"),
        ({"token": SECRET, "mapped": {"mapping": STAMPIT}}, "names no tool"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(source: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GatewaySettings.model_validate({"sources": {"kul": source}})
