"""Rights from the request to the tables: the gateway's routes, intake and the ledger, as they run."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.metrics import GatewayMetrics
from gateway.settings import GatewaySettings
from gateway.sources.label_studio.read import distill
from gateway.webhook_queue import WebhookQueue
from streams.agents.intake import IntakePolicy
from streams.models.grants import SenderGrant, has_proof, sealed
from tests.gateway.grants_floor import KEY, POLICY, TOKENS, Floor, Story, attack, numbers, settings, two_vendors
from tests.gateway.harness import NOW_MS, Bench, fixture


def test_a_vendor_cannot_change_anothers_numbers_nor_its_own_audits() -> None:
    story = Story()
    two_vendors(story)
    before = len(story.sent)
    attack(story)
    floor = story.floor()
    assert numbers(floor) == {"bpo-a": (20, 20, 0), "bpo-b": (20, 20, 20)}
    assert story.told[:before] == [(202, [])] * before
    assert story.told[before : before + 10] == [(202, [])] * 10  # only the ledger knows whose label it is
    assert story.told[before + 10 :] == [(422, ["not_permitted"])] * 30
    assert floor.refused == ["not_permitted"] * 10
    assert "vendor-a is bound to vendor bpo-a, and label 'l-0' has vendor 'bpo-b'" in floor.ledger.rejected[0].reason


def test_a_vendor_cannot_take_its_wrong_labels_out_of_its_accuracy() -> None:
    story = Story()
    two_vendors(story)
    before = len(story.sent)
    for number in range(5):
        story.say("vendor-a", "label.withdrawn", f"t-bpo-a-{number}", 9, label_id=f"l-{number}")
    for number, change in enumerate(({"queue": "q"}, {"values": ["y"]}, {"policy": "p"}, {"policy_version": "2"}), 5):
        again = {"label_id": f"l-{number}", "labeler_id": f"a-{number}", "vendor": None, **change}
        story.say("vendor-a", "label.submitted", f"t-bpo-a-{number}", 0, **again)
    story.say("vendor-a", "label.submitted", "t-bpo-a-9", 50, label_id="l-9", labeler_id="a-9")
    story.say("vendor-a", "label.submitted", "t-bpo-a-10", 0, label_id="l-10", labeler_id="another")
    floor = story.floor()
    assert story.told[before:] == [(202, [])] * 11
    assert numbers(floor) == {"bpo-a": (20, 20, 0), "bpo-b": (20, 20, 20)}
    reasons = [one.reason for one in floor.ledger.rejected]
    # A queue and a policy are added to labels that had none: they stay in all that they counted in.
    assert len(reasons) == 9
    assert all("A reviewer may withdraw the label" in reason for reason in reasons)


def test_without_grants_all_is_as_it_was() -> None:
    story = Story(grant_key=None, sources={name: {"token": token} for name, token in TOKENS.items()})
    two_vendors(story)
    attack(story)
    floor = story.floor()
    assert numbers(floor) == {"bpo-a": (20, 20, 10), "bpo-b": (10, 10, 0)}
    assert not any(
        b"floorwatch" in value.split(b'"type"', 1)[0] or b"floorwatchgrant" in value for value in floor.events
    )
    assert floor.events == [value for _, value in story.raw]


def test_audits_marked_through_a_token_that_may_send_everything_of_its_vendor() -> None:
    """``may`` left out: no reviewer still judges nothing, and the own vendor's labels only are its own."""
    sources = settings().model_dump(mode="json")["sources"]
    sources = {name: {**said, "token": TOKENS[name]} for name, said in sources.items()}
    sources["vendor-a"]["may"] = None
    story = Story(sources=sources)
    two_vendors(story)
    attack(story)
    floor = story.floor()
    assert numbers(floor) == {"bpo-a": (20, 20, 0), "bpo-b": (20, 20, 20)}


