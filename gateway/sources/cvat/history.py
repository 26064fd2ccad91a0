"""What became of a job: a pure fold over the states in which it was seen, in order of their own times.

CVAT's retries may bring an older webhook after a newer one. So nothing is decided from one webhook: each adds a state,
and hand-overs and verdicts are worked out from all of them, whatever the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Literal, NamedTuple

ANNOTATION, VALIDATION, ACCEPTANCE = "annotation", "validation", "acceptance"
STAGES = (ANNOTATION, VALIDATION, ACCEPTANCE)
NEW, IN_PROGRESS, COMPLETED, REJECTED = "new", "in progress", "completed", "rejected"
STATES = (NEW, IN_PROGRESS, COMPLETED, REJECTED)

_SAME_UPDATE_US = 1_000_000
"""CVAT takes the time of a new assignee just before it saves the job, so both lie milliseconds apart where one request
changed both (JobWriteSerializer.update in cvat/apps/engine/serializers.py)."""


class JobState(NamedTuple):
    """A job as one webhook showed it.

    Attributes:
        at_us: ``updated_date``, Unix microseconds.
        stage: One of STAGES.
        state: One of STATES.
        who: Username of the assignee, if there is one.
        who_at_us: ``assignee_updated_date``, Unix microseconds, where it is known.
        by: Username of who made the change, where it is known.
    """

    at_us: int
    stage: str
    state: str
    who: str | None
    who_at_us: int | None
    by: str | None


class Issue(NamedTuple):
    """An issue of a job: its id, when it was opened in Unix microseconds, by whom, and whether it no longer counts."""

    number: int
    at_us: int
    owner: str | None
    gone: bool


@dataclass(frozen=True)
class JobVerdict:
    """What somebody said of a hand-over: what it came from (part of its id), who said it, and when (Unix microseconds)."""

    name: str
    says: Literal["correct", "incorrect"]
    auditor: str
    at_us: int


@dataclass(frozen=True)
class HandOver:
    """Work on a job that was handed over.

    Attributes:
        at_us: When, Unix microseconds.
        who: Username of whom the job was assigned to at that time; None where it was assigned to nobody.
        verdicts: What others said of it.
    """

    at_us: int
    who: str | None
    verdicts: tuple[JobVerdict, ...] = ()


def added(states: Iterable[JobState], more: Iterable[JobState]) -> list[JobState]:
    """Return the states with others among them, in order of time: each once, and of a run that shows the same its ends.

    Saves of annotations touch a job without changing what is kept of it; without its middle such a run stays short.
    """
    known: dict[tuple[object, ...], JobState] = {}
    for one in (*states, *more):
        key = one[:5]
        if key not in known or known[key].by is None:
            known[key] = one
    found: list[JobState] = []
    for one in sorted(known.values(), key=_in_order):
        if len(found) > 1 and _shows(found[-2]) == _shows(found[-1]) == _shows(one):
            found.pop()
        found.append(one)
    return found


def missed(states: list[JobState]) -> bool:
    """Whether the job had been handed over already when it was first seen: nobody here knows by whom, or when."""
    return bool(states) and (states[0].stage != ANNOTATION or states[0].state == COMPLETED)


def hand_overs(states: list[JobState], issues: Iterable[Issue], *, acceptance: bool) -> list[HandOver]:
    """Return the hand-overs of a job in order of time, each with its verdicts.

    Work is handed over when a job in annotation is completed or leaves annotation; again only after it came back, was
    rejected, or was completed by somebody else. A verdict is of the hand-over before it: each issue that somebody else opened
    says incorrect; without one, a rejection says so; without both, completed validation or acceptance says correct.

    Args:
        states: In order of time.
        issues: Those of the job.
        acceptance: Whether acceptance without an issue says anything.
    """
    found = _without_verdicts(states)
    ends = [one.at_us for one in found[1:]]
    judged = []
    for one, until_us in zip_longest(found, ends):
        verdicts = tuple(_verdicts(one, until_us, states, issues, acceptance=acceptance)) if one.who is not None else ()
        judged.append(HandOver(one.at_us, one.who, verdicts))
    return judged


def _without_verdicts(states: list[JobState]) -> list[HandOver]:
    found: list[HandOver] = []
    expected = not missed(states)
    for before, now in pairwise(states):
        if now.stage == ANNOTATION and (before.stage != ANNOTATION or now.state == REJECTED):
            expected = True
        if before.stage != ANNOTATION:
            continue
        if now.stage == ANNOTATION and (now.state != COMPLETED or before.state == COMPLETED):
            continue
        who = _holder(before, now)
        again = now.stage == ANNOTATION and who is not None and (not found or who != found[-1].who)
        if expected or again:
            found.append(HandOver(now.at_us, who))
            expected = False
    return found


def _holder(before: JobState, now: JobState) -> str | None:
    """Return who held a job when it changed: a request that completes or moves it may give it to a reviewer as well."""
    if before.who == now.who or before.who is None:
        return now.who
    by_the_change = now.who_at_us is None or now.who_at_us >= now.at_us - _SAME_UPDATE_US
    return before.who if by_the_change else now.who


def _verdicts(
    work: HandOver, until_us: int | None, states: list[JobState], issues: Iterable[Issue], *, acceptance: bool
) -> Iterator[JobVerdict]:
    def within(at_us: int) -> bool:
        return at_us >= work.at_us and (until_us is None or at_us < until_us)

    opened = [one for one in issues if within(one.at_us) and not one.gone and one.owner not in (None, work.who)]
    for one in sorted(opened):
        yield JobVerdict(f"issue:{one.number}", "incorrect", str(one.owner), one.at_us)
    if opened:
        return
    changes = [
        (before, now)
        for before, now in pairwise(states)
        if now.at_us > work.at_us and within(now.at_us) and now.by not in (None, work.who) and _moved(before, now)
    ]
    for _, now in changes:
        if now.state == REJECTED:
            yield JobVerdict("rejected", "incorrect", str(now.by), now.at_us)
            return
    for before, now in changes if acceptance else ():
        passed = now.stage == VALIDATION and now.state == COMPLETED
        if passed or (now.stage == ACCEPTANCE and (before.stage == VALIDATION or now.state == COMPLETED)):
            yield JobVerdict("accepted", "correct", str(now.by), now.at_us)
            return


def _moved(before: JobState, now: JobState) -> bool:
    return (before.stage, before.state) != (now.stage, now.state)


def _shows(one: JobState) -> tuple[str, str, str | None]:
    return one.stage, one.state, one.who


def _in_order(one: JobState) -> tuple[int, int, str, str, str]:
    return one.at_us, one.who_at_us or 0, one.stage, one.state, one.who or ""
