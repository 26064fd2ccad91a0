"""What every tool of the registry is held to: a page, golden fixtures accounted for, forgery refused, replays harmless."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import GatewaySettings
from gateway.sources.registry import TOOLS
from tests.gateway import argilla_hooks, cvat_hooks, mapped_hooks
from tests.gateway.argilla_hooks import tables
from tests.gateway.harness import Bench, fixture_names, raw_fixture

TOKEN = "t" * 32


@dataclass(frozen=True)
class Golden:
    """The golden fixtures of a tool.

    Attributes:
        page: Its page in docs/sources.
        settings: A gateway with one source of it.
        query: By which its webhooks name that source.
        sent: Each webhook with the headers that prove who sends, and the time at which it comes; None for any.
        forged: Headers of a webhook by somebody who does not know the secret.
    """

    page: str
    settings: Callable[[], GatewaySettings]
    query: str
    sent: Callable[[], list[tuple[bytes, dict[str, str], int | None]]]
    forged: Callable[[bytes, int], dict[str, str]]


def _label_studio() -> GatewaySettings:
    return GatewaySettings.model_validate({"sources": {"kul": {"token": TOKEN}}})


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _of_argilla() -> list[tuple[bytes, dict[str, str], int | None]]:
    heads = [(one, argilla_hooks.headers_of(one)) for one in argilla_hooks.CAPTURED]
    return [
        (
            one["body_raw"].encode(),
            {name: value for name, value in head.items() if name.startswith("webhook-")},
            int(head["webhook-timestamp"]) * 1000,
        )
        for one, head in heads
    ]


GOLDEN = {
    "label-studio": Golden(
        "label-studio.md",
        _label_studio,
        "?source=kul",
        lambda: [(raw_fixture(name).encode(), _bearer(TOKEN), None) for name in fixture_names() if name[0] == "0"],
        lambda _body, _at_s: _bearer("f" * 32),
    ),
    "argilla": Golden(
        "argilla.md",
        argilla_hooks.settings,
        "?source=kul",
        _of_argilla,
        lambda body, at_s: argilla_hooks.signed(body, at_s, secret="Zm9yZ2VkLWJ5LXNvbWVib2R5LWVsc2U="),
    ),
    "cvat": Golden(
        "cvat.md",
        cvat_hooks.settings,
        "?source=roads",
        lambda: [(one["body_raw"].encode(), {"X-Signature-256": one["signature"]}, None) for one in cvat_hooks.MADE],
        lambda body, _: cvat_hooks.signed(body, "forged-by-somebody-else"),
    ),
    "mapped": Golden(
        "mapping.md",
        mapped_hooks.settings,
        "?source=kul",
        lambda: [
            (body, mapped_hooks.signed(body), None) for body in (json.dumps(one).encode() for one in mapped_hooks.HOOKS)
        ],
        lambda body, _: mapped_hooks.signed(body, "forged-by-somebody-else"),
    ),
}


def _bench(tool: str, rounds: int) -> tuple[Bench, list[tuple[int, dict[str, Any]]]]:
    """Send all fixtures of a tool, as often as said."""
    golden, said = GOLDEN[tool], []

    async def steps(bench: Bench) -> None:
        for body, headers, at_ms in golden.sent() * rounds:
            bench.now_ms = bench.now_ms if at_ms is None else at_ms
            sent = {"content-type": "application/json", **headers}
            path = f"/v1/hooks/{tool}{golden.query}"
            async with bench.client.post(path, data=body, headers=sent) as answer:
                said.append((answer.status, await answer.json()))

    return Bench(golden.settings()).run(steps), said


def test_each_tool_of_the_registry_has_golden_fixtures() -> None:
    assert GOLDEN.keys() == TOOLS.keys()


@pytest.mark.parametrize("tool", TOOLS)
def test_it_has_a_page_that_says_how_it_proves_who_sends_and_what_its_dead_letters_mean(tool: str) -> None:
    page = (Path("docs/sources") / GOLDEN[tool].page).read_text()
    assert f"/v1/hooks/{tool}" in page
    assert "dead letter" in page
    assert "token" in page or "sign" in page.lower()


@pytest.mark.parametrize("tool", TOOLS)
def test_each_fixture_is_accounted_for(tool: str) -> None:
    bench, said = _bench(tool, 1)
    assert said
    for status, answer in said:
        assert status == 200, answer
        assert answer["events"] or answer["ignored"] or answer["problems"], answer
    assert sum(answer["events"] for _, answer in said) == len(bench.events) > 0
    assert sum(len(answer["problems"]) for _, answer in said) == len(bench.dead)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_forged_webhook_is_refused_and_leaves_nothing(tool: str) -> None:
    golden, said = GOLDEN[tool], []

    async def steps(bench: Bench) -> None:
        body = golden.sent()[0][0]
        for headers in (golden.forged(body, bench.now_ms // 1000), {}):
            sent = {"content-type": "application/json", **headers}
            async with bench.client.post(f"/v1/hooks/{tool}{golden.query}", data=body, headers=sent) as answer:
                said.append(answer.status)

    bench = Bench(golden.settings()).run(steps)
    assert said == [401, 401]
    assert not bench.publisher.records
    assert not bench.publisher.dead


@pytest.mark.parametrize("tool", TOOLS)
def test_all_sent_again_changes_no_number(tool: str) -> None:
    once, _ = _bench(tool, 1)
    twice, _ = _bench(tool, 2)
    assert {(one["source"], one["id"]) for one in twice.events} == {(one["source"], one["id"]) for one in once.events}
    assert tables(value for _, value in twice.publisher.records) == tables(value for _, value in once.publisher.records)
