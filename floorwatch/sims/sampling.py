"""Second looks at audited labels, and tools that say nothing of sampling: from events through the fold to rows and watches."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from alerts.detectors import detectors_of
from alerts.rules_file import parse_rules
from config.sampling import SamplingSettings
from floorwatch.sims.lines import ReportLine, of_mean, of_share
from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.policy import DAY_MS, HOUR_MS, CorePolicy
from streams.core.records import Record
from streams.core.tables import window_rows
from streams.core.time_text import rfc3339
from streams.models.events import decode_event, encode_event
from streams.models.sampling_plan import NO_PLAN, SamplingPlan, with_sampling

ROWS = (1, 17)
CPU_S = 200.0

START_MS = 1_795_392_000_000
COVERED = 0.925
"""What shown intervals promise (docs/statistics.md)."""

_RULES = parse_rules(
    "rules:\n- {name: accuracy, kind: accuracy_low, scope: all, window: 7d, budget: {per_day: 20000, days: 7}}\n"
).rules
_POLICY = CorePolicy(scopes=((), ("vendor",)), detectors=detectors_of(_RULES), audit_scopes=())
BUDGET = 20_000 * 7
"""Audits of all scopes for each false alarm that the rule allows."""

Sent = tuple[int, bytes]
"""Time of arrival in ms, and an event."""


class Seen(NamedTuple):
    """What a floor shows of its accuracy over seven days."""

    row: dict[str, Any]
    reading: dict[str, Any]


def shown(sent: Sequence[Sent], plan: SamplingPlan = NO_PLAN) -> Seen:
    """Return what the floor shows after events, in their order of arrival, with what the configuration says of them."""
    core = Core(plan)
    core.take(sent)
    return core.shown()


class Core:
    """One partition: intake's word on sampling, the ledger's fold, rows and watches."""

    def __init__(self, plan: SamplingPlan = NO_PLAN) -> None:
        """Start empty."""
        self._plan, self._next = plan, 0
        self._store = new_store(0, _POLICY)
        self._floor = Floor(_POLICY)

    def take(self, sent: Sequence[Sent]) -> None:
        """Fold events."""
        records = []
        for _, value in sent:
            event = with_sampling(decode_event(value), self._plan, first=True)
            records.append(Record(self._next, 0, None, encode_event(event)))
            self._next += 1
        self._store.ledger.fold(records)
        flush = self._store.collect()
        if flush is not None:
            self._floor.apply([*flush.full, *flush.outputs, flush.watermark])
            self._floor.absorb()

    @property
    def firing(self) -> bool:
        """Whether the rule fires now."""
        readings = self._floor.scopes["all"].readings("7d", self._floor.watermark_ms)
        return bool(readings["accuracy"]["accuracy"]["firing"])

    def shown(self) -> Seen:
        """Return the row of the whole floor, and what its rule reads."""
        found = next(one for one in self._floor.all_windows() if one.state.key == "all" and one.window == "7d")
        row = window_rows(found, self._floor.watermark_ms)["accuracy"]
        return Seen(row, row["evidence"]["accuracy"])


class Work:
    """Makes labels and audits of one floor, whose names differ from run to run."""

    def __init__(self, rng: random.Random) -> None:
        """Take names.

        Args:
            rng: Source of chance.
        """
        self._rng, self.sent = rng, list[Sent]()
        self._prefix = rng.choice(("a", "zz-", "Ω", "task/"))
        self._people = [f"{self._prefix}{n}" for n in range(rng.randint(1, 12))]

    def label(self, number: int, at_ms: int) -> None:
        """Somebody labels."""
        who = self._rng.choice(self._people)
        data = f'"label_id":"l{number}","labeler_id":"{who}","vendor":"v{len(who) % 3}","values":["x"]'
        self._add("label.submitted", number, f"l{number}", at_ms, at_ms, data)

    def audit(
        self, number: int, name: str, at_ms: int, *, wrong: bool, sampling: str = "", arrives_ms: int | None = None
    ) -> None:
        """Somebody audits; ``sampling`` is what the event says of it, as JSON."""
        verdict = "incorrect" if wrong else "correct"
        said = f',"sampling":{sampling}' if sampling else ""
        data = f'"audit_id":"{name}{number}","label_id":"l{number}","verdict":"{verdict}"{said}'
        self._add(
            "audit.completed", number, f"{name}{number}", at_ms, at_ms if arrives_ms is None else arrives_ms, data
        )

    def _add(self, kind: str, number: int, name: str, at_ms: int, arrives_ms: int, data: str) -> None:
        subject = f"{self._prefix}{number}"
        head = f'"specversion":"1.0","id":"{name}","source":"tool","type":"floorwatch.{kind}.v1"'
        text = f'{{{head},"subject":"{subject}","time":"{rfc3339(at_ms)}","data":{{{data}}}}}'
        self.sent.append((arrives_ms, text.encode()))

    def arrived(self) -> list[Sent]:
        """Return everything sent, as it arrives."""
        return sorted(self.sent, key=lambda one: one[0])


_PROBABILITIES = (0.02, 0.05, 0.1, 0.2)
_SAID_OF_A_SECOND_LOOK = ("", '{"method":"review"}', "{}")


def second_looks(rng: random.Random, seed: int, accuracy: float) -> tuple[Seen, Seen]:
    """Return a floor without and with a lead's second look at all labels found wrong, which confirms them.

    Audits are drawn at random with one probability, which they name. The lead's audits name none. They come from minutes to a
    day later, and some before the audit that found the label wrong.

    Args:
        rng: Source of chance.
        seed: Of the names.
        accuracy: True accuracy of everybody.
    """
    audits, probability = rng.randint(200, 600), rng.choice(_PROBABILITIES)
    said, delay_ms = rng.choice(_SAID_OF_A_SECOND_LOOK), rng.choice((HOUR_MS // 20, 5 * HOUR_MS, DAY_MS))
    floors = (Work(random.Random(seed)), Work(random.Random(seed)))  # noqa: S311 -- a seeded simulation
    for number in range(audits):
        at_ms, wrong = START_MS + rng.randrange(4 * DAY_MS), rng.random() >= accuracy
        audited_ms = at_ms + rng.randrange(HOUR_MS)
        again_ms = audited_ms + rng.randrange(1, delay_ms)
        arrives_ms = again_ms if rng.random() < 0.9 else audited_ms - 1
        for floor in floors:
            floor.label(number, at_ms)
            floor.audit(number, "a", audited_ms, wrong=wrong, sampling=f'{{"probability":{probability}}}')
        if wrong:
            floors[1].audit(number, "lead", again_ms, wrong=True, sampling=said, arrives_ms=arrives_ms)
    for floor in floors:
        floor.label(audits, START_MS + 6 * DAY_MS)
    return shown(floors[0].arrived()), shown(floors[1].arrived())


def all_wrong(rng: random.Random, seed: int, plan: SamplingPlan = NO_PLAN, sampling: str = "") -> tuple[bool, Seen]:
    """Return whether a floor on which 640 of 640 audits are wrong pages at the next look, and what it shows."""
    work, span_ms = Work(random.Random(seed)), rng.choice((HOUR_MS // 2, 6 * HOUR_MS, 2 * DAY_MS))  # noqa: S311
    for number in range(640):
        at_ms = START_MS + rng.randrange(span_ms)
        work.label(number, at_ms)
        work.audit(number, "a", at_ms + rng.randrange(HOUR_MS), wrong=True, sampling=sampling)
    work.label(640, START_MS + span_ms + HOUR_MS)
    core = Core(plan)
    core.take(work.arrived())
    return core.firing, core.shown()


def two_tools(rng: random.Random, seed: int) -> tuple[float, Seen]:
    """Return the true accuracy of a floor, and what it shows, where one tool names its probability and another says nothing.

    A part of the work is flagged, is audited more often and is worse; its audits say so. Of the rest an unknown share is audited at
    random, and nothing is said of that.
    """
    labels, flagged, share = rng.randint(1_500, 3_000), rng.uniform(0.05, 0.3), rng.choice((0.05, 0.1, 0.2))
    good = (rng.uniform(0.75, 0.9), rng.uniform(0.92, 0.99))
    work = Work(random.Random(seed))  # noqa: S311
    for number in range(labels):
        at_ms, other = START_MS + rng.randrange(4 * DAY_MS), rng.random() >= flagged
        work.label(number, at_ms)
        if rng.random() < (share if other else 0.3):
            said = "" if other else '{"method":"flagged","probability":0.3}'
            wrong = rng.random() >= good[other]
            work.audit(number, "a", at_ms + rng.randrange(DAY_MS), wrong=wrong, sampling=said)
    work.label(labels, START_MS + 6 * DAY_MS)
    return flagged * good[0] + (1 - flagged) * good[1], shown(work.arrived())


def pages_on_target(rng: random.Random, seed: int, audits: int) -> bool:
    """Return whether a floor at its target ever pages in six days, looked at every six hours; nothing is said of sampling."""
    work, core = Work(random.Random(seed)), Core()  # noqa: S311
    for number in range(audits):
        at_ms = START_MS + rng.randrange(6 * DAY_MS)
        work.label(number, at_ms)
        work.audit(number, "a", at_ms + rng.randrange(HOUR_MS), wrong=rng.random() < 0.05)
    sent, begin = work.arrived(), 0
    for look_ms in range(START_MS + 6 * HOUR_MS, START_MS + 7 * DAY_MS, 6 * HOUR_MS):
        end = begin
        while end < len(sent) and sent[end][0] < look_ms:
            end += 1
        core.take(sent[begin:end])
        begin = end
        if end and core.firing:
            return True
    return False


def run(scale: float, seed: int) -> list[ReportLine]:
    """Run 400 floors of each situation at scale 1."""
    runs = max(8, round(400 * scale))
    rng = random.Random(seed)  # noqa: S311 -- a seeded simulation
    return [*_second_look_lines(rng, runs), *_unsaid_lines(rng, runs)]


def _second_look_lines(rng: random.Random, runs: int) -> list[ReportLine]:
    pairs = [second_looks(rng, run, 0.90) for run in range(runs)]
    rows = [again.row for _, again in pairs]
    covered = sum(row["accuracy_low_ratio"] <= 0.90 <= row["accuracy_high_ratio"] for row in rows)
    same = sum(once.reading == again.reading for once, again in pairs)
    above = sum(row["accuracy_low_ratio"] > 0.95 for row in rows)
    name = "random audits at 90%, all wrong ones looked at again"
    estimates = [row["accuracy_estimate_ratio"] for row in rows]
    mean = of_mean(f"{name}: estimated accuracy", estimates, "about", 0.90, "90%", row=1)
    return [
        replace(mean, tolerance=0.005),
        of_share(f"{name}: the interval holds 90%", covered, runs, "at least", COVERED, "shown intervals", row=1),
        of_share(f"{name}: above the target of 95%", above, runs, "at most", 0.025, "", row=1),
        of_share(f"{name}: the same evidence as without the second look", same, runs, "at least", 1.0, "", row=1),
    ]


def _unsaid_lines(rng: random.Random, runs: int) -> list[ReportLine]:
    plan = SamplingSettings.model_validate({"sources": {"tool": {"method": "random", "probability": 0.05}}}).plan()
    fired = weighted = alike = covered = paged = 0
    for run in range(runs):
        fires, found = all_wrong(rng, run)
        fired += fires
        weighted += found.row["accuracy_estimate_ratio"] == 0 and found.row["assumed"] == 640
        state = rng.getstate()
        by_configuration = all_wrong(rng, run, plan)
        rng.setstate(state)
        alike += by_configuration == all_wrong(rng, run, NO_PLAN, '{"probability":0.05}') and by_configuration[0]
        truth, mixed = two_tools(rng, run)
        covered += mixed.row["accuracy_low_ratio"] <= truth <= mixed.row["accuracy_high_ratio"]
        paged += pages_on_target(rng, run, 900)
    name = "no sampling said, 640 of 640 wrong"
    return [
        of_share(f"{name}: a page at the next look", fired, runs, "at least", 1.0, "", row=17),
        of_share(f"{name}: an estimate, and all audits named assumed", weighted, runs, "at least", 1.0, "", row=17),
        of_share(
            f"{name}, probability by configuration: page and rows as if the tool said it",
            alike,
            runs,
            "at least",
            1.0,
            "",
            row=17,
        ),
        of_share(
            "one tool names its probability, one says nothing: the interval holds the truth",
            covered,
            runs,
            "at least",
            COVERED,
            "shown intervals",
            row=17,
        ),
        of_share(
            "900 audits on target, no sampling said: a page", paged, runs, "at most", 900 / BUDGET, "budget", row=17
        ),
    ]
