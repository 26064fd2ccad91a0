"""What the audits of a row stand for, against the labels it has: too few of them to judge anybody by, or more than there are. Pure.

Flagged work is often audited within the hour and the rest days later. Until then an estimate is of the flagged part (ADR 55).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from streams.core.estimates import assumed_weight, sampled_total
from streams.core.remainder import TWICE, SampledTotal

MIN_AUDITS = 30
"""Audits before it is said that a probability is named wrongly."""


def awaited_audits(row: Mapping[str, Any]) -> float | None:
    """Return for how many labels the audits of an accuracy row stand where that is surely less than half of them; None elsewhere.

    None too where audits are assumed to be random, for these stand for all the labels that are left, and where the labels of the
    row are not known.

    Source: Σ1/π, Horvitz and Thompson, JASA 47, 1952; its limit: ``SampledTotal.limits``.

    Args:
        row: A row of the accuracy table.

    Example:
        >>> young = {"labels": 20_000, "audited": 200, "correct": 180, "weight_sum": 1_000.0, "sample_audited": {"4": 200},
        ...          "sample_weight": {"4": 1_000.0}}
        >>> awaited_audits(young), awaited_audits(young | {"labels": 1_500})
        (1000.0, None)
    """
    if row.get("labels") is None or row.get("assumed"):
        return None
    labels, weight = int(row.get("labels") or 0), float(row.get("weight_sum") or 0.0)
    if not weight or 2 * weight >= labels:
        return None
    total = sampled_total(row) or SampledTotal(weight, 0.0)
    return weight if total.awaited(labels) else None


def stand_for_too_many(row: Mapping[str, Any]) -> float | None:
    """Return for how many labels the audits of an accuracy row stand where that is surely far more than it has; None elsewhere.

    Then a π is named wrongly: two programmes draw from the same labels and each names its own, say. Labels that
    never came are no sign of it, and neither are fewer than ``MIN_AUDITS`` audits: somebody tries the product with one.

    Source: ``SampledTotal.too_many``.

    Args:
        row: A row of the accuracy table.

    Example:
        >>> twice = {"labels": 10_000, "audited": 1_000, "weight_sum": 20_000.0, "sample_audited": {"16": 1_000},
        ...          "sample_weight": {"16": 20_000.0}}
        >>> stand_for_too_many(twice), stand_for_too_many(twice | {"labels": 19_000})
        (20000.0, None)
    """
    labels, weight = int(row.get("labels") or 0), float(row.get("weight_sum") or 0.0)
    if labels <= 0 or weight <= TWICE * labels or int(row.get("audited") or 0) < MIN_AUDITS:
        return None
    total = sampled_total(row)
    return weight if total is not None and total.too_many(labels) else None


def assumed_part(row: Mapping[str, Any]) -> float:
    """Return the share of a row's labels that audits assumed to be random are taken for, beside others with a probability; 0 elsewhere.

    While the others are still to come their labels are in it, too. Of a whole it is not the sum of what it is of the parts, so the
    estimate of the whole may lie outside of those of all parts (ADR 38).

    Args:
        row: A row of the accuracy table.

    Example:
        >>> assumed_part({"labels": 1_000, "audited": 30, "assumed": 10, "weight_sum": 400.0, "sample_audited": {"16": 20}})
        0.6
    """
    labels, assumed = int(row.get("labels") or 0), int(row.get("assumed") or 0)
    if not labels or not assumed or not float(row.get("weight_sum") or 0.0):
        return 0.0
    return min(1.0, assumed * assumed_weight(row) / labels)


StandFor = Literal["few", "many"]
"""What audits with a known π stand for, against the labels there are: surely less than half of them, or surely far more."""


def stand_for(row: Mapping[str, Any]) -> StandFor | None:
    """Return whether the audits of an accuracy row stand for too few of its labels to judge by, or for too many; None mostly.

    Args:
        row: A row of the accuracy table; ``awaited_audits`` and ``stand_for_too_many`` say which of its fields.

    Example:
        >>> stand_for({"labels": 6_000, "audited": 50, "correct": 50, "weight_sum": 50.0, "sample_audited": {"1": 50},
        ...            "sample_weight": {"1": 50.0}})
        'few'
    """
    if row.get("labels") is None or not float(row.get("weight_sum") or 0.0):
        return None
    if awaited_audits(row) is not None:
        return "few"
    return None if stand_for_too_many(row) is None else "many"
