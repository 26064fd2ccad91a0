"""What a seed stands for: the floor that is folded and the kind of trouble it meets."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from typing import Any

from alerts.detectors import detectors_of
from alerts.rules_file import default_rules
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS, CorePolicy, Window
from streams.core.time_text import rfc3339
from streams.models.grants import stamp_of
from tests.core.floorgen import START_MS, _event

SCOPES: tuple[tuple[str, ...], ...] = ((), ("queue",), ("labeler",))

DETECTORS = detectors_of(default_rules().rules)
"""The shipped rules' own: what they know of a scope must survive whatever its rows survive."""

SHORT = CorePolicy(
    scopes=SCOPES,
    detectors=DETECTORS,
    audit_scopes=(("queue", "labeler"),),
    horizon_ms=6 * HOUR_MS,
    minute_kept_ms=HOUR_MS,
    quarter_kept_ms=3 * HOUR_MS,
    windows=(Window("5m", 0, 5 * MINUTE_MS), Window("2h", 1, 2 * HOUR_MS), Window("5h", 2, 5 * HOUR_MS)),
)
"""Everything expires within hours, so that a few dozen events see panes and tasks end."""

LONG = CorePolicy(
    scopes=SCOPES,
    detectors=DETECTORS,
    audit_scopes=(("queue", "labeler"),),
    horizon_ms=30 * HOUR_MS,
    minute_kept_ms=2 * HOUR_MS,
    quarter_kept_ms=10 * HOUR_MS,
    windows=(Window("15m", 0, QUARTER_MS), Window("8h", 1, 8 * HOUR_MS), Window("24h", 2, DAY_MS)),
)

ENDLESS = replace(LONG, horizon_ms=400 * DAY_MS)
"""Nothing is ever too late: here an independent count must agree as well."""


STAMPS = (
    stamp_of("a", {"vendor": ("v1",)}),
    stamp_of("b", {"vendor": ("v2",)}, reviewer=False),
    stamp_of("reviewer", {"vendor": ("v1", "v2")}),
)
"""Of senders that are bound to a part of the floor."""


@dataclass(frozen=True)
class Kinds:
    """Which kinds of trouble a schedule may meet.

    Attributes:
        crash: Processes are killed, requests under way cut anywhere.
        linger: What a dead process had sent may still arrive, much later.
        rebalance: The group reassigns partitions between live workers.
        zombie: Workers stall, lose their partitions, wake and go on for a while.
        outage: The broker or Redis refuses; requests fail, wholly or in part.
        afterlife: A worker one of whose stages has failed runs on for a while before it ends.
        compaction: The cleaner runs at any time.
        loss: Redis forgets everything.
        idle: Partitions fall idle and come back, with newer events or older ones.
    """

    crash: bool = True
    linger: bool = True
    rebalance: bool = True
    zombie: bool = True
    outage: bool = True
    afterlife: bool = True
    compaction: bool = True
    loss: bool = True
    idle: bool = True

    def without(self, *names: str) -> Kinds:
        """Return these kinds less some."""
        return replace(self, **dict.fromkeys(names, False))


