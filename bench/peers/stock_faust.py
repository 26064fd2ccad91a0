"""The peer: a stock Faust agent that counts labels per (queue, minute) in a table, one write per event.

Run by pipeline.py as a process of its own: ``python bench/stock_faust.py BROKERS TOPIC PARTITIONS``.
"""

from __future__ import annotations

import sys
import tempfile

import faust

BROKERS, TOPIC, PARTITIONS = sys.argv[1], sys.argv[2], int(sys.argv[3])

app = faust.App(
    "stock-faust",
    broker=f"kafka://{BROKERS}",
    store="memory://",
    topic_disable_leader=True,
    topic_partitions=PARTITIONS,
    consumer_auto_offset_reset="earliest",
    broker_session_timeout=6,
    broker_rebalance_timeout=3,
    broker_commit_interval=0.5,
    web_enabled=False,
    datadir=tempfile.mkdtemp(),
)
events = app.topic(TOPIC, value_serializer="json")
labels = app.Table("labels", default=int, partitions=PARTITIONS)


@app.agent(events)
async def count(stream: faust.Stream) -> None:  # type: ignore[type-arg]
    async for event in stream:
        labels[f"{event['data'].get('queue')}|{event['time'][:16]}"] += 1


if __name__ == "__main__":
    sys.argv = ["stock_faust", "worker", "-l", "error", "--without-web"]
    app.main()
