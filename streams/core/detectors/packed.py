"""Evidence counters: pack the audits of one batch into one integer that adds up over source partitions like any counter.

A counter's number identifies the batch: audits of one labeller and policy with one weight, technical errors apart. Its
amount packs three counts, so a correction subtracts and a withdrawn audit leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from zlib import crc32

from streams.core.detectors.bets import AuditBatch, merge_batches

EVIDENCE = 1 << 62
"""Counters from here on are evidence counters."""

_TECHNICAL = 1 << 61
_BATCH_SHIFT = 40
_BATCH_BITS = 21
_WEIGHT_MASK = (1 << _BATCH_SHIFT) - 1
_BATCH_MASK = (1 << _BATCH_BITS) - 1
_COUNT_BITS = 20
_COUNT_MASK = (1 << _COUNT_BITS) - 1


@lru_cache(maxsize=1 << 16)
def _batch_number(labeler: str | None, policy: str | None) -> int:
    """Return the number of a labeller and policy.

    If two have the same number, they form one batch, which weakens evidence but is never wrong.
    """
    return crc32(f"{labeler}\x1f{policy}".encode()) & _BATCH_MASK


def evidence_counter(labeler: str | None, policy: str | None, weight_nano: int, *, technical: bool) -> int:
    """Return the counter that counts an audit.

    Args:
        labeler: Who was audited.
        policy: Under which policy.
        weight_nano: 1/π of the audit in 10⁻⁹, above 0; cut to 1,099 (π below 0.00091).
        technical: The error was a technical one: shown, but not held against a person.
    """
    place = EVIDENCE | _batch_number(labeler, policy) << _BATCH_SHIFT | min(weight_nano, _WEIGHT_MASK)
    return place | _TECHNICAL if technical else place


def evidence_amount(*, wrong: bool, critical: bool) -> int:
    """Return what one audit adds to its counter; up to 1,048,575 audits of one batch fit a pane."""
    return 1 | wrong << _COUNT_BITS | critical << 2 * _COUNT_BITS


def accuracy_pane(counters: Mapping[int | str, int]) -> tuple[AuditBatch, ...]:
    """Return the batches of a pane for accuracy: wrong of audited, technical errors left out."""
    held = [
        counter for counter in counters if type(counter) is int and counter >= EVIDENCE and not counter & _TECHNICAL
    ]
    return _pane(sorted(held), counters, _COUNT_BITS)


def critical_pane(counters: Mapping[int | str, int]) -> tuple[AuditBatch, ...]:
    """Return the batches of a pane for critical errors: labels with one, of all audited."""
    return _pane(
        sorted([counter for counter in counters if type(counter) is int and counter >= EVIDENCE]),
        counters,
        2 * _COUNT_BITS,
    )


def _pane(held: list[int], counters: Mapping[int | str, int], bad_shift: int) -> tuple[AuditBatch, ...]:
    """Return the batches of ascending counters; the bad ones are counted ``bad_shift`` bits up."""
    batches = []
    for counter in held:
        amount, weight_nano = counters[counter], counter & _WEIGHT_MASK
        units, bad = amount & _COUNT_MASK, amount >> bad_shift & _COUNT_MASK
        number = counter >> _BATCH_SHIFT & _BATCH_MASK
        batches.append(AuditBatch(number, units, bad, units * weight_nano, bad * weight_nano, weight_nano))
    # Mostly every counter is a batch of its own, and then they are in order; several weights or technical errors of one batch
    # are merged.
    numbers = [batch.key for batch in batches]
    if len(set(numbers)) == len(numbers) and (not held or not held[-1] & _TECHNICAL):
        return tuple(batches)
    return merge_batches(batches)
