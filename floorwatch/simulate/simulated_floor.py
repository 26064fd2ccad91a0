"""The simulated floor: a pure, seeded generator of the events a labelling operation sends, in order of arrival."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import accumulate
from math import pi, sin
from typing import Any

from floorwatch.simulate.chance import Chance
from floorwatch.simulate.config import FloorConfig
from floorwatch.simulate.dispatcher import Dispatcher
from floorwatch.simulate.people import PRIORITIES, Availability, Labeler, Queue, accuracy_factor, hire, open_queues
from floorwatch.simulate.quality import SAFE, Decision, Quality
from floorwatch.simulate.shifts import Shifts
from floorwatch.simulate.wire import Sent, Wire, rfc3339
from streams.models.timestamps import DAY_MS

EVENTS_PER_TASK = 2.44
"""Events of all types per task with the default shares of trouble and the default queues (measured; a test holds it)."""

_DAILY_SWING = 0.15
_LABELS_PER_TASK = 1.17
_OCCUPANCY = 0.7
_MAX_HANDLE_MS = 60_000
_HANDLE_SIGMA = 0.5
_WAIT_SIGMA = 1.2
_RETRY_MS = 300_000
_READY_MS = 60_000
"""Median time until a task of a queue with one promise is up for work; nobody there lets some lie for others."""
_VIOLATIONS = 0.3
_POLICY_VERSION = "2026-11"


@dataclass(slots=True)
class _Task:
    task_id: str
    queue_index: int
    policy: str
    market: str
    priority: str
    created_ms: int
    due_ms: int | None
    announced: bool
    """Whether task.created was sent; otherwise the label may carry the times."""
    labels_wanted: int
    truth: str = ""
    """What the right decision is, drawn when the first labeller looks."""


def simulate(config: FloorConfig, seed: int) -> Iterator[Sent]:
    """Everything one floor sends, in order of arrival; the same config and seed give the same bytes.

    Events arrive within ``config.duration_s`` after ``config.start_ms`` and never before their own time. Costs about
    12 microseconds an event; memory holds what is under way (audits and appeals of the coming days).
    """
    return _Floor(config, seed).run()


class _Floor:
    def __init__(self, config: FloorConfig, seed: int) -> None:
        self._config = config
        self._chance = Chance(seed)
        prefix = config.prefix or f"s{seed}-{config.start_ms // 1000:x}"
        self._prefix = prefix
        self._wire = Wire(config, self._chance.rng, prefix)
        self._quality = Quality(config, self._chance, self._wire, prefix)
        self._people = hire(config, self._chance.rng)
        self._queues = open_queues(config)
        self._roster = Availability(config, self._people, len(self._queues))
        self._shifts = Shifts(self._people, self._wire, self._chance, config.start_ms)
        self._surges = [s for s in config.scenarios if s.kind == "queue_surge"]
        self._weights = (0.0, [0.0])
        self._surging: list[bool] | None = None
        self._tasks_per_ms = config.rate / EVENTS_PER_TASK / 1000
        labels_per_ms = self._tasks_per_ms * _LABELS_PER_TASK
        # Three shifts share the people; 1.3 is the mean of pace, learning and the log-normal over its median.
        self._handle_ms = min(_MAX_HANDLE_MS, _OCCUPANCY * config.labelers / 3 / labels_per_ms) / 1.3
        self._waiting: list[tuple[int, int, _Task | Labeler]] = []
        self._desk = Dispatcher(self._roster, len(self._queues)) if config.order == "due" else None
        self._serial = 0
        self._task_number = 0
        self._label_number = 0

    def run(self) -> Iterator[Sent]:
        config, wire = self._config, self._wire
        end_ms = config.start_ms + round(config.duration_s * 1000)
        next_task_ms = config.start_ms + self._gap_ms(config.start_ms)
        waiting = self._waiting
        while True:
            now_ms = min(waiting[0][0], next_task_ms) if waiting else next_task_ms
            if self._shifts.next_ms <= now_ms:
                now_ms = self._shifts.next_ms
                self._shifts.begin_hour()
            elif now_ms >= end_ms:
                break
            elif waiting and waiting[0][0] <= next_task_ms:
                self._next(heappop(waiting)[2], now_ms)
            else:
                self._create(now_ms)
                next_task_ms = now_ms + self._gap_ms(now_ms)
            if wire.next_arrival_ms() <= now_ms:
                yield from wire.until(now_ms)
        yield from wire.until(end_ms)

    def _gap_ms(self, now_ms: int) -> int:
        """Time to the next task: exponential, with a daily swing and the surges."""
        swing = 1 + _DAILY_SWING * sin(2 * pi * (now_ms % DAY_MS) / DAY_MS)
        total, _ = self._arrival_weights(now_ms)
        return round(self._chance.rng.expovariate(self._tasks_per_ms * swing * total))

    def _arrival_weights(self, now_ms: int) -> tuple[float, list[float]]:
        """How much faster than usual tasks arrive, and the cumulative weights of the queues."""
        offset_s = (now_ms - self._config.start_ms) / 1000
        surging = [surge.active(offset_s) for surge in self._surges]
        if surging != self._surging:
            self._surging = surging
            weights = [queue.weight for queue in self._queues]
            usual = sum(weights)
            for surge, on in zip(self._surges, surging, strict=True):
                for index, queue in enumerate(self._queues):
                    if on and queue.name == surge.queue:
                        weights[index] *= surge.strength
            self._weights = (sum(weights) / usual, list(accumulate(weights)))
        return self._weights

    def _create(self, now_ms: int) -> None:
        chance, trouble = self._chance, self._config.trouble
        _, cumulative = self._arrival_weights(now_ms)
        index = bisect(cumulative, chance.random() * cumulative[-1], 0, len(cumulative) - 1)
        queue = self._queues[index]
        roll = chance.random()
        priority, _, due_in_ms, wait_ms = PRIORITIES[0 if roll < 0.15 else 1 if roll < 0.8 else 2]
        if queue.sla_ms is not None:
            due_in_ms, wait_ms = queue.sla_ms, _READY_MS
        self._task_number += 1
        task = _Task(
            task_id=f"{self._prefix}-t{self._task_number}",
            queue_index=index,
            policy=chance.one_of(queue.policies),
            market=chance.one_of(queue.markets),
            priority=priority,
            created_ms=now_ms,
            due_ms=None if chance.happens(trouble.no_due) else now_ms + due_in_ms,
            announced=not chance.happens(trouble.not_created),
            labels_wanted=queue.required_labels + chance.happens(trouble.extra_label),
        )
        if task.announced:
            self._announce(task, queue, now_ms)
            if chance.happens(trouble.created_again):
                task.due_ms = now_ms + 2 * due_in_ms
                self._announce(task, queue, now_ms + round(chance.between(1000, due_in_ms)))
            if chance.happens(trouble.cancelled):
                cancelled_ms = now_ms + round(chance.around(wait_ms, 1.0))
                data = {"reason": "content removed"}
                self._wire.send("queue-manager/main", "task.cancelled", task.task_id, cancelled_ms, data)
                if chance.happens(0.7):
                    return
        elif queue.required_labels > 1:
            task.labels_wanted = 1
        self._wait(task, now_ms + round(chance.around(wait_ms, _WAIT_SIGMA)))

    def _announce(self, task: _Task, queue: Queue, time_ms: int) -> None:
        data: dict[str, Any] = {
            "queue": queue.name,
            "policy": task.policy,
            "market": task.market,
            "priority": task.priority,
            "required_labels": queue.required_labels,
        }
        if task.due_ms is not None:
            data["due_at"] = rfc3339(task.due_ms)
        self._wire.send("queue-manager/main", "task.created", task.task_id, time_ms, data)

    def _wait(self, what: _Task | Labeler, until_ms: int) -> None:
        self._serial += 1
        heappush(self._waiting, (until_ms, self._serial, what))

    def _next(self, what: _Task | Labeler, now_ms: int) -> None:
        """Let a task that has waited be worked on, or somebody who has finished one take another."""
        desk = self._desk
        if desk is None:
            if isinstance(what, _Task):
                self._work_on(what, now_ms)
            return
        if isinstance(what, _Task):
            self._serial += 1
            desk.put(what, what.queue_index, what.due_ms, self._serial)
            taken = desk.matched(what.queue_index, now_ms, self._chance)
        else:
            taken = desk.taken_by(what, now_ms)
        for task, labeler in taken:
            self._label(task, labeler, now_ms)
            self._wait(labeler, labeler.free_at_ms)
            task.labels_wanted -= 1
            if task.labels_wanted:
                self._wait(task, now_ms + round(self._chance.around(60_000, 1.0)))

    def _work_on(self, task: _Task, now_ms: int) -> None:
        """Give the task to the less busy of two labellers who know its queue; they take it when they are free."""
        candidates = self._roster.candidates(task.queue_index, now_ms)
        if not candidates:
            self._wait(task, now_ms + _RETRY_MS)
            return
        labeler, other = self._chance.one_of(candidates), self._chance.one_of(candidates)
        if other.free_at_ms < labeler.free_at_ms:
            labeler = other
        start_ms = max(now_ms, labeler.free_at_ms)
        if start_ms > now_ms and not self._roster.can_work(labeler, start_ms):
            self._wait(task, now_ms + _RETRY_MS)
            return
        self._label(task, labeler, start_ms)
        task.labels_wanted -= 1
        if task.labels_wanted:
            self._wait(task, now_ms + round(self._chance.around(60_000, 1.0)))

    def _label(self, task: _Task, labeler: Labeler, start_ms: int) -> None:
        chance, config = self._chance, self._config
        queue = self._queues[task.queue_index]
        inexperience = labeler.inexperience()
        handle_ms = chance.around(self._handle_ms * labeler.pace * (1 + 0.8 * inexperience), _HANDLE_SIGMA)
        time_ms = start_ms + max(1, round(handle_ms))
        labeler.free_at_ms = time_ms
        labeler.done += 1
        # Of the item, not of the label: several labellers of one task judge the same thing.
        truth = task.truth = task.truth or (task.policy if chance.happens(_VIOLATIONS) else SAFE)
        chance_right = 1 - config.errors * (1 - labeler.skill * (1 - 0.12 * inexperience))
        if config.scenarios:
            offset_s = (time_ms - config.start_ms) / 1000
            chance_right *= accuracy_factor(config.scenarios, labeler, task.policy, offset_s)
        given = truth
        if not chance.happens(chance_right):
            given = "other" if chance.happens(0.2) else SAFE if truth != SAFE else task.policy
        self._label_number += 1
        if chance.happens(config.trouble.claimed):
            self._wire.send(labeler.source, "task.claimed", task.task_id, start_ms, {"labeler_id": labeler.labeler_id})
        data = self._label_data(task, queue, labeler, start_ms, time_ms, given)
        plan = self._quality.plan(queue)
        held_until_ms = time_ms + round(chance.between(120_000, 1_200_000)) if plan.held else None
        arrival_ms = self._wire.send(labeler.source, "label.submitted", task.task_id, time_ms, data, held_until_ms)
        decision = Decision(task.task_id, data["label_id"], labeler, queue, time_ms, arrival_ms, given, truth, data)
        withdrawn_ms = self._quality.follow(decision, plan)
        if withdrawn_ms is not None and queue.sla_ms is not None:
            # Or the promise would be broken for good, and a forecast would count open work that nobody means to do.
            self._wait(replace(task, labels_wanted=1), withdrawn_ms)

    def _label_data(
        self, task: _Task, queue: Queue, labeler: Labeler, start_ms: int, time_ms: int, given: str
    ) -> dict[str, Any]:
        chance = self._chance
        data: dict[str, Any] = {
            "label_id": f"{self._prefix}-l{self._label_number}",
            "labeler_id": labeler.labeler_id,
            "team": labeler.team,
            "site": labeler.site,
            "vendor": labeler.vendor,
            "policy_version": _POLICY_VERSION,
            "values": [given],
        }
        # Half of the tools repeat the task's dimensions on the label; the others leave them to task.created.
        if not task.announced or self._label_number % 2:
            data |= {"queue": queue.name, "policy": task.policy, "market": task.market, "priority": task.priority}
        if not chance.happens(self._config.trouble.not_started):
            data["started_at"] = rfc3339(start_ms)
            if chance.happens(0.3):
                data["active_ms"] = round((time_ms - start_ms) * 0.9)
        if chance.happens(0.2):
            data["prediction"] = {"values": [SAFE], "score": round(chance.random(), 2)}
        if not task.announced and task.due_ms is not None and chance.happens(0.5):
            data |= {"created_at": rfc3339(task.created_ms), "due_at": rfc3339(task.due_ms)}
        return data
