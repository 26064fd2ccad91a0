"""The schedule of faults: a pure function of a seed, printed before a run so that a failing seed can be replayed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

KILL, ZOMBIE, STALL, TERM, ROLLING = "kill", "zombie", "stall", "term", "rolling"
BROKER, REDIS_KILL, REDIS_FLUSH, DUPLICATES = "broker_kill", "redis_kill", "redis_flush", "duplicates"
SCALE = "scale"

MEANING = {
    KILL: "SIGKILL of a worker; its partitions are taken over, then it is started again",
    ZOMBIE: "SIGSTOP of a worker past its session timeout, then SIGCONT",
    STALL: "SIGSTOP of a worker within its session timeout, then SIGCONT",
    TERM: "SIGTERM of a worker, then started again",
    ROLLING: "SIGTERM and start of every worker, one after the other",
    BROKER: "SIGKILL of Kafka, then started on the same data",
    REDIS_KILL: "SIGKILL of Redis, then started empty",
    REDIS_FLUSH: "FLUSHALL",
    DUPLICATES: "a second producer sends events that were sent before",
    SCALE: "more or fewer workers",
}

MAX_WORKERS = 3
WARM_UP_S = 10.0
_CALM_END_S = 8.0
_WEIGHTS = {KILL: 4, ZOMBIE: 3, STALL: 1, TERM: 2, ROLLING: 1, BROKER: 2, REDIS_KILL: 1, REDIS_FLUSH: 2, DUPLICATES: 2}
_LASTS_S = {
    KILL: (0.0, 4.0),
    ZOMBIE: (1.5, 8.0),
    STALL: (0.5, 4.0),
    TERM: (0.0, 4.0),
    ROLLING: (0.0, 1.0),
    BROKER: (0.0, 6.0),
    REDIS_KILL: (0.0, 6.0),
    REDIS_FLUSH: (0.0, 0.0),
    DUPLICATES: (4.0, 12.0),
}
"""Bounds of ``lasts_s``: of a zombie beyond the session timeout, of a kill from the takeover to the new start."""
_SCALES = ((0.12, 2), (0.4, 3), (0.88, 1))
"""Share of the run at which the number of workers changes: 1, 2, 3, 1."""


@dataclass(frozen=True, slots=True, order=True)
class InjectedFault:
    """One entry of the schedule.

    Attributes:
        at_s: Seconds after the load began.
        kind: One of ``MEANING``.
        worker: Place of the worker it is for (the next one able to suffer it is taken); for ``scale`` how many there
            are from then on.
        lasts_s: Seconds, as in the meaning.
    """

    at_s: float
    kind: str
    worker: int = 0
    lasts_s: float = 0.0

    def __str__(self) -> str:
        """Return one line of the printed schedule."""
        return f"{self.at_s:8.1f}s  {self.kind:<12} worker={self.worker}  lasts={self.lasts_s:.1f}s"


def schedule(seed: int, load_s: float, gap_s: float = 16.0) -> tuple[InjectedFault, ...]:
    """Return the faults of a run, ordered by time; the same arguments give the same schedule.

    Kinds are dealt from a shuffled deck, so that none is missing for long. Faults may overlap.

    Args:
        seed: Any integer.
        load_s: How long events are sent, in seconds.
        gap_s: Mean seconds between two faults.
    """
    rng = Random(f"chaos-{seed}")  # noqa: S311 - a schedule, not a secret
    found = [InjectedFault(round(share * load_s, 1), SCALE, workers) for share, workers in _SCALES]
    deck = _deck(rng)
    at_s = WARM_UP_S + rng.uniform(0, gap_s / 2)
    while at_s < load_s - _CALM_END_S:
        kind = next(deck)
        low_s, high_s = _LASTS_S[kind]
        found.append(
            InjectedFault(round(at_s, 1), kind, rng.randrange(MAX_WORKERS), round(rng.uniform(low_s, high_s), 1))
        )
        at_s += gap_s * rng.uniform(0.4, 1.6)
    return tuple(sorted(found))


def _deck(rng: Random) -> Iterator[str]:
    while True:
        cards = [kind for kind, weight in _WEIGHTS.items() for _ in range(weight)]
        rng.shuffle(cards)
        yield from cards
