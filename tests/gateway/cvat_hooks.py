"""Webhooks of CVAT: fixtures made from its public source, and others like them, signed."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.settings import GatewaySettings
from tests.gateway.harness import Bench

FIXTURES = Path(__file__).parents[1] / "fixtures" / "cvat-from-source"

SECRET = json.loads((FIXTURES / "hook.json").read_text())["secret"]

MADE = [json.loads(path.read_text()) for path in sorted(FIXTURES.glob("0*.json"))]


def _first(event: str) -> dict[str, Any]:
    return next(hook for hook in (json.loads(one["body_raw"]) for one in MADE) if hook["event"] == event)


JOB, ISSUE = _first("update:job"), _first("create:issue")


def settings(folder: Path | None = None, **cvat: Any) -> GatewaySettings:
    source = {"tool": "cvat", "secret": SECRET, "cvat": cvat}
    return GatewaySettings.model_validate({"sources": {"roads": source}, "spool_dir": folder})


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Signature-256": "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()}


async def post(bench: Bench, body: bytes, headers: dict[str, str], query: str = "?source=roads") -> tuple[int, Any]:
    sent = {"content-type": "application/json", **headers}
    async with bench.client.post(f"/v1/hooks/cvat{query}", data=body, headers=sent) as answer:
        return answer.status, await answer.json()


async def replay(bench: Bench) -> list[dict[str, Any]]:
    """Send every fixture with its own signature."""
    said = []
    for one in MADE:
        status, answer = await post(bench, one["body_raw"].encode(), {"X-Signature-256": one["signature"]})
        assert status == 200, answer
        said.append(answer)
    return said


def at(second: int, micros: int = 0) -> str:
    return f"2026-11-23T10:{second // 60:02}:{second % 60:02}.{micros:06}Z"


def job(
    second: int,
    stage: str = "annotation",
    state: str = "in progress",
    who: str | None = "ann",
    by: str | None = "mei",
    **more: Any,
) -> dict[str, Any]:
    """A job as it is after a change at a second of the hour; ``who_at`` is the second at which it was assigned."""
    hook: dict[str, Any] = json.loads(json.dumps(JOB))
    hook["event"] = more.pop("event", "update:job")
    hook["sender"] = None if by is None else {"id": 1, "username": by}
    before = more.pop("before", None)
    if before is not None:
        hook["before_update"] = before
    who_at = more.pop("who_at", 0)
    person = None if who is None else {"id": 2, "username": who, "first_name": "Secret"}
    hook["job"] |= {"id": 1, "created_date": at(0), "updated_date": at(second, 500_000), "assignee": person}
    hook["job"] |= {"stage": stage, "state": state, "assignee_updated_date": at(who_at, 499_000), **more}
    return hook


def issue(second: int, owner: str | None = "rev", event: str = "create:issue", number: int = 7, **more: Any) -> Any:
    hook = json.loads(json.dumps(ISSUE))
    hook["event"] = event
    person = None if owner is None else {"id": 3, "username": owner}
    hook["issue"] |= {"id": number, "job": 1, "owner": person, "created_date": at(second, 500_000), **more}
    return hook


def run_hooks(*hooks: dict[str, Any], **cvat: Any) -> tuple[Bench, list[dict[str, Any]]]:
    said: list[dict[str, Any]] = []

    async def steps(bench: Bench) -> None:
        for hook in hooks:
            body = json.dumps(hook).encode()
            status, answer = await post(bench, body, signed(body))
            assert status == 200, answer
            said.append(answer)

    return Bench(settings(**cvat)).run(steps), said


def told(bench: Bench) -> list[tuple[str, str]]:
    """Short type, and who the label is by or what the audit says."""
    names = [one["type"].removeprefix("floorwatch.").removesuffix(".v1") for one in bench.events]
    data = [one["data"] for one in bench.events]
    return [
        (name, one.get("verdict") or one.get("labeler_id", "").rpartition(":")[2])
        for name, one in zip(names, data, strict=True)
    ]


def standing(bench: Bench) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Labels that stand (who, when), and audits that stand (verdict, of whose label), sorted."""
    labels: dict[str, tuple[str, str]] = {}
    audits: dict[str, tuple[str, str]] = {}
    for one in bench.events:
        data, kind = one["data"], one["type"].removeprefix("floorwatch.").removesuffix(".v1")
        if kind == "label.submitted":
            assert data["label_id"] not in labels
            labels[data["label_id"]] = (data["labeler_id"], one["time"])
        elif kind == "label.withdrawn":
            labels[data["label_id"]] = ("", "")
        elif kind == "audit.completed":
            assert data["audit_id"] not in audits
            audits[data["audit_id"]] = (data["verdict"], labels[data["label_id"]][0])
        elif kind == "audit.withdrawn":
            audits[data["audit_id"]] = ("", "")
    return sorted(one for one in labels.values() if one[0]), sorted(one for one in audits.values() if one[0])
