"""Rights in the ledger: what a bound sender says of what is not its own counts for nothing, in any order and batching."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

from floorwatch.simulate.compare import COMPARED, differences
from floorwatch.simulate.oracle import Oracle
from streams.core import task_view
from streams.core.facts import Audit, fact_of, pack, unpack_one
from streams.core.grants import judge
from streams.core.label_rights import LabelRights
from streams.core.ledger_store import new_store
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.models.events import decode_log_event
from streams.models.grants import stamp_of
from tests.core.floorgen import small_log
from tests.core.harness import CoreRun
from tests.core.test_exactness import counters_of, crashing, facts_of, undisturbed
from tests.support import seeds

A = stamp_of("a", {"vendor": ["v1"]})
B = stamp_of("b", {"vendor": ["v2"]})
QA = stamp_of("qa", {"vendor": ["v1", "v2"]})
KUL = stamp_of("kul", {"site": ["KUL"], "queue": ["q0"]})
VA = stamp_of("a", {"vendor": ["v1"]}, reviewer=False)
VB = stamp_of("b", {"vendor": ["v2"]}, reviewer=False)
"""The same senders under grants of now: they may not change what has been audited."""

STAMPS = (None, A, VA, VA, B, VB, VB, QA, KUL)


def granted_log(seed: int, events: int = 400) -> list[Record]:
    """A small, nasty log whose events come from bound senders and free ones."""
    rng = random.Random(f"grants {seed}")
    found = []
    for record in small_log(seed, events):
        event = json.loads(record.value or b"")
        if event["type"] == "floorwatch.clock.tick.v1":
            continue
        stamp = rng.choice(STAMPS)
        if stamp is not None:
            event["floorwatchgrant"] = stamp
        if event["type"] == "floorwatch.task.created.v1" and rng.random() < 0.6:
            event["data"].pop("vendor")  # a task that several vendors share
        found.append(Record(len(found), 0, None, json.dumps(event).encode()))
    return found


def run_of(records: list[Record], flush_every: int = 60) -> CoreRun:
    run = CoreRun(partitions=2)
    run.send([record.value or b"" for record in records], flush_every=flush_every)
    run.finish()
    return run


@pytest.mark.parametrize("seed", seeds(4, 12))
def test_numbers_equal_the_recount(seed: int) -> None:
    records = granted_log(seed)
    oracle = Oracle.from_events([record.value or b"" for record in records])
    run = run_of(records)
    assert not differences(oracle.panes(3600), run.panes(), COMPARED)
    refused = [one for store in run.stores for one in store.ledger.rejected if one.code == "not_permitted"]
    assert len(refused) > 20


def test_rights_left_out_are_seen_by_the_recount(monkeypatch: pytest.MonkeyPatch) -> None:
    records = granted_log(1)
    oracle = Oracle.from_events([record.value or b"" for record in records])
    monkeypatch.setattr(task_view, "permitted_and_foreign", lambda facts: (facts, frozenset()))
    assert differences(oracle.panes(3600), run_of(records).panes(), COMPARED)


@pytest.mark.slow
def test_foreign_labels_taken_for_the_tasks_own_are_seen_by_the_recount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_view.TaskView, "task_labels", property(lambda view: view.labels))
    found = 0
    for seed in range(4):
        records = granted_log(seed)
        oracle = Oracle.from_events([record.value or b"" for record in records])
        found += bool(differences(oracle.panes(3600), run_of(records).panes(), COMPARED))
    assert found


@pytest.mark.slow
def test_a_change_of_audited_labels_is_seen_by_the_recount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LabelRights, "audit_of", lambda *_: None)
    found = 0
    for seed in range(4):
        records = granted_log(seed)
        oracle = Oracle.from_events([record.value or b"" for record in records])
        found += bool(differences(oracle.panes(3600), run_of(records).panes(), COMPARED))
    assert found


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(3, 6))
def test_crashes_batches_and_short_ways_change_nothing(seed: int) -> None:
    records = granted_log(seed)
    expected = undisturbed(records)
    store, _, crashes = crashing(records, seed)
    assert crashes > 2
    assert facts_of(store) == facts_of(expected)
    assert counters_of(store) == counters_of(expected)
    slow = new_store(0, expected.ledger.policy)
    slow.ledger.fast_paths = False
    slow.ledger.fold(records)
    assert counters_of(slow) == counters_of(expected)
    one_by_one = new_store(0, expected.ledger.policy)
    for record in records:
        one_by_one.ledger.fold([record])
    assert one_by_one.ledger.rejected == slow.ledger.rejected == expected.ledger.rejected


@pytest.mark.parametrize("seed", range(4))
def test_free_senders_are_as_ever(seed: int) -> None:
    """A stamp that binds to what everything is changes no number; facts without a stamp are packed as they always were."""
    records = small_log(seed)
    for record in records:
        fact = fact_of(record.offset, decode_log_event(record.value or b""))
        if fact is not None:
            packed = pack(fact)
            columns = len(type(fact).__struct_fields__) - 2 * isinstance(fact, Audit)  # two stand behind the grant
            assert packed[0] - 0x90 == columns or (isinstance(fact, Audit) and fact.assumed)  # its tag and no grant
            assert unpack_one(packed) == fact


# -- single rules ----------------------------------------------------------------------------------------------------


class Task:
    """The facts of one task, said one after the other."""

    def __init__(self) -> None:
        self.store = new_store(0, CorePolicy())
        self.values: list[bytes] = []

    def say(self, stamp: str | None, kind: str, **data: Any) -> Task:
        at = len(self.values)
        event = {
            "specversion": "1.0",
            "id": f"e{at}",
            "source": "s",
            "type": f"floorwatch.{kind}.v1",
            "subject": "t",
            "time": data.pop("time", f"2026-11-23T10:{at:02d}:00Z"),
            "data": {**({"labeler_id": "w"} if kind == "label.submitted" else {}), **data},
        }
        if stamp is not None:
            event["floorwatchgrant"] = stamp
        self.values.append(json.dumps(event).encode())
        self.store.ledger.fold([Record(at, 0, None, self.values[-1])])
        return self

    @property
    def refused(self) -> list[int]:
        return [one.offset for one in self.store.ledger.rejected]

    @property
    def reasons(self) -> str:
        return "\n".join(one.reason for one in self.store.ledger.rejected)

    @property
    def counts(self) -> Counter[str]:
        """Labels, audits, correct and cancelled in all scopes, by vendor."""
        oracle = Oracle.from_events(self.values)
        run = CoreRun()
        run.send(self.values)
        run.finish()
        assert not differences(oracle.panes(3600), run.panes(), COMPARED)
        found: Counter[str] = Counter()
        for table, rows in run.panes().items():
            for (scope, _), row in rows.items():
                if table != "throughput":
                    found.update(
                        {f"{scope} {name}": row.get(name, 0) for name in ("labels", "audited", "correct", "cancelled")}
                    )
        return +found

    @property
    def sla(self) -> Counter[str]:
        """What the SLA table counts, by scope and field."""
        assert self.counts is not None  # equal to the recount
        run = CoreRun()
        run.send(self.values)
        run.finish()
        found: Counter[str] = Counter()
        for (scope, _), row in run.panes()["sla"].items():
            found.update({f"{scope} {name}": row.get(name, 0) for name in ("due", "met", "completed", "cancelled")})
        return found


def test_withdrawal_of_anothers_label() -> None:
    task = Task().say(B, "label.submitted", label_id="l", vendor="v2").say(A, "label.withdrawn", label_id="l")
    assert task.refused == [1]
    assert "a is bound to vendor v1" in task.reasons
    assert "label 'l' has vendor 'v2'" in task.reasons
    assert task.counts["vendor=v2 labels"] == 1
    assert task.say(B, "label.withdrawn", label_id="l").counts["vendor=v2 labels"] == 0


def test_a_withdrawal_before_its_label_waits_and_is_judged_then() -> None:
    task = Task().say(A, "label.withdrawn", label_id="l")
    assert task.refused == []
    task.say(B, "label.submitted", label_id="l", vendor="v2")
    assert task.refused == [0]
    assert json.loads(task.store.ledger.rejected[0].value) == {
        "source": "s",
        "id": "e0",
        "subject": "t",
        "fact": "LabelWithdrawn",
        "label_id": "l",
        "floorwatchgrant": A,
    }
    assert task.counts["vendor=v2 labels"] == 1
    own = Task().say(A, "label.withdrawn", label_id="l").say(A, "label.submitted", label_id="l", vendor="v1")
    assert own.refused == []
    assert own.counts["vendor=v1 labels"] == 0


def test_a_label_sent_again_by_somebody_else() -> None:
    task = Task().say(B, "label.submitted", label_id="l", vendor="v2", values=["x"])
    task.say(A, "label.submitted", label_id="l", vendor="v1", values=["y"])
    assert task.refused == [1]
    assert task.counts["vendor=v2 labels"] == 1
    assert task.counts["vendor=v1 labels"] == 0


def test_a_label_on_anothers_task_whenever_that_is_known() -> None:
    before = Task().say(None, "task.created", vendor="v2").say(A, "label.submitted", label_id="l", vendor="v1")
    assert before.refused == [1]
    after = Task().say(A, "label.submitted", label_id="l", vendor="v1").say(None, "task.created", vendor="v2")
    assert after.refused == [0]
    assert before.counts["all labels"] == after.counts["all labels"] == 0
    hidden = Task().say(None, "task.created", vendor="v2").say(A, "label.submitted", label_id="l")
    assert hidden.refused == [1]


def test_audits_of_anothers_label_and_under_anothers_audit_id() -> None:
    task = (
        Task()
        .say(B, "label.submitted", label_id="lb", vendor="v2")
        .say(A, "label.submitted", label_id="la", vendor="v1")
    )
    task.say(QA, "audit.completed", audit_id="x", label_id="lb", verdict="correct")
    task.say(A, "audit.completed", audit_id="y", label_id="lb", verdict="incorrect")
    task.say(A, "audit.completed", audit_id="x", label_id="la", verdict="correct")
    task.say(A, "audit.withdrawn", audit_id="x")
    assert task.refused == [3, 4, 5]
    assert task.counts["vendor=v2 correct"] == 1
    assert task.counts["all audited"] == 1


def test_audits_are_withdrawn_by_their_sender_or_by_who_may_judge_the_label() -> None:
    def audited() -> Task:
        task = Task().say(B, "label.submitted", label_id="l", vendor="v2")
        return task.say(None, "audit.completed", audit_id="x", label_id="l", verdict="correct")

    assert audited().say(A, "audit.withdrawn", audit_id="x").refused == [2]
    assert audited().say(QA, "audit.withdrawn", audit_id="x").counts["all audited"] == 0
    assert audited().say(None, "audit.withdrawn", audit_id="x").counts["all audited"] == 0
    first = Task().say(A, "audit.withdrawn", audit_id="x").say(None, "audit.completed", audit_id="x", verdict="correct")
    assert first.refused == []
    assert first.say(B, "label.submitted", label_id="l", vendor="v2").refused == [0]
    assert first.counts["vendor=v2 correct"] == 1


def test_appeals() -> None:
    task = Task().say(B, "label.submitted", label_id="l", vendor="v2")
    task.say(QA, "audit.completed", audit_id="x", label_id="l", verdict="correct")
    task.say(A, "appeal.opened", appeal_id="p", against="audit", audit_id="x")
    task.say(A, "appeal.decided", appeal_id="p", against="audit", audit_id="x", outcome="overturned")
    assert task.refused == [2, 3]
    assert task.counts["vendor=v2 correct"] == 1
    task.say(QA, "appeal.decided", appeal_id="p", against="label", label_id="l", outcome="overturned")
    assert task.counts["vendor=v2 correct"] == 0
    task.say(A, "label.submitted", label_id="la", vendor="v1")
    task.say(A, "appeal.decided", appeal_id="p", against="label", label_id="la", outcome="upheld")
    assert task.refused == [2, 3, 6]


def test_cancelling_creating_and_claiming_anothers_task() -> None:
    task = Task().say(None, "task.created", vendor="v2", due_at="2026-11-23T12:00:00Z").say(A, "task.cancelled")
    task.say(A, "task.created", vendor="v1", due_at="2026-11-23T11:00:00Z").say(A, "task.claimed", labeler_id="w")
    assert task.refused == [1, 2, 3]
    assert task.say(B, "task.cancelled").counts["vendor=v2 cancelled"] == 1
    shared = Task().say(None, "task.created", due_at="2026-11-23T12:00:00Z").say(A, "task.cancelled")
    assert shared.refused == [1]
    assert shared.say(A, "task.claimed", labeler_id="w").refused == [1]
    own = Task().say(A, "task.created", due_at="2026-11-23T12:00:00Z").say(A, "task.cancelled")
    assert own.counts["all cancelled"] == 1
    taken = Task().say(B, "label.submitted", label_id="l", vendor="v2").say(A, "task.created", vendor="v1")
    assert taken.refused == [1]


def test_shifts_of_others() -> None:
    span = {"from": "2026-11-23T10:00:00Z", "to": "2026-11-23T18:00:00Z", "headcount": 4}
    task = Task().say(B, "shift.scheduled", shift_id="s", vendor="v2", **span)
    task.say(A, "shift.scheduled", shift_id="s", vendor="v1", **{**span, "headcount": 0})
    task.say(A, "shift.scheduled", shift_id="s2", vendor="v2", **span)
    assert task.refused == [1, 2]
    assert task.say(A, "shift.scheduled", shift_id="s3", vendor="v1", **span).refused == [1, 2]


def test_what_nobody_said_belongs_to_its_maker() -> None:
    task = Task().say(A, "label.submitted", label_id="l").say(B, "label.withdrawn", label_id="l")
    assert task.refused == [1]
    assert task.say(A, "label.withdrawn", label_id="l").counts["all labels"] == 0
    of_free = Task().say(None, "label.submitted", label_id="l").say(A, "label.withdrawn", label_id="l")
    assert of_free.refused == [1]


def test_a_dimension_that_this_version_does_not_know_covers_nothing() -> None:
    later = "a?planet=mars"
    task = Task().say(later, "label.submitted", label_id="l", vendor="v1")
    assert task.refused == [0]


def test_the_same_event_under_another_grant_is_a_duplicate() -> None:
    free, bound = (
        json.loads(Task().say(stamp, "label.submitted", label_id="l", vendor="v1").values[0]) for stamp in (None, A)
    )
    store = new_store(0, CorePolicy())
    values = [json.dumps(event).encode() for event in (free, bound)]
    store.ledger.fold([Record(at, 0, None, value) for at, value in enumerate(values)])
    assert (store.ledger.fold_counts.duplicates, store.ledger.fold_counts.conflicts) == (1, 0)


def test_facts_of_before_are_read_as_they_were() -> None:
    """The packed form of a label of release 0.9, byte by byte; a worker of then reads what this one writes without grants."""
    golden = bytes.fromhex(GOLDEN_LABEL)
    fact: Any = unpack_one(golden)
    assert (fact.label_id, fact.dims[1], fact.grant) == ("l", "v1", None)
    assert pack(fact) == golden
    assert judge([fact]).permitted == [fact]


GOLDEN_LABEL = (
    "9c0407a473006530cf000001a207d92100a16c98a34b554ca27631c0a27130c0c0c0a177a468617465a27033cf000001a207d8f9f0c0c0c0"
)
