"""POST /v1/hooks/cvat: fixtures made from CVAT's public source: accounted for, forged, replayed; settings."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from floorwatch.settings.review import faults
from floorwatch.settings.schema import FloorwatchConfig
from gateway.settings import GatewaySettings
from gateway.sources.cvat import translate as cvat_translate
from gateway.sources.cvat.read import redact
from gateway.sources.cvat.translate import IGNORED
from gateway.time_slices import SliceScheduler, TimeSlices
from gateway.webhook_batch import PendingWebhook
from tests.gateway.argilla_hooks import tables, total
from tests.gateway.cvat_hooks import MADE, SECRET, at, issue, job, post, replay, run_hooks, settings, signed, told
from tests.gateway.harness import Bench
from tests.gateway.parts import published
from tests.waits import until

CONTENT = ("stop sign", "First-", "Last-", "99.125", "secret-board", "cvat.example", "subset")

EXPECTED: dict[str, tuple[list[str], list[str]]] = {
    "its data came, so its jobs were made": (["task.created"], []),
    "handed over by the labeller": (["label.submitted"], []),
    "the reviewer finds a fault": (["audit.completed"], []),
    "mended and handed over again": (["label.submitted"], []),
    "the review is done, and no issue was filed": (["audit.completed"], []),
    "the same version: moved to validation and given to the reviewer by one request": (["label.submitted"], []),
    "a job that is deleted before anybody works on it": (["task.created"], []),
    "and its deletion": (["task.cancelled"], []),
    "a job that this gateway has never heard of, in validation already": ([], ["unknown_hand_over"]),
    "a job that is assigned to nobody": (["task.created"], []),
    "and is handed over all the same": ([], ["no_assignee"]),
    "an event that no version of CVAT's list has": ([], ["unknown_type"]),
}
"""What comes of the fixtures, by why they are there; of all others nothing, by a rule that the answer names."""


def kind(event: dict[str, Any]) -> str:
    return str(event["type"]).removeprefix("floorwatch.").removesuffix(".v1")


# -- what was made from the source -------------------------------------------------------------------------------


def test_every_fixture_is_accounted_for() -> None:
    said: list[dict[str, Any]] = []

    async def steps(bench: Bench) -> None:
        said.extend(await replay(bench))

    bench = Bench(settings()).run(steps)
    left = [kind(one) for one in bench.events]
    met = set()
    for one, answer in zip(MADE, said, strict=True):
        events, problems = EXPECTED.get(one["why"], ([], []))
        assert [left.pop(0) for _ in range(answer["events"])] == events, one["why"]
        assert [fault["code"] for fault in answer["problems"]] == problems, one["why"]
        assert bool(answer["ignored"]) == (not events and not problems), one["why"]
        met.add(one["why"])
    assert left == []
    assert EXPECTED.keys() <= met
    assert [one["code"] for one in bench.dead] == ["unknown_hand_over", "no_assignee", "unknown_type"]
    assert ["label.submitted" in one["hint"] for one in bench.dead] == [True, True, False]
    labels = [one["data"] for one in bench.events if kind(one) == "label.submitted"]
    assert [(one["labeler_id"], one["queue"], one["values"]) for one in labels] == [
        ("cvat:roads:ann", "road signs", []),
        ("cvat:roads:ann", "road signs", []),
        ("cvat:roads:bo", "project-7", []),
    ]
    audits = [one["data"] for one in bench.events if kind(one) == "audit.completed"]
    assert [(one["verdict"], one["label_id"], one["auditor_id"]) for one in audits] == [
        ("incorrect", labels[0]["label_id"], "cvat:roads:rev"),
        ("correct", labels[1]["label_id"], "cvat:roads:rev"),
    ]
    assert {one["source"] for one in bench.events} == {"cvat/roads"}
    panes, _ = tables(value for _, value in bench.publisher.records)
    assert total(panes, "throughput", "labels") == 3
    assert (total(panes, "accuracy", "audited"), total(panes, "accuracy", "correct")) == (2, 1)


def test_a_second_replay_changes_nothing() -> None:
    counts: list[int] = []

    async def steps(bench: Bench) -> None:
        await replay(bench)
        counts.append(len(bench.publisher.records))
        held = {key: one for key, one in bench.tool_state.records.items() if key.startswith("cvat/")}
        assert len(held) == 5
        for answer in await replay(bench):
            assert answer["events"] == 0
            assert [one["code"] for one in answer["problems"]] in ([], ["unknown_type"])
        assert held == {key: one for key, one in bench.tool_state.records.items() if key.startswith("cvat/")}

    assert len(Bench(settings()).run(steps).publisher.records) == counts[0]


def test_a_replay_to_a_gateway_that_has_forgotten_makes_the_same_events() -> None:
    async def steps(bench: Bench) -> None:
        await replay(bench)
        bench.tool_state.records.clear()
        await replay(bench)

    bench = Bench(settings()).run(steps)
    events = [{**one, "id": "", "time": ""} if kind(one) == "task.cancelled" else one for one in bench.events]
    assert events[: len(events) // 2] == events[len(events) // 2 :]
    # CVAT does not say when it deleted a job, so a cancellation has the time of arrival; all else is as before.
    values = [value for _, value in bench.publisher.records]
    panes, _ = tables(values)
    once, _ = tables(values[: len(values) // 2])
    for table, field in (("throughput", "labels"), ("accuracy", "audited"), ("accuracy", "correct")):
        assert total(panes, table, field) == total(once, table, field) > 0


@pytest.mark.slow
def test_no_content_gets_into_spool_memory_events_or_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True  # so that everything waits in the spool
        for one in MADE:
            status, _ = await post(bench, one["body_raw"].encode(), {"X-Signature-256": one["signature"]})
            assert status in (200, 202)
        kept = b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir() if path.is_file()).decode()
        assert not any(text in kept for text in CONTENT)
        bench.publisher.broken = False

    held = settings(tmp_path / "spool").model_copy(update={"hook_deadline_s": 0.3})
    bench = Bench(held).run(steps)
    out = json.dumps([bench.events, bench.dead, bench.tool_state.records], ensure_ascii=False) + caplog.text
    assert not any(text in out for text in CONTENT)
    assert len(bench.events) >= 10


# -- who sends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["body", "signature", "secret", "unsigned", "empty", "sha1", "capitals", "source", "argilla", "token"]
)
def test_a_forged_webhook_is_refused_and_nothing_of_it_is_kept(
    fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps(job(5, task_name="forged-content")).encode()
    caplog.set_level(logging.DEBUG)

    async def steps(bench: Bench) -> None:
        sent, query, headers = body, "?source=roads", signed(body)
        right = headers["X-Signature-256"]
        if fault == "body":
            sent = body.replace(b"forged", b"f0rged")
        elif fault == "signature":
            headers["X-Signature-256"] = right[:-1] + ("0" if right[-1] != "0" else "1")
        elif fault == "secret":
            headers = signed(body, "another-secret-of-cvat")
        elif fault in ("unsigned", "token"):
            headers = {"Authorization": f"Bearer {SECRET}"} if fault == "token" else {}
        elif fault in ("empty", "sha1", "capitals"):
            given = {"empty": "", "sha1": right.replace("sha256", "sha1"), "capitals": right.upper()}
            headers["X-Signature-256"] = given[fault]
        elif fault == "source":
            query = "?source=other"
        elif fault == "argilla":
            headers = {"webhook-id": "1", "webhook-timestamp": str(bench.now_ms // 1000), "webhook-signature": right}
        status, said = await post(bench, sent, headers, query)
        assert status == 401, said
        assert set(said["error"]) == {"code", "reason", "hint"}
        assert "forged" not in json.dumps(said)
        assert SECRET not in json.dumps(said)

    bench = Bench(settings(tmp_path / "spool")).run(steps)
    assert (bench.publisher.records, bench.publisher.dead, bench.tool_state.records) == ([], [], {})
    kept = b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir() if path.is_file())
    assert b"forged" not in kept
    assert "forged" not in caplog.text


def test_either_of_two_secrets_will_do_while_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"# the new one\nthe-new-secret-of-cvat\n\n{SECRET}\n")
    held = GatewaySettings.model_validate({"sources": {"roads": {"tool": "cvat", "secret_file": path}}})
    body = MADE[0]["body_raw"].encode()

    async def steps(bench: Bench) -> None:
        assert (await post(bench, body, signed(body), ""))[0] == 200
        assert (await post(bench, body, signed(body, "the-new-secret-of-cvat")))[0] == 200
        path.write_text("the-new-secret-of-cvat")
        bench.now_ms += 2000
        assert (await post(bench, body, signed(body)))[0] == 401

    Bench(held).run(steps)


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_only_in_memory_is_not_answered_2xx_for_cvat_sends_it_again(kept: bool, tmp_path: Path) -> None:
    body = json.dumps(job(5)).encode()

    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True
        assert (await post(bench, body, signed(body)))[0] == (202 if kept else 503)
        bench.publisher.broken = False
        await until(lambda: bench.webhook_queue.waiting == 0, "the webhook is worked off")
        await post(bench, body, signed(body))
        await until(lambda: bench.webhook_queue.waiting == 0, "and its retry")

    held = settings(tmp_path / "spool" if kept else None).model_copy(update={"hook_deadline_s": 0.3})
    assert [kind(one) for one in Bench(held).run(steps).events] == ["task.created"]


# -- what cannot be counted --------------------------------------------------------------------------------------


def test_what_cannot_be_counted_goes_to_the_dead_letters_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cvat_translate, "MOST_STATES", 2)
    monkeypatch.setattr(cvat_translate, "MOST_ISSUES", 1)
    hooks = [
        {"event": "create:label", "label": {"id": 4}},
        job(1, updated_date="yesterday"),
        job(1, updated_date="2026-11-23T10:00:00"),
        job(1, stage="paused"),
        job(1, state="done"),
        job(1, id="one"),
        job(1, id=None),
        job(1, task_id=None),
        issue(1, job=None),
        issue(1, created_date=None),
        job(1),
        job(2, state="new"),
        job(3, stage="validation"),
        issue(4),
        issue(5, number=8),
    ]
    bench, said = run_hooks(*hooks)
    wrong = ["wrong_time", "wrong_time", "unknown_stage", "unknown_state", "wrong_id", *["missing_field"] * 4]
    codes = ["unknown_type", *wrong, "too_many_changes", "too_many_issues"]
    assert [one["code"] for one in bench.dead] == codes
    assert [one["events"] for one in said] == [*[0] * 10, 1, *[0] * 4]
    assert all(one["reason"] for one in bench.dead)


@pytest.mark.parametrize("body", [b"[]", b"1", b"{}", b'{"event": 3}', b"{", b"\xff", b'{"event": "update:job"'])
def test_what_is_no_webhook_is_refused(body: bytes) -> None:
    async def steps(bench: Bench) -> None:
        assert (await post(bench, body, signed(body)))[0] == 400

    assert Bench(settings()).run(steps).publisher.records == []


@pytest.mark.parametrize("part", [None, 5, "x", [], {"id": {}}, {"id": 1e300}, {"id": 10**400}, {"id": True}])
@pytest.mark.parametrize("event", ["update:job", "create:issue", "delete:job", "ping"])
def test_no_body_with_the_name_of_an_event_breaks_anything(event: str, part: Any) -> None:
    bench, said = run_hooks(
        {"event": event, event.partition(":")[2] or "x": part, "sender": part, "before_update": part}
    )
    assert bench.events == []
    assert [one["code"] for one in said[0]["problems"]] in ([], ["missing_field"], ["wrong_id"])
    assert "internal_error" not in json.dumps(said)


def test_every_event_that_cvat_lists_is_mapped_or_left_out_by_a_rule() -> None:
    """``EventsEnum`` of cvat-sdk 2.80.0, and ping."""
    verbs = ("create", "update", "delete")
    nouns = ("comment", "issue", "job", "membership", "organization", "project", "task", "user")
    listed = {f"{verb}:{noun}" for noun in nouns for verb in verbs} | {"create:invitation", "delete:invitation", "ping"}
    mapped = {f"{verb}:{noun}" for noun in ("job", "issue") for verb in verbs}
    assert listed - mapped <= IGNORED.keys()
    requests = (
        "calculate:quality",
        "create:task",
        "export:annotations",
        "export:backup",
        "export:dataset",
        "merge:job",
    )
    _, said = run_hooks(*({"event": f"completed:request[{one}]", "request": {}} for one in requests))
    assert all(one["ignored"] and not one["problems"] for one in said)


@pytest.mark.parametrize("seed", range(8))
def test_how_webhooks_fall_into_batches_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    hooks: list[dict[str, Any]] = []
    for second in range(1, 60):
        name = rng.randrange(3)
        stage = rng.choice(("annotation", "annotation", "validation", "acceptance"))
        state = rng.choice(("new", "in progress", "completed", "rejected"))
        one = job(second, stage, state, rng.choice(("ann", "bo", None)), rng.choice(("ann", "rev")), id=name)
        hooks.append(rng.choice((one, one, issue(second, job=name, number=second))))
    hooks += [job(59, id=0, event="delete:job"), *rng.sample(hooks, 10)]
    held = settings()

    async def reduced() -> list[dict[str, Any]]:
        slices = TimeSlices(SliceScheduler(), "")
        return [await redact(json.dumps(one).encode(), held.tool_settings("cvat/roads"), slices) for one in hooks]

    kept = asyncio.run(reduced())
    waiting = [PendingWebhook(number, "cvat/roads", number, hook) for number, hook in enumerate(kept, 1)]

    one_by_one = published(waiting, held, 1, rng)
    assert len(one_by_one[0]) > 5
    for most in (3, 10, len(waiting)):
        assert published(waiting, held, most, rng) == one_by_one


# -- configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "place", "said"),
    [
        ({}, "secret", "no secret of CVAT"),
        ({"secret": "short"}, "secret", "fewer than 16 characters"),
        ({"secret": "x" * 65}, "secret", "more than the 64 characters CVAT keeps"),
        ({"secret": "# nothing"}, "secret", "no secret in it"),
        ({"secret": SECRET, "token": "12345678"}, "token", "sends no token"),
        ({"secret": SECRET, "argilla": {"auditors": ["owner"]}}, "argilla", "tool is cvat"),
        ({"secret": SECRET, "cvat": {"accept": "correct"}}, "cvat.accept", "accept"),
        ({"secret": SECRET, "cvat": {"acceptance": "wrong"}}, "cvat.acceptance", "acceptance"),
        (
            {"secret": SECRET, "cvat": {"labelers": {"ann": {}}}},
            "labelers.ann",
            "no person of CVAT has such an id",
        ),
    ],
)
def test_a_source_that_cannot_be_meant_so_is_told_with_its_place(source: dict[str, Any], place: str, said: str) -> None:
    with pytest.raises(ValidationError) as fault:
        GatewaySettings.model_validate({"sources": {"roads": {"tool": "cvat", **source}}})
    assert said in str(fault.value)
    assert place in str(fault.value)
    assert SECRET not in str(fault.value.errors()[0]["msg"])


def test_config_check_reads_secret_files(tmp_path: Path) -> None:
    def told_of(text: str | None) -> list[str]:
        path = tmp_path / "secret"
        if text is not None:
            path.write_text(text)
        source = {"tool": "cvat", "secret_file": path}
        return faults(FloorwatchConfig.model_validate({"gateway": {"sources": {"roads": source}}}))

    assert "gateway.sources.roads.secret_file" in told_of(None)[0]
    assert "fewer than 16 characters" in told_of("short")[0]
    assert told_of(SECRET) == []


def test_dimensions_of_projects_and_people_are_configured() -> None:
    projects = {"7": {"policy": "P3", "market": "de", "sla_class": "fast"}, 8: {"queue": "lanes"}}
    labelers = {"cvat:roads:ann": {"team": "a", "site": "kul", "vendor": "bpo"}}
    hooks = [
        job(1),
        job(2, state="completed"),
        job(3, id=2, project_id=8),
        job(3, id=3, project_id=None, project_name=None),
    ]
    bench, _ = run_hooks(*hooks, projects=projects, labelers=labelers)
    assert told(bench) == [("task.created", ""), ("label.submitted", "ann"), ("task.created", ""), ("task.created", "")]
    assert [one["data"]["queue"] for one in bench.events] == ["road signs", "road signs", "lanes", "night drive"]
    assert [one["data"]["market"] for one in bench.events] == ["de", "de", None, None]
    assert bench.events[0]["data"]["sla_class"] == "fast"
    label = bench.events[1]["data"]
    assert (label["team"], label["site"], label["vendor"], label["policy"]) == ("a", "kul", "bpo", "P3")
    assert bench.events[1]["time"] == at(2, 500_000)
    bench, _ = run_hooks(job(1), queue_from="task")
    assert bench.events[0]["data"]["queue"] == "night drive"