@dataclass(frozen=True)
class Shape:
    """The fixed facts of one schedule, all of them drawn from its seed.

    Attributes:
        partitions: Of every topic.
        workers: Processes at the beginning.
        events: Events on the floor.
        steps: Steps of trouble before the schedule comes to rest.
        intake: Events enter through the raw topic.
        scopes: The aggregate stage runs.
        haunted: More zombies than anything else, and more steps.
        lag_steps: Compaction leaves records younger than this alone; 0: nothing is safe from it.
        retention_steps: How long a cleaned tombstone stays.
        max_unflushed: The host's bound on records folded and not flushed.
        hot_tasks: Tasks a ledger keeps in memory; the rest is cold.
        revoke_patience_s: How long the last flush of partitions given back may take.
        by_columns: Changes are summed in numpy however few they are.
        policy: What the numbers are shaped by.
    """

    seed: int
    partitions: int
    workers: int
    events: int
    steps: int
    intake: bool
    scopes: bool
    haunted: bool
    lag_steps: int
    retention_steps: int
    max_unflushed: int
    hot_tasks: int
    revoke_patience_s: float | None
    by_columns: bool
    policy: CorePolicy

    @property
    def granted(self) -> bool:
        """Whether some senders are bound; of events that come by a raw topic intake would drop the stamps."""
        return self.seed % 4 == 1 and not self.intake

    @property
    def at_once(self) -> int:
        """Partitions of a stage flushed at a time: as in production where tasks are cold, which says nothing about it."""
        return 2 if self.hot_tasks == 1 else 1

    @property
    def commit_pause_s(self) -> float:
        """Least time between two commits of a partition; with ``at_once``."""
        return 1.0 if self.hot_tasks == 1 else 0.0

    @classmethod
    def of(cls, seed: int) -> Shape:
        """Return the shape of a seed."""
        rng = random.Random(seed * 7919 + 1)
        haunted = rng.random() < 0.3
        return cls(
            seed=seed,
            partitions=rng.choice((1, 1, 2)),
            workers=2 if haunted else rng.choice((1, 2, 2, 3)),
            events=rng.choice((12, 24, 40)),
            steps=120 if haunted else rng.choice((30, 50, 80)),
            intake=not haunted and rng.random() < 0.3,
            scopes=rng.random() < 0.5,
            haunted=haunted,
            lag_steps=rng.choice((0, 0, 5, 40)),
            retention_steps=rng.choice((0, 10, 60)),
            max_unflushed=rng.choice((6, 1_000_000, 1_000_000)),
            hot_tasks=rng.choice((1, 1 << 40)),
            revoke_patience_s=rng.choice((None, 1.0)),
            by_columns=rng.random() < 0.3,
            policy=rng.choice((SHORT, SHORT, LONG, ENDLESS)),
        )


def floor_events(seed: int, count: int, *, granted: bool = False) -> list[tuple[bytes, bytes]]:
    """Return (key, value) of ``count`` events: every kind, few tasks, repeats, conflicts, disorder, leaps in time.

    Args:
        seed: Decides all of them.
        count: How many.
        granted: Half of them come from senders that are bound to a part of the floor, as intake stamps them.
    """
    rng, senders = random.Random(seed * 104_729 + 2), random.Random(seed * 65_537 + 3)
    now_ms = START_MS
    sent: list[tuple[bytes, bytes]] = []
    for number in range(count):
        now_ms += rng.choice((0, 500, 5_000, 90_000, 700_000))
        if rng.random() < 0.08:
            now_ms += rng.choice((HOUR_MS, 3 * HOUR_MS, 8 * HOUR_MS, 40 * HOUR_MS))
        if sent and rng.random() < 0.06:
            sent.append(rng.choice(sent[-20:]))
            continue
        at_ms = now_ms - rng.choice((0, 0, 0, 30_000, 600_000, 5 * HOUR_MS))
        kind, data = _event(rng, at_ms)
        if "due_at" in data:
            data["due_at"] = rfc3339(at_ms + rng.choice((MINUTE_MS, HOUR_MS, 3 * HOUR_MS)))
        task = f"t{rng.randrange(max(2, count // 10))}"
        sent.append(
            encode(
                {
                    "id": f"e{number}" if rng.random() > 0.03 else f"e{number // 2}",
                    "source": "gen",
                    "type": f"floorwatch.{kind}.v1",
                    "subject": task if kind != "clock.tick" else "clock",
                    "time": rfc3339(at_ms),
                    "data": data,
                    **({"floorwatchgrant": senders.choice(STAMPS)} if granted and senders.random() < 0.5 else {}),
                }
            )
        )
    return sent


def encode(event: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return (key, value) of an event."""
    return event["subject"].encode(), json.dumps({"specversion": "1.0", **event}).encode()


def garbage(rng: random.Random) -> tuple[bytes, bytes]:
    """Return something that is not an event."""
    return b"t0", rng.choice((b"{oops", b'{"specversion":"1.0"}', b"\xff\xfe"))


def tick(time_ms: int) -> tuple[bytes, bytes]:
    """Return a clock event."""
    return encode(
        {
            "id": f"tick-{time_ms}",
            "source": "floorwatch/clock",
            "type": "floorwatch.clock.tick.v1",
            "subject": "clock",
            "time": rfc3339(time_ms),
            "data": {},
        }
    )
