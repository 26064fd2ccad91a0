"""POST /v1/hooks/argilla: what was captured, and what was not: audits, drafts, deletions, forgeries, replays."""

from __future__ import annotations

import asyncio
import base64
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
from gateway.sources import page_index
from gateway.sources.argilla.read import redact
from gateway.sources.argilla.translate import IGNORED
from gateway.sources.registry import TOOLS, ToolSections
from gateway.time_slices import SliceScheduler, TimeSlices
from gateway.webhook_batch import PendingWebhook
from tests.gateway.argilla_hooks import (
    CAPTURED,
    RESPONSE,
    SECRET,
    headers_of,
    post,
    replay,
    response,
    run_hooks,
    settings,
    signed,
    tables,
    total,
)
from tests.gateway.harness import Bench
from tests.gateway.parts import published
from tests.waits import until

CONTENT = ("naïve", "na\\u00efve", "apply the policy", "ext-0", "All policies", "first_name", "Harassment")


# -- what was captured -------------------------------------------------------------------------------------------


def counted() -> tuple[set[str], set[str]]:
    """Records created, and responses that stand as labels at the end: from the files alone."""
    created, standing = set(), set()
    for one in CAPTURED:
        hook = json.loads(one["body_raw"])
        data = hook["data"]
        if hook["type"] == "record.created":
            created.add(data["id"])
        elif hook["type"] in ("response.created", "response.updated") and data["status"] == "submitted":
            standing.add(data["id"])
        elif hook["type"] == "response.deleted":
            standing.discard(data["id"])
    return created, standing


def test_every_captured_request_is_accounted_for_and_tables_equal_what_the_files_say() -> None:
    said: list[dict[str, Any]] = []

    async def steps(bench: Bench) -> None:
        said.extend(await replay(bench))

    bench = Bench(settings()).run(steps)
    assert all(one["events"] or one["ignored"] or one["problems"] for one in said)
    for one, answer in zip(CAPTURED, said, strict=True):
        kind = json.loads(one["body_raw"])["type"]
        assert answer["ignored"] == IGNORED.get(kind), kind
    assert bench.dead == []
    created, standing = counted()
    panes, _ = tables(value for _, value in bench.publisher.records)
    assert total(panes, "throughput", "labels") == len(standing) == 4
    assert {key for key, _ in panes["throughput"] if key.startswith("queue=")} == {"queue=ugc-en"}
    events = bench.events
    assert [one["subject"] for one in events if "task.created" in one["type"]] == [f"argilla-{one}" for one in created]
    labels = [one["data"] for one in events if "label.submitted" in one["type"]]
    assert [(one["labeler_id"], one["values"]) for one in labels] == [
        ("argilla-ann", ["policy=Safe", "policies=Safe"]),
        ("argilla-bo", ["policy=Hate", "policies=Hate"]),
        ("argilla-ann", ["policy=Hate", "policies=Hate"]),
        ("argilla-bo", ["policy=Spam", "policies=Spam"]),
    ]
    (task,) = [one["data"] for one in events if "task.created" in one["type"]]
    assert (task["required_labels"], task["queue"], task["priority"]) == (2, "ugc-en", "P1")
    kinds = [one["type"] for one in events]
    assert kinds.count("floorwatch.label.withdrawn.v1") == 1
    # One record was deleted, then its dataset with every record that is left.
    assert kinds.count("floorwatch.task.cancelled.v1") == 1 + 4
    assert {one["source"] for one in events} == {"argilla/kul"}


def test_a_second_replay_and_retries_with_new_ids_change_nothing() -> None:
    once: list[int] = []

    async def steps(bench: Bench) -> None:
        await replay(bench)
        once.append(len(bench.publisher.records))
        assert not any(one["events"] for one in await replay(bench))
        for number, one in enumerate(CAPTURED):
            body, at_s = one["body_raw"].encode(), bench.now_ms // 1000 + 180
            bench.now_ms = at_s * 1000
            assert (await post(bench, body, signed(body, at_s, number)))[0] == 200

    bench = Bench(settings()).run(steps)
    values = [value for _, value in bench.publisher.records]
    assert tables(values) == tables(values[: once[0]])


