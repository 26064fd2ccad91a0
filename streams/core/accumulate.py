"""Accumulator: sums what many events did before any row is touched.

An event touches every configured scope of its dimension tuple in three tiers: some two hundred dictionary entries. So
tens of thousands of events are first kept as flat integers and summed per (tier, pane, scope, counter) in numpy; only
the sums touch rows. Each event is kept with the watermark at its offset, so which panes were closed or expired for it
does not depend on when the sums are made.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.core import counters as c
from streams.core.audit_templates import NO_TEMPLATE, AuditTemplates
from streams.core.audits import AuditKey, AuditSums
from streams.core.effects import Group
from streams.core.facts import Audit, Label
from streams.core.labelsums import FAST_PATH_COUNTERS, Columns, LabelSums, label_sums
from streams.core.policy import EVIDENCE_TIER, CorePolicy, PaneTier
from streams.core.scopes import Codes, ScopeIndex
from streams.core.steps import Step
from streams.core.sums import Ints, Sums, count_by_key, sum_by_key

DRAIN_AT = 262_144
"""Steps that may wait."""

_FEW = 48
_COUNTERS_LIMIT = 100_000
_TEMPLATES_LIMIT = 20_000
_LABEL_COLUMNS = 6
_GROUP = 6
_EVIDENCE_COLUMNS = 6
_FAST_PATH_REVISES = 2
_KEYS = 1 << 62
"""Bound above keys of sums: pane, scope and counter in one number. A drain has fewer than 2**19 changes, and so fewer
panes and scopes, and memory would be full before there are 2**24 names of counters, so a key always fits."""

Bools = npt.NDArray[np.bool_]


class RowChange(NamedTuple):
    """Amounts to add to one row: ``counters[i]`` takes ``amounts[i]``.

    A row whose amounts cancel each other out counts as changed too. A worker that lost this partition may have written
    the row as it was in between, and only a newer record replaces that.
    """

    tier: int
    pane_ms: int
    scope: int
    counters: list[c.Counter]
    amounts: list[int]


class Accumulator:
    """Collects changes and hands them out summed, one ``RowChange`` or more per row."""

    def __init__(self, scopes: ScopeIndex, policy: CorePolicy) -> None:
        """Start empty over an index of scopes."""
        self._scopes = scopes
        self._tiers = policy.tiers
        self._counter_ids: dict[c.Counter, int] = {}
        self._counters: list[c.Counter] = []
        self._labeler_counters: list[c.Counter] = [c.LABELER_PREFIX]  # by number + 1: the first is nobody's
        self.labels = array("q")  # who, what, time_ms, handle_ms, active_ms, watermark_ms
        self._groups = array("q")  # who, what, time_ms, watermark_ms, revises, template or NO_TEMPLATE
        self._entries = array("q")  # group, counter, amount
        self._evidence_rows = array("q")  # who, what, time_ms, watermark_ms, counter, amount
        self._watched = any(policy.evidence_kinds)
        self._evidence_tier = policy.all_tiers[EVIDENCE_TIER]
        self._templates = AuditTemplates(self._intern)
        self._audits = AuditSums(scopes, policy)
        self._template_counters: dict[int, tuple[c.Counter, ...]] = {}
        self._shown_ms = -1

    @property
    def shown_ms(self) -> int:
        """The floor's watermark when the partition was last found idle. Changes of panes closed by then are revisions too.

        Drain before setting it, because it applies to all waiting changes.
        """
        return self._shown_ms

    @shown_ms.setter
    def shown_ms(self, time_ms: int) -> None:
        self._shown_ms = self._audits.shown_ms = time_ms

    def __len__(self) -> int:
        """Return how many changes wait."""
        return len(self.labels) // _LABEL_COLUMNS + len(self._groups) // _GROUP

    def add(self, group: Group, sign: int, watermark_ms: int, *, revises: int = 1) -> None:
        """Add a group (``sign`` +1) or take it away (-1); see ``add_all``."""
        self.add_all((Step(group, sign, revises),), watermark_ms)

    def add_all(self, steps: Iterable[Step], watermark_ms: int) -> None:
        """Add the effect of one event: all of it or, if a part cannot be computed, nothing.

        Args:
            steps: Groups to add or take away.
            watermark_ms: The watermark the event met.
        """
        number = len(self._groups) // _GROUP
        groups: list[int] = []
        entries: list[int] = []
        evidence_rows: list[int] = []
        audits: list[AuditKey] = []
        split_dims, intern, audit_key = self._scopes.split_dims, self._intern, self._audits.key
        for (dims, time_ms, counters, evidence), sign, revises in steps:
            who, what = split_dims(dims)
            groups += (who, what, time_ms, watermark_ms, revises, NO_TEMPLATE)
            for at in range(0, len(counters), 2):
                entries += (number, intern(counters[at]), sign * int(counters[at + 1]))
            number += 1
            if self._audits.wanted and (key := audit_key(counters, time_ms, who, what, sign, watermark_ms, revises)):
                audits.append(key)
            if self._watched and evidence is not None:
                evidence_rows += (who, what, evidence.time_ms, watermark_ms, evidence.counter, sign * evidence.amount)
        # An amount that does not fit raises here, before anything is added. Times and tuple numbers always fit.
        amounts = array("q", entries)
        self._groups.extend(groups)
        self._entries.extend(amounts)
        if evidence_rows:
            self._evidence_rows.extend(evidence_rows)
        for key in audits:
            self._audits.count(key)

    def add_first_audit(self, task_id: str, label: Label, audit: Audit, watermark_ms: int) -> None:
        """Add the effect of the first audit of a task whose only fact is a label.

        Equal, by test, to the difference of ``contributions``. Most audits differ only in whom they concern, so the
        counters of each kind are computed once.

        Args:
            task_id: The task, named in examples of wrong labels.
            label: Its label.
            audit: The audit, of that label.
            watermark_ms: The watermark the audit met.
        """
        who, what = self._scopes.split_dims(label.dims)
        # What may fail comes first. From ``_groups`` on, all of it is added.
        template = self._templates.number(label, audit)
        counter, proven = self._templates.evidence(label, audit, template) if self._watched else (0, 0)
        flat: tuple[c.Counter, ...] | None = None
        if self._audits.wanted:
            flat = self._template_counters.get(template)
            if flat is None:
                pairs = self._templates.entries(template)
                flat = self._template_counters[template] = tuple(
                    part for number, amount in pairs for part in (self._counters[number], amount)
                )
        if audit.wrong:
            self._entries.extend((len(self._groups) // _GROUP, self._intern(c.EXAMPLE_PREFIX + task_id), 1))
        self._groups.extend((who, what, label.time_ms, watermark_ms, 1, template))
        if flat is not None and (key := self._audits.key(flat, label.time_ms, who, what, 1, watermark_ms, 1)):
            self._audits.count(key)
        if proven:
            self._evidence_rows.extend((who, what, label.time_ms, watermark_ms, counter, proven))

    def _intern(self, counter: c.Counter) -> int:
        known = self._counter_ids.get(counter)
        if known is None:
            self._counter_ids[counter] = known = len(self._counters)
            self._counters.append(counter)
        return known

    def drain(self) -> Iterator[RowChange]:
        """Yield the sums of all waiting changes, then start empty. Sums of any size are exact."""
        if not len(self):
            return
        if len(self) <= _FEW:
            yield from self._drain_few()
        else:
            labels = np.frombuffer(self.labels, dtype=np.int64).reshape(-1, _LABEL_COLUMNS) if self.labels else None
            groups = np.frombuffer(self._groups, dtype=np.int64).reshape(-1, _GROUP) if self._groups else None
            if labels is not None:
                yield from self._drain_labels(labels)
            if groups is not None:
                yield from self._drain_entries(groups)
        yield from self._drain_evidence()
        for tier, pane_ms, scope, sums in self._audits.drain():
            yield RowChange(tier, pane_ms, scope, list(sums), list(sums.values()))
        self.labels, self._groups, self._entries = array("q"), array("q"), array("q")
        self._evidence_rows = array("q")
        if len(self._counters) > _COUNTERS_LIMIT or len(self._templates) > _TEMPLATES_LIMIT:
            self._counter_ids, self._counters = {}, []
            self._templates, self._template_counters = AuditTemplates(self._intern), {}
        if self._scopes.tuples > self._scopes.tuples_limit:
            self._scopes.forget()
            self._labeler_counters = [c.LABELER_PREFIX]

    def _drain_evidence(self) -> Iterator[RowChange]:
        """Yield the detector evidence of audits, for the rows of the scopes that detectors watch."""
        if not self._evidence_rows:
            return
        evidence_rows = np.frombuffer(self._evidence_rows, dtype=np.int64).reshape(-1, _EVIDENCE_COLUMNS)
        pane = _Panes(evidence_rows[:, 2], evidence_rows[:, 3], self._evidence_tier, self._shown_ms)
        names, counter = np.unique(evidence_rows[:, 4], return_inverse=True)
        refused = self._scopes.refused
        limit = _KEYS // (len(pane.starts) * len(names))
        for kind in self._scopes.evidence_kinds:
            codes = self._scopes.codes(kind, evidence_rows[:, 0], evidence_rows[:, 1], limit)
            kept = np.flatnonzero(pane.alive & (codes.code >= 0))
            keys = (pane.place[kept] * codes.width + codes.code[kept]) * len(names) + counter.reshape(-1)[kept]
            sums = sum_by_key(keys, evidence_rows[kept, 5], len(pane.starts) * codes.width * len(names))
            yield from self._changes(_named(sums, names.tolist()), EVIDENCE_TIER, codes, pane.starts)
        # These scopes were asked for, and counted, where the audit's label was; that there was a refusal stays known.
        self._scopes.refused = max(refused, min(1, self._scopes.refused))

    # -- labels of the common kind -------------------------------------------------------------------------------

    def _drain_labels(self, rows: Ints) -> Iterator[RowChange]:
        panes = [_Panes(rows[:, 2], rows[:, 5], spec, self._shown_ms) for spec in self._tiers]
        names = self._labeler_counters
        names.extend(c.LABELER_PREFIX + name for name in self._scopes.labeler_names[len(names) - 1 :])
        columns = Columns(rows[:, 3], rows[:, 4], self._scopes.labelers(rows[:, 0]) + 1, names)
        limit = _KEYS // (max(len(pane.starts) for pane in panes) * (len(columns.counters) + 1))
        for kind, by_name in enumerate(self._scopes.headcount):
            codes = self._scopes.codes(kind, rows[:, 0], rows[:, 1], limit)
            known, width = codes.code >= 0, codes.width
            sums: LabelSums | None = None
            found: list[tuple[int, list[c.Counter], list[int]]] = []
            for tier, pane in enumerate(panes):
                if sums is None or not (pane.all_alive and panes[tier - 1].all_alive):
                    kept = np.flatnonzero(pane.alive & known)
                    place, places = pane.place[kept] * width + codes.code[kept], len(pane.starts) * width
                    sums = label_sums(columns, kept, place, places, by_name=by_name)
                    found = list(sums.rows(columns.counters))
                elif len(pane.starts) < len(panes[tier - 1].starts):
                    sums = sums.coarser(_lifted(panes[tier - 1], pane, self._tiers[tier]), width, len(pane.starts))
                    found = list(sums.rows(columns.counters))
                yield from self._changes(found, tier, codes, pane.starts)
                yield from self._revisions(pane, codes, tier)

    def _revisions(self, pane: _Panes, codes: Codes, tier: int) -> Iterator[RowChange]:
        """Yield the revisions of rows that were closed when a label came."""
        if not pane.closed.any():
            return
        late = np.flatnonzero(pane.closed & pane.alive & (codes.code >= 0))
        sums = count_by_key(pane.place[late] * codes.width + codes.code[late], len(pane.starts) * codes.width)
        for place, count in sums.pairs():
            found: tuple[list[c.Counter], list[int]] = [c.REVISION], [_FAST_PATH_REVISES * count]
            yield from self._changes([(place, *found)], tier, codes, pane.starts)

    def _changes(
        self, found: Iterable[tuple[int, list[c.Counter], list[int]]], tier: int, codes: Codes, starts: list[int]
    ) -> Iterator[RowChange]:
        scope_of, width = codes.scope, codes.width
        for place, counters, amounts in found:
            scope = scope_of(place % width)
            if scope >= 0:
                yield RowChange(tier, starts[place // width], scope, counters, amounts)

    # -- everything else -----------------------------------------------------------------------------------------

    def _drain_entries(self, groups: Ints) -> Iterator[RowChange]:
        entries = np.array(self._entries, dtype=np.int64).reshape(-1, 3)
        shaped = self._templates.expand(groups[:, 5])
        of_entry, counter, counted = (np.concatenate([entries[:, i], shaped[i]]) for i in range(3))
        used, counter = np.unique(counter, return_inverse=True)
        names = [self._counters[i] for i in used.tolist()]
        flags = [_flags(name) for name in names]
        names.append(c.REVISION)
        # Every group has a revisions entry; in each tier it counts only if the pane was closed.
        of_group = np.concatenate([of_entry, np.arange(len(groups))])
        counter = np.concatenate([counter.reshape(-1), np.full(len(groups), len(names) - 1)])
        amount = np.concatenate([counted, groups[:, 4]])
        named, example = (np.array([*column, False])[counter] for column in zip(*flags, strict=True))
        is_entry = np.arange(len(counter)) < len(counted)
        panes = [_Panes(groups[:, 2], groups[:, 3], spec, self._shown_ms) for spec in self._tiers]
        shown = [
            pane.alive[of_group] & (is_entry | pane.closed[of_group]) & ~(example & (tier > 0))
            for tier, pane in enumerate(panes)
        ]
        # If the panes of a coarser tier divide the changes in the same way, the sums of the finer tier are reused.
        same = [False, *(_alike(panes[i], panes[i + 1], shown[i], shown[i + 1]) for i in range(len(panes) - 1))]
        limit = _KEYS // (max(len(pane.starts) for pane in panes) * len(names))
        for kind, by_name in enumerate(self._scopes.headcount):
            codes = self._scopes.codes(kind, groups[:, 0], groups[:, 1], limit)
            code, width = codes.code[of_group], codes.width
            fits = code >= 0 if by_name else (code >= 0) & ~named
            found: list[tuple[int, list[c.Counter], list[int]]] = []
            for tier, pane in enumerate(panes):
                if not same[tier]:
                    kept = np.flatnonzero(shown[tier] & fits)
                    place = pane.place[of_group[kept]] * width + code[kept]
                    keys, size = place * len(names) + counter[kept], len(pane.starts) * width * len(names)
                    found = list(_named(sum_by_key(keys, amount[kept], size), names))
                yield from self._changes(found, tier, codes, pane.starts)

    def _drain_few(self) -> Iterator[RowChange]:
        """Sum by dictionary, because for a few changes numpy's fixed costs are much higher than the work."""
        found: dict[tuple[int, int, int], c.Counters] = {}
        for who, what, time_ms, watermark_ms, revises, counters in self._few():
            places = self._scopes.scopes_of(who, what)
            for tier, spec in enumerate(self._tiers):
                pane_ms = time_ms - time_ms % spec.pane_ms
                end_ms = pane_ms + spec.pane_ms
                if end_ms + spec.kept_ms <= watermark_ms:
                    continue
                for scope, by_name in places:
                    into = found.setdefault((tier, pane_ms, scope), {})
                    if revises and end_ms <= max(watermark_ms, self._shown_ms):
                        into[c.REVISION] = into.get(c.REVISION, 0) + revises
                    for counter, amount in counters:
                        if type(counter) is str and not _shown(counter, tier=tier, by_name=by_name):
                            continue
                        into[counter] = into.get(counter, 0) + amount
        for (tier, pane_ms, scope), into in found.items():
            yield RowChange(tier, pane_ms, scope, list(into), list(into.values()))

    def _few(self) -> Iterator[tuple[int, int, int, int, int, list[tuple[c.Counter, int]]]]:
        for at in range(0, len(self.labels), _LABEL_COLUMNS):
            who, what, time_ms, handle_ms, active_ms, watermark_ms = self.labels[at : at + _LABEL_COLUMNS]
            counters: list[tuple[c.Counter, int]] = [(counter, 1) for counter in FAST_PATH_COUNTERS]
            counters.append((c.LABELER_PREFIX + self._scopes.labeler_name(who), 1))
            if handle_ms >= 0:
                bucket = c.HANDLE_HISTOGRAM + c.bucket(handle_ms)
                counters += [(c.HANDLED, 1), (c.HANDLE_MS, handle_ms), (bucket, 1)]
            if active_ms >= 0:
                counters += [(c.ACTIVE_TIMED, 1), (c.ACTIVE_MS, active_ms)]
            yield who, what, time_ms, watermark_ms, _FAST_PATH_REVISES, counters
        numbered = len(self._groups) // _GROUP
        templates = (self._templates.entries(self._groups[number * _GROUP + 5]) for number in range(numbered))
        by_group = [[(self._counters[counter], amount) for counter, amount in entries] for entries in templates]
        for at in range(0, len(self._entries), 3):
            group, counter, amount = self._entries[at : at + 3]
            by_group[group].append((self._counters[counter], amount))
        for number, entries in enumerate(by_group):
            who, what, time_ms, watermark_ms, revises, _ = self._groups[number * _GROUP : (number + 1) * _GROUP]
            yield who, what, time_ms, watermark_ms, revises, entries


