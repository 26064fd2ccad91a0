"""Which labels a plan draws for audit: each by itself, with the probability of its stratum, by a keyed hash of its ids.

The hash stands for a random number between 0 and 1 that belongs to the label for good (permanent random numbers; Ohlsson, Coordination
of samples using permanent random numbers, 1995). So a plan that is carried out again draws the same labels, in whatever order they
come, and nobody without the key can tell which these are.
"""

from __future__ import annotations

from hashlib import blake2b

METHOD = "stratified"
"""What ``sampling.method`` says of audits that a plan asks for."""

KEY_BYTES = 16

_WHOLE = float(1 << 64)


def label_number(key: bytes, task_id: str, label_id: str) -> float:
    """Return the label's number, evenly spread over 0 ≤ number < 1: BLAKE2b with a key (RFC 7693), its first 64 bits.

    Args:
        key: The plan's, ``KEY_BYTES`` long.
        task_id: The label's task.
        label_id: The label.
    """
    # A unit separator, which no id may hold.
    found = blake2b(f"{task_id}\x1f{label_id}".encode(), digest_size=8, key=key).digest()
    return int.from_bytes(found) / _WHOLE


def drawn(key: bytes, task_id: str, label_id: str, probability: float) -> bool:
    """Tell whether a plan draws a label.

    Args:
        key: The plan's.
        task_id: The label's task.
        label_id: The label.
        probability: Of its stratum, 0..1.
    """
    return label_number(key, task_id, label_id) < probability
