"""``/v1/maintenance``: planned, listed and removed over HTTP; who may, and what is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

import gateway.maintenance_route as route
from alerts.append import ALERTS_KEY
from alerts.codec import decode_input, encode_input
from alerts.incident import Maintenance
from alerts.maintenance import MOST_WINDOWS
from config.errors import ConfigErrors
from floorwatch.settings.load import loads
from gateway.settings import GatewaySettings, SourceSettings
from tests.gateway.harness import NOW_MS, Bench
from tests.gateway.raw import KUL, MNL, secured

HOUR_MS = 3_600_000
OWN = "token-of-vendor-a"
PATH = "/v1/maintenance"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "KNOWN_WITHIN_S", 0.0)


def body(**changes: Any) -> dict[str, Any]:
    return {"match": ["vendor=bpo-a"], "from": "2026-11-23T12:00:00Z", "to": "2026-11-23T14:00:00Z", **changes}


async def call(bench: Bench, method: str, path: str = "", sent: Any = None, token: str = "") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None if sent is None else sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    async with bench.client.request(method, f"{PATH}{path}", data=data, headers=headers) as answer:
        text = await answer.text()
        return answer.status, json.loads(text)


def planned(bench: Bench) -> list[Maintenance]:
    """What is on the log."""
    assert {key for key, _ in bench.publisher.plans} <= {ALERTS_KEY}
    return [one for _, value in bench.publisher.plans if isinstance(one := decode_input(value), Maintenance)]


def bound(**changes: Any) -> GatewaySettings:
    """Settings with a sender that is bound to a vendor, one that is held to types, and one that nothing limits."""
    vendor = {"token": OWN, "vendor": ["bpo-a", "bpo-b"], "event_sources": ["a/"], **changes}
    sources = {"vendor a": vendor, "audits": {"token": MNL, "may": ["audit.*"]}, "kul": {"token": KUL}}
    return GatewaySettings.model_validate({"sources": sources, "grant_key": "k" * 32})


def test_a_window_is_planned_listed_and_removed() -> None:
    async def steps(bench: Bench) -> None:
        status, said = await call(bench, "POST", sent=body(id="deploy-42", note="new tool", by="mei"))
        assert status == 201
        assert said == {
            "id": "deploy-42",
            "state": "on",
            "match": ["vendor=bpo-a"],
            "from": "2026-11-23T12:00:00.000Z",
            "to": "2026-11-23T14:00:00.000Z",
            "by": "mei",
            "at": "2026-11-23T12:00:00.000Z",
            "note": "new tool",
        }
        assert planned(bench) == [
            Maintenance("deploy-42", ("vendor=bpo-a",), NOW_MS, NOW_MS + 2 * HOUR_MS, "mei", NOW_MS, "new tool")
        ]
        assert await call(bench, "GET") == (200, {"maintenance": [said]})
        assert await call(bench, "GET", "/deploy-42") == (200, said)
        bench.now_ms += 60_000
        status, gone = await call(bench, "DELETE", "/deploy-42")
        assert (status, gone["state"], gone["by"]) == (200, "removed", "anyone")
        assert planned(bench)[-1].removed
        assert await call(bench, "GET") == (200, {"maintenance": []})
        assert await call(bench, "GET", "?all=true") == (200, {"maintenance": [gone]})
        before = len(bench.publisher.plans)
        assert (await call(bench, "DELETE", "/deploy-42"))[0] == 200
        assert len(bench.publisher.plans) == before  # there was nothing to remove

    Bench().run(steps)


def test_the_same_request_again_writes_nothing_and_another_one_changes_the_window() -> None:
    async def steps(bench: Bench) -> None:
        for sent in (body(), body(id="x")):
            status, first = await call(bench, "POST", sent=sent)
            assert status == 201
            bench.now_ms += 1_000
            assert await call(bench, "POST", sent=sent) == (200, first | {"at": "2026-11-23T12:00:01.000Z"})
            bench.now_ms -= 1_000
        assert len(planned(bench)) == 2
        assert (await call(bench, "POST", sent=body(id="x", to="2026-11-23T15:00:00Z")))[0] == 201
        assert [one.id for one in planned(bench)][-2:] == ["x", "x"]
        assert (await bench.plans.windows())["x"].to_ms == NOW_MS + 3 * HOUR_MS

    Bench().run(steps)


def test_a_kind_that_there_is_not_is_refused_and_a_rule_that_is_not_known_is_told() -> None:
    async def steps(bench: Bench) -> None:
        status, refusal = await call(bench, "POST", sent=body(match=["kind=accuracy_lo"]))
        assert (status, refusal["error"]["hint"]) == (422, "did you mean accuracy_low?")
        assert refusal["error"]["reason"] == 'match: there is no kind "accuracy_lo"'
        for match in (["kind=accuracy_low"], ["rule=queue-sla"], ["rule=~queue-.*"]):
            status, said = await call(bench, "POST", sent=body(match=match))
            assert (status, said.get("warnings")) == (201, None)
        status, said = await call(bench, "POST", sent=body(match=["rule!=queue-sl"]))
        told = ['there is no rule "queue-sl" in the configuration of this gateway; did you mean queue-sla?']
        assert (status, said["warnings"]) == (201, told)
        status, again = await call(bench, "POST", sent=body(match=["rule!=queue-sl"]))
        assert (status, again["warnings"]) == (200, told)
        assert "warnings" not in (await call(bench, "GET", f"/{said['id']}"))[1]
        bench.rules = ()

    bench = Bench()
    bench.rules = ("queue-sla",)
    bench.run(steps)


def test_ids_and_texts_that_could_mislead_are_refused() -> None:
    async def steps(bench: Bench) -> None:
        for changes, field in (
            ({"id": ".."}, "id: cannot stand in an address"),
            ({"id": "a/b/c"}, "id: cannot stand in an address"),
            ({"id": "a%00"}, "id: cannot stand in an address"),
            ({"id": "a\u202eb"}, "id: holds U+202E (right-to-left override) at character 2"),
            ({"note": "a\u202eb"}, "note: it holds U+202E (right-to-left override) at character 2"),
            ({"by": "a\u2066b"}, "by: it holds U+2066 (left-to-right isolate) at character 2"),
            ({"match": ["vendor=a\u202eb"]}, "holds U+202E (right-to-left override) at character 9"),
            ({"match": ["vendor=a\u0000b"]}, "holds U+0000 (a control character) at character 9"),
        ):
            status, refusal = await call(bench, "POST", sent=body(**changes))
            assert (status, field in refusal["error"]["reason"]) == (422, True), refusal
        assert planned(bench) == []

    Bench().run(steps)


def test_what_no_worker_knows_yet_is_told_as_that() -> None:
    async def steps(bench: Bench) -> None:
        bench.plans.behind = True
        status, said = await call(bench, "POST", sent=body(id="x"))
        assert (status, said["pending"][:12]) == (202, "it is on the")
        status, refusal = await call(bench, "DELETE", "/x")
        assert (status, refusal["error"]["code"]) == (404, "unknown_window")
        assert "not listed yet" in refusal["error"]["hint"]
        bench.plans.behind = False
        assert (await call(bench, "GET", "/x"))[0] == 200
        bench.plans.behind = True
        assert (await call(bench, "DELETE", "/x"))[0] == 202
        # Without a read model a window is taken all the same, because the log is what counts.
        bench.plans.broken = True
        assert (await call(bench, "POST", sent=body(id="y")))[0] == 202
        for method, path in (("GET", ""), ("GET", "/x"), ("DELETE", "/x")):
            status, refusal = await call(bench, method, path)
            assert (status, refusal["error"]["code"]) == (503, "unavailable")
        assert [one.id for one in planned(bench)] == ["x", "x", "y"]

    Bench().run(steps)


def test_an_answer_waits_until_a_worker_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "KNOWN_WITHIN_S", 60.0)
    monkeypatch.setattr(route, "_POLL_S", 0.001)

    async def steps(bench: Bench) -> None:
        asked, windows = [0], bench.plans.windows

        async def slowly() -> dict[str, Maintenance]:
            asked[0] += 1
            return await windows() if asked[0] > 5 else {}

        bench.plans.windows = slowly  # type: ignore[method-assign]
        assert (await call(bench, "POST", sent=body()))[0] == 201
        assert asked[0] == 6

    Bench().run(steps)


def test_without_a_broker_nothing_is_planned() -> None:
    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True
        status, refusal = await call(bench, "POST", sent=body())
        assert (status, refusal["error"]["code"]) == (503, "unavailable")
        bench.publisher.broken = False
        assert (await call(bench, "POST", sent=body()))[0] == 201

    Bench().run(steps)


@pytest.mark.parametrize(
    ("sent", "status", "said"),
    [
        (b"{", 400, "the body is no JSON"),
        (b"\xff", 400, "the body is no JSON"),
        (b"[]", 422, "Expected `object`, got `array`"),
        ({"match": "vendor=a"}, 422, "Object missing required field `from`"),
        (body(til="x"), 422, "Object contains unknown field `til`"),
        (body(to=5), 422, "Expected `str`, got `int` - at `$.to`"),
        (body(to="2026-11-23T14:00:00"), 422, "to: is no time with a zone"),
        (body(to="2026-11-23T11:00:00Z"), 422, "to: Mon 23 Nov 11:00 UTC is not after the begin"),
        (body(match=[]), 422, "match: names nothing"),
        (body(match="vender=x"), 422, "match: no incident has a vender"),
        (body(match=["site=~(a+)+"]), 422, 'match: "(a+)+" is more than a maintenance window may ask for'),
        (body(id="a b"), 422, "id: is no id"),
        (body(note="x" * 70_000), 413, "the body is larger than 65536 bytes"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_a_hint(sent: Any, status: int, said: str) -> None:
    async def steps(bench: Bench) -> None:
        found, refusal = await call(bench, "POST", sent=sent)
        assert (found, refusal["error"]["reason"][: len(said)]) == (status, said)
        assert refusal["error"]["hint"]
        assert bench.publisher.plans == []

    Bench().run(steps)


def test_there_is_a_bound_on_windows() -> None:
    async def steps(bench: Bench) -> None:
        one = Maintenance("w", ("site=kul",), NOW_MS, NOW_MS + HOUR_MS, "ann", NOW_MS)
        many = [structs.replace(one, id=f"w-{n}") for n in range(MOST_WINDOWS)]
        bench.publisher.plans = [(ALERTS_KEY, encode_input(each)) for each in many]
        status, refusal = await call(bench, "POST", sent=body())
        assert (status, refusal["error"]["reason"]) == (422, "match: there are 1,000 windows already")

    Bench().run(steps)


def test_who_has_no_token_or_no_right_plans_nothing() -> None:
    async def steps(bench: Bench) -> None:
        for method, path in (("POST", ""), ("GET", ""), ("GET", "/x"), ("DELETE", "/x")):
            sent = body() if method == "POST" else None
            for token, status, code in (
                ("", 401, "unauthorized"),
                ("wrong-token", 401, "unauthorized"),
                (OWN, 403, "not_permitted"),  # bound, and not allowed to
                (MNL, 403, "not_permitted"),  # held to types of events
            ):
                found, refusal = await call(bench, method, path, sent, token)
                assert (found, refusal["error"]["code"]) == (status, code), (method, token)
        assert refusal["error"]["hint"] == "set gateway.sources.audits.maintenance: true"
        assert bench.publisher.plans == []
        status, said = await call(bench, "POST", sent=body(by="mei"), token=KUL)
        assert (status, said["by"]) == (201, "mei (token of kul)")
        assert (await call(bench, "POST", sent=body(), token=KUL))[1]["by"] == "token of kul"

    Bench(bound()).run(steps)


def test_a_bound_sender_plans_for_its_own_vendor_alone_and_touches_no_window_of_others() -> None:
    async def steps(bench: Bench) -> None:
        for match, wanted in (
            (["vendor=bpo-c"], "add vendor=~bpo-a|bpo-b to match"),
            (["site=kul"], "add vendor=~bpo-a|bpo-b to match"),
            (["vendor=~bpo.*"], "add vendor=~bpo-a|bpo-b to match"),
        ):
            status, refusal = await call(bench, "POST", sent=body(match=match), token=OWN)
            assert (status, refusal["error"]["code"], refusal["error"]["hint"]) == (403, "not_permitted", wanted)
        assert (await call(bench, "POST", sent=body(id="deploy"), token=KUL))[0] == 201
        assert (await call(bench, "POST", sent=body(id="floor", match=["site=kul"]), token=KUL))[0] == 201
        status, refusal = await call(bench, "POST", sent=body(id="deploy"), token=OWN)
        assert (status, refusal["error"]["reason"]) == (403, "the ids of vendor a begin with vendor%20a/")
        status, said = await call(bench, "POST", sent=body(id="vendor%20a/own"), token=OWN)
        assert (status, said["id"]) == (201, "vendor%20a/own")
        status, said = await call(bench, "POST", sent=body(), token=OWN)
        assert (status, said["id"][:11]) == (201, "vendor%20a/")
        # What is on for others of its part of the floor it may see; what is wider it may not, nor remove.
        names = [one["id"] for one in (await call(bench, "GET", token=OWN))[1]["maintenance"]]
        assert "floor" not in names
        assert {"deploy", "vendor%20a/own"} <= set(names)
        for method in ("GET", "DELETE"):
            assert (await call(bench, method, "/floor", token=OWN))[0] == 404
        assert not any(one.removed for one in planned(bench))

    Bench(bound(maintenance=True)).run(steps)


def test_a_bound_sender_does_not_remove_what_others_have_planned_for_it() -> None:
    async def steps(bench: Bench) -> None:
        assert (await call(bench, "POST", sent=body(id="deploy"), token=KUL))[0] == 201
        status, refusal = await call(bench, "DELETE", "/deploy", token=OWN)
        assert (status, refusal["error"]["code"]) == (403, "not_permitted")
        assert (await call(bench, "POST", sent=body(id="vendor%20a/own"), token=OWN))[0] == 201
        assert (await call(bench, "DELETE", "/vendor%2520a%2Fown", token=OWN))[0] == 200

    Bench(bound(maintenance=True)).run(steps)


def test_a_web_page_plans_nothing() -> None:
    async def steps(bench: Bench) -> None:
        for method in ("POST", "DELETE"):
            headers = {"Origin": "https://evil.example", "Content-Type": "application/json"}
            async with bench.client.request(
                method, f"{PATH}/x"[: 15 + 2 * (method == "DELETE")], headers=headers
            ) as said:
                assert said.status == 403
        async with bench.client.post(PATH, data=json.dumps(body()), headers={"Content-Type": "text/plain"}) as said:
            assert said.status == 415  # the one kind of request that a browser sends without asking
        assert (await call(bench, "DELETE", "/x"))[0] == 404  # which it asks about, so it needs no media type

    Bench().run(steps)


def test_requests_are_held_to_the_rate_and_counted_under_one_path() -> None:
    async def steps(bench: Bench) -> None:
        codes = [(await call(bench, "GET", path, token=KUL))[0] for path in ("", "/x", "", "")]
        assert codes == [200, 404, 200, 429]
        metrics = await bench.metrics()
        assert metrics['floorwatch_gateway_requests_total{route="/v1/maintenance",status="404"}'] == 1

    Bench(secured(requests_per_s=0.001, burst_requests=3)).run(steps)


def test_other_methods_and_paths_are_refused() -> None:
    async def steps(bench: Bench) -> None:
        for method, path, status in (("PUT", "", 405), ("DELETE", "", 405), ("POST", "/x", 405), ("GET", "x", 404)):
            found, refusal = await call(bench, method, path, body() if method in ("PUT", "POST") else None)
            assert (found, bool(refusal["error"]["hint"])) == (status, True)

    Bench().run(steps)


def test_the_setting_says_who_may(tmp_path: Path) -> None:
    def may(**more: Any) -> bool:
        return SourceSettings.model_validate({"token": KUL, **more}).may_plan

    vendor = {"vendor": "bpo-a", "event_sources": ["a/"]}
    assert [may(), may(maintenance=False), may(may=["label.*"]), may(may=["label.*"], maintenance=True)] == [
        True,
        False,
        False,
        True,
    ]
    assert [may(**vendor), may(**vendor, maintenance=True)] == [False, True]
    text = "gateway: {sources: {kul: {tool: argilla, secret: x, maintenance: true}}}"
    with pytest.raises(ConfigErrors, match="signs its webhooks and sends no token"):
        loads(text, {}, name="x.yaml", base=tmp_path)
