"""Hooks of the invented tool that the shipped mapping describes, signed."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

from gateway.settings import GatewaySettings
from gateway.sources.mapped.mapping import load_mapping
from tests.gateway.harness import Bench

STAMPIT = Path("examples/mappings/stampit.yaml")
SECRET = "stampit-signs-with-this"
HMAC = {"kind": "hmac", "header": "X-Stampit", "prefix": "sha256="}
HOOKS = [one.hook for one in load_mapping(STAMPIT).examples]


def settings(
    mapping: Path = STAMPIT, signature: Any = HMAC, folder: Path | None = None, **more: Any
) -> GatewaySettings:
    token = {"token": SECRET} if signature.get("kind", "none") == "none" else {"secret": SECRET}
    source = {"tool": "mapped", **token, "mapped": {"mapping": mapping, "signature": signature}, **more}
    other = {"token": "another-sender-here"}
    return GatewaySettings.model_validate({"sources": {"kul": source, "other": other}, "spool_dir": folder})


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Stampit": f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"}


async def post(
    bench: Bench, hook: Any, headers: dict[str, str] | None = None, query: str = "?source=kul"
) -> tuple[int, Any]:
    body = hook if isinstance(hook, bytes) else json.dumps(hook).encode()
    sent = signed(body) if headers is None else headers
    async with bench.client.post(f"/v1/hooks/mapped{query}", data=body, headers=sent) as answer:
        return answer.status, await answer.json()


def run_hooks(*hooks: Any, mapping: Path = STAMPIT) -> tuple[Bench, list[dict[str, Any]]]:
    said = []

    async def steps(bench: Bench) -> None:
        for hook in hooks:
            status, answer = await post(bench, hook)
            assert status == 200, answer
            said.append(answer)

    return Bench(settings(mapping)).run(steps), said


def written(folder: Path, text: str) -> Path:
    path = folder / "mapping.yaml"
    path.write_text(text)
    return path
