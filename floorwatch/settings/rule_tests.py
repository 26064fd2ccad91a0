"""Unit tests of rules and routes, written in YAML, run by ``floorwatch rules test``. Pure but for reading the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from alerts.baseline import BaselineState
from alerts.evaluate import evaluate
from alerts.kinds.base import Faults
from alerts.notice import Target
from alerts.oncall.policy import RotaFacts
from alerts.routing.explain import explain
from alerts.routing.openings import (
    Opening,
    depends_on_time,
    openings,
    steps_of,
    told_at,
    told_channels,
    told_people,
)
from alerts.routing.policy import RoutingPolicy, Subject
from alerts.rules import DurationS, Rule
from alerts.scopes import scope_key
from alerts.signals import Severity
from alerts.view import MemoryRowView, Row, instant_ms
from config.base import Section
from config.errors import ConfigError, ConfigErrors
from config.nearest import choices, nearest
from config.nodes import Path as Place
from config.yaml_file import YamlFile, read_yaml_file
from floorwatch.settings.schema import FloorwatchConfig
from streams.core.durations import format_duration
from streams.core.formatting import rfc3339
from streams.core.policy import DIMENSIONS, MINUTE_MS
from streams.core.tables import TABLES
from streams.core.window_names import window_ms

MAX_FILE_BYTES = 1024 * 1024

_NO_TIME = ("must be a time with a zone", "write e.g. 2027-01-31T00:00:00Z")

Scope = dict[str, str]


class GivenIncident(Section):
    """The incident of a route test. ``kind`` and ``severity`` are those of the rule where it is named."""

    rule: str | None = None
    kind: str | None = None
    severity: Severity | None = None
    scope: Scope = Field(default={})


class ExpectedTier(Section):
    """Who is told ``after`` nobody has acknowledged for so long: channels, and people if they are written."""

    after: DurationS
    told: tuple[str, ...]
    people: tuple[str, ...] | None = None


class ExpectedRoutes(Section):
    """What a route test expects; what is not written is not looked at.

    Attributes:
        routes: In their order.
        told: Channels that are told at that time.
        people: Those who are told at that time.
        held: What holds messages back at that time: names of calendars and of maintenance windows.
        then: Steps of escalation.
    """

    routes: tuple[str, ...] | None = None
    told: tuple[str, ...] | None = None
    people: tuple[str, ...] | None = None
    held: tuple[str, ...] | None = None
    then: tuple[ExpectedTier, ...] | None = None

    def timed(self) -> bool:
        """Tell whether anything is expected that may depend on the time."""
        return any(one is not None for one in (self.told, self.people, self.held, self.then))


class RouteTest(Section):
    """An incident that opens at a time, and whom it should be told. The time matters for schedules, calendars and maintenance."""

    name: str | None = None
    incident: GivenIncident
    at: str | None = None
    expect: ExpectedRoutes


class GivenRow(Section):
    """A row of a table: what identifies it, and any of its fields, as in ``floorwatch table --json``."""

    model_config = ConfigDict(extra="allow", frozen=True)

    table: str
    scope: Scope = Field(default={})
    window: str | None = None


class ExpectedFiring(Section):
    """The scopes on which the rule fires, as keys such as ``vendor=bpo-a,queue=hate`` or ``all``; on no other."""

    firing: tuple[str, ...]


class RuleTest(Section):
    """Rows of one moment, and where a rule fires on them."""

    name: str | None = None
    rule: str
    at: str
    rows: tuple[GivenRow, ...] = Field(max_length=10_000)
    expect: ExpectedFiring


class RuleTestFile(Section):
    """A file of tests.

    Attributes:
        config: The configuration that is tested, relative to the file; None: that of ``--config``.
        routes: Tests of routes.
        rules: Tests of rules.
    """

    config: str | None = None
    routes: tuple[RouteTest, ...] = ()
    rules: tuple[RuleTest, ...] = ()

    @property
    def count(self) -> int:
        """How many tests there are."""
        return len(self.routes) + len(self.rules)


@dataclass(frozen=True)
class ReadTests:
    """A file of tests with the places of its values."""

    tests: RuleTestFile
    file: YamlFile

    def fault(self, path: Place, reason: str, hint: str | None) -> ConfigError:
        """Return a fault at a value of the file, or at the nearest thing around it."""
        return self.file.fault(path, reason, hint)


def read_tests(path: Path) -> ReadTests:
    """Read a file of tests.

    Args:
        path: The YAML file.

    Raises:
        ConfigErrors: Every fault found, with its place.
        config.files.FileFault: It cannot be read.
    """
    file = read_yaml_file(path, MAX_FILE_BYTES)
    tests = file.read_as(RuleTestFile, "routes:  or  rules:")
    if not tests.count:
        raise ConfigErrors([ConfigError(file.name, 1, 1, "the file holds no test", "add  routes:  or  rules:")])
    return ReadTests(tests, file)


def failures(read: ReadTests, config: FloorwatchConfig, policy: RoutingPolicy) -> list[ConfigError]:
    """Run the tests; return each that fails, with its place, what was found and why.

    Args:
        read: The tests.
        config: The configuration that is tested.
        policy: Its routing.
    """
    rules = {rule.name: rule for rule in config.rules}
    found: list[ConfigError] = []
    for number, test in enumerate(read.tests.routes):
        found += _route_failures(read, ("routes", number), test, rules, policy)
    for number, rule_test in enumerate(read.tests.rules):
        found += _rule_failures(read, ("rules", number), rule_test, rules)
    return found


def subject_of(incident: GivenIncident, rules: dict[str, Rule]) -> Subject | str:
    """Return what routes look at, or what is wrong with it, in words.

    Args:
        incident: What is known of the incident.
        rules: The rules in force, by name.
    """
    rule = rules.get(incident.rule or "")
    if incident.rule is not None and rule is None:
        return f"there is no rule {incident.rule} in force; {nearest(incident.rule, rules, 'floorwatch rules show lists them')}"
    wrong = next((name for name in incident.scope if name not in DIMENSIONS), None)
    if wrong is not None:
        return f"{wrong} is not a dimension; {choices(wrong, DIMENSIONS)}"
    kind = incident.kind or (rule.kind if rule is not None else "")
    severity = incident.severity or (rule.severity if rule is not None else None)
    if severity is None:
        return "neither a rule nor a severity is named; add  rule: NAME"
    return Subject("", kind, incident.rule or "", severity, incident.scope)


def _route_failures(
    read: ReadTests, place: Place, test: RouteTest, rules: dict[str, Rule], policy: RoutingPolicy
) -> Iterator[ConfigError]:
    subject = subject_of(test.incident, rules)
    if isinstance(subject, str):
        yield read.fault((*place, "incident"), subject, None)
        return
    at_ms = 0
    if test.at is not None:
        try:
            at_ms = instant_ms(test.at)
        except ValueError:
            yield read.fault((*place, "at"), *_NO_TIME)
            return
    elif test.expect.timed() and depends_on_time(policy, subject):
        reason = "it depends on the time who is told of this incident"
        yield read.fault(
            (*place, "incident"), reason, "add the time at which it opens, e.g.  at: 2026-12-05T03:00:00+08:00"
        )
        return
    why = "; ".join(line.strip() for line in explain(policy, subject, RotaFacts(), at_ms))
    name = f"{test.name}: " if test.name else ""
    for part, said in _differences(test.expect, policy, subject, at_ms):
        yield read.fault((*place, "expect", part), f"{name}{said}", why)


def _differences(
    expect: ExpectedRoutes, policy: RoutingPolicy, subject: Subject, at_ms: int
) -> Iterator[tuple[str, str]]:
    """Yield what is otherwise than expected: its name and how it is."""
    found = openings(policy, subject, RotaFacts(), at_ms)
    now = [target for one in found if not one.told.holds for target in one.told.targets]
    held = dict.fromkeys(one.told.holds[0].by for one in found if one.told.holds)
    routes = tuple(one.match.route.name for one in found)
    if expect.routes is not None and routes != expect.routes:
        yield "routes", f"expected {_listed(expect.routes)}, got {_listed(routes)}"
    for name, wanted, got in (
        ("told", expect.told, told_channels(now)),
        ("people", expect.people, told_people(now)),
        ("held", expect.held, tuple(held)),
    ):
        if wanted is not None and set(wanted) != set(got):
            yield name, f"expected {_listed(wanted)}, got {_listed(got)}"
    if expect.then is not None:
        tiers = tuple(_tiers(policy, subject, found, at_ms))
        wanted_tiers = tuple((round(one.after * 1000), frozenset(one.told)) for one in expect.then)
        if tuple(one[:2] for one in tiers) != wanted_tiers:
            yield "then", f"expected {_tier_words(wanted_tiers)}, got {_tier_words(tuple(one[:2] for one in tiers))}"
            return
        for number, (tier, people) in enumerate(zip(expect.then, (one[2] for one in tiers), strict=True), 1):
            if tier.people is not None and frozenset(tier.people) != people:
                yield "then", f"step {number}: expected {_listed(sorted(tier.people))}, got {_listed(sorted(people))}"


def _tiers(
    policy: RoutingPolicy, subject: Subject, found: list[Opening], at_ms: int
) -> Iterator[tuple[int, frozenset[str], frozenset[str]]]:
    """Yield the steps of escalation of all routes by time: after how long, the channels and the people told."""
    by_time: dict[int, list[Target]] = {}
    seen: set[tuple[int, str, int]] = set()
    for one in found:
        begin_ms = at_ms if one.told.at_ms is None else one.told.at_ms
        for step in steps_of(policy, one.match.route, policy.rule_tiers.get(subject.rule, ())):
            same = (step.after_ms, step.route.name, step.tier)
            if same not in seen:
                seen.add(same)
                told = told_at(policy, step, subject, RotaFacts(), begin_ms + step.after_ms)
                by_time.setdefault(step.after_ms, []).extend(told.targets)
    for after_ms, some in sorted(by_time.items()):
        yield after_ms, frozenset(told_channels(some)), frozenset(told_people(some))


def _tier_words(tiers: tuple[tuple[int, frozenset[str]], ...]) -> str:
    said = [f"{format_duration(after_ms / 1000)} {_listed(sorted(told))}" for after_ms, told in tiers]
    return ", then ".join(said) or "no escalation"


def _listed(names: Any) -> str:
    return f"[{', '.join(names)}]"


def _rule_failures(read: ReadTests, place: Place, test: RuleTest, rules: dict[str, Rule]) -> Iterator[ConfigError]:
    rule = rules.get(test.rule)
    if rule is None:
        hint = nearest(test.rule, rules, "floorwatch rules show lists them")
        yield read.fault((*place, "rule"), f"there is no rule {test.rule} in force", hint)
        return
    try:
        at_ms = instant_ms(test.at)
    except ValueError:
        yield read.fault((*place, "at"), *_NO_TIME)
        return
    tables: dict[tuple[str, str], dict[str, Row]] = {}
    for number, given in enumerate(test.rows):
        where = (*place, "rows", number)
        if given.table not in TABLES:
            yield read.fault((*where, "table"), f"there is no table {given.table}", choices(given.table, TABLES))
            return
        try:
            row = _row(given, rule, at_ms)
        except ValueError as error:
            yield read.fault((*where, "scope"), str(error), None)
            return
        tables.setdefault((given.table, row["window"]), {})[row["scope_key"]] = row
    faults: Faults = {}
    signals = evaluate([rule], MemoryRowView(tables), at_ms, BaselineState(), faults=faults)
    for (_, key), fault in faults.items():
        hint = "write the fields of the row as `floorwatch table --json` shows them"
        yield read.fault((*place, "rows"), f"the rule cannot judge {key or 'these rows'}: {fault.reason}", hint)
    name = f"{test.name}: " if test.name else ""
    firing = sorted(signal.scope_key for signal in signals if signal.firing)
    if not faults and firing != sorted(test.expect.firing):
        said = "; ".join(
            f"{one.scope_key}: {'fires' if one.firing else 'quiet'}, {one.evidence}" for one in signals[:5]
        )
        hint = said or "the rule says nothing of these rows: is their scope, table and window the rule's?"
        got = f"{name}expected {_listed(sorted(test.expect.firing))}, got {_listed(firing)}"
        yield read.fault((*place, "expect", "firing"), got, hint)


def _row(given: GivenRow, rule: Rule, at_ms: int) -> dict[str, Any]:
    """Return a row with what every row has filled in: a window that ends at the next full minute."""
    window = given.window or rule.window
    end_ms = at_ms - at_ms % MINUTE_MS + MINUTE_MS
    row: dict[str, Any] = {
        "table": given.table,
        "scope": given.scope,
        "scope_key": scope_key(given.scope),
        "window": window,
        "start": rfc3339(end_ms - window_ms(window)),
        "end": rfc3339(end_ms),
    }
    return {**row, **(given.model_extra or {})}
