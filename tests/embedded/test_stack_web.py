"""The pages of a stack: links of its messages lead to them from the first minute, and they stop with it."""

from __future__ import annotations

import asyncio
import stat
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from alerts.links import LinkSigner, keys_of
from floorwatch.embedded.launch import make_plan
from floorwatch.embedded.stack_plan import WEB, Ports, StackPlan, web_spec, worker_spec
from floorwatch.embedded.supervisor import Stack
from floorwatch.settings.load import load
from tests.embedded.test_stack import plan_of

KEY = "ab" * 16
PORTS = Ports({"broker": 1, "valkey": 2, "gateway": 3, "web": 4, "worker-1": 5})


@pytest.mark.servers
@pytest.mark.slow
def test_the_pages_know_links_signed_with_the_stacks_key_and_stop_with_it(tmp_path: Path) -> None:
    async def main() -> None:
        plan = plan_of(tmp_path / "var", web=True, gateway=False)
        async with Stack(plan) as stack, aiohttp.ClientSession() as http:
            base = stack.urls["web"]
            assert stat.S_IMODE(plan.paths.link_keys.stat().st_mode) == 0o600
            signer = LinkSigner(f"{base}/", keys_of(plan.paths.link_keys.read_text()), 86_400_000)
            url = signer.url("ack", KEY, f"{KEY}:open", "ops", round(time.time() * 1000))
            async with http.get(url) as answer:
                assert (answer.status, "no such incident" in await answer.text()) == (404, True)
            async with http.get(url[:-3]) as answer:
                assert answer.status == 403
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientConnectionError):
                await http.get(f"{base}/healthz")
        known = plan.paths.link_keys.read_text()
        async with Stack(plan) as stack:
            assert (stack.urls["web"], plan.paths.link_keys.read_text()) == (base, known)

    asyncio.run(main())


def test_workers_sign_with_what_the_pages_believe_and_the_gateway_is_left_alone(tmp_path: Path) -> None:
    plan = StackPlan(tmp_path / "var", web=True)
    plan.paths.run.mkdir(parents=True)
    plan.paths.link_keys.write_text("k" * 40)
    plan.paths.redis_password.write_text("p" * 20)
    signing = load(None, dict(worker_spec(plan, PORTS, "worker-1").env), process="worker").web.signer()
    believing = load(None, dict(web_spec(plan, PORTS).env), process="web").web
    assert signing is not None
    assert (signing.keys, signing.base) == (believing.keys, "http://127.0.0.1:4/")
    assert (believing.host, believing.port) == ("127.0.0.1", 4)
    silent = StackPlan(tmp_path / "var")
    assert not any("WEB" in name for name in worker_spec(silent, PORTS, "worker-1").env)


def test_a_configuration_that_says_how_people_reach_the_pages_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(f"web: {{url: 'https://fw.example', port: 8191, link_keys: {'x' * 40}}}\n")
    plan = make_plan(tmp_path / "var", config=file, web=True)
    assert (plan.web_url, plan.web_keys, plan.web_port) == (True, True, 8191)
    assert not any(name.startswith("FLOORWATCH_WEB") for name in worker_spec(plan, PORTS, "worker-1").env)
    assert [name for name in web_spec(plan, PORTS).env if name.startswith("FLOORWATCH_WEB")] == ["FLOORWATCH_WEB__PORT"]
    file.write_text(f"web: {{link_keys: {'x' * 40}}}\n")
    keyed = make_plan(tmp_path / "var", config=file, web=True)
    env = {name: value for name, value in worker_spec(keyed, PORTS, "worker-1").env.items() if "WEB" in name}
    assert env == {"FLOORWATCH_WEB__URL": "http://127.0.0.1:4"}
    assert make_plan(tmp_path / "var").web is False
    assert WEB not in plan.worker_names
    assert sys.executable in plan.web_argv
