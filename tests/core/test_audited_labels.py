"""A vendor cannot take its audited labels out of what they count in, whatever it sends and in whatever order."""

from __future__ import annotations

import random
from typing import Any

import pytest

from streams.core import counters as c
from streams.core.effects import contributions
from streams.core.facts import fact_of, unpack
from streams.core.grants import judge
from streams.models.events import decode_log_event
from streams.models.grants import SenderGrant, stamp_of
from tests.core.test_grants import QA, Task

VENDOR = SenderGrant("b", bound={"vendor": ("v2",)}).stamp
OTHER = SenderGrant("a", bound={"vendor": ("v1",)}).stamp
FOREIGN_REVIEWER = stamp_of("qb", {"vendor": ["v1"]})
LABEL = {"label_id": "l", "vendor": "v2", "queue": "q", "values": ["x"], "time": "2026-11-23T09:00:00Z"}
WRONG = {"audit_id": "au", "label_id": "l", "verdict": "incorrect"}


def audited(**audit: Any) -> Task:
    """A task of one label, which was found wrong."""
    return Task().say(VENDOR, "label.submitted", **LABEL).say(None, "audit.completed", **{**WRONG, **audit})


def test_the_stamp_says_who_is_no_reviewer() -> None:
    assert VENDOR == "b?vendor=v2&reviewer=no"
    assert SenderGrant("qa", bound={"vendor": ("v1",)}, reviewer=True).stamp == "qa?vendor=v1"
    assert SenderGrant("free").stamp == ""


def test_an_audited_label_is_withdrawn_by_a_reviewer_only() -> None:
    task = audited().say(VENDOR, "label.withdrawn", label_id="l")
    assert task.refused == [2]
    assert task.reasons == (
        "b is bound to vendor v2 and is not a reviewer, and label 'l' may not be withdrawn: the label has been audited (audit "
        "'au') and stays as it was then. A reviewer may withdraw the label, send it again, or withdraw the audit. It counts "
        "for nothing (docs/security.md)"
    )
    assert task.counts["vendor=v2 audited"] == 1
    for may in (QA, None, "b?vendor=v2"):  # the last one is a stamp of before this rule
        task = audited().say(may, "label.withdrawn", label_id="l")
        assert (task.refused, task.counts["vendor=v2 audited"]) == ([], 0)


@pytest.mark.parametrize(
    "change",
    [
        {"vendor": None},
        {"queue": "q2"},
        {"queue": None},
        {"labeler_id": "somebody"},
        {"time": "2026-11-13T09:00:00Z"},
        {"values": ["y"]},
        {"policy_version": "2"},
    ],
    ids=str,
)
def test_an_audited_label_stays_where_it_counts(change: dict[str, Any]) -> None:
    task = audited().say(VENDOR, "label.submitted", **{**LABEL, **change})
    assert task.refused == [2]
    assert f"the {next(iter(change)).removesuffix('_id')} of label 'l' may not change" in task.reasons
    assert task.counts["vendor=v2 audited"] == task.counts["queue=q audited"] == 1
    assert audited().say(QA, "label.submitted", **{**LABEL, **change}).refused == []


@pytest.mark.parametrize(
    "change", [{}, {"active_ms": 5}, {"team": "t"}, {"started_at": "2026-11-23T08:00:00Z"}], ids=str
)
def test_what_audits_do_not_hang_on_may_be_sent_again(change: dict[str, Any]) -> None:
    task = audited().say(VENDOR, "label.submitted", **{**LABEL, **change})
    assert (task.refused, task.counts["vendor=v2 audited"]) == ([], 1)


def test_a_label_does_not_move_by_another_creation_of_its_task() -> None:
    def created(queue: str | None, second: str | None) -> Task:
        task = Task().say(VENDOR, "task.created", vendor="v2", queue=queue)
        task.say(VENDOR, "label.submitted", **{**LABEL, "queue": None}).say(None, "audit.completed", **WRONG)
        return task.say(VENDOR, "task.created", vendor="v2", queue=second)

    moved = created("q", "q2")
    assert moved.refused == [3]
    assert "label 'l' has its queue from the task" in moved.reasons
    assert moved.counts["queue=q audited"] == 1
    assert created("q", None).refused == [3]
    assert created("q", "q").refused == []
    assert created(None, "q2").counts["queue=q2 audited"] == 1


def test_the_log_decides_what_came_first() -> None:
    def said(*parts: str) -> Task:
        task = Task()
        for part in parts:
            if part == "label":
                task.say(VENDOR, "label.submitted", **LABEL)
            elif part == "audit":
                task.say(QA, "audit.completed", **WRONG)
            elif part == "review":
                task.say(QA, "audit.withdrawn", audit_id="au")
            else:
                task.say(VENDOR, "label.withdrawn", label_id="l")
        return task

    assert said("label", "withdrawal", "audit").counts["all labels"] == 0
    assert said("label", "audit", "withdrawal").refused == [2]
    assert said("audit", "withdrawal", "label").refused == [1]
    assert said("audit", "label", "withdrawal").refused == [2]
    assert said("withdrawal", "audit", "label").refused == []
    assert said("label", "audit", "review", "withdrawal").counts["all labels"] == 0
    assert said("label", "audit", "withdrawal", "review").refused == [2]
    assert said("label", "review", "audit", "withdrawal").refused == []


def test_a_refusal_is_told_once_and_stands() -> None:
    """What comes later does not make a refused withdrawal count: its dead letter has been written."""
    task = audited().say(VENDOR, "label.withdrawn", label_id="l").say(QA, "audit.withdrawn", audit_id="au")
    task.say(QA, "audit.completed", audit_id="au2", label_id="l", verdict="correct").say(
        VENDOR, "task.claimed", labeler_id="w"
    )
    assert task.refused == [2]
    assert task.counts["vendor=v2 correct"] == 1


