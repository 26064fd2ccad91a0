"""Evidence counters: pack audits that are alike into one integer that adds up over source partitions like any counter.

A counter's number identifies them: audits of one labeller and policy with one weight, technical errors apart. Its
amount packs three counts, so a correction subtracts and a withdrawn audit leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from zlib import crc32

from streams.core.detectors.dispersion import PaneClass

EVIDENCE = 1 << 62
"""Counters from here on are evidence counters."""

_TECHNICAL = 1 << 61
_GROUP_SHIFT = 40
_GROUP_BITS = 21
_WEIGHT_MASK = (1 << _GROUP_SHIFT) - 1
MOST_NANO = _WEIGHT_MASK
"""The greatest weight of evidence, 1,099 in 10⁻⁹: greater ones are cut to it."""
_GROUP_MASK = (1 << _GROUP_BITS) - 1
_COUNT_BITS = 20
_COUNT_MASK = (1 << _COUNT_BITS) - 1
_SUM_BITS = 40


@lru_cache(maxsize=1 << 16)
def _group_number(labeler: str | None, policy: str | None) -> int:
    """Return the number of a labeller and policy. Two may have the same: their audits share a counter, and are still summed right."""
    return crc32(f"{labeler}\x1f{policy}".encode()) & _GROUP_MASK


def evidence_counter(labeler: str | None, policy: str | None, weight_nano: int, *, technical: bool) -> int:
    """Return the counter that counts an audit.

    Args:
        labeler: Who was audited.
        policy: Under which policy.
        weight_nano: 1/π of the audit in 10⁻⁹, ``NANO`` or more; cut to 1,099 (π below 0.00091). ``ASSUMED`` for unknown π.
        technical: The error was a technical one: shown, but not held against a person.
    """
    place = EVIDENCE | _group_number(labeler, policy) << _GROUP_SHIFT | min(weight_nano, MOST_NANO)
    return place | _TECHNICAL if technical else place


def evidence_amount(*, wrong: bool, critical: bool) -> int:
    """Return what one audit adds to its counter; up to 1,048,575 audits of one labeller, policy and weight fit a pane."""
    return 1 | wrong << _COUNT_BITS | critical << 2 * _COUNT_BITS


def accuracy_pane(counters: Mapping[int | str, int]) -> tuple[PaneClass, ...]:
    """Return a pane for accuracy: wrong of audited by weight, whoever was audited, technical errors left out."""
    return _pane(counters, _COUNT_BITS, technical=False)


def critical_pane(counters: Mapping[int | str, int]) -> tuple[PaneClass, ...]:
    """Return a pane for critical errors by weight: labels with one, of all audited."""
    return _pane(counters, 2 * _COUNT_BITS, technical=True)


def _pane(counters: Mapping[int | str, int], bad_shift: int, *, technical: bool) -> tuple[PaneClass, ...]:
    """Return the audits of evidence counters by ascending weight; the bad ones are counted ``bad_shift`` bits up."""
    amounts: dict[int, int] = {}
    for counter, amount in counters.items():
        if type(counter) is int and counter >= EVIDENCE and (technical or not counter & _TECHNICAL):
            weight_nano = counter & _WEIGHT_MASK
            units, bad = amount & _COUNT_MASK, amount >> bad_shift & _COUNT_MASK
            amounts[weight_nano] = amounts.get(weight_nano, 0) + (bad << _SUM_BITS) + units
    mask = (1 << _SUM_BITS) - 1
    return tuple(
        [PaneClass(weight, each & mask, each >> _SUM_BITS) for weight in sorted(amounts) if (each := amounts[weight])]
    )