def test_further_ways_to_reach_what_is_anothers() -> None:
    story = Story()
    story.say("floor", "task.created", "shared", 0, due_at="2026-11-23T11:00:00Z", required_labels=2)
    story.say("vendor-b", "label.submitted", "shared", 1, label_id="l", labeler_id="b-1", vendor="bpo-b", values=["x"])
    story.say("qa", "audit.completed", "shared", 2, audit_id="x", label_id="l", verdict="correct")
    begin = len(story.sent)
    # The label again, as A's; a task that is not A's alone; B's own name; an audit by way of an appeal.
    story.say("vendor-a", "label.submitted", "shared", 3, label_id="l", labeler_id="a-1", vendor="bpo-a", values=["y"])
    story.say("vendor-a", "task.cancelled", "shared", 3)
    story.say("vendor-a", "task.created", "shared", 3, vendor="bpo-a")
    story.say("vendor-a", "appeal.opened", "shared", 3, appeal_id="p", against="audit", audit_id="x")
    story.say("vendor-a", "label.submitted", "shared", 3, label_id="m", labeler_id="a-1", vendor="bpo-b")
    story.say("vendor-a", "label.withdrawn", "shared", 3, source="b/tool", label_id="l")
    story.say(
        "vendor-a", "appeal.decided", "shared", 3, appeal_id="p", against="audit", audit_id="x", outcome="overturned"
    )
    story.say("vendor-b", "label.submitted", "shared", 3, label_id="n", labeler_id="a-1", vendor="bpo-b")
    story.say("vendor-a", "break.started", "people/b-1", 3, labeler_id="b-1")
    floor = story.floor()
    expected = [
        *[(202, [])] * 4,
        (422, ["not_permitted"]),
        (422, ["foreign_source"]),
        *[(422, ["not_permitted"])] * 3,
    ]
    assert story.told[begin:] == expected
    assert floor.refused == ["not_permitted"] * 4
    assert numbers(floor)["bpo-b"] == (1, 1, 1)
    assert floor.count("all", "labels") == 1
    assert floor.count("all", "appeals_opened") == 0


def test_a_stamp_that_a_sender_writes_itself_is_dropped() -> None:
    story = Story()
    story.label("vendor-b", 1, "bpo-b")
    story.say("vendor-a", "label.withdrawn", "t-bpo-b-1", 2, label_id="l-1")
    for forged in ("vendor-b?vendor=bpo-b", "floor?"):
        story.say("vendor-a", "label.withdrawn", "t-bpo-b-1", 3, label_id="l-1")
        story.sent[-1][1].update({"floorwatchgrant": forged, "floorwatchproof": "0" * 32})
    floor = story.floor()
    assert numbers(floor)["bpo-b"] == (1, 0, 0)
    assert floor.refused == ["not_permitted"] * 3


# -- past the gateway ------------------------------------------------------------------------------------------------


def withdrawal(**changes: Any) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "id": "k-1",
        "source": "a/kafka",
        "type": "floorwatch.label.withdrawn.v1",
        "subject": "t-bpo-b-1",
        "time": "2026-11-23T10:09:00Z",
        "data": {"label_id": "l-1"},
    }
    return {**event, **changes}


A_TOPIC = SenderGrant("vendor-a", "kafka.raw_topics", None, ("a/",), {"vendor": ("bpo-a",)})
BOUND = IntakePolicy(grant_keys=(KEY.encode(),), grants={"f.raw.v1": A_TOPIC, "f.a.v1": A_TOPIC})


def seal(event: dict[str, Any], key: bytes) -> bytes:
    return sealed(json.dumps(event).encode(), key)


