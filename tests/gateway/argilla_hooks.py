"""Webhooks of Argilla: those captured, and others like them, signed."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.settings import GatewaySettings
from tests.core.harness import CoreRun
from tests.gateway.harness import Bench

FIXTURES = Path(__file__).parents[1] / "fixtures" / "argilla-2.8.0"


SECRET = json.loads((FIXTURES / "hook.json").read_text())["secret"]


CAPTURED = [json.loads(path.read_text()) for path in sorted(FIXTURES.glob("0*.json"))]


def settings(folder: Path | None = None, **argilla: Any) -> GatewaySettings:
    source = {"tool": "argilla", "secret": SECRET, "argilla": argilla}
    return GatewaySettings.model_validate({"sources": {"kul": source}, "spool_dir": folder})


def headers_of(captured: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in captured["headers"]}


def signed(body: bytes, at_s: int, number: int = 1, secret: str = SECRET) -> dict[str, str]:
    name = f"msg_{number}"
    mac = hmac.new(base64.b64decode(secret), f"{name}.{at_s}.".encode() + body, sha256).digest()
    signature = "v1," + base64.b64encode(mac).decode()
    return {"webhook-id": name, "webhook-timestamp": str(at_s), "webhook-signature": signature}


async def post(bench: Bench, body: bytes, headers: dict[str, str], query: str = "?source=kul") -> tuple[int, Any]:
    sent = {"content-type": "application/json", **{k: v for k, v in headers.items() if k.startswith("webhook-")}}
    async with bench.client.post(f"/v1/hooks/argilla{query}", data=body, headers=sent) as answer:
        return answer.status, await answer.json()


async def replay(bench: Bench) -> list[dict[str, Any]]:
    """Send everything captured with its own headers, at its own time."""
    said = []
    for one in CAPTURED:
        bench.now_ms = int(headers_of(one)["webhook-timestamp"]) * 1000 + 500
        status, answer = await post(bench, one["body_raw"].encode(), headers_of(one))
        assert status == 200, answer
        said.append(answer)
    return said


def tables(values: Iterable[bytes]) -> Any:
    run = CoreRun(partitions=2)
    run.send(values)
    run.finish()
    return run.panes(), run.windows()


def total(panes: Any, table: str, field: str, scope: str = "all") -> float:
    return sum(row[field] for (key, _), row in panes[table].items() if key == scope)


RESPONSE = json.loads(next(one["body_raw"] for one in CAPTURED if '"response.created"' in one["body_raw"]))


def response(action: str, second: int, user: str = "ann", status: str = "submitted", **answers: Any) -> dict[str, Any]:
    hook = json.loads(json.dumps(RESPONSE))
    hook["type"], hook["timestamp"] = f"response.{action}", f"2026-11-23T04:00:{second:02}.000001Z"
    role = "owner" if user == "olga" else "annotator"
    hook["data"].update(id=f"r-{user}", status=status, user={"id": f"u-{user}", "username": user, "role": role})
    hook["data"]["values"] = {name: {"value": value} for name, value in (answers or {"policy": "Hate"}).items()}
    return hook


def run_hooks(*hooks: dict[str, Any], **argilla: Any) -> tuple[Bench, list[dict[str, Any]]]:
    said: list[dict[str, Any]] = []

    async def steps(bench: Bench) -> None:
        for number, hook in enumerate(hooks):
            body = json.dumps(hook).encode()
            status, answer = await post(bench, body, signed(body, bench.now_ms // 1000, number))
            assert status == 200, answer
            said.append(answer)

    return Bench(settings(**argilla)).run(steps), said


def told(bench: Bench) -> list[tuple[str, str]]:
    """Short type, and the label or audit it is about."""
    names = [one["type"].removeprefix("floorwatch.").removesuffix(".v1") for one in bench.events]
    data = [one["data"] for one in bench.events]
    return [
        (name, one.get("verdict") or one.get("label_id") or one.get("audit_id", ""))
        for name, one in zip(names, data, strict=True)
    ]
