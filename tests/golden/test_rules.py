"""A ledger of version 1 is counted anew once, whoever dies when, and also where the deployed version had it back for a while."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from streams.core import counters as c
from streams.core import recount
from streams.core.detectors.dispersion import ASSUMED, NANO, PaneClass
from streams.core.detectors.packed import accuracy_pane
from streams.core.effects import contributions
from streams.core.facts import Audit, Label, pack, repacked, unpack
from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.records import Record
from streams.core.recount import Recount, contributions_1, contributions_2, may_differ, version_of, versioned
from streams.models.formats import NewerFormat
from tests.golden import deployed, make
from tests.golden.holding import Entries, _entries, hold, texts
from tests.golden.test_states import DEPLOYED, different, finish, golden, pairs
from tests.support import seeds


@cache
def whole() -> dict[str, Any]:
    """Return the rows of one fold of the whole log."""
    return finish([new_store(n, make.policy(), f"whole-{n}") for n in range(make.PARTITIONS)], Floor(make.policy()))


def ended(changelogs: list[Entries], partials: Entries, owner: str) -> dict[str, Any]:
    """Return all rows once the last holders have folded the rest of the log."""
    stores = [new_store(number, make.policy(), f"{owner}-{number}") for number in range(make.PARTITIONS)]
    for store, entries in zip(stores, changelogs, strict=True):
        store.restore(entries)
    floor = Floor(make.policy())
    floor.apply(partials)
    return finish(stores, floor)


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(6, 12))
def test_whoever_dies_when_the_rows_are_those_of_one_fold(seed: int) -> None:
    version = (DEPLOYED, "9", "4")[seed % 3]
    rng = Random(seed)
    state = golden(version)
    changelogs, partials = [pairs(entries) for entries in state["changelogs"]], pairs(state["partials"])
    for holding in range(4):
        for number, changelog in enumerate(changelogs):
            folds = [rng.randint(1, 25) for _ in range(rng.randint(1, 3))]
            lost = rng.choice([0, 1, 2, rng.randint(1, 200), 10_000])
            hold(number, f"n{holding}-{number}", changelog, partials, folds, lost)
    wrong = different(ended(changelogs, partials, "last"), whole())
    assert not wrong, f"{len(wrong)} rows: {list(wrong.items())[:2]!s:.3000}"


@cache
def records() -> list[Record]:
    """Return the first partition of the log."""
    return [Record(at, make.ARRIVED_MS, *event) for at, event in enumerate(make.log()[0])]


class Shift:
    """One worker's time with the first partition, by the rules of a version."""

    def __init__(self, owner: str, changelog: Entries, version: int | None = None) -> None:
        self.store = new_store(0, make.policy(), owner)
        self.store.restore(changelog)
        if version is not None:  # it stays with those rules
            self.store.ledger.recount, self.store.ledger._stops = Recount(version), [1_000_000]

    def fold(self, end: int) -> Shift:
        self.store.ledger.fold(records()[self.store.ledger.next : end])
        return self

    def flush(self, lost: int = 0) -> Entries:
        flush = self.store.collect()
        written = [] if flush is None else [*flush.rows, flush.meta]
        return written[: len(written) - lost]

    def rows(self) -> dict[Any, Any]:
        # Rules change with the first records behind all rows that are ahead.
        self.fold(len(records()) - 1).fold(len(records())).store.ledger.drain()
        keys = self.store.ledger.scopes.keys
        found = {
            (keys[scope], tier, pane): row.counters for (tier, pane, scope), row in self.store.ledger.rows.places()
        }
        return {key: {name: n for name, n in counters.items() if n} for key, counters in found.items()}


@cache
def alone() -> dict[Any, Any]:
    return Shift("alone", []).rows()


def wrong_rows(changelog: Entries) -> list[Any]:
    """Return the rows that are wrong once the next owner has folded the rest of the log."""
    found = Shift("T", changelog).rows()
    return [(key, found.get(key), alone()[key]) for key in alone() if found.get(key) != alone()[key]]


