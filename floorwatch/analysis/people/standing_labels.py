"""Every standing label of a task as one flat record, with its effective verdict.

All numbers about people are functions of a list of these. A withdrawn label, a corrected label or an overturned audit
gives another list, so the code needs no case for corrections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.core.counters import ERROR_CLASSES, PAIR_SEPARATOR, SEVERITIES
from streams.core.counters import readable as in_words
from streams.core.facts import Fact
from streams.core.task_view import TaskView

_TECHNICAL = ERROR_CLASSES.index("technical")

Mix = tuple[str, str]
"""(queue, policy), empty text where nobody said: the kind of work people are compared on."""


class StandingVerdict(NamedTuple):
    """The effective verdict of one label.

    Attributes:
        wrong: The label is wrong.
        technical: Its error is technical: shown, not held against a person.
        error_class: Name of the error class; empty for a right label.
        severity: Name of the severity; empty for a right label.
        truth: What it should have been; ``counters.UNKNOWN_TRUTH`` where nobody said.
        weight_nano: 1/π in billionths; 0 where π is not known.
        gold: The task's answer was known beforehand.
        assumed: Assumed to be drawn at random, for its audits say nothing of sampling.
    """

    wrong: bool
    technical: bool
    error_class: str
    severity: str
    truth: str
    weight_nano: int
    gold: bool
    assumed: bool = False

    @property
    def targeted(self) -> bool:
        """Chosen in a way that has no known probability, or planted: no sample of the work."""
        return not self.weight_nano and not self.assumed


class StandingLabel(NamedTuple):
    """One standing label.

    Attributes:
        time_ms: When it was decided.
        handle_ms: time − started_at; None where the tool did not say, or said a later start.
        active_ms: What the tool measured itself; None where it did not.
    """

    task_id: str
    label_id: str
    labeler_id: str
    site: str
    vendor: str
    team: str
    queue: str
    policy: str
    time_ms: int
    handle_ms: int | None
    active_ms: int | None
    values: str
    judged: StandingVerdict | None

    @property
    def mix(self) -> Mix:
        """The kind of work: queue and policy."""
        return self.queue, self.policy

    @property
    def start_ms(self) -> int:
        """When work on it began; its own time where nobody knows."""
        return self.time_ms if self.handle_ms is None else self.time_ms - self.handle_ms


def standing_labels_of(task_id: str, facts: Sequence[Fact]) -> list[StandingLabel]:
    """Return the standing labels of one task, each with its effective verdict (docs/meaning.md).

    Args:
        task_id: The task.
        facts: Its facts in log order, duplicates taken out.

    Returns:
        One record per standing label that names its labeller.
    """
    view = TaskView(facts)
    found: list[StandingLabel] = []
    audited = bool(view.audits)
    for label_id, label in view.labels.items():
        site, vendor, team, queue, policy, _, _, labeler = (value or "" for value in view.label_dims(label))
        if not labeler:
            continue
        handle_ms = None if label.started_ms is None else label.time_ms - label.started_ms
        if handle_ms is not None and handle_ms < 0:
            handle_ms = None
        verdict = view.verdict(label) if audited else None
        judged = None
        if verdict is not None:
            judged = StandingVerdict(
                wrong=verdict.wrong,
                technical=verdict.wrong and verdict.error_code == _TECHNICAL,
                error_class=ERROR_CLASSES[verdict.error_code] if verdict.wrong else "",
                severity=SEVERITIES[verdict.severity_code] if verdict.wrong else "",
                truth=verdict.truth,
                weight_nano=verdict.weight_nano,
                gold=verdict.gold,
                assumed=verdict.assumed,
            )
        place = (labeler, site, vendor, team, queue, policy)
        found.append(
            StandingLabel(task_id, label_id, *place, label.time_ms, handle_ms, label.active_ms, label.values, judged)
        )
    return found


def between(works: Iterable[StandingLabel], start_ms: int, end_ms: int) -> list[StandingLabel]:
    """Return the labels decided in a half-open range of time."""
    return [work for work in works if start_ms <= work.time_ms < end_ms]


def by_labeler(works: Iterable[StandingLabel]) -> dict[str, list[StandingLabel]]:
    """Return each labeller's labels, in the order given."""
    found: dict[str, list[StandingLabel]] = {}
    for work in works:
        found.setdefault(work.labeler_id, []).append(work)
    return found


def readable(values: str) -> str:
    """Return decision values for people: ``hate+spam``, ``nothing`` where none was chosen."""
    return in_words(values).replace(PAIR_SEPARATOR, "/") or "nothing"