def _shown(counter: str, *, tier: int, by_name: bool) -> bool:
    """Tell whether a counter counted by name is kept in a row: example tasks in the finest tier, names where wanted."""
    if counter.startswith(c.EXAMPLE_PREFIX):
        return tier == 0
    return by_name or not counter.startswith(c.LABELER_PREFIX)


def _flags(counter: c.Counter) -> tuple[bool, bool]:
    """Tell whether a counter counts a labeller, and whether it names an example task."""
    if type(counter) is not str:
        return False, False
    return counter.startswith(c.LABELER_PREFIX), counter.startswith(c.EXAMPLE_PREFIX)


def _named(sums: Sums, names: list[c.Counter]) -> Iterator[tuple[int, list[c.Counter], list[int]]]:
    """Yield (place, counters, amounts) of sums by place * number of names + name."""
    counter_of = names.__getitem__
    for place, counters, amounts in sums.by_place(len(names)):
        yield place, list(map(counter_of, counters)), amounts


class _Panes:
    """The panes of one tier that some changes fall into.

    Attributes:
        alive: Per change, whether the tier still took it at the watermark it met.
        all_alive: Whether it took every one.
        closed: Per change, whether that watermark, or the floor's as far as it was told, had closed its pane.
        starts: Pane starts in ms, ascending.
        place: Per change, the place of its pane in ``starts``.
    """

    def __init__(self, time_ms: Ints, watermark_ms: Ints, spec: PaneTier, shown_ms: int) -> None:
        start = time_ms - time_ms % spec.pane_ms
        end = start + spec.pane_ms
        self.alive = end + spec.kept_ms > watermark_ms
        self.all_alive = bool(self.alive.all())
        self.closed = end <= (watermark_ms if shown_ms < 0 else np.maximum(watermark_ms, shown_ms))
        distinct, place = np.unique(start, return_inverse=True)
        self.starts: list[int] = distinct.tolist()
        self.place = place.reshape(-1)


def _lifted(fine: _Panes, coarse: _Panes, spec: PaneTier) -> Ints:
    """Return, for every pane of a finer tier, its place among those of a coarser one, of the same changes.

    Args:
        fine: Panes of the finer tier.
        coarse: Panes of the coarser tier.
        spec: The coarser tier.
    """
    starts = np.array(fine.starts)
    found: Ints = np.searchsorted(coarse.starts, starts - starts % spec.pane_ms)
    return found


def _alike(fine: _Panes, coarse: _Panes, fine_shown: Bools, coarse_shown: Bools) -> bool:
    """Tell whether two tiers show the same changes in as many panes."""
    return len(fine.starts) == len(coarse.starts) and np.array_equal(fine_shown, coarse_shown)