@pytest.mark.parametrize("lost", [0, 1, 40])
@pytest.mark.parametrize("version", [1, 2, 4])
def test_rows_of_a_zombie_of_earlier_rules_are_by_these_rules_alone(version: int, lost: int) -> None:
    """Z flushes at 100, folds to 300 and stalls; N restores and flushes at 200; only then Z's second flush arrives."""
    zombie = Shift("Z", [], version).fold(100)
    log = zombie.flush()
    zombie.fold(300)
    log += Shift("N", log).fold(200).flush()
    log += zombie.flush(lost)
    assert not (wrong := wrong_rows(log)), f"{len(wrong)} rows: {wrong[:2]}"
    # The next owner counts on by the earlier rules, on rows of both kinds, flushes, and is replaced.
    for end in (250, 290, 310):
        log += Shift(f"T{end}", log).fold(end).flush()
        assert not (wrong := wrong_rows(log)), f"after {end}, {len(wrong)} rows: {wrong[:2]}"


def test_a_flush_of_newer_rules_that_was_cut_short_counts_below_the_flush_of_a_zombie() -> None:
    zombie = Shift("Z", [], 2).fold(250)
    log = zombie.flush()
    zombie.fold(300)
    log += Shift("N", log).fold(260).flush(lost=1)
    log += zombie.flush()
    assert not (wrong := wrong_rows(log)), f"{len(wrong)} rows: {wrong[:2]}"


@pytest.mark.parametrize("lost", [0, 1])
def test_rows_of_a_zombie_that_has_been_passed_are_brought_over_too(lost: int) -> None:
    """Z is ahead of N's first flush and behind N's second, and its rows are ahead of those that N has not changed since."""
    zombie = Shift("Z", [], 2).fold(100)
    log = zombie.flush()
    zombie.fold(260)
    successor = Shift("N", log).fold(255)
    log += successor.flush()
    log += successor.fold(290).flush()
    log += zombie.flush(lost)
    assert not (wrong := wrong_rows(log)), f"{len(wrong)} rows: {wrong[:2]}"
    log += Shift("T", log).fold(310).flush(lost)
    assert not (wrong := wrong_rows(log)), f"{len(wrong)} rows: {wrong[:2]}"


def test_what_waits_when_rules_change_is_counted_under_its_own_names() -> None:
    zombie = Shift("Z", [], 2).fold(100)
    log = zombie.flush()
    zombie.fold(200)
    log += zombie.flush(lost=1)
    found = Shift("T", log)
    found.store.ledger.scopes.tuples_limit = 1  # numbers are forgotten with every drain
    assert found.fold(300).store.ledger.recount is not None
    assert found.rows() == alone()


def test_an_upgrade_takes_one_task_after_the_other_and_counts_it_once_by_each_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Shift("Z", [], 2).fold(300).flush()
    ledger = Shift("T", log).store.ledger
    assert ledger.recount is not None
    audited = sum(may_differ(packed) for _, packed in ledger.tasks.items())
    counted, read = Counter[str](), list[str]()
    monkeypatch.setitem(
        recount._RULES, 2, lambda task_id, *rest: counted.update([task_id]) or contributions_2(task_id, *rest)
    )
    monkeypatch.setattr(recount, "DRAIN_AT", 4)

    def tasks() -> Iterator[tuple[str, Any]]:
        for task_id, packed in ledger.tasks.items():
            read.append(task_id)
            yield task_id, packed

    changes = ledger.recount.changes(tasks, ledger.scopes, ledger.policy, ledger.watermark_ms)
    next(changes)
    assert len(counted) < audited / 2
    assert sum(1 for _ in changes) > 0
    assert len(read) == len(set(read))
    assert (len(counted), set(counted.values())) == (audited, {1})
    assert not wrong_rows(log)


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 4))
def test_the_deployed_version_may_have_had_it_back_in_between(seed: int, tmp_path: Path) -> None:
    rng = Random(100 + seed)
    installed = deployed.install(tmp_path / "old")
    changelogs: list[Entries] = [[] for _ in range(make.PARTITIONS)]
    partials: Entries = []
    script = Path(__file__).with_name("holding.py")
    for holding in range(6):
        for number, changelog in enumerate(changelogs):
            folds = [rng.randint(5, 40) for _ in range(rng.randint(1, 2))]
            lost = rng.choice([0, 0, 1, rng.randint(1, 150)])
            owner = f"h{holding}-{number}"
            if holding % 2:
                hold(number, owner, changelog, partials, folds, lost)
                continue
            file = tmp_path / "state.json"
            given = {"number": number, "owner": owner, "folds": folds, "lost": lost}
            file.write_text(json.dumps({**given, "changelog": texts(changelog), "partials": texts(partials)}))
            deployed.run_python(installed, [str(script), str(file)], dict(os.environ))
            found = json.loads(file.read_text())
            changelog[:], partials[:] = _entries(found["changelog"]), _entries(found["partials"])
    wrong = different(ended(changelogs, partials, "last"), whole())
    assert not wrong, f"{len(wrong)} rows: {list(wrong.items())[:2]!s:.3000}"


