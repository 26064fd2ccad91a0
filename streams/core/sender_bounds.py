"""What a sender is bound to, read from the stamp on its events (``streams.models.grants``) and compared with dimensions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from streams.core.policy import DIMENSIONS, Dims
from streams.models.grants import NO_REVIEWER, REVIEWER, read_stamp

_UNKNOWN_DIMENSION = -1


class Grant(NamedTuple):
    """A stamp, read.

    Attributes:
        sender: Who sent.
        bounds: Place of each bound dimension in ``DIMENSIONS`` (-1 for one not known here), and its values.
        reviewer: Whether it may change labels that have been audited. Stamps of before that rule do not deny it.
    """

    sender: str
    bounds: tuple[tuple[int, frozenset[str]], ...]
    reviewer: bool = True

    def excludes(self, dims: Dims) -> str | None:
        """Return which known dimension belongs to somebody else, or None."""
        for at, values in self.bounds:
            said = dims[at] if at >= 0 else None
            if at == _UNKNOWN_DIMENSION or (said is not None and said not in values):
                return _named(at, said)
        return None

    def uncovered(self, dims: Dims, maker: str | None) -> str | None:
        """Return which dimension of a thing is not the sender's, or None where all are.

        An unknown dimension belongs to the sender if it made the thing itself.

        Args:
            dims: The thing's dimensions.
            maker: Stamp of the sender that made it, None for a sender that may do everything.
        """
        for at, values in self.bounds:
            said = dims[at] if at >= 0 else None
            if said is None and at >= 0 and maker is not None and grant_of(maker).sender == self.sender:
                continue
            if said is None or said not in values:
                return _named(at, said)
        return None


def _named(at: int, said: str | None) -> str:
    name = DIMENSIONS[at] if at >= 0 else "a dimension this version does not know"
    return f"{name} {said!r}" if said is not None else f"no {name} that is its own"


@lru_cache(4096)
def grant_of(stamp: str) -> Grant:
    """Return a stamp, read."""
    sender, bound = read_stamp(stamp)
    reviewer = bound.get(REVIEWER) != frozenset({NO_REVIEWER})
    if not reviewer:
        del bound[REVIEWER]
    places = ((DIMENSIONS.index(name) if name in DIMENSIONS else _UNKNOWN_DIMENSION, bound[name]) for name in bound)
    return Grant(sender, tuple(places), reviewer)


def refusal_text(fact: Any, why: str) -> str:
    """Return a refusal as a sentence, with what to do.

    Args:
        fact: A fact with a grant.
        why: What the sender has no right to.
    """
    return f"{_who(fact)}, and {why}: send it with the token of whom it belongs to, or widen the grant"


def audited_text(fact: Any, what: str, audit_id: str) -> str:
    """Return the refusal of a change to an audited label as a sentence, with what to do.

    Args:
        fact: A fact with a grant.
        what: The change that is refused.
        audit_id: An audit of the label that stands.
    """
    return (
        f"{_who(fact)} and is not a reviewer, and {what}: the label has been audited (audit {audit_id!r}) and stays as it was "
        "then. A reviewer may withdraw the label, send it again, or withdraw the audit"
    )


def _who(fact: Any) -> str:
    grant = grant_of(fact.grant)
    bound = ", ".join(
        f"{DIMENSIONS[at] if at >= 0 else 'an unknown dimension'} {' or '.join(sorted(values))}"
        for at, values in grant.bounds
    )
    return f"{grant.sender} is bound to {bound}"
