"""A log of contract events of a small floor, for the commands: three weeks, seven people, one of each kind of story."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from floorwatch.cli import facts_file
from streams.core.time_text import rfc3339
from tests.people.floor import DAY, HOUR, MINUTE

START = 1_793_577_600_000  # 2026-11-02T00:00:00Z
DAYS = 21
POLICIES = {"comments": ("hate", 30_000), "videos": ("violence", 60_000), "ads": ("spam", 12_000)}


class Log:
    """Events in order of arrival."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.number = 0

    def send(self, kind: str, subject: str, at: int, data: dict[str, Any], source: str = "tool/kul") -> None:
        self.number += 1
        event = {
            "specversion": "1.0", "id": f"e-{self.number}", "source": source, "type": f"floorwatch.{kind}.v1",
            "subject": subject, "time": rfc3339(at), "data": data,
        }  # fmt: skip
        self.lines.append(json.dumps(event).encode())

    def label(self, who: str, at: int, handle: int, queue: str, *, team: str = "kul-1", site: str = "KUL") -> str:
        policy, _ = POLICIES[queue]
        task = f"t-{who}-{self.number}"
        self.send("task.created", task, at - handle - MINUTE, {"queue": queue, "policy": policy})
        data = {
            "label_id": f"l-{task}", "labeler_id": who, "team": team, "site": site, "vendor": "inhouse", "queue": queue,
            "policy": policy, "values": [policy], "started_at": rfc3339(at - handle),
        }  # fmt: skip
        self.send("label.submitted", task, at, data)
        return task

    def audit(self, task: str, at: int, *, wrong: bool, error: str = "false_positive", severity: str = "major") -> None:
        data: dict[str, Any] = {
            "audit_id": f"a-{task}", "label_id": f"l-{task}", "auditor_id": "qa-1",
            "verdict": "incorrect" if wrong else "correct", "sampling": {"method": "random", "probability": 0.25},
        }  # fmt: skip
        if wrong:
            data |= {"error_class": error, "severity": severity, "values": ["safe"]}
        self.send("audit.completed", task, at, data, "qa/main")


@contextmanager
def files_read_once() -> Iterator[None]:
    """Let commands fold the same lines by the same rules only once: what they say of them is asked, not how they read."""
    folded = functools.cache(facts_file.read_facts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facts_file, "read_facts", lambda lines, rules: folded(tuple(lines), rules))
        yield


def people_log() -> Log:
    """The floor.

    ``low`` is wrong one time in four in the last week; ``hurry`` takes half the time then, and is wrong when fast; ``new``
    starts on day 12; ``gore`` sees nothing but violence and works on at the end; the others are steady.
    """
    rng = Random(20261102)
    log = Log()
    people = ["ann", "ben", "cho", "low", "hurry", "gore", "new"]
    for day in range(DAYS):
        for place, who in enumerate(people):
            if who == "new" and day < 12:
                continue
            team = "kul-1" if place % 2 == 0 else "kul-2"
            begin = START + day * DAY + HOUR
            shift = {
                "shift_id": f"{who}-{day}", "site": "KUL", "vendor": "inhouse", "team": team, "labeler_ids": [who],
                "from": rfc3339(begin), "to": rfc3339(begin + 8 * HOUR),
            }  # fmt: skip
            log.send("shift.scheduled", f"roster/{who}", begin - HOUR, shift, "wfm/kul")
            _day(log, rng, who, team, day, begin)
    for waiting in range(40):
        log.send(
            "task.created", f"open-{waiting}", START + DAYS * DAY - DAY + 5 * HOUR, {"queue": "ads", "policy": "spam"}
        )
    log.lines.append(log.lines[-1])  # a duplicate
    log.lines.append(b'{"not": "an event"}')
    return log


def _day(log: Log, rng: Random, who: str, team: str, day: int, begin: int) -> None:
    # The last day is under way: it ends after four hours.
    hours = 4 if day == DAYS - 1 else 8
    count = hours * 5
    for number in range(count):
        queue = "videos" if who == "gore" else ("comments", "videos", "ads")[number % 3]
        _, median = POLICIES[queue]
        last = day >= DAYS - 7
        pace = 0.5 if who == "hurry" and last else 1.6 if who == "new" else 1.0
        if who == "gore":
            pace = 9.0
        handle = min(11 * MINUTE, round(median * pace * math.exp(rng.gauss(0, 0.35))))
        at = begin + (number + 1) * 12 * MINUTE
        task = log.label(who, at, handle, queue, team=team)
        chance = 0.25 if who == "low" and last else 0.25 if handle < median / 2 else 0.02
        wrong = rng.random() < chance
        if rng.random() < (0.05 if who == "cho" else 0.5):
            error = "technical" if wrong and number % 9 == 0 else "false_positive"
            log.audit(
                task, at + 20 * MINUTE, wrong=wrong, error=error, severity="critical" if number % 4 == 0 else "minor"
            )
