"""POST /v1/hooks/label-studio: everything captured goes through; nothing waits long, nothing secret gets further."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import GatewaySettings
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.sources.label_studio.tool import LABEL_STUDIO
from gateway.sources.registry import TOOLS
from tests.core.harness import CoreRun
from tests.gateway.harness import FIXTURES, NOW_MS, Bench, fixture, fixture_names, raw_fixture
from tests.waits import until

CONTENT = ("you are all lovely", "buy followers", "siehe Regel", "Apply the policy", "label_config", "content_id")


async def all_fixtures(bench: Bench) -> None:
    for name in fixture_names():
        status, said = await bench.hook(raw_fixture(name), "?source=kul-1")
        assert (status, said["status"]) == (200, "done"), name
        bench.now_ms += 1000


def test_all_fixtures_become_what_the_files_say() -> None:
    """The expected numbers are counted here from the files alone, not from any event."""
    bench = Bench().run(all_fixtures)
    expected = counted()
    run = CoreRun(partitions=2)
    run.send(value for _, value in bench.publisher.records)
    run.finish()
    panes = run.panes()

    def total(table: str, field: str, scope: str) -> float:
        return sum(row[field] for (key, _), row in panes[table].items() if key == scope)

    for scope, numbers in expected.items():
        assert total("throughput", "labels", scope) == numbers["labels"], scope
        assert total("throughput", "handle_ms_sum", scope) == numbers["handle_ms"], scope
        assert total("accuracy", "audited", scope) == numbers["audited"], scope
        assert total("accuracy", "correct", scope) == numbers["correct"], scope
        assert total("accuracy", "incomparable", scope) == numbers["incomparable"], scope
    assert (expected["all"]["labels"], expected["all"]["incomparable"]) == (15, 1)
    assert {key for key, _ in panes["throughput"] if key.startswith("queue=")} == {
        key for key in expected if key != "all"
    }
    assert [letter["code"] for letter in bench.dead] == ["unknown_annotation"]
    assert bench.dead[0]["stage"] == "gateway"
    assert json.loads(bench.dead[0]["value"])["id"] == 20


def counted() -> dict[str, dict[str, int]]:
    """Labels, work time, audits by queue: the last state of each annotation that was not skipped.

    A save that only marks ground truth says nothing.
    """
    last: dict[int, tuple[str, int | None, list[bool | None]]] = {}
    original: dict[int, Any] = {}
    truth: dict[int, bool] = {}
    for name in fixture_names():
        hook = fixture(name)
        found, tasks = hook.get("annotation", []), hook.get("task", [])
        for annotation in found if isinstance(found, list) else [found]:
            task = next(t for t in (tasks if isinstance(tasks, list) else [tasks]) if t["id"] == annotation["task"])
            key = annotation["id"]
            if annotation["was_cancelled"]:
                continue
            lead = annotation["lead_time"]
            audits = last[key][2] if key in last else []
            marked = truth.get(key, annotation["ground_truth"]) != annotation["ground_truth"]
            truth[key] = annotation["ground_truth"]
            if annotation["updated_by"] not in (None, annotation["completed_by"]):
                if marked and original.get(key) == annotation["result"]:
                    continue
                same = original.get(key) == annotation["result"]
                audits = [same if key in original else None]  # of an answer never seen there is no verdict
            else:
                original[key] = annotation["result"]
            last[key] = (task["data"]["queue"], None if lead is None else round(lead * 1000), audits)
    out: dict[str, dict[str, int]] = {}
    for queue, handle_ms, audits in last.values():
        for scope in ("all", f"queue={queue}"):
            row = out.setdefault(scope, {"labels": 0, "handle_ms": 0, "audited": 0, "correct": 0, "incomparable": 0})
            row["labels"] += 1
            row["handle_ms"] += handle_ms or 0
            row["audited"] += sum(said is not None for said in audits)
            row["correct"] += sum(said is True for said in audits)
            row["incomparable"] += audits.count(None)
    return out


def test_everything_twice_makes_the_same_tables() -> None:
    async def twice(bench: Bench) -> None:
        await all_fixtures(bench)
        await all_fixtures(bench)

    tables = []
    for bench in (Bench().run(all_fixtures), Bench().run(twice)):
        run = CoreRun()
        run.send(value for _, value in bench.publisher.records)
        run.finish()
        tables.append({name: {key: _settled(row) for key, row in rows.items()} for name, rows in run.panes().items()})
    assert tables[0] == tables[1]


def _settled(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "revision"}


@pytest.mark.slow
def test_nothing_secret_gets_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answers: list[str] = []

    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True
        for name in fixture_names():
            _, said = await bench.hook(real_body(name) or raw_fixture(name))
            answers.append(json.dumps(said))
        spooled.append(contents(tmp_path))
        bench.publisher.broken = False
        await drained(bench)
        for name in fixture_names():
            _, said = await bench.hook(raw_fixture(name))
            answers.append(json.dumps(said))

    spooled: list[bytes] = []
    settings = GatewaySettings(spool_dir=tmp_path, hook_deadline_s=0.1)
    bench = Bench(settings).run(steps)
    everywhere = b"".join([
        *(key + value for key, value in [*bench.publisher.records, *bench.publisher.dead]),
        *spooled,
        json.dumps(bench.tool_state.records).encode(),
        caplog.text.encode(),
        "".join(answers).encode(),
    ])  # fmt: skip
    assert len(spooled[0]) > 10_000
    for secret in (*real_tokens(), "REDACTED", "lab-token", *CONTENT):
        assert secret.encode() not in everywhere, "a secret got through"


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def shared_fixtures() -> Path | None:
    """The unredacted captures, where FLOORWATCH_FIXTURES says they are."""
    folder = os.environ.get("FLOORWATCH_FIXTURES")
    return Path(folder) / "label-studio-1.23.2" if folder else None


def real_body(name: str) -> str | None:
    folder = shared_fixtures()
    return json.loads((folder / f"{name}.json").read_text())["body_raw"] if folder else None


def real_tokens() -> set[str]:
    folder = shared_fixtures()
    found: set[str] = set()
    for path in folder.glob("*.json") if folder else ():
        body = json.loads(path.read_text())["body_raw"]
        found.update(re.findall(r'"token": ?"([^"]+)"', body))
    return found


def test_the_committed_fixtures_hold_no_token() -> None:
    texts = [path.read_text() for path in FIXTURES.glob("*.json")]
    assert len(texts) == 25
    for text in texts:
        assert set(re.findall(r'\\"token\\": ?\\"([^"]*)\\"', text)) <= {"REDACTED-PROJECT-TOKEN"}
        assert not re.search(r"Bearer (?!REDACTED)", text)
        for token in real_tokens():
            assert token not in text


async def drained(bench: Bench) -> None:
    entries = [*bench.webhook_queue._ready, *bench.webhook_queue._unsynced]
    if entries:
        await entries[-1].outcome


def test_sources_are_named_by_the_address_the_token_or_the_settings() -> None:
    async def steps(bench: Bench) -> None:
        await bench.hook(fixture("0009"), "?source=kul-1")
        await bench.hook(fixture("0009"))
        assert (await bench.hook(fixture("0009"), "?source=" + "x" * 201))[0] == 400
        assert (await bench.hook(fixture("0009"), "?source=a%0Ab"))[0] == 400

    settings = GatewaySettings(label_studio=LabelStudioSettings(source="main"))
    bench = Bench(settings).run(steps)
    assert [event["source"] for event in bench.events] == ["label-studio/kul-1", "label-studio/main"]
    assert {key.split(":")[0] for key in bench.tool_state.records if not key.startswith("lane:")} == {
        "label-studio/kul-1",
        "label-studio/main",
    }


@pytest.mark.parametrize("body", ["", "{oops", "[]", '"x"', "{}", '{"action": 5}', "[" * 100_000, "\x00"])
def test_what_is_no_webhook_is_400(body: str) -> None:
    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(body)
        assert status == 400
        assert said["error"]["reason"]
        metrics = await bench.metrics()
        assert metrics['floorwatch_gateway_events_total{outcome="rejected",source_kind="label-studio"}'] == 1

    assert Bench().run(steps).publisher.records == []


def test_ignored_and_unknown_actions_are_answered_and_counted() -> None:
    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(fixture("0001"))
        assert (status, said["events"]) == (200, 0)
        assert "PROJECT_CREATED" in said["ignored"]
        status, said = await bench.hook({"action": "COMMENT_CREATED"})
        assert (status, said["problems"][0]["code"]) == (200, "unknown_type")
        metrics = await bench.metrics()
        kind = 'source_kind="label-studio"'
        assert metrics[f'floorwatch_gateway_events_total{{outcome="ignored",{kind}}}'] == 1
        assert metrics[f'floorwatch_gateway_events_total{{outcome="dead",{kind}}}'] == 1
        assert metrics['floorwatch_dead_letters_total{code="unknown_type",stage="gateway"}'] == 1

    bench = Bench().run(steps)
    assert [(letter["code"], letter["source_topic"], letter["offset"]) for letter in bench.dead] == [
        ("unknown_type", None, None)
    ]
    assert bench.dead[0]["at"].startswith("2026-11-23T12:00:00")


def test_a_label_that_intake_would_refuse_is_a_dead_letter_here() -> None:
    hook = fixture("0009")
    hook["annotation"]["result"][0]["value"]["choices"] = ["Spam\x00"]

    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(hook)
        assert (status, said["events"], said["problems"][0]["code"]) == (200, 0, "control_character")

    assert [letter["code"] for letter in Bench().run(steps).dead] == ["control_character"]


@pytest.mark.slow
@pytest.mark.parametrize("away", ["broker", "memory", "broker hangs"])
@pytest.mark.parametrize("on_disk", [True, False])
def test_with_broker_or_memory_away_it_answers_in_time_and_catches_up_in_order(
    away: str, on_disk: bool, tmp_path: Path
) -> None:
    async def steps(bench: Bench) -> None:
        bench.publisher.broken = away == "broker"
        bench.tool_state.broken = away == "memory"
        gate = asyncio.Event()
        bench.publisher.gate = gate if away == "broker hangs" else None
        for name in ("0009", "0010", "0014", "0015"):
            status, said = await bench.hook(raw_fixture(name))
            assert (status, said["status"], said["durable"]) == (202, "waiting", on_disk)
        assert (await bench.metrics())["floorwatch_gateway_spool_events"] == 4
        assert bench.publisher.records == []
        if away != "broker hangs":
            async with bench.client.get("/readyz") as answer:
                assert answer.status == 503
                assert "4 webhooks wait" in (await answer.text())
        bench.publisher.broken = bench.tool_state.broken = False
        gate.set()
        await drained(bench)
        assert (await bench.hook(raw_fixture("0016")))[0] == 200
        async with bench.client.get("/readyz") as answer:
            assert answer.status == 200

    marks = LabelStudioSettings(confirmations=frozenset({"ground_truth"}))
    spool_dir = tmp_path if on_disk else None
    settings = GatewaySettings(spool_dir=spool_dir, hook_deadline_s=0.8, publish_timeout_s=0.2, label_studio=marks)
    bench = Bench(settings).run(steps)
    found = [(event["type"].split(".")[1], event["subject"]) for event in bench.events]
    assert found == [
        ("label", "ls-1-5"),
        ("label", "ls-1-5"),
        ("label", "ls-2-21"),
        ("audit", "ls-2-21"),
        ("label", "ls-1-12"),
    ]


def test_the_time_of_a_deletion_is_that_of_its_arrival_however_long_it_waits() -> None:
    async def steps(bench: Bench) -> None:
        await bench.hook(raw_fixture("0009"))
        bench.publisher.broken = True
        bench.now_ms += 60_000
        await bench.hook({"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 4}], "project": {"id": 1}})
        bench.now_ms += 3_600_000
        bench.publisher.broken = False
        await drained(bench)

    bench = Bench(GatewaySettings(hook_deadline_s=0.02)).run(steps)
    assert bench.events[-1]["time"].startswith("2026-11-23T12:01:00")
    assert NOW_MS == 1_795_435_200_000


def test_while_the_broker_is_known_to_be_away_a_webhook_on_disk_is_answered_at_once(tmp_path: Path) -> None:
    """Its sender would else hold a connection for nothing: a tool that sends 2,000 a second would need 1,600."""

    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True
        first = asyncio.create_task(bench.hook(raw_fixture("0009")))
        await until(bench.webhook_queue.faults, "the fault is known")
        assert (await asyncio.wait_for(bench.hook(raw_fixture("0010")), 10))[0] == 202
        bench.publisher.broken = False
        assert (await first)[0] == 200
        await drained(bench)
        assert (await bench.hook(raw_fixture("0014")))[0] == 200

    Bench(GatewaySettings(hook_deadline_s=30, spool_dir=tmp_path)).run(steps)


def test_a_full_spool_is_503_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True
        statuses = [(await bench.hook(raw_fixture("0009")))[0] for _ in range(3)]
        assert statuses == [202, 202, 503]
        metrics = await bench.metrics()
        assert metrics['floorwatch_gateway_events_total{outcome="rejected",source_kind="label-studio"}'] == 1
        bench.publisher.broken = False

    Bench(GatewaySettings(spool_max_hooks=3, hook_deadline_s=0.02)).run(steps)
    assert (
        "refused 503 unavailable: POST /v1/hooks/label-studio, source anyone, from this machine: 2 webhooks of"
        in caplog.text
    )


def test_a_webhook_that_breaks_the_translation_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    real = LABEL_STUDIO.translate

    def fragile(hook: Any, seen: Any, context: Any) -> Any:
        if hook["annotations"][0]["id"] == 4:
            raise KeyError("SECRET")
        return real(hook, seen, context)

    monkeypatch.setitem(TOOLS, "label-studio", replace(LABEL_STUDIO, translate=fragile))

    async def steps(bench: Bench) -> None:
        _, said = await bench.hook(raw_fixture("0009"))
        assert said["problems"][0]["code"] == "internal_error"
        assert (await bench.hook(raw_fixture("0014")))[1]["events"] == 1

    bench = Bench().run(steps)
    assert "SECRET" not in json.dumps(bench.dead)
    assert bench.dead[0]["code"] == "internal_error"


@pytest.mark.parametrize("year_one", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
@pytest.mark.parametrize("name", ["0006", "0010"])
def test_a_time_at_the_ends_of_the_calendar_is_refused_and_not_a_fault(name: str, year_one: str) -> None:
    """Found by make fuzz: the start of the work lay before year 1."""
    body = fixture(name)
    body["annotation"] |= {"created_at": year_one, "updated_at": year_one, "lead_time": 12.5}

    async def steps(bench: Bench) -> None:
        await bench.hook(body)

    bench = Bench().run(steps)
    assert [letter["code"] for letter in bench.dead if letter["code"] == "internal_error"] == []
    assert bench.dead
    assert bench.events == []
