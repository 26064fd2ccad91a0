"""What became of breaches: what the receivers got, and what the log and the outbox say of the rest."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition
from redis.asyncio import Redis

from bench import log
from bench.floor_runs import Floor
from bench.stack import PARTITIONS, Stack
from streams.models import topics

_OVER = ("resolved", "pending")


class Delivered:
    """What the receivers got.

    Attributes:
        first: By channel and queue, the Unix second of the first message that names it.
        notices: By channel, ids of the messages, with how often each came.
    """

    def __init__(self, channels: tuple[str, ...], rule: str) -> None:
        """Note messages about incidents of one rule."""
        self._channels, self._rule = channels, rule
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.first: dict[str, dict[str, float]] = {name: {} for name in self._channels}
        self.notices: dict[str, Counter[str]] = {name: Counter() for name in self._channels}
        self._at: dict[str, list[float]] = {name: [] for name in self._channels}

    def take(self, channel: str, key: str, body: bytes) -> None:
        """Note a message by its idempotency key, which is its id and the channel."""
        now_s, found = time.time(), orjson.loads(body)
        self._at[channel].append(now_s)
        self.notices[channel][key.removesuffix(f":{channel}")] += 1
        for one in [member["incident"] for member in found.get("members") or ()] or [found["incident"]]:
            if one["rule"] == self._rule:
                self.first[channel].setdefault(one["scope"]["queue"], now_s)

    def count(self) -> int:
        """Return how many messages have come."""
        return sum(map(len, self._at.values()))

    def channel(self, name: str, began_s: float, rate: tuple[int, int] | None) -> dict[str, Any]:
        """Return figures of a channel: messages, how many came twice, the most in a second and a minute, the last's time."""
        times = self._at[name]
        most = {span: _most(times, span) for span in (1, 60)}
        found: dict[str, Any] = {"messages": len(times), "twice": len(times) - len(self.notices[name])}
        found |= {"most_in_1_s": most[1], "most_in_60_s": most[60]}
        if rate is not None:
            found["allowed"] = {f"in_{span}_s": rate[1] + rate[0] * span // 60 for span in most}
        return {**found, "all_told_after_s": round(times[-1] - began_s, 1) if times else None}


def _most(times: list[float], span_s: float) -> int:
    """Return how many of ascending times lie in the fullest span."""
    return max((bisect_left(times, at + span_s) - place for place, at in enumerate(times)), default=0)


class SignalTimes:
    """When the first firing signal of each queue was put on the log."""

    def __init__(self, stack: Stack, topic: str) -> None:
        """Look at a topic of signals."""
        self._stack, self._topic = stack, topic

    def first(self) -> dict[str, float]:
        """Read the topic; Unix seconds of the record by queue."""
        found: dict[str, float] = {}
        settings = {"bootstrap.servers": self._stack.brokers, "group.id": "signals", "log_level": 3}
        consumer = Consumer({**settings, "enable.auto.commit": False, "enable.partition.eof": True})
        try:
            consumer.assign([TopicPartition(self._topic, number, 0) for number in range(PARTITIONS)])
            ended = 0
            while ended < PARTITIONS:
                for message in consumer.consume(2_000, timeout=0.2):
                    if message.error() is not None:
                        ended += 1
                        continue
                    one = orjson.loads(message.value())
                    if one.get("firing") and "queue" in one["scope"]:
                        found.setdefault(one["scope"]["queue"], message.timestamp()[1] / 1000)
        finally:
            consumer.close()
        return found


async def outcome(job: Floor, redis: Redis, delivered: Delivered, rule: str, queues: set[str]) -> dict[str, Any]:
    """Judge by the log what was opened, and what nobody was told and that waits nowhere.

    An incident counts as told on a channel when the message that the log decided for it has come there. It waits where that message is
    in the outbox, or where the log says what holds it.
    """
    newest = dict(log.read(job.stack, job.topic(topics.INCIDENTS)))
    incidents = [orjson.loads(value) for value in newest.values() if value is not None]
    live = [one for one in incidents if one["rule"] == rule and one["state"] not in _OVER]
    live = [one for one in live if one["scope"]["queue"] in queues]
    lost, waiting = [], 0
    for channel in delivered.first:
        due = {name.decode() for name in await redis.zrange(f"b:{{outbox}}:due:{channel}", 0, -1)}
        for one in live:
            notices = {told["notice"] for told in one["told"] if channel in told["channels"]}
            if notices & delivered.notices[channel].keys():
                continue
            held = any(f"channel:{channel}" in hold["receivers"] for hold in one["held"])
            waiting += held or bool(notices & due)
            lost += [] if held or notices & due else [f"{channel}: {one['key']}"]
    return {
        "incidents": len(live),
        "not_opened": len(queues) - len({one["scope"]["queue"] for one in live}),
        "waiting": waiting,
        "lost": len(lost),
        "lost_first": lost[:3],
    }
