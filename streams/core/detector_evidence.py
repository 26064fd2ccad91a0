"""Verdicts on labels, and the detector evidence in them."""

from __future__ import annotations

from typing import NamedTuple

from streams.core import counters as c
from streams.core.detectors.packed import evidence_amount, evidence_counter
from streams.core.policy import DIMENSIONS, Dims

_LABELER = DIMENSIONS.index("labeler")
_POLICY = DIMENSIONS.index("policy")
_TECHNICAL = c.ERROR_CLASSES.index("technical")
_CRITICAL = c.SEVERITIES.index("critical")


class LabelVerdict(NamedTuple):
    """The effective verdict of one label."""

    wrong: bool
    error_code: int
    severity_code: int
    truth: str
    weight_nano: int
    gold: bool
    audited_ms: int


class DetectorEvidence(NamedTuple):
    """The evidence of an audit for the detectors. They count it at the audit's time, not the label's."""

    time_ms: int
    counter: int
    amount: int


def detector_evidence_of(dims: Dims, verdict: LabelVerdict) -> DetectorEvidence | None:
    """Return the evidence in a verdict; None for a targeted audit, which is not a sample of the work.

    Args:
        dims: The label's dimensions.
        verdict: Its effective verdict.
    """
    if not verdict.weight_nano:
        return None
    technical = verdict.wrong and verdict.error_code == _TECHNICAL
    critical = verdict.wrong and verdict.severity_code == _CRITICAL
    counter = evidence_counter(dims[_LABELER], dims[_POLICY], verdict.weight_nano, technical=technical)
    return DetectorEvidence(verdict.audited_ms, counter, evidence_amount(wrong=verdict.wrong, critical=critical))