def test_a_producer_on_a_bound_topic_cannot_take_more_than_the_topic_has() -> None:
    story = Story()
    story.label("vendor-b", 1, "bpo-b")
    story.floor()
    good = story.raw
    assert has_proof(good[0][1])
    forged = [
        json.dumps(withdrawal()).encode(),
        json.dumps(withdrawal(floorwatchgrant="floor?", id="k-2")).encode(),
        json.dumps(withdrawal(floorwatchgrant="vendor-b?vendor=bpo-b", id="k-3")).encode(),
        b'{"floorwatchgrant":"vendor-b?vendor=bpo-b",' + json.dumps(withdrawal(id="k-4"))[1:].encode(),
        json.dumps(withdrawal(id="k-5"))[:-1].encode() + b',"floorwatch\\u0067rant":"vendor-b?vendor=bpo-b"}',
    ]
    floor = Floor([*good, *[("f.raw.v1", value) for value in forged]], BOUND)
    assert numbers(floor)["bpo-b"] == (1, 0, 0)
    assert floor.refused == ["not_permitted"] * 5
    assert floor.dead == []
    codes = [
        (seal(withdrawal(), b"another key 1234"), "unproven_grant"),
        (good[0][1].replace(b"bpo-b", b"bpo-a"), "unproven_grant"),
        (good[0][1].replace(b"floorwatchgrant", b"floorwatchgranu"), "unproven_grant"),
        (json.dumps(withdrawal(source="b/tool")).encode(), "foreign_source"),
        (
            json.dumps(withdrawal(type="floorwatch.audit.withdrawn.v1", data={"audit_id": "x"})).encode(),
            "not_permitted",
        ),
    ]
    floor = Floor([*good, *[("f.a.v1", value) for value, _ in codes]], BOUND)
    assert [letter["code"] for letter in floor.dead] == [code for _, code in codes]
    assert numbers(floor)["bpo-b"] == (1, 0, 0)


def test_a_topic_that_may_send_nothing_takes_only_what_the_gateway_sealed() -> None:
    story = Story()
    story.label("vendor-b", 1, "bpo-b")
    story.label("floor", 2, "bpo-b")
    story.floor()
    closed = IntakePolicy(
        grant_keys=(b"a newer key 0123", KEY.encode()), grants={"f.raw.v1": SenderGrant("raw.v1", "", ())}
    )
    floor = Floor([*story.raw, ("f.raw.v1", json.dumps(withdrawal()).encode())], closed)
    assert [letter["code"] for letter in floor.dead] == ["not_permitted"]
    assert numbers(floor)["bpo-b"] == (2, 0, 0)
    assert not any(b"floorwatchproof" in value for value in floor.events)


def test_an_event_that_was_sealed_is_refused_where_no_key_is_known() -> None:
    story = Story()
    story.label("vendor-a", 1, "bpo-a")
    story.floor()
    floor = Floor(story.raw, IntakePolicy())
    assert [letter["code"] for letter in floor.dead] == ["unproven_grant"]
    assert "old_grant_key" in floor.dead[0]["hint"]


# -- webhooks, tokens ------------------------------------------------------------------------------------------------


def test_a_webhooks_events_are_held_against_the_token_that_brought_it(tmp_path: Path) -> None:
    async def steps(bench: Bench) -> None:
        headers = {"Authorization": f"Bearer {TOKENS['kul']}"}
        status, said = await bench.hook(fixture("0009"), "?source=kul", **headers)
        assert (status, said["problems"]) == (200, [])

    bench = Bench(settings(spool_dir=str(tmp_path))).run(steps)
    assert bench.events
    assert all(event["floorwatchgrant"] == "kul?site=KUL&reviewer=no" for event in bench.events)
    assert all(has_proof(value) for _, value in bench.publisher.records)


def test_a_webhook_of_a_bound_sender_that_says_too_much_is_a_dead_letter() -> None:
    sources = {"kul": {"token": TOKENS["kul"], "event_sources": ["label-studio/"], "may": ["task.*"], "site": "KUL"}}

    async def steps(bench: Bench) -> None:
        headers = {"Authorization": f"Bearer {TOKENS['kul']}"}
        status, said = await bench.hook(fixture("0009"), **headers)
        assert status == 200
        assert {problem["code"] for problem in said["problems"]} == {"not_permitted"}

    bench = Bench(settings(sources=sources)).run(steps)
    assert {letter["code"] for letter in bench.dead} == {"not_permitted"}


