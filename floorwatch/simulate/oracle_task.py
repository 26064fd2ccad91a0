"""One task recounted from all its facts: what it adds to the tables, said as slowly and plainly as possible.

This is docs/meaning.md as code a second time, by another road than the product's core: nothing is incremental,
nothing is shared with ``streams.core``, every question goes over all facts of the task again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from floorwatch.simulate.oracle_read import Fact

DIMENSIONS = ("site", "vendor", "team", "queue", "policy", "market", "priority", "labeler")
_OF_TASK = DIMENSIONS[:-1]
NANO = 10**9
_LAST_CLASS = 2**19


@dataclass(frozen=True, slots=True)
class Mark:
    """What one label or task adds to one table at one time (milliseconds), in all scopes of ``dims``.

    ``fields`` are whole numbers; the weights are in nano (1e-9). ``labeler`` is set where people are counted.
    """

    table: str
    time_ms: int
    dims: dict[str, str]
    fields: dict[str, int]
    labeler: str | None = None


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task that waits for labels as of the watermark, with the dimensions its creation sent."""

    dims: dict[str, str]
    created_ms: int


@dataclass(slots=True)
class TaskCount:
    """All a task adds."""

    marks: list[Mark] = field(default_factory=list)
    open_task: OpenTask | None = None


class TaskFacts:
    """The facts of one task, in log order, and the questions the tables ask of them."""

    def __init__(self, facts: list[Fact]) -> None:
        self.facts = facts

    def of_kind(self, kind: str) -> list[Fact]:
        """All facts of an event type in log order."""
        return [fact for fact in self.facts if fact.kind == kind]

    def latest_by(self, kind: str, key: str) -> dict[str, Fact]:
        """Per id the latest fact of that type in log order, ordered by that place."""
        latest: dict[str, Fact] = {}
        for fact in self.of_kind(kind):
            latest.pop(fact.data[key], None)
            latest[fact.data[key]] = fact
        return latest

    def created(self) -> Fact | None:
        """The latest task.created in log order."""
        facts = self.of_kind("task.created")
        return facts[-1] if facts else None

    def standing_labels(self) -> list[Fact]:
        """The latest version of every label that is not withdrawn, by place in the log."""
        withdrawn = {fact.data["label_id"] for fact in self.of_kind("label.withdrawn")}
        return [fact for id_, fact in self.latest_by("label.submitted", "label_id").items() if id_ not in withdrawn]

    def label_of_audit(self, audit: Fact) -> str | None:
        """The label an audit is of: the one it names, else the latest before it, else the first after it."""
        if audit.data["label_id"] is not None:
            return str(audit.data["label_id"])
        gone = {fact.data["label_id"] for fact in self.of_kind("label.withdrawn") if fact.place < audit.place}
        labels = self.of_kind("label.submitted")
        before = [f for f in labels if f.place < audit.place and f.data["label_id"] not in gone]
        if before:
            return str(before[-1].data["label_id"])
        after = [f for f in labels if f.place > audit.place]
        return str(after[0].data["label_id"]) if after else None

    def effective_audit(self, label_id: str) -> Fact | None:
        """The latest audit of the label in log order that is not withdrawn and says right or wrong."""
        audits = [audit for audit in self.standing_audits(label_id) if audit.data["verdict"] != "incomparable"]
        return audits[-1] if audits else None

    def standing_audits(self, label_id: str) -> list[Fact]:
        """The audits of the label, in their latest versions and in log order, that are not withdrawn."""
        withdrawn = {fact.data["audit_id"] for fact in self.of_kind("audit.withdrawn")}
        return [
            audit
            for audit_id, audit in self.latest_by("audit.completed", "audit_id").items()
            if audit_id not in withdrawn and self.label_of_audit(audit) == label_id
        ]

    def drawn_by(self, label_id: str) -> tuple[Fraction | None, bool]:
        """How the label came to be in a sample: 1/probability of the audit that drew it, and whether any audit drew it at all.

        An audit keeps the probability that one of its versions named last, one of the configuration only if no version has
        one of its sender; of several audits the one that named one first counts.
        Only where there is none may the label count as random, of unknown probability: where the first of them all, by the time of
        its first version (then by its id), in none of its versions says how the label was chosen or that it was planted.
        """
        first: tuple[tuple[int, str], bool] | None = None
        known: list[tuple[int, Fraction]] = []
        for standing in self.standing_audits(label_id):
            versions = [
                version
                for version in self.of_kind("audit.completed")
                if version.data["audit_id"] == standing.data["audit_id"] and version.data["verdict"] != "incomparable"
            ]
            named = [v for v in versions if (v.data["sampling"] or {}).get("probability") is not None]
            made = (versions[0].time_ms, str(standing.data["audit_id"])) if versions else None
            if made is not None and (first is None or made < first[0]):
                chosen = any(v.data["gold"] or not _says_nothing(v.data["sampling"]) for v in versions)
                first = (made, not chosen)
            if named:
                of_sender = [v for v in named if v.data["sampling"]["source"] != "configuration"]
                last = (of_sender or named)[-1]
                known.append((named[0].place, Fraction(1) / Fraction(last.data["sampling"]["probability"])))
        return (min(known)[1], True) if known else (None, first is not None and first[1])

    def label_of_appeal(self, appeal: Fact) -> str | None:
        """The label an appeal concerns, directly or through its audit (withdrawn or not)."""
        if appeal.data["against"] == "audit":
            audit = self.latest_by("audit.completed", "audit_id").get(appeal.data["audit_id"])
            if audit is not None:
                return self.label_of_audit(audit)
        named = appeal.data["label_id"]
        return None if named is None else str(named)

    def dims(self, *sources: dict[str, Any] | None) -> dict[str, str]:
        """Per dimension the first source that knows it."""
        known: dict[str, str] = {}
        for name in _OF_TASK:
            for source in sources:
                if source is not None and source[name] is not None:
                    known[name] = source[name]
                    break
        return known


