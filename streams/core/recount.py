"""Change of rules: what was counted by the rules of an earlier release is counted anew, once, when its ledger is taken over.

The rows of a ledger are sums of what its tasks contribute, and an event takes away what its task contributed before. So a
ledger that was counted by other rules must be brought over before anything is taken away by the present ones; else a
counter goes below zero and stays wrong. What rules a row was counted by is told by the owner in its key (``versioned``).

Version 6 differs from the present rules in the evidence of audits: it counted at the time of the audit, not of its label.
And in labels of which no audit names a probability: the audit that arrived first said whether they are assumed to be
random. In version 5 they were where any audit said nothing of sampling, planted items too. Version 4 differs from version
5 in pairs of decision and truth, and in critical errors: neither was counted by class of sampling probability. Version 3
differs from version 4 in the evidence of audits that say nothing of sampling: it was that of audits with a probability of
1. Version 2 differs in audits too: the weight was that of the latest audit, what says nothing of sampling was targeted,
and nothing was counted by class of sampling probability. Version 1, the rules of 24565ae, differs in four more points:
labels without values agreed with one another and were confused with what is right, long decisions were named in full,
repeated values of a decision were kept, and a value ``?`` was written as is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

from streams.core import counters as c
from streams.core.accumulate import DRAIN_AT, Accumulator, RowChange
from streams.core.detector_evidence import detector_evidence_of
from streams.core.effects import Group, Groups, contributions, judged_counters
from streams.core.facts import Audit, Fact, Packed, unpack, unpack_one
from streams.core.past_views import TaskView5, TaskView6
from streams.core.policy import DIMENSIONS, CorePolicy, Dims
from streams.core.rows import Place
from streams.core.scopes import ScopeIndex
from streams.core.steps import Step, difference
from streams.core.task_view import TaskView
from streams.models import formats

_LABELER = DIMENSIONS.index("labeler")
_LONG_BYTES = 256
_MARK = "~"
_CONTINUES = "+"
_LONG_ARRAY = 0xDC
"""First byte of a fact with 16 members or more: an audit that is assumed to be random, or whose draw the configuration told."""
_AUDIT_TAG = Audit.__struct_config__.tag
_PAIRS = (c.CONFUSION_ASSUMED_PREFIX, c.CONFUSION_DRAWN_PREFIX)
_NAMED = (c.CONFUSION_PREFIX, c.CONFUSION_WEIGHT_PREFIX, *_PAIRS)
_OF_CRITICAL = frozenset(
    (c.WEIGHT_CRITICAL_NANO, c.ASSUMED_CRITICAL, *range(c.CLASS_CRITICAL, c.CLASS_CRITICAL + c.SAMPLING_CLASSES))
)
"""Counters that version 5 brought."""


def versioned(owner: str, version: int = formats.COUNTED.version) -> str:
    """Return the name under which an owner writes rows that are counted by the rules of a version, by default the present one."""
    return owner if _MARK in owner or version == formats.FIRST else f"{owner}{_MARK}{version}"


def version_of(owner: str) -> int:
    """Return by which rules the rows of an owner are counted; 1 for a name that says nothing.

    Raises:
        NewerFormat: By the rules of a newer version.
    """
    number = owner.partition(_MARK)[2]
    version = int(number) if number.isdigit() else formats.FIRST
    formats.check(formats.COUNTED, version)
    return version


def continuing(owner: str, version: int) -> str:
    """Return the name under which an owner writes rows by an earlier version on top of rows that are counted by a newer one."""
    return f"{owner}{_CONTINUES}{_MARK}{version}"


def _continues(owner: str) -> bool:
    """Tell whether rows of an owner may hold facts by newer rules than its own.

    Version 1 knew no versions and went on with the rows it found. Version 2 and later refuse newer ones.
    """
    return _MARK not in owner or _CONTINUES + _MARK in owner


class Counted(NamedTuple):
    """By which rules a row holds the facts below an offset."""

    below: int
    version: int


_ALL_PRESENT = Counted(0, formats.COUNTED.version)


@dataclass
class Recount:
    """What is still to be brought over in a restored ledger. Until then it counts by the rules of an earlier version.

    Attributes:
        version: That version.
        held: What all rows hold by other rules.
        rows: The same for single rows that differ: of a flush that was cut short, or of a zombie.
        raw: By offset, the task of a fact and how version 1 had packed it, where it is packed differently now.
    """

    version: int = formats.FIRST
    held: Counted = _ALL_PRESENT
    rows: dict[Place, Counted] = field(default_factory=dict)
    raw: dict[int, tuple[str, bytes]] = field(default_factory=dict)

    def contributions(self, task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
        """Return what a task contributes by the rules of that version; see ``effects.contributions``."""
        return self._by(self.version, task_id, facts, watermark_ms)

    def _by(self, version: int, task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
        if version > formats.FIRST:
            return _RULES[version](task_id, facts, watermark_ms)
        given = [unpack_one(self.raw[fact.offset][1]) if fact.offset in self.raw else fact for fact in facts]
        return contributions_1(task_id, given, watermark_ms)

    @property
    def at_once(self) -> bool:
        """Whether nothing is ahead by an earlier version, so that there is nothing to wait for."""
        return self.version == formats.COUNTED.version

    @property
    def mixed(self) -> bool:
        """Whether a row holds facts by newer rules than ``version``."""
        return any(counted.version > self.version for counted in {self.held, *self.rows.values()} if counted.below)

    def changes(
        self,
        tasks: Callable[[], Iterable[tuple[str, Packed]]],
        scopes: ScopeIndex,
        policy: CorePolicy,
        watermark_ms: int,
    ) -> Iterator[RowChange]:
        """Yield what to add to rows so that they are what the present rules make of the facts.

        Args:
            tasks: Gives all tasks that are held; called once for each of the ways in which rows are counted.
            scopes: Of the ledger.
            policy: Of the ledger.
            watermark_ms: The partition's watermark.
        """
        changed = {task_id for task_id, _ in self.raw.values()}
        for counted in {self.held, *self.rows.values()}:
            sums = Accumulator(scopes, policy)
            for task_id, packed in tasks():
                if task_id in changed or may_differ(packed):
                    sums.add_all(self._steps(task_id, unpack(packed), counted, watermark_ms), watermark_ms)
                    if len(sums) >= DRAIN_AT:
                        yield from self._of(counted, sums.drain())
            yield from self._of(counted, sums.drain())

    def _of(self, counted: Counted, changes: Iterable[RowChange]) -> Iterator[RowChange]:
        """Yield the changes of rows that are counted in one way."""
        for change in changes:
            place = (change.tier, change.pane_ms, change.scope)
            if any(change.amounts) and self.rows.get(place, self.held) == counted:
                yield change

    def _steps(self, task_id: str, facts: list[Fact], counted: Counted, watermark_ms: int) -> list[Step]:
        """Return the steps for rows that hold a task by some rules up to an offset, and by those of ``version`` from there."""
        found = difference(
            self.contributions(task_id, facts, watermark_ms), contributions(task_id, facts, watermark_ms)
        )
        other = counted.version != self.version
        known = [fact for fact in facts if fact.offset < counted.below] if other else []
        if known:
            found += difference(
                self._by(counted.version, task_id, known, watermark_ms),
                self.contributions(task_id, known, watermark_ms),
            )
        return [Step(group, sign, 0) for group, sign, _ in found]


class RowVersions:
    """Finds out by which rules the rows on a changelog are counted.

    Attributes:
        held: How rows are counted that nothing else is known of.
    """

    def __init__(self, metas: Mapping[str, int]) -> None:
        """Begin with the stamp of each owner's meta row."""
        self._metas = {owner: Counted(stamp, version_of(owner)) for owner, stamp in metas.items()}
        newest = max((known.version for known in self._metas.values()), default=formats.COUNTED.version)
        stamps = [known.below for known in self._metas.values() if known.version == newest > formats.FIRST]
        self.held = Counted(max(stamps, default=0), newest)
        self._oldest, self._first = newest, min(stamps, default=0)
        self._lowest: dict[str, int] = dict(metas)
        self._ahead: dict[bytes, list[tuple[int, str]]] = {}
        self._version = cache(version_of)

    def add(self, row: bytes, owner: str, stamp: int) -> None:
        """Take in a record of a row.

        Raises:
            NewerFormat: It is counted by the rules of a newer version.
        """
        if stamp < self._lowest.get(owner, stamp + 1):
            self._lowest[owner] = stamp
        version = self._version(owner)
        if version == self.held.version and stamp < self._first:
            self._first = stamp
        if stamp > self.held.below:
            self._oldest = min(self._oldest, version)
        if stamp > self.held.below or version > self.held.version:
            self._ahead.setdefault(row, []).append((stamp, owner))

    def recount(self) -> Recount:
        """Return what is to be brought over, without single rows."""
        return Recount(self._oldest, self._plain(self.held))

    def of(self, row: bytes, stamp: int, owner: str) -> Counted:
        """Return how the latest record of a row is counted, that of an owner with a stamp."""
        version = self._version(owner)
        if self._first < stamp <= self.held.below and version < self.held.version and not _continues(owner):
            # It is further than the first rows by the newest rules, and holds nothing by these: a zombie's.
            return self._plain(Counted(stamp, version))
        counted = self.held
        ahead = self._ahead.get(row, [])[::-1]  # of records with the same stamp the first on the changelog is kept
        ahead.sort(key=itemgetter(0))
        for at, writer in ahead:
            if not _continues(writer):
                counted = Counted(at, self._version(writer))
            elif self._lowest[writer] < self.held.below:
                # It was there before the newest meta row and never read it: a zombie.
                counted = self._read_by(writer)
        mixed = _CONTINUES + _MARK in owner and counted.version > version  # it went on with rows by newer rules
        told = mixed or stamp > self.held.below or counted.below == stamp
        return self._plain(counted if told else self.held)

    def _read_by(self, owner: str) -> Counted:
        """Return up to where an owner can have found rows by newer rules than its own when it began."""
        version = self._version(owner)
        newer = [one for one in self._metas.values() if one.version > version and one.below <= self._lowest[owner]]
        return max(newer, default=Counted(0, version))

    def _plain(self, counted: Counted) -> Counted:
        return Counted(0, self._oldest) if counted.version == self._oldest else counted


