"""Verdicts on labels, and the detector evidence in them."""

from __future__ import annotations

from typing import NamedTuple

from streams.core import counters as c
from streams.core.detectors.dispersion import ASSUMED
from streams.core.detectors.packed import evidence_amount, evidence_counter
from streams.core.policy import DIMENSIONS, Dims

_LABELER = DIMENSIONS.index("labeler")
_POLICY = DIMENSIONS.index("policy")
_TECHNICAL = c.ERROR_CLASSES.index("technical")
_CRITICAL = c.SEVERITIES.index("critical")


class LabelVerdict(NamedTuple):
    """The effective verdict of one label.

    Attributes:
        wrong: Whether the label is wrong, by its latest audit and the appeals against it.
        error_code: Class of the error.
        severity_code: Its severity.
        truth: The right decision.
        weight_nano: 1/π in 10⁻⁹ of the audit that drew the label at random; 0 where no standing audit names its π.
        gold: Whether the latest audit compared with a known answer.
        audited_ms: When the label was drawn; where no audit drew it at random, the time of the latest.
        assumed: Drawn by an audit whose sender says nothing of sampling, and by none with a known π.
    """

    wrong: bool
    error_code: int
    severity_code: int
    truth: str
    weight_nano: int
    gold: bool
    audited_ms: int
    assumed: bool = False


class DetectorEvidence(NamedTuple):
    """The evidence of an audit for the detectors, counted at the time of its label (ADR 57)."""

    time_ms: int
    counter: int
    amount: int


def detector_evidence_of(dims: Dims, verdict: LabelVerdict, time_ms: int) -> DetectorEvidence | None:
    """Return the evidence in a verdict; None for a label that only targeted audits looked at: it is no sample of the work.

    Labels that are assumed to be drawn at random are a class of their own (``ASSUMED``), beside those of each weight.

    Args:
        dims: The label's dimensions.
        verdict: Its effective verdict.
        time_ms: The label's time.
    """
    weight_nano = ASSUMED if verdict.assumed else verdict.weight_nano
    if not weight_nano:
        return None
    technical = verdict.wrong and verdict.error_code == _TECHNICAL
    critical = verdict.wrong and verdict.severity_code == _CRITICAL
    counter = evidence_counter(dims[_LABELER], dims[_POLICY], weight_nano, technical=technical)
    return DetectorEvidence(time_ms, counter, evidence_amount(wrong=verdict.wrong, critical=critical))
