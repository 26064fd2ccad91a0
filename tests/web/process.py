"""``floorwatch web`` as a process, on a real Kafka and Valkey."""

from __future__ import annotations

import asyncio
import re
import sys

import aiohttp
from msgspec import structs

from alerts.codec import decode_input, encode_incident
from alerts.incident import Act, Stamp
from alerts.text import title_of
from floorwatch.embedded.servers import clean_environment
from floorwatch.web.settings import WebSettings
from streams.engine.log import KafkaLogReader
from tests.alerts.machine import opened
from tests.redis_clients import async_client
from tests.web.pages import KEYS, text_of

ANSWER_S = 60.0


async def acted(redis_url: str, bootstrap: str) -> tuple[Act, str]:
    """Take an incident by a link of a running process; return what is on the log, and what the page says then."""
    settings = {
        "WEB__LINK_KEYS": "\n".join(KEYS),
        "WEB__PORT": "0",
        "WEB__URL": "https://fw.example",
        "REDIS__URL": redis_url,
        "KAFKA__BROKERS": bootstrap,
        "KAFKA__PARTITIONS": "1",
        "KAFKA__TOPIC_PREFIX": "web.",
    }
    environment = clean_environment(**settings)
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "floorwatch", "topics", "create", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    assert await made.wait() == 0
    incident = structs.replace(opened(), stamp=Stamp(0, 1))
    redis = async_client(redis_url)
    await redis.hset("floorwatch:incidents", incident.key, encode_incident(incident, title_of(incident)))
    await redis.aclose()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "floorwatch", "web", env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), ANSWER_S)).decode()
        found = re.search(r"web pages at (http://\S+)", line)
        assert found is not None, line
        signer = WebSettings.model_validate({"url": found[1], "link_keys": KEYS[1]}).signer()
        assert signer is not None
        import time

        url = signer.url("ack", incident.key, f"{incident.key}:open", "ops", round(time.time() * 1000))
        async with aiohttp.ClientSession() as http, http.post(url, data={"by": "Mei"}) as answer:
            said = text_of(await answer.text())
            assert answer.status == 200, said
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), ANSWER_S) == 0
    reader = KafkaLogReader({"bootstrap_servers": bootstrap})
    inputs = [decode_input(value) async for part in reader.read("web.signals.v1", 0) for _, _, value in part if value]
    (act,) = [one for one in inputs if isinstance(one, Act)]
    return act, said