def recount(facts: list[Fact], foreign: set[str], watermark_ms: int) -> TaskCount:
    """Everything one task adds to the tables, given all its accepted facts in log order.

    ``foreign`` labels are not part of the task that was created: together they count as a task without a creation.
    """
    task = TaskFacts(facts)
    count = TaskCount()
    created = task.created()
    for label in task.standing_labels():
        whole = label.data["label_id"] not in foreign
        dims = task.dims(label.data, created.data if created and whole else None)
        dims["labeler"] = label.data["labeler_id"]
        fields = {"labels": 1, **_verdict(task, label), **_appeals(task, label)}
        count.marks.append(Mark("accuracy", label.time_ms, dims, fields))
        fields = {"labels": 1}
        if label.data["started_at"] is not None:
            fields |= {"handled": 1, "handle_ms_sum": label.time_ms - label.data["started_at"] // 1000}
        if label.data["active_ms"] is not None:
            fields["active_ms_sum"] = label.data["active_ms"]
        count.marks.append(Mark("throughput", label.time_ms, dims, fields, label.data["labeler_id"]))
    own = [label for label in task.standing_labels() if label.data["label_id"] not in foreign]
    _count_together(task, own, created, count, watermark_ms)
    if foreign:
        others = [label for label in task.standing_labels() if label.data["label_id"] in foreign]
        _count_together(TaskFacts(others), others, None, count, watermark_ms)
    return count


def _count_together(
    task: TaskFacts, standing: list[Fact], created: Fact | None, count: TaskCount, watermark_ms: int
) -> None:
    overlap = _overlap(task, standing, created)
    if overlap is not None:
        count.marks.append(overlap)
    _count_sla(task, standing, created, count, watermark_ms)


def _overlap(task: TaskFacts, standing: list[Fact], created: Fact | None) -> Mark | None:
    """Whether the people who labelled the task decided alike; only labels with values can tell."""
    last_of = {label.data["labeler_id"]: label for label in standing}
    if len(last_of) < 2:
        return None
    deciding = [label for label in last_of.values() if label.data["values"]]
    asked = deciding if len(deciding) >= 2 else list(last_of.values())
    all_dims = [task.dims(label.data, created.data if created else None) for label in asked]
    shared = {name: value for name, value in all_dims[0].items() if all(dims.get(name) == value for dims in all_dims)}
    time_ms = max(label.time_ms for label in asked)
    if len(deciding) < 2:
        return Mark("accuracy", time_ms, shared, {"overlap_incomparable": 1})
    answers = {frozenset(label.data["values"]) for label in deciding}
    return Mark("accuracy", time_ms, shared, {"overlapped": 1, "unanimous": int(len(answers) == 1)})


def _verdict(task: TaskFacts, label: Fact) -> dict[str, int]:
    """The accuracy fields of a label's effective verdict; nothing for a label that is not audited."""
    label_id = label.data["label_id"]
    audit = task.effective_audit(label_id)
    if audit is None:
        return {"incomparable": 1} if task.standing_audits(label_id) else {}
    overturned = [
        f for f in task.latest_by("appeal.decided", "appeal_id").values() if f.data["outcome"] == "overturned"
    ]
    correct = audit.data["verdict"] == "correct"
    blame = audit.data
    for appeal in overturned:
        if appeal.data["against"] == "audit" and appeal.data["audit_id"] == audit.data["audit_id"]:
            correct = not correct
            blame = appeal.data
    for appeal in overturned:
        if appeal.data["against"] == "label" and appeal.data["label_id"] == label_id:
            correct = False
            blame = appeal.data
    fields = {"audited": 1}
    if audit.data["gold"]:
        fields |= {"gold": 1, "gold_correct": int(correct)}
    technical = not correct and blame["error_class"] == "technical"
    critical = not correct and blame["severity"] == "critical"
    fields |= _sampled(*task.drawn_by(label_id), correct=correct, technical=technical, critical=critical)
    if correct:
        fields["correct"] = 1
        return fields
    fields[f"wrong.{blame['error_class'] or 'unspecified'}"] = 1
    fields[f"severity.{blame['severity'] or 'unspecified'}"] = 1
    if blame["severity"] == "critical":
        fields["critical_errors"] = 1
    return fields


def _says_nothing(sampling: dict[str, Any] | None) -> bool:
    """Whether neither the sender nor the configuration says how an audited label was drawn."""
    return sampling is None or sampling["source"] == "assumed"


def _sampled(weight: Fraction | None, drawn: bool, *, correct: bool, technical: bool, critical: bool) -> dict[str, int]:
    """The fields that depend on how a label came to be audited."""
    if weight is None:
        kind = "assumed" if drawn else "targeted"
        of_class = {"assumed_critical": int(critical)} if drawn else {}
        return {kind: 1, f"{kind}_correct": int(correct), f"{kind}_technical": int(technical), **of_class}
    nano = round(NANO * weight)
    power = 1
    while 2 * power * NANO <= nano and power < _LAST_CLASS:
        power *= 2
    fields = {"weight_sum": nano, f"sample_audited.{power}": 1, f"sample_weight.{power}": nano}
    if correct:
        fields["weight_correct"] = nano
    else:
        fields[f"sample_wrong.{power}"] = 1
    if technical:
        fields |= {"weight_technical": nano, f"sample_technical.{power}": 1}
    if critical:
        fields |= {"weight_critical": nano, f"sample_critical.{power}": 1}
    return fields


def _appeals(task: TaskFacts, label: Fact) -> dict[str, int]:
    """How many appeals concern the label."""
    label_id = label.data["label_id"]
    opened = [f for f in task.latest_by("appeal.opened", "appeal_id").values() if task.label_of_appeal(f) == label_id]
    decided = [f for f in task.latest_by("appeal.decided", "appeal_id").values() if task.label_of_appeal(f) == label_id]
    overturned = [f for f in decided if f.data["outcome"] == "overturned"]
    counts = {
        "appeals_opened": len(opened),
        "appeals_decided": len(decided),
        "appeals_overturned": len(overturned),
    }
    return {name: value for name, value in counts.items() if value}


def _count_sla(
    task: TaskFacts, standing: list[Fact], created: Fact | None, count: TaskCount, watermark_ms: int
) -> None:
    required = created.data["required_labels"] if created else 1
    in_time_order = sorted(standing, key=lambda label: (label.time_ms, label.place))
    completing = in_time_order[required - 1] if len(in_time_order) >= required else None
    if created is None and completing is None:
        return
    created_ms = created.time_ms if created else _carried_ms(standing, "created_at")
    due_ms = _carried_ms([created] if created else [], "due_at")
    if due_ms is None:
        due_ms = _carried_ms(standing, "due_at")
    has_sla = created_ms is not None and due_ms is not None
    dims = task.dims(created.data if created else None, completing.data if completing else None)
    if completing is not None:
        dims["labeler"] = completing.data["labeler_id"]

    if task.of_kind("task.cancelled"):
        if has_sla and due_ms is not None:
            count.marks.append(Mark("sla", due_ms, dims, {"cancelled": 1}))
        return
    if completing is None:
        if created is not None:
            count.open_task = OpenTask(dims, created.time_ms)
    else:
        fields = {"completed": 1}
        if created_ms is not None:
            fields["turnaround_ms_sum"] = completing.time_ms - created_ms
        if not has_sla:
            fields["no_sla"] = 1
        count.marks.append(Mark("sla", completing.time_ms, dims, fields))
    if has_sla and due_ms is not None:
        completed_ms = completing.time_ms if completing else None
        count.marks.append(Mark("sla", due_ms, dims, {"due": 1, **_outcome(completed_ms, due_ms, watermark_ms)}))


def _carried_ms(facts: list[Fact], name: str) -> int | None:
    """The time field ``name`` of the latest of ``facts`` (in log order) that carries it, in milliseconds."""
    carried = [fact.data[name] for fact in facts if fact.data[name] is not None]
    return carried[-1] // 1000 if carried else None


def _outcome(completed_ms: int | None, due_ms: int, watermark_ms: int) -> dict[str, int]:
    if completed_ms is None:
        return {"missed": 1, "overdue_open": 1} if due_ms <= watermark_ms else {"open_due": 1}
    return {"met": 1} if completed_ms <= due_ms else {"missed": 1, "late": 1}
