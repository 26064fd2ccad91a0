"""What the rules say at one watermark: signals, with their contributors."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

Severity = Literal["page", "warn", "info"]


class Contributor(Struct, frozen=True):
    """One part of a scope that moves the alert's number.

    ``effect_pp`` is in percentage points of the alerting scope's number; negative makes it worse. ``labels`` is the
    number of labels (or due tasks) of the part in the window. ``clear`` says that the part stands out: beyond chance, and for
    its own quality. ``share_of`` is for numbers that are no ratio, as an age: ``effect_pp`` is then the part's negated share, in
    percent, of what it names (``backlog``).
    """

    dimension: str
    value: str
    effect_pp: float
    labels: int
    detail: str
    clear: bool = True
    share_of: str = ""


class AuditSuggestion(Struct, frozen=True):
    """More audits would soon decide: the evidence has passed the square root of its bar and does not fire.

    ``audits`` is about how many more it would take if errors go on as in the ``units`` audits (``bad`` of them wrong)
    since the change began.
    """

    audits: int
    score: float
    bar: float
    units: int
    bad: int


class Signal(Struct, frozen=True, tag="signal"):
    """What one rule says of one scope at one watermark (topic signals.v1).

    ``since_ms`` is the start of what the evidence covers; ``dated`` says that a detector found it there, so that a correction
    may move it. ``holds`` says of a signal that does not fire that nothing shows a recovery either: an open incident stays open.
    ``value`` is None when there is nothing to measure.
    ``target`` is in the unit of the rule's kind: a ratio, seconds or a count. ``figures`` are further numbers of the kind by
    name, for the message: ``late``, ``audited``.
    """

    rule: str
    kind: str
    scope: dict[str, str]
    scope_key: str
    firing: bool
    value: float | None
    target: float
    evidence: str
    since_ms: int
    watermark_ms: int
    window: str
    contributors: tuple[Contributor, ...] = ()
    examples: tuple[str, ...] = ()
    board_path: str = ""
    runbook_path: str = ""
    wish: AuditSuggestion | None = None
    dated: bool = False
    holds: bool = False
    figures: dict[str, float] = field(default_factory=dict)