def test_after_one_whole_flush_nothing_is_left_to_count_anew() -> None:
    state = golden(DEPLOYED)
    changelog, partials = pairs(state["changelogs"][0]), pairs(state["partials"])
    store = new_store(0, make.policy(), "first")
    store.restore(changelog)
    assert store.ledger.recount is not None
    assert store.owner == "first"
    hold(0, "first", changelog, partials, [make.AHEAD + 1, 1], 0)
    again = new_store(0, make.policy(), "second")
    again.restore(changelog)
    assert again.ledger.recount is None
    assert again.owner == versioned("second") == "second~7"


def test_a_new_ledger_has_nothing_to_count_anew() -> None:
    store = new_store(0, make.policy(), "new")
    assert (store.restore([]), store.ledger.recount, store.owner) == (0, None, "new~7")


def test_an_owner_says_by_which_rules_its_rows_are_counted() -> None:
    assert [version_of(owner) for owner in ("0011aabb", "w.3", "w.3~2", "w.3~4", "~x")] == [1, 1, 2, 4, 1]
    with pytest.raises(NewerFormat, match="how a row is counted in format version 8"):
        version_of("0011aabb~8")


def label(offset: int, who: str, values: str) -> Label:
    dims = (None, None, None, "q", "p", None, None, who)
    return Label(offset, f"s\x00{offset}", 1_000 + offset, f"l{offset}", dims, values, None, None, None, None, None)


def test_only_tasks_that_differ_are_counted_anew_and_none_is_missed() -> None:
    for one, two in (("", ""), ("", "a"), ("a", "b"), ("b" * 300, "a"), ("a", "a"), ("a\x1eb", "a\x1eb")):
        facts = [label(1, "ann", one), label(2, "ben", two)]
        packed = tuple(map(pack, facts))
        if contributions("t", facts, 0) != contributions_1("t", facts, 0):
            assert may_differ(packed), (one, two)


def test_a_fact_of_version_1_is_packed_as_it_is_now() -> None:
    before, now = label(1, "ann", "a\x1ea\x1eb"), label(1, "ann", "a\x1eb")
    assert repacked(pack(before)) == pack(now)
    assert unpack(repacked(pack(label(1, "ann", "?"))))[0] == label(1, "ann", "\x1e?")
    for same in ("", "a", "a\x1eb"):
        packed = pack(label(1, "ann", same))
        assert repacked(packed) is packed


def test_version_3_counted_audits_that_say_nothing_of_sampling_with_those_of_probability_1() -> None:
    audit = Audit(2, "s\x002", 1_002, "a", "l1", "aud", True, 0, 0, "b", 0, False, False, assumed=True)
    facts = [label(1, "ann", "a"), audit]
    before, now = (Recount(version).contributions("t", facts, 0) for version in (3, 4))
    [name] = [name for name in now if now[name].evidence is not None]
    assert {key: one._replace(evidence=None) for key, one in before.items()} == {
        key: one._replace(evidence=None) for key, one in now.items()
    }
    panes = [accuracy_pane({one.counter: one.amount}) for one in (before[name].evidence, now[name].evidence) if one]
    assert panes == [(PaneClass(NANO, 1, 1),), (PaneClass(ASSUMED, 1, 1),)]
    assert may_differ(tuple(map(pack, facts)))


