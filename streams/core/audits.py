"""Audits on their way to the rows of scopes of which nothing else is kept.

To tell whose accuracy fell under which policy, the two dimensions must be crossed, and a kind of scope is expensive if
it counts every label in three tiers. About 10% of events are audits, and attribution looks back hours and days. If only
audits are counted, without confusion pairs and examples, in the two coarser tiers, the same kind costs a third (ADR
0013).
"""

from __future__ import annotations

from collections.abc import Iterator

from streams.core import counters as c
from streams.core.policy import HOUR_TIER, QUARTER_MS, CorePolicy
from streams.core.scopes import ScopeIndex

_TIERS = (HOUR_TIER - 1, HOUR_TIER)
_OPEN, _CLOSED, _GONE = range(3)

_ALL_OPEN = (_OPEN,) * len(_TIERS)

AuditKey = tuple[int, int, int, tuple[int, ...], int, int, tuple[c.Counter, ...]]
"""Person and task dimensions, quarter hour, state of the pane in each tier, sign, revisions, flat counters."""


class AuditSums:
    """Counts of audits by everything that decides where they are counted. Most are equal (correct, of one policy and weight).

    Attributes:
        shown_ms: As ``Accumulator.shown_ms``, which sets it.
    """

    def __init__(self, scopes: ScopeIndex, policy: CorePolicy) -> None:
        """Start empty over an index of scopes."""
        self._scopes = scopes
        self.wanted = bool(policy.audit_scopes)
        self._tiers = [policy.tiers[tier] for tier in _TIERS]
        self.shown_ms = -1
        self._counts: dict[AuditKey, int] = {}

    def key(
        self,
        counters: tuple[c.Counter, ...],
        time_ms: int,
        who: int,
        what: int,
        sign: int,
        watermark_ms: int,
        revises: int,
    ) -> AuditKey | None:
        """Return the key to count a group under; None for a group without audits or appeals.

        Args:
            counters: Flat counters of any group of a task.
            time_ms: Its time.
            who: Number of the person dimensions.
            what: Number of the task dimensions.
            sign: +1 or -1.
            watermark_ms: The watermark the change met.
            revises: How many revisions this is for a row whose pane that watermark has closed.
        """
        first = counters[0]
        if type(first) is not int or not (c.AUDITED <= first <= c.GOLD_CORRECT or first == c.INCOMPARABLE):
            return None
        quarter_ms = time_ms - time_ms % QUARTER_MS
        closed_ms = max(watermark_ms, self.shown_ms)
        states = _ALL_OPEN if quarter_ms + QUARTER_MS > closed_ms else self._states(time_ms, watermark_ms)
        return who, what, quarter_ms, states, sign, revises, counters

    def count(self, key: AuditKey) -> None:
        """Count one more group under a key that ``key`` has given."""
        self._counts[key] = self._counts.get(key, 0) + 1

    def _states(self, time_ms: int, watermark_ms: int) -> tuple[int, ...]:
        """Return per tier whether the watermark had closed the pane of a time, and whether the pane had expired."""
        found = []
        for spec in self._tiers:
            end_ms = time_ms - time_ms % spec.pane_ms + spec.pane_ms
            gone = end_ms + spec.kept_ms <= watermark_ms
            found.append(_GONE if gone else _CLOSED if end_ms <= max(watermark_ms, self.shown_ms) else _OPEN)
        return tuple(found)

    def drain(self) -> Iterator[tuple[int, int, int, c.Counters]]:
        """Yield (tier, pane start in ms, scope number, amounts), then start empty.

        Amounts that cancel out are yielded too: their row was touched (``Change``).
        """
        found, self._counts = self._counts, {}
        # Few of the person and task dimensions make different scopes here, so equal audits of equal scopes are counted first.
        alike: dict[tuple[tuple[int, ...], int, tuple[int, ...], int, int, tuple[c.Counter, ...]], int] = {}
        for (who, what, quarter_ms, states, sign, revises, counters), count in found.items():
            key = (self._scopes.audit_scopes(who, what), quarter_ms, states, sign, revises, counters)
            alike[key] = alike.get(key, 0) + count
        sums: dict[tuple[int, int, int], c.Counters] = {}
        for (scopes, quarter_ms, states, sign, revises, counters), count in alike.items():
            pairs = zip(counters[::2], counters[1::2], strict=True)
            amounts = [(counter, sign * count * int(amount)) for counter, amount in pairs if type(counter) is int]
            for scope in scopes:
                for tier, spec, state in zip(_TIERS, self._tiers, states, strict=True):
                    if state == _GONE:
                        continue
                    into = sums.setdefault((tier, quarter_ms - quarter_ms % spec.pane_ms, scope), {})
                    for counter, amount in amounts:
                        into[counter] = into.get(counter, 0) + amount
                    if revises and state == _CLOSED:
                        into[c.REVISION] = into.get(c.REVISION, 0) + revises * count
        for (tier, pane_ms, scope), into in sums.items():
            yield tier, pane_ms, scope, into
