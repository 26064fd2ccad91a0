"""An incident and its group, as golden states have them: who was told and who was not."""

from __future__ import annotations

from alerts.incident import Hold, Incident, OperatorAction, Stamp, ToldReceiver
from alerts.notice import IncidentGroup, Notice, Target
from alerts.receipts import ChannelReceipt, NoticeReceipts
from alerts.signals import Contributor
from tests.golden.make import START_MS


def incident_told(part: Contributor) -> Incident:
    """Return an incident that a person has, one receiver was told of and another not."""
    return Incident(
        "0011aabb",
        "quality",
        "accuracy_low",
        "page",
        {"queue": "q-1"},
        "queue=q-1",
        2,
        "acknowledged",
        "91 of 100",
        0.91,
        0.95,
        "1h",
        START_MS,
        START_MS + 60_000,
        opened_ms=START_MS + 1,
        reopened=1,
        tier=1,
        announced=True,
        timer_ms=START_MS + 5,
        acknowledged_by="ann",
        acts=(OperatorAction("ack", "ann", START_MS + 9, "mine"),),
        contributors=(part,),
        examples=("t-1",),
        stamp=Stamp(1, 17),
        groups=("g",),
        told_people=(ToldReceiver("channel:ops", ("ops",), "g:1", "open", START_MS + 5, "route default"),),
        held=(Hold("inhibited", "ffee", None, ("channel:lead",)),),
    )


def group_told() -> IncidentGroup:
    """Return a group that has told of it."""
    told = Notice(
        "g:1",
        "g",
        "default",
        "open",
        (("0011aabb", "open"),),
        (Target("channel:ops", ("ops",), "r"),),
        START_MS,
        Stamp(1, 9),
    )
    return IncidentGroup("g", "default", {"kind": "accuracy_low"}, None, START_MS, None, (told,), Stamp(1, 9))


def receipts() -> NoticeReceipts:
    """Return what became of a notice: one channel has it, another was given up and a third gets it instead."""
    sent = ChannelReceipt("ops", "sent", START_MS + 9, ref="C1/17.5")
    given_up = ChannelReceipt("phone", "given_up", START_MS + 90, START_MS + 10, "HTTP 404", instead=("mail",))
    return NoticeReceipts("g:1", START_MS, ("ops", "phone"), (sent, given_up))