@pytest.mark.parametrize("weight_nano", [0, 20 * NANO])
def test_version_4_counted_pairs_of_all_audits_alike(weight_nano: int) -> None:
    audit = Audit(
        2, "s\x002", 1_002, "a", "l1", "aud", True, 0, 1, "b", weight_nano, False, False, assumed=not weight_nano
    )
    facts = [label(1, "ann", "a"), audit]
    before, now = (Recount(version).contributions("t", facts, 0)["audit:l1"].counters for version in (4, 5))
    counted, counts = (dict(zip(flat[::2], flat[1::2], strict=True)) for flat in (before, now))
    pair = f"a{c.PAIR_SEPARATOR}b"
    assert counted.pop(f"C:{pair}") == counts.pop(f"D:e{pair}" if weight_nano else f"A:{pair}", None) == 1
    critical = {c.WEIGHT_CRITICAL_NANO, c.CLASS_CRITICAL + 4} if weight_nano else {c.ASSUMED_CRITICAL}
    assert counts.keys() - counted.keys() == critical
    assert counted == {counter: amount for counter, amount in counts.items() if counter not in critical}


@pytest.mark.parametrize(
    ("first", "second", "before", "now"),
    [
        ({}, {"assumed": True}, {c.ASSUMED}, {c.TARGETED}),
        ({"assumed": True}, {}, {c.ASSUMED}, {c.ASSUMED}),
        ({"assumed": True, "gold": True}, None, {c.ASSUMED}, {c.TARGETED}),
        ({"weight_nano": 4 * NANO}, {"assumed": True}, {c.WEIGHT_NANO}, {c.WEIGHT_NANO}),
    ],
    ids=["picked, then silent", "silent, then picked", "planted", "drawn"],
)
def test_version_5_assumed_a_label_random_where_any_audit_was_silent(
    first: dict[str, Any], second: dict[str, Any] | None, before: set[int], now: set[int]
) -> None:
    said = {"weight_nano": 0, "gold": False, "assumed": False}
    facts = [label(1, "ann", "a")]
    for at, one in enumerate((first, second), 2):
        if one is not None:
            how = said | one
            audit = Audit(
                *(at, f"s\x00{at}", 1_000 + at, f"a{at}", "l1", "aud", True, 0, 0, "b", how["weight_nano"], False),
                *(how["gold"], None, how["assumed"]),
            )
            facts.append(audit)
    drawn = {c.ASSUMED, c.TARGETED, c.WEIGHT_NANO}
    for version, expected in ((3, before), (4, before), (5, before), (6, now), (7, now)):
        assert drawn & {*Recount(version).contributions("t", facts, 0)["audit:l1"].counters[::2]} == expected, version
    assert may_differ(tuple(map(pack, facts)))


@pytest.mark.parametrize(
    ("first", "second", "before", "now"),
    [
        ({"assumed": True, "time": 9_000}, {"time": 2_000}, {c.ASSUMED}, {c.TARGETED}),
        ({"time": 9_000}, {"assumed": True, "time": 2_000}, {c.TARGETED}, {c.ASSUMED}),
        ({"assumed": True, "time": 2_000}, {"time": 9_000}, {c.ASSUMED}, {c.ASSUMED}),
    ],
    ids=["a silent second look is there first", "what picked it is there first", "they come in order"],
)
def test_version_6_went_by_the_audit_that_arrived_first(
    first: dict[str, Any], second: dict[str, Any], before: set[int], now: set[int]
) -> None:
    facts = [label(1, "ann", "a")]
    for at, one in enumerate((first, second), 2):
        facts.append(
            Audit(
                *(at, f"s\x00{at}", one["time"], f"a{at}", "l1", "aud", True, 0, 0, "b", 0, False),
                *(False, None, one.get("assumed", False)),
            )
        )
    drawn = {c.ASSUMED, c.TARGETED}
    for version, expected in ((6, before), (7, now)):
        assert drawn & {*Recount(version).contributions("t", facts, 0)["audit:l1"].counters[::2]} == expected, version
    assert may_differ(tuple(map(pack, facts)))


def test_until_the_rows_ahead_are_passed_the_short_ways_are_not_taken() -> None:
    events = [json.loads(raw) for raw in make._rare_events()]
    task = [event for event in events if event["subject"] == "rare-empty-2"][:2]
    assert [event["type"].split(".")[1] for event in task] == ["label", "audit"]
    store = new_store(0, make.policy(), "w")
    ledger = store.ledger
    ledger.recount, ledger._stops = Recount(), [1_000]
    for at, event in enumerate(task):
        ledger.fold([Record(at, make.ARRIVED_MS, b"rare-empty-2", json.dumps(event).encode())])
    ledger.drain()
    confused = {counter for _, row in ledger.rows.places() for counter in row.counters if str(counter).startswith("C:")}
    assert confused == {"C:\x1fham"}
