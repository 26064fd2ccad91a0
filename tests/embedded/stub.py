"""Stand-ins for worker and gateway, small enough that a test of the supervisor tests the supervisor.

``python stub.py worker`` folds raw.v1 with no state of its own but memory and puts ``{key: distinct values}`` in Redis.
``python stub.py gateway`` accepts ``POST /KEY`` bodies into the journal.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import defaultdict
from pathlib import Path

from aiohttp import web

KEY = "floorwatch:rows:stub"


async def serve(app: web.Application, port: int) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()


async def worker() -> None:
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    seen: dict[str, set[bytes]] = defaultdict(set)
    ready = False

    planted = Path(os.environ.get("STUB_FAULT", "/nowhere"))

    def fault() -> str:
        return planted.read_text() if planted.exists() else ""

    if fault() == "end":
        print("2026-12-01 18:03:28,461 E streams.worker: the worker stopped after a failure: the record is too large")
        sys.exit(os.EX_CONFIG)

    async def readyz(_: web.Request) -> web.Response:
        if fault() == "mute":
            await asyncio.Event().wait()
        if fault():
            return web.Response(status=503, text=fault(), content_type="application/json")
        return web.Response(status=200 if ready else 503)

    app = web.Application()
    app.router.add_get("/readyz", readyz)
    await serve(app, int(os.environ["FLOORWATCH_METRICS__PORT"]))
    partitions = int(os.environ["FLOORWATCH_KAFKA__PARTITIONS"])
    consumer = AIOKafkaConsumer(bootstrap_servers=os.environ["FLOORWATCH_KAFKA__BROKERS"])
    await consumer.start()
    places = [TopicPartition(os.environ["FLOORWATCH_KAFKA__TOPIC_PREFIX"] + "raw.v1", n) for n in range(partitions)]
    consumer.assign(places)
    for place in places:
        consumer.seek(place, 0)
    with open(os.environ["FLOORWATCH_REDIS__PASSWORD_FILE"], encoding="ascii") as secret:  # noqa: ASYNC230, PTH123
        redis = Redis.from_url(os.environ["FLOORWATCH_REDIS__URL"], password=secret.read().strip(), socket_timeout=60)
    ready = True
    while True:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            for record in records:
                seen[record.key.decode()].add(record.value)
        try:
            await redis.set(KEY, json.dumps({key: len(values) for key, values in seen.items()}))
        except (RedisError, OSError):
            await asyncio.sleep(0.1)


async def gateway() -> None:
    from floorwatch.embedded.journal import JournalError, JournalWriter

    async with JournalWriter(Path(os.environ["FLOORWATCH_JOURNAL"]), "gateway") as journal:

        async def accept(request: web.Request) -> web.Response:
            try:
                await journal.publish([(request.match_info["key"].encode(), await request.read())])
            except JournalError as error:
                return web.Response(status=503, text=str(error))
            return web.Response(status=202)

        async def healthz(_: web.Request) -> web.Response:
            return web.Response()

        app = web.Application()
        app.router.add_get("/healthz", healthz)
        app.router.add_post("/{key}", accept)
        await serve(app, int(os.environ["FLOORWATCH_GATEWAY__PORT"]))
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run({"worker": worker, "gateway": gateway}[sys.argv[1]]())
