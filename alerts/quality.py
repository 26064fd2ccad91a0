"""Whether alerts were right, by rule: from incidents and from what people did, as they stand on the log. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from msgspec import Struct

from alerts.codec import Input
from alerts.incident import HIDDEN, Ack, Act, Incident
from streams.core.binomial import interval_limits

MARKS = ("useful", "not_useful")


class RuleQuality(Struct, frozen=True):
    """How the alerts of one rule fared. A ratio or a time is None where there is nothing to tell it from.

    Attributes:
        rule: Its name.
        incidents: Incidents that people could see.
        marked: Those that somebody has marked, and that are not disputed.
        useful: Those of them that were useful.
        disputed: Those for which as many people said useful as not; they count neither way.
        precision_ratio: ``useful / marked``.
        low_ratio: Lower limit of its interval (``streams.core.binomial``).
        high_ratio: Upper limit.
        acknowledged: Incidents with an acknowledgement on the log.
        acknowledge_s: Median time from opening (event time) to the first of them (wall time), in seconds.
        resolved: Incidents that are over.
        resolve_s: Median time from opening to the end, both of event time, in seconds.
    """

    rule: str
    incidents: int
    marked: int
    useful: int
    disputed: int
    precision_ratio: float | None
    low_ratio: float | None
    high_ratio: float | None
    acknowledged: int
    acknowledge_s: float | None
    resolved: int
    resolve_s: float | None


class Deeds(Struct):
    """What people did, by incident: last mark of each person, and when it was acknowledged (wall time)."""

    marks: dict[str, dict[str, str]]
    taken_ms: dict[str, list[int]]

    @classmethod
    def none(cls) -> Deeds:
        """Return that nothing was done yet."""
        return cls({}, {})

    def take(self, given: Input) -> None:
        """Fold one input of the log, in the order of the log."""
        match given:
            case Act() if given.what in MARKS:
                self.marks.setdefault(given.key, {})[given.by] = given.what
            case Ack():
                self._acknowledged(given.key, given.at_ms)
            case Act() if given.what == "ack":
                self._acknowledged(given.key, given.at_ms)
            case _:
                pass

    def _acknowledged(self, key: str, at_ms: int) -> None:
        self.taken_ms.setdefault(key, []).append(at_ms)


def quality_by_rule(incidents: Iterable[Incident], deeds: Deeds, since_ms: int | None = None) -> list[RuleQuality]:
    """Return how the alerts of each rule fared, by name of the rule.

    Args:
        incidents: The last state of each incident.
        deeds: What people did.
        since_ms: Only incidents that opened at this time (event time) or later; None takes all.
    """
    by_rule: dict[str, list[Incident]] = {}
    for one in incidents:
        seen = one.opened_ms is not None and one.state not in HIDDEN
        if seen and one.opened_ms is not None and (since_ms is None or one.opened_ms >= since_ms):
            by_rule.setdefault(one.rule, []).append(one)
    return [_of(rule, by_rule[rule], deeds) for rule in sorted(by_rule)]


def _of(rule: str, incidents: list[Incident], deeds: Deeds) -> RuleQuality:
    verdicts = [_verdict(deeds.marks.get(one.key, {})) for one in incidents]
    useful, marked = verdicts.count("useful"), verdicts.count("useful") + verdicts.count("not_useful")
    limits = interval_limits(useful, marked) if marked else None
    taken = [
        max(0, min(deeds.taken_ms[one.key]) - one.opened_ms) / 1000
        for one in incidents
        if one.key in deeds.taken_ms and one.opened_ms is not None
    ]
    over = [
        max(0, one.resolved_ms - one.opened_ms) / 1000
        for one in incidents
        if one.resolved_ms is not None and one.opened_ms is not None
    ]
    return RuleQuality(
        rule=rule,
        incidents=len(incidents),
        marked=marked,
        useful=useful,
        disputed=verdicts.count("disputed"),
        precision_ratio=useful / marked if marked else None,
        low_ratio=None if limits is None else limits[0],
        high_ratio=None if limits is None else limits[1],
        acknowledged=len(taken),
        acknowledge_s=median(taken) if taken else None,
        resolved=len(over),
        resolve_s=median(over) if over else None,
    )


def _verdict(marks: dict[str, str]) -> str:
    """Return what most people said of an incident: ``useful``, ``not_useful``, ``disputed``, or nothing."""
    good = sum(mark == "useful" for mark in marks.values())
    if not marks:
        return ""
    return "disputed" if 2 * good == len(marks) else "useful" if 2 * good > len(marks) else "not_useful"