def test_a_webhook_keeps_the_grant_it_came_with_over_a_restart(tmp_path: Path) -> None:
    grant = SenderGrant("kul", "p", None, ("label-studio/kul",), {"site": ("KUL",)})

    async def kept() -> Any:
        bench = Bench(settings(spool_dir=str(tmp_path)))
        hook = distill(fixture("0009"), bench.settings.label_studio)

        def webhook_queue() -> WebhookQueue:
            metrics = GatewayMetrics("t")
            return WebhookQueue(
                bench.settings, bench.publisher, bench.tool_state, lambda: NOW_MS, metrics, retry_s=(0.01, 0.01)
            )

        bench.publisher.broken = True
        first = webhook_queue()
        await first.start()
        await first.submit("label-studio/kul", hook, grant=grant)
        await first.stop()
        bench.publisher.broken = False
        second = webhook_queue()
        await second.start()
        await second.stop()  # what waits is worked off first
        return bench

    bench = asyncio.run(kept())
    assert bench.events
    assert all(event["floorwatchgrant"] == "kul?site=KUL&reviewer=no" for event in bench.events)


def test_tokens_are_rotated_and_expire_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first-token\n")
    given = GatewaySettings.model_validate({"sources": {"a": {"token_file": str(path), "token": "first-token"}}})

    async def steps(bench: Bench) -> None:
        async def tried(token: str) -> tuple[int, str]:
            bench.now_ms += 1000
            event = {**withdrawal(id=f"r-{bench.now_ms}")}
            status, said = await bench.post(event, Authorization=f"Bearer {token}")
            return status, said.get("error", {}).get("code", "")

        def write(text: str) -> None:
            path.with_suffix(".new").write_text(text)
            path.with_suffix(".new").replace(path)

        assert [await tried("first-token"), await tried("second-token")] == [(202, ""), (401, "unauthorized")]
        write("second-token\n# the one before\nfirst-token 2026-11-23T12:10:00Z\n")
        assert [await tried("first-token"), await tried("second-token")] == [(202, ""), (202, "")]
        bench.now_ms += 600_000
        assert [await tried("first-token"), await tried("second-token")] == [(401, "token_expired"), (202, "")]
        write("short")
        assert await tried("second-token") == (202, "")
        path.unlink()
        assert await tried("second-token") == (202, "")
        write("third-token")
        assert [await tried("second-token"), await tried("third-token")] == [(401, "unauthorized"), (202, "")]

    Bench(given).run(steps)


def test_a_senders_tokens_all_end_when_it_does() -> None:
    sources = {"a": {"token": "first-token\nsecond-token 2026-11-23T11:00:00Z", "expires_at": "2026-11-23T12:00:30Z"}}

    async def steps(bench: Bench) -> None:
        async def tried(token: str) -> tuple[int, str]:
            status, said = await bench.post(withdrawal(), Authorization=f"Bearer {token}")
            return status, said.get("error", {}).get("reason", "")

        assert await tried("first-token") == (202, "")
        assert await tried("second-token") == (401, "the token of a expired at 2026-11-23T11:00:00Z")
        bench.now_ms += 30_000
        assert await tried("first-token") == (401, "the token of a expired at 2026-11-23T12:00:30Z")

    Bench(GatewaySettings.model_validate({"sources": sources})).run(steps)


@pytest.mark.parametrize("value", [b"", b"{}", b'"}', b',"floorwatchproof":"' + b"0" * 32 + b'"}'])
def test_bytes_that_are_no_event_are_told_as_such(value: bytes) -> None:
    floor = Floor([("f.raw.v1", value)], POLICY) if value else None
    assert floor is None or len(floor.dead) == 1
