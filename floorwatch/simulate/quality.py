"""What follows a label: audits with their sampling, revisions and withdrawals, appeals, corrections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from floorwatch.simulate.chance import Chance
from floorwatch.simulate.config import FloorConfig
from floorwatch.simulate.people import Labeler, Queue
from floorwatch.simulate.wire import Wire, rfc3339
from streams.models.timestamps import DAY_MS, HOUR_MS, MINUTE_MS

_MAX_AUDIT_DELAY_MS = 9 * DAY_MS
_TARGETED = 0.004
_GOLD_EVERY = 25
_AUDITOR_ERROR = 0.02
_AUDITORS = 12
_QA = "qa-tool/main"
_APPEALS = "appeals-desk/main"

SAFE = "safe"


@dataclass(slots=True)
class Decision:
    """A label on its way: what was sent, and what would have been right."""

    task_id: str
    label_id: str
    labeler: Labeler
    queue: Queue
    time_ms: int
    arrival_ms: int
    given: str
    truth: str
    data: dict[str, Any]

    @property
    def right(self) -> bool:
        return self.given == self.truth


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """What was decided about a label before it is sent, because it may have to arrive after its consequences."""

    probability: float | None
    audited: bool
    withdrawn: bool
    held: bool


class Quality:
    """Sends everything that happens to labels after they were decided."""

    def __init__(self, config: FloorConfig, chance: Chance, wire: Wire, prefix: str) -> None:
        self._trouble = config.trouble
        self._scale = config.audit_delay_scale
        self._errors = config.errors
        self._chance = chance
        self._wire = wire
        self._prefix = prefix
        self._audits = 0
        self._appeals = 0

    def plan(self, queue: Queue) -> LabelPlan:
        """Draw whether a label of that queue is sampled for an audit, withdrawn, or held back until after both."""
        chance, trouble = self._chance, self._trouble
        sampled = chance.happens(queue.audit_probability)
        audited = sampled or chance.happens(_TARGETED)
        withdrawn = chance.happens(trouble.label_withdrawn)
        held = (audited or withdrawn) and chance.happens(trouble.held_label)
        return LabelPlan(queue.audit_probability if sampled else None, audited, withdrawn, held)

    def follow(self, label: Decision, plan: LabelPlan) -> int | None:
        """Send the audits, appeals, corrections and withdrawal of a label; return when it is withdrawn, in ms, if it is."""
        chance, trouble = self._chance, self._trouble
        if plan.audited:
            self._audit(label, plan)
        if chance.happens(0.004):
            self._appeal(label, label.time_ms, {"against": "label", "label_id": label.label_id}, not label.right, True)
        if chance.happens(trouble.correction):
            self._correct(label)
        time_ms = None
        if plan.withdrawn:
            time_ms = label.time_ms + round(chance.between(1000, 4000) if plan.held else chance.around(HOUR_MS, 1.2))
            data = {"label_id": label.label_id, "reason": "deleted in the tool"}
            arrival_ms = time_ms + 300 if plan.held else None
            self._wire.send(label.labeler.source, "label.withdrawn", label.task_id, time_ms, data, arrival_ms)
        return time_ms

    def _audit(self, label: Decision, plan: LabelPlan) -> None:
        chance, trouble = self._chance, self._trouble
        time_ms = label.time_ms + (round(chance.between(5000, 60_000)) if plan.held else self._audit_delay_ms())
        says_right = label.right != chance.happens(self._errors * _AUDITOR_ERROR)
        drawn = plan.audited and plan.probability
        sampling = {"method": "random", "probability": plan.probability} if drawn else {"method": "risk"}
        data = self._verdict(label, says_right, sampling)
        if chance.happens(trouble.audit_unnamed):
            del data["label_id"]
        arrival_ms = time_ms + 500 if plan.held else None
        if chance.happens(trouble.audit_withdrawn):
            arrival_ms = self._withdraw_audit(label, data["audit_id"], time_ms, arrival_ms)
        self._wire.send(_QA, "audit.completed", label.task_id, time_ms, data, arrival_ms)
        if chance.happens(trouble.audit_revised):
            revised = {**self._verdict(label, label.right, sampling), "audit_id": data["audit_id"]}
            self._wire.send(_QA, "audit.completed", label.task_id, time_ms + self._soon_ms(), revised)
        if chance.happens(trouble.audit_again):
            roll = chance.random()
            second: dict[str, Any] | None = None if roll >= 0.65 else {"method": "second look"}
            if second is not None and roll < 0.3:
                second["probability"] = 0.5
            again = self._verdict(label, label.right, second)
            self._wire.send(_QA, "audit.completed", label.task_id, time_ms + 5 * self._soon_ms(), again)
        if chance.happens(0.006 if says_right else 0.1):
            target = {"against": "audit", "audit_id": data["audit_id"]}
            self._appeal(label, time_ms, target, says_right != label.right, says_right)

    def _audit_delay_ms(self) -> int:
        """Minutes for most audits, hours for some, days for a few; never more than nine days."""
        chance = self._chance
        roll = chance.random()
        if roll < 0.7:
            delay_ms = chance.around(25 * MINUTE_MS, 1.1)
        elif roll < 0.95:
            delay_ms = chance.around(6 * HOUR_MS, 1.0)
        else:
            delay_ms = chance.between(DAY_MS, _MAX_AUDIT_DELAY_MS)
        return round(min(delay_ms, _MAX_AUDIT_DELAY_MS) * min(self._scale, 1.0))

    def _soon_ms(self) -> int:
        return round(self._chance.between(MINUTE_MS, HOUR_MS) * self._scale)

    def _verdict(self, label: Decision, says_right: bool, sampling: dict[str, Any] | None) -> dict[str, Any]:
        chance = self._chance
        self._audits += 1
        data: dict[str, Any] = {
            "audit_id": f"{self._prefix}-a{self._audits}",
            "label_id": label.label_id,
            "auditor_id": f"qa-{int(chance.random() * _AUDITORS) + 1:03d}",
            "verdict": "correct" if says_right else "incorrect",
        }
        if not says_right:
            data |= self._blame(label)
            data["values"] = [label.truth]
        if sampling is not None:
            data["sampling"] = sampling
        data["blind"] = chance.happens(0.5)
        if self._audits % _GOLD_EVERY == 0:
            data["gold"] = True
        return data

    def _blame(self, label: Decision) -> dict[str, str]:
        """Error class and severity of a wrong label; now and then an auditor leaves one out."""
        roll = self._chance.random()
        if roll < 0.05:
            return {"error_class": "technical", "severity": "minor"}
        severity = "critical" if roll < 0.15 else "major" if roll < 0.55 else "minor"
        if label.truth == SAFE:
            error_class = "false_positive"
        elif label.given == SAFE:
            error_class = "false_negative"
        else:
            error_class = "wrong_selection"
        if roll > 0.98:
            return {}
        return {"error_class": error_class} if roll > 0.96 else {"error_class": error_class, "severity": severity}

    def _withdraw_audit(self, label: Decision, audit_id: str, time_ms: int, arrival_ms: int | None) -> int | None:
        """Send an audit's withdrawal; returns when the audit itself must arrive, later than the withdrawal if it is early."""
        data = {"audit_id": audit_id, "reason": "wrong sample"}
        if self._chance.happens(0.2):
            self._wire.send(_QA, "audit.withdrawn", label.task_id, time_ms + 2000, data, time_ms + 2500)
            return time_ms + round(self._chance.between(10_000, 600_000))
        self._wire.send(_QA, "audit.withdrawn", label.task_id, time_ms + 8 * self._soon_ms(), data)
        return arrival_ms

    def _appeal(self, label: Decision, since_ms: int, target: dict[str, str], justified: bool, blames: bool) -> None:
        """Open and decide an appeal; ``blames``: overturning it would make the label wrong."""
        chance, wire = self._chance, self._wire
        self._appeals += 1
        appeal_id = f"{self._prefix}-p{self._appeals}"
        opened_ms = since_ms + round(chance.between(5 * MINUTE_MS, 8 * HOUR_MS) * self._scale)
        decided_ms = opened_ms + round(chance.between(HOUR_MS / 2, 30 * HOUR_MS) * self._scale)
        opened = {"appeal_id": appeal_id, **target, "by": label.labeler.labeler_id}
        if not chance.happens(0.08):
            wire.send(_APPEALS, "appeal.opened", label.task_id, opened_ms, opened)
        outcome = "overturned" if chance.happens(0.75 if justified else 0.25) else "upheld"
        data: dict[str, Any] = {"appeal_id": appeal_id, **target, "outcome": outcome, "decided_by": "lead-02"}
        if outcome == "overturned" and blames:
            data |= self._blame(label)
        wire.send(_APPEALS, "appeal.decided", label.task_id, decided_ms, data)
        if chance.happens(0.04):
            other = "upheld" if outcome == "overturned" else "overturned"
            wire.send(
                _APPEALS, "appeal.decided", label.task_id, decided_ms + self._soon_ms(), {**data, "outcome": other}
            )
        if chance.happens(0.02) and target["against"] == "audit":
            self._appeal(label, decided_ms, target, False, not blames)

    def _correct(self, label: Decision) -> None:
        """A new version of the label: the labeller changed the decision minutes later."""
        time_ms = label.time_ms + self._soon_ms()
        data = {**label.data, "values": [label.truth]}
        if "started_at" in data:
            data["started_at"] = rfc3339(time_ms - round(self._chance.between(2000, 9000)))
            data.pop("active_ms", None)
        self._wire.send(label.labeler.source, "label.submitted", label.task_id, time_ms, data)