def test_a_replay_to_a_gateway_that_has_forgotten_makes_the_same_events() -> None:
    async def steps(bench: Bench) -> None:
        await replay(bench)
        bench.tool_state.records.clear()
        await replay(bench)

    records = Bench(settings()).run(steps).publisher.records
    assert records[: len(records) // 2] == records[len(records) // 2 :]


# -- who sends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["body", "signature", "id", "time", "secret", "unsigned", "old", "source", "token"])
def test_a_forged_webhook_is_refused_and_nothing_of_it_is_kept(
    fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"type": "response.created", "data": {"id": "forged-content"}}'
    caplog.set_level(logging.DEBUG)

    async def steps(bench: Bench) -> None:
        now_s = bench.now_ms // 1000
        sent, query, headers = body, "?source=kul", signed(body, now_s)
        if fault == "body":
            sent = body.replace(b"forged", b"f0rged")
        elif fault == "signature":
            headers["webhook-signature"] = headers["webhook-signature"][:-4] + "AAA="
        elif fault == "id":
            headers["webhook-id"] = "msg_2"
        elif fault == "time":
            headers["webhook-timestamp"] = str(now_s + 1)
        elif fault == "secret":
            headers = signed(body, now_s, secret=base64.b64encode(b"x" * 64).decode())
        elif fault == "unsigned":
            del headers["webhook-signature"]
        elif fault == "old":
            headers = signed(body, now_s - 301)
        elif fault == "source":
            query = "?source=other"
        status, said = await post(bench, sent, headers if fault != "token" else {}, query)
        assert status == 401, said
        assert set(said["error"]) == {"code", "reason", "hint"}
        assert "forged" not in json.dumps(said)
        # A source that signs has no token: its name, or none, lets nobody send events.
        for token in ("", "Bearer ", "Bearer kul", f"Bearer {SECRET}"):
            assert (await bench.post([], Authorization=token))[0] == 401

    bench = Bench(settings(tmp_path / "spool")).run(steps)
    assert (bench.publisher.records, bench.publisher.dead, bench.tool_state.records) == ([], [], {})
    kept = b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir() if path.is_file())
    assert b"forged" not in kept
    assert b"response.created" not in kept
    assert "forged" not in caplog.text


def test_one_right_signature_of_several_and_either_secret_will_do_and_one_source_needs_no_name(tmp_path: Path) -> None:
    other = base64.b64encode(b"y" * 32).decode()
    path = tmp_path / "secret"
    path.write_text(f"# the new one\nwhsec_{other}\n{SECRET}\n")
    held = GatewaySettings.model_validate({"sources": {"kul": {"tool": "argilla", "secret_file": path}}})
    body = CAPTURED[0]["body_raw"].encode()

    async def steps(bench: Bench) -> None:
        now_s = bench.now_ms // 1000
        headers = signed(body, now_s)
        headers["webhook-signature"] = f"v1,AAAA v1a,BBBB {headers['webhook-signature']}"
        assert (await post(bench, body, headers, ""))[0] == 200
        assert (await post(bench, body, signed(body, now_s, secret=other)))[0] == 200
        path.write_text(SECRET)
        bench.now_ms += 2000
        assert (await post(bench, body, signed(body, now_s, secret=other)))[0] == 401
        path.write_text("no base64!")
        bench.now_ms += 2000
        assert (await post(bench, body, signed(body, now_s)))[0] == 200

    Bench(held).run(steps)