def test_an_audit_that_names_no_label() -> None:
    task = audited(label_id=None).say(VENDOR, "label.withdrawn", label_id="l")
    assert task.refused == [2]
    two = Task().say(VENDOR, "label.submitted", **LABEL).say(VENDOR, "label.submitted", **{**LABEL, "label_id": "m"})
    two.say(VENDOR, "label.withdrawn", label_id="m").say(None, "audit.completed", audit_id="au", verdict="incorrect")
    assert two.say(VENDOR, "label.withdrawn", label_id="l").refused == [4]  # the latest that stood
    late = (
        Task().say(None, "audit.completed", audit_id="au", verdict="incorrect").say(VENDOR, "label.submitted", **LABEL)
    )
    assert late.say(VENDOR, "label.withdrawn", label_id="l").refused == [2]


def test_an_audit_that_does_not_count_holds_nothing() -> None:
    task = Task().say(VENDOR, "label.submitted", **LABEL).say(FOREIGN_REVIEWER, "audit.completed", **WRONG)
    assert task.say(VENDOR, "label.withdrawn", label_id="l").refused == [1]
    assert task.counts["all labels"] == 0
    moved = audited().say(None, "audit.completed", **{**WRONG, "label_id": "m"})  # the same audit, now of another label
    assert moved.say(VENDOR, "label.withdrawn", label_id="l").refused == []


def test_a_later_audit_and_one_without_a_verdict_hold_as_well() -> None:
    task = (
        audited().say(None, "audit.withdrawn", audit_id="au").say(None, "audit.completed", **{**WRONG, "audit_id": "b"})
    )
    assert task.say(VENDOR, "label.withdrawn", label_id="l").refused == [4]
    assert audited(verdict="incomparable").say(VENDOR, "label.withdrawn", label_id="l").refused == [2]


# -- generated -------------------------------------------------------------------------------------------------------

_IDS = ("l", "m")


def _reviewed(rng: random.Random, task: Task) -> None:
    """Say what vendors, auditors and others may say before; each audit is sent once, and each label names its vendor."""
    for at in range(rng.randrange(3, 9)):
        kind, who = (
            rng.choice(("label", "label", "audit", "audit", "created", "withdrawn")),
            rng.choice((None, VENDOR, QA)),
        )
        if kind == "label":
            _label(rng, task, rng.choice((VENDOR, VENDOR, None)), ("v2",))
        elif kind == "audit":
            label_id = rng.choice((*_IDS, None)) if who is None else rng.choice(_IDS)
            said = {"audit_id": f"audit-{at}", "label_id": label_id, "verdict": rng.choice(("correct", "incorrect"))}
            task.say(QA if who == VENDOR else who, "audit.completed", **said)
        elif kind == "created":
            task.say(who, "task.created", **_place(rng, ("v2",)))
        else:
            task.say(who, "label.withdrawn", label_id=rng.choice(_IDS))


def _place(rng: random.Random, vendors: tuple[str | None, ...] = ("v2", None)) -> dict[str, Any]:
    return {"vendor": rng.choice(vendors), "queue": rng.choice(("q", "q2", None)), "team": rng.choice(("t", None))}


def _label(rng: random.Random, task: Task, who: str | None, vendors: tuple[str | None, ...] = ("v2", None)) -> None:
    said = {"label_id": rng.choice(_IDS), "values": rng.choice((["x"], ["y"])), "labeler_id": rng.choice("vw")}
    task.say(who, "label.submitted", **said, **_place(rng, vendors), time=f"2026-11-2{rng.randrange(1, 4)}T09:00:00Z")


def _by_vendor(rng: random.Random, task: Task) -> None:
    for _ in range(rng.randrange(1, 8)):
        who, kind = rng.choice((VENDOR, VENDOR, OTHER)), rng.randrange(6)
        if kind < 2:
            _label(rng, task, who)
        elif kind == 2:
            task.say(who, "task.created", **_place(rng))
        elif kind == 3:
            task.say(who, rng.choice(("task.cancelled", "task.claimed")), labeler_id="w")
        elif kind == 4:
            task.say(who, "appeal.opened", appeal_id="p", against="label", label_id=rng.choice(_IDS))
        else:
            task.say(who, "label.withdrawn", label_id=rng.choice(_IDS))


def _audits_of(task: Task, upto: int) -> dict[str, Any]:
    facts = [fact_of(at, decode_log_event(value)) for at, value in enumerate(task.values[:upto])]
    groups = contributions("t", [fact for fact in facts if fact is not None], 0)
    return {name: group for name, group in groups.items() if name.startswith("audit:")}


def _without_appeals(counters: tuple[Any, ...]) -> dict[Any, int]:
    found = dict(zip(counters[::2], counters[1::2], strict=True))
    found.pop(c.APPEALS_OPENED, None)
    return found


@pytest.mark.parametrize("seed", range(300))
def test_nothing_a_vendor_sends_takes_an_audit_out_of_a_row(seed: int) -> None:
    rng = random.Random(f"audited {seed}")
    task = Task()
    _reviewed(rng, task)
    done = len(task.values)
    before = _audits_of(task, done)
    _by_vendor(rng, task)
    after = _audits_of(task, len(task.values))
    for name, group in before.items():
        assert name in after
        assert after[name].time_ms == group.time_ms
        assert _without_appeals(after[name].counters) == _without_appeals(group.counters)
        assert all(new == old for old, new in zip(group.dims, after[name].dims, strict=True) if old is not None)
    held = task.store.ledger.tasks.get("t")
    refused = set(judge(unpack(held or ())).refused)
    assert {one.offset for one in task.store.ledger.rejected if one.code == "not_permitted"} >= refused
