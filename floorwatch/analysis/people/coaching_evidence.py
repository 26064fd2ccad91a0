"""Coaching evidence: which errors, on which values and policies, with tasks to look at together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from floorwatch.analysis.people.peers import Tallies
from floorwatch.analysis.people.standing_labels import StandingLabel, readable
from streams.core.counters import UNKNOWN_TRUTH

_SEVERITY_ORDER = {"critical": 0, "major": 1, "minor": 2, "unspecified": 3}


class Confusion(NamedTuple):
    """What was given where something else was right; ``truth`` is None if that is unknown."""

    given: str
    truth: str | None
    times: int


class Focus(NamedTuple):
    """One kind of work: wrong of judged, and how many wrong ones peers would have on as many; targeted audits are in neither.

    The kinds shown are those that look worst: where to begin to look, no judgement.
    """

    queue: str
    policy: str
    wrong: int
    judged: int
    expected: float | None


class CoachingEvidence(NamedTuple):
    """Everything a lead needs for the coaching talk.

    Attributes:
        wrong: Wrong labels, technical errors left out.
        technical: Technical errors: shown, not held against the person.
        error_classes: Count by class, most frequent first.
        severities: Count by severity, worst first.
        confusions: Most frequent first.
        focus: Kinds of work with errors, most above peers first.
        examples: Task ids of wrong labels, worst and latest first.
    """

    wrong: int
    technical: int
    error_classes: list[tuple[str, int]]
    severities: list[tuple[str, int]]
    confusions: list[Confusion]
    focus: list[Focus]
    examples: list[str]


def evidence_of(works: Iterable[StandingLabel], peers: Tallies, shown: int = 5) -> CoachingEvidence:
    """Return the coaching evidence of one person's labels.

    Args:
        works: The labels.
        peers: Tallies of the peers, for what they would have got wrong on the same work.
        shown: At most so many confusions, kinds of work and examples.

    Returns:
        The evidence; the order of the labels given does not matter.
    """
    classes: Counter[str] = Counter()
    severities: Counter[str] = Counter()
    pairs: Counter[tuple[str, str | None]] = Counter()
    judged: Counter[tuple[str, str]] = Counter()
    drawn_wrong: Counter[tuple[str, str]] = Counter()
    faults: list[tuple[int, int, str]] = []
    wrong = technical = 0
    for work in works:
        verdict = work.judged
        if verdict is None:
            continue
        if verdict.technical:
            technical += 1
            continue
        judged[work.mix] += not verdict.targeted
        if not verdict.wrong:
            continue
        wrong += 1
        drawn_wrong[work.mix] += not verdict.targeted
        classes[verdict.error_class] += 1
        severities[verdict.severity] += 1
        truth = None if verdict.truth == UNKNOWN_TRUTH else readable(verdict.truth)
        pairs[readable(work.values), truth] += 1
        faults.append((_SEVERITY_ORDER[verdict.severity], -work.time_ms, work.task_id))
    return CoachingEvidence(
        wrong,
        technical,
        sorted(classes.items(), key=lambda item: (-item[1], item[0])),
        sorted(severities.items(), key=lambda item: _SEVERITY_ORDER[item[0]]),
        [Confusion(*pair, count) for pair, count in _most(pairs, shown)],
        _focus(judged, +drawn_wrong, peers)[:shown],
        list(dict.fromkeys(task_id for _, _, task_id in sorted(faults)))[:shown],
    )


def _most(counts: Counter[tuple[str, str | None]], shown: int) -> list[tuple[tuple[str, str | None], int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or ""))[:shown]


def _focus(judged: Counter[tuple[str, str]], wrong: Counter[tuple[str, str]], peers: Tallies) -> list[Focus]:
    found: list[Focus] = []
    for mix, count in wrong.items():
        theirs = peers.get(mix)
        expected = judged[mix] * theirs.wrong / theirs.judged if theirs is not None and theirs.judged else None
        found.append(Focus(*mix, count, judged[mix], expected))
    found.sort(key=lambda item: (-(item.wrong - (item.expected or 0.0)), -item.wrong, item.queue, item.policy))
    return found