@pytest.mark.slow
def test_no_content_gets_into_spool_memory_events_or_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True  # so that everything waits in the spool
        for one in CAPTURED:
            bench.now_ms = int(headers_of(one)["webhook-timestamp"]) * 1000
            assert (await post(bench, one["body_raw"].encode(), headers_of(one)))[0] in (200, 202)
            kept = b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir() if path.is_file()).decode()
            assert not any(text in kept for text in CONTENT)
        bench.publisher.broken = False

    held = settings(tmp_path / "spool").model_copy(update={"hook_deadline_s": 0.3})
    bench = Bench(held).run(steps)
    out = json.dumps([bench.events, bench.dead, bench.tool_state.records], ensure_ascii=False) + caplog.text
    assert not any(text in out for text in CONTENT)
    assert len(bench.events) >= 10


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_only_in_memory_is_not_answered_2xx_for_argilla_sends_it_again(kept: bool, tmp_path: Path) -> None:
    body = json.dumps(response("created", 1)).encode()

    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True
        headers = signed(body, bench.now_ms // 1000)
        assert (await post(bench, body, headers))[0] == (202 if kept else 503)
        bench.publisher.broken = False
        await until(lambda: bench.webhook_queue.waiting == 0, "the webhook is worked off")
        await post(bench, body, signed(body, bench.now_ms // 1000, 2))
        await until(lambda: bench.webhook_queue.waiting == 0, "and its retry")

    held = settings(tmp_path / "spool" if kept else None).model_copy(update={"hook_deadline_s": 0.3})
    values = [value for _, value in Bench(held).run(steps).publisher.records]
    panes, _ = tables(values)
    assert total(panes, "throughput", "labels") == 1


# -- lives of responses ------------------------------------------------------------------------------------------


# -- records and datasets ----------------------------------------------------------------------------------------


def record(action: str, second: int, name: str, **metadata: Any) -> dict[str, Any]:
    data = json.loads(json.dumps(RESPONSE["data"]["record"])) | {"id": name}
    data["metadata"] |= metadata
    return {"type": f"record.{action}", "version": 1, "timestamp": f"2026-11-23T04:01:{second:02}Z", "data": data}


def dataset_deleted() -> dict[str, Any]:
    data = RESPONSE["data"]["record"]["dataset"]
    return {"type": "dataset.deleted", "version": 1, "timestamp": "2026-11-23T05:00:00Z", "data": data}


def test_a_deleted_dataset_cancels_the_records_it_still_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_index, "PAGE_RECORDS", 2)
    hooks = [record("created", at, f"rec-{at}") for at in range(7)]
    hooks += [record("deleted", 10, "rec-1"), record("deleted", 11, "rec-6"), dataset_deleted(), dataset_deleted()]
    bench, said = run_hooks(*hooks)
    gone = [one["subject"] for one in bench.events if "task.cancelled" in one["type"]]
    assert gone == [f"argilla-rec-{at}" for at in (1, 6, 0, 2, 3, 4, 5)]
    assert said[-1]["ignored"]
    assert not said[-1]["events"]


def test_a_dataset_with_more_records_than_are_remembered_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_index, "PAGE_RECORDS", 1)
    monkeypatch.setattr(page_index, "MOST_PAGES", 2)
    bench, _ = run_hooks(*[record("created", at, f"rec-{at}") for at in range(3)], dataset_deleted())
    assert [one["code"] for one in bench.dead] == ["too_many_records"]
    assert len([one for one in bench.events if "task.cancelled" in one["type"]]) == 2


def test_what_cannot_be_counted_goes_to_the_dead_letters_with_its_reason() -> None:
    unknown = {"type": "user.created", "timestamp": "2026-11-23T04:00:00Z", "data": {"id": "u"}}
    late, odd, nameless = response("created", 1), response("created", 2), response("created", 3)
    late["timestamp"] = "yesterday"
    odd["data"]["status"] = "paused"
    del nameless["data"]["id"]
    due = record("created", 4, "rec-1", due_at="tomorrow")
    who = response("deleted", 5, "olga")
    bench, said = run_hooks(unknown, late, odd, nameless, due, who, auditors=["owner"])
    codes = ["unknown_type", "wrong_time", "unknown_status", "missing_field", "wrong_time", "unknown_response"]
    assert [one["code"] for one in bench.dead] == codes
    assert [one["events"] for one in said] == [0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("body", [b"[]", b"1", b"{}", b'{"type": 3}', b"{", b"\xff", b'{"type": "response.created"'])
def test_what_is_no_webhook_is_refused(body: bytes) -> None:
    async def steps(bench: Bench) -> None:
        assert (await post(bench, body, signed(body, bench.now_ms // 1000)))[0] == 400

    assert Bench(settings()).run(steps).publisher.records == []


@pytest.mark.parametrize("seed", range(12))
def test_how_webhooks_fall_into_batches_changes_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one batch, what a webhook needs may have been left by the one before it, or stand in a record named by another."""
    monkeypatch.setattr(page_index, "PAGE_RECORDS", 2)
    rng = random.Random(seed)
    hooks: list[dict[str, Any]] = []
    for at in range(40):
        user, status = rng.choice(("ann", "bo", "olga")), rng.choice(("submitted", "submitted", "draft", "discarded"))
        name = f"rec-{rng.randrange(8)}"
        answer = response(
            rng.choice(("created", "updated", "updated", "deleted")),
            at,
            user,
            status,
            policy=rng.choice(("Hate", "Safe")),
        )
        answer["data"]["id"] += name
        answer["data"]["record"]["id"] = name
        hooks.append(rng.choice((answer, answer, record(rng.choice(("created", "created", "deleted")), at, name))))
    hooks += [dataset_deleted(), *rng.sample(hooks, 10)]
    held = settings(auditors=["owner"])

    async def reduced() -> list[dict[str, Any]]:
        slices = TimeSlices(SliceScheduler(), "")
        return [await redact(json.dumps(one).encode(), held.tool_settings("argilla/kul"), slices) for one in hooks]

    kept = asyncio.run(reduced())
    waiting = [PendingWebhook(number, "argilla/kul", number, hook) for number, hook in enumerate(kept, 1)]

    one_by_one = published(waiting, held, 1, rng)
    assert len(one_by_one[0]) > 10
    for most in (3, 10, len(waiting)):
        assert published(waiting, held, most, rng) == one_by_one


# -- configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"tool": "argilla"}, "no secret of Argilla"),
        ({"tool": "argilla", "secret": "no base64!"}, "not base64"),
        ({"tool": "argilla", "secret": "c2hvcnQ="}, "fewer than 16 bytes"),
        ({"tool": "argilla", "secret": "#"}, "no secret in it"),
        ({"tool": "argilla", "secret": SECRET, "token": "12345678"}, "sends no token"),
        ({"tool": "argila", "secret": SECRET}, "argilla"),
        ({"token": "12345678", "secret": SECRET}, "names no tool"),
        ({"token": "12345678", "argilla": {"auditors": ["owner"]}}, "names no tool"),
        ({"tool": "argilla", "secret": SECRET, "argilla": {"auditor": ["owner"]}}, "auditor"),
    ],
)
def test_a_source_that_cannot_be_meant_so_is_told(source: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as fault:
        GatewaySettings.model_validate({"sources": {"kul": source}})
    assert said in str(fault.value)
    assert "not base64" not in said or "no base64!" not in str(fault.value.errors()[0]["msg"])


def test_config_check_reads_secret_files(tmp_path: Path) -> None:
    def told_of(text: str | None) -> list[str]:
        path = tmp_path / "secret"
        if text is not None:
            path.write_text(text)
        source = {"tool": "argilla", "secret_file": path}
        return faults(FloorwatchConfig.model_validate({"gateway": {"sources": {"kul": source}}}))

    assert "gateway.sources.kul.secret_file" in told_of(None)[0]
    assert "not base64" in told_of("no base64!")[0]
    assert told_of(SECRET) == []


def test_each_tool_that_signs_has_a_section_and_no_other() -> None:
    signing = {tool.section for tool in TOOLS.values() if tool.of_source}
    assert signing == set(ToolSections.model_fields)
    timed = {tool.section for tool in TOOLS.values() if tool.signature is not None and tool.signature.timed}
    assert all("timestamp_tolerance_s" in type(getattr(ToolSections(), one)).model_fields for one in timed)
    others = {tool.section for tool in TOOLS.values()} - signing
    assert all("source" in type(getattr(GatewaySettings(), one)).model_fields for one in others)
