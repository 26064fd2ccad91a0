"""The reduced job on stock Faust: an agent and two tables, one write per event and number, as its manual shows.

Labels are remembered by id so that an audit finds its queue, vendor and minute; sums are kept per source partition.
Run by the harness as a process of its own: ``python -m bench.peers.stock_faust BROKERS TOPIC APP_ID PARTITIONS``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import datetime
from typing import Any

import faust

BROKERS, TOPIC, APP_ID, PARTITIONS = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])

app = faust.App(
    APP_ID,
    broker=f"kafka://{BROKERS}",
    store="memory://",
    topic_disable_leader=True,
    topic_partitions=PARTITIONS,
    consumer_auto_offset_reset="earliest",
    broker_session_timeout=6,
    broker_rebalance_timeout=3,
    broker_commit_interval=1.0,
    web_enabled=False,
    datadir=tempfile.mkdtemp(),
)
events = app.topic(TOPIC, value_serializer="json")
labels = app.Table("labels", partitions=PARTITIONS)
sums = app.Table("sums", partitions=PARTITIONS)


def at_ms(text: str) -> int:
    """Return an RFC 3339 time as ms since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def add(key: str, count: int, audited: int, wrong: int, handle_ms: int) -> None:
    """Add to a sum and write it."""
    old = sums.get(key) or (0, 0, 0, 0)
    sums[key] = [old[0] + count, old[1] + audited, old[2] + wrong, old[3] + handle_ms]


@app.agent(events)
async def count(stream: faust.Stream[Any]) -> None:
    """Fold events one by one."""
    told = False
    async for event in stream:
        if not told:
            os.write(1, f"\nFIRST {time.time() * 1000:.0f}\n".encode())  # Faust's worker takes print for itself
            told = True
        data = event["data"]
        if event["type"] == "floorwatch.label.submitted.v1":
            time_ms = at_ms(event["time"])
            suffix = f"{time_ms // 60_000}|{stream.current_event.message.partition}"
            keys = [f"queue|{data['queue']}|{suffix}", f"vendor|{data['vendor']}|{suffix}"]
            labels[data["label_id"]] = keys
            for key in keys:
                add(key, 1, 0, 0, time_ms - at_ms(data["started_at"]))
        elif event["type"] == "floorwatch.audit.completed.v1":
            for key in labels.get(data["label_id"]) or ():
                add(key, 0, 1, int(data["verdict"] == "incorrect"), 0)


if __name__ == "__main__":
    sys.argv = ["stock_faust", "worker", "-l", "error", "--without-web"]
    app.main()