def may_differ(packed: Packed) -> bool:
    """Tell whether the present rules may make something else of a task: true for every audited one, never wrongly false."""
    return any(
        one[1] == _AUDIT_TAG
        or one[0] == _LONG_ARRAY
        or len(one) > _LONG_BYTES
        or b"\x1e" in one
        or b"\xa0" in one
        or b"\xa1?" in one
        for one in ((packed,) if isinstance(packed, bytes) else packed)
    )


def contributions_6(task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
    """Return what a task contributed by the rules of version 6; see ``effects.contributions``."""
    return _at_audits(facts, contributions(task_id, facts, watermark_ms, TaskView6), TaskView6)


def _at_audits(facts: Sequence[Fact], groups: Groups, read: Callable[[Sequence[Fact]], TaskView]) -> Groups:
    """Return groups with the evidence at the time at which an audit drew the label: until version 6 it counted there."""
    view = read(facts)
    for label_id, label in view.labels.items():
        group, verdict = groups.get("audit:" + label_id), view.verdict(label)
        if group is not None and group.evidence is not None and verdict is not None:
            groups["audit:" + label_id] = group._replace(evidence=group.evidence._replace(time_ms=verdict.audited_ms))
    return groups


def contributions_5(task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
    """Return what a task contributed by the rules of version 5; see ``effects.contributions``."""
    return _at_audits(facts, contributions(task_id, facts, watermark_ms, TaskView5), TaskView5)


def contributions_4(task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
    """Return what a task contributed by the rules of version 4; see ``effects.contributions``."""
    groups = contributions_5(task_id, facts, watermark_ms)
    audits = {name: group for name, group in groups.items() if name.startswith("audit:")}
    return groups | {name: group._replace(counters=_counters_4(group.counters)) for name, group in audits.items()}


def _counters_4(flat: tuple[c.Counter, ...]) -> tuple[c.Counter, ...]:
    """Return flat counters as version 4 counted: pairs of all audits alike, critical errors not by how the label was drawn."""
    kept: list[c.Counter] = []
    for counter, amount in zip(flat[::2], flat[1::2], strict=True):
        if isinstance(counter, str) and counter.startswith(_PAIRS):
            drawn = counter.startswith(c.CONFUSION_DRAWN_PREFIX)
            pair = c.pair_drawn(counter)[1] if drawn else counter[len(c.CONFUSION_ASSUMED_PREFIX) :]
            kept += [c.CONFUSION_PREFIX + pair, amount]
        elif counter not in _OF_CRITICAL:
            kept += [counter, amount]
    return tuple(kept)


def contributions_3(task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
    """Return what a task contributed by the rules of version 3; see ``effects.contributions``."""
    groups = contributions_4(task_id, facts, watermark_ms)
    view = TaskView5(facts)
    for label_id, label in view.labels.items():
        group, verdict = groups.get("audit:" + label_id), view.verdict(label)
        if group is not None and verdict is not None and verdict.assumed:
            evidence = detector_evidence_of(
                group.dims, verdict._replace(weight_nano=c.NANO, assumed=False), verdict.audited_ms
            )
            groups["audit:" + label_id] = group._replace(evidence=evidence)
    return groups


def contributions_2(task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
    """Return what a task contributed by the rules of version 2; see ``effects.contributions``."""
    groups = contributions(task_id, facts, watermark_ms)
    view = TaskView(facts)
    for label_id, label in view.labels.items():
        group, audit, verdict = groups.get("audit:" + label_id), view.effective_audit(label_id), view.verdict(label)
        if group is None or audit is None or verdict is None:
            continue
        by_latest = verdict._replace(weight_nano=audit.weight_nano, audited_ms=audit.time_ms, assumed=False)
        counters = _without_classes(_counters_4(judged_counters(task_id, view, label, by_latest)))
        evidence = detector_evidence_of(group.dims, by_latest, audit.time_ms)
        groups["audit:" + label_id] = group._replace(counters=counters, evidence=evidence)
    return groups


def _without_classes(flat: tuple[c.Counter, ...]) -> tuple[c.Counter, ...]:
    kept: list[c.Counter] = []
    for at in range(0, len(flat), 2):
        counter = flat[at]
        if type(counter) is not int or not c.CLASS_AUDITED <= counter < c.CLASS_WEIGHT_NANO + c.SAMPLING_CLASSES:
            kept += flat[at : at + 2]
    return tuple(kept)


def contributions_1(task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
    """Return what a task contributed by the rules of version 1; see ``effects.contributions``."""
    groups = contributions_2(task_id, facts, watermark_ms)
    view = TaskView(facts)
    for label_id, label in view.labels.items():
        group, audit, verdict = groups.get("audit:" + label_id), view.effective_audit(label_id), view.verdict(label)
        if group is not None and audit is not None and verdict is not None:
            pair = f"{label.values}{c.PAIR_SEPARATOR}{verdict.truth}"
            groups["audit:" + label_id] = group._replace(counters=_named(group.counters, pair, audit.weight_nano))
    if "overlap" in groups:
        labels = list(view.labels.values())
        groups["overlap"] = _overlap(labels, [view.label_dims(label) for label in labels])
    return groups


def _named(flat: tuple[c.Counter, ...], pair: str, weight_nano: int) -> tuple[c.Counter, ...]:
    """Return flat counters with a confusion pair as version 1 named it."""
    kept: list[c.Counter] = []
    for at in range(0, len(flat), 2):
        counter = flat[at]
        if not (isinstance(counter, str) and counter.startswith(_NAMED)):
            kept += flat[at : at + 2]
    kept += [c.CONFUSION_PREFIX + pair, 1]
    if weight_nano:
        kept += [c.CONFUSION_WEIGHT_PREFIX + pair, weight_nano]
    return tuple(kept)


def _overlap(labels: Sequence[Any], dims: Sequence[Dims]) -> Group:
    """Return what the labels of one task counted for as a whole in version 1: one without values was a decision like others."""
    latest = {own[_LABELER] or label.label_id: (label, own) for label, own in zip(labels, dims, strict=True)}
    kept = list(latest.values())
    first = kept[0][1]
    shared = tuple(value if all(own[at] == value for _, own in kept) else None for at, value in enumerate(first))
    alike = len({label.values for label, _ in kept}) == 1
    counters: tuple[c.Counter, ...] = (c.OVERLAPPED, 1, c.UNANIMOUS, 1) if alike else (c.OVERLAPPED, 1)
    return Group(shared, max(label.time_ms for label, _ in kept), counters)


_RULES: dict[int, Callable[[str, Sequence[Fact], int], Groups]] = {
    1: contributions_1,
    2: contributions_2,
    3: contributions_3,
    4: contributions_4,
    5: contributions_5,
    6: contributions_6,
    formats.COUNTED.version: contributions,
}
"""What a task contributes by the rules of each version."""
