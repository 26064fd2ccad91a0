"""The cohort: what one scorecard needs of all other labellers, computed once.

Costs one pass over the labels; then each person costs the kinds of work that person does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from floorwatch.analysis.people.learning import Curve, PriorTenure, error_curve, handle_curve, like_tenured, tenure_of
from floorwatch.analysis.people.peers import Tallies, WorkTally, summed, tally_works
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.rushing import Period, fast_limits, fast_risk
from floorwatch.analysis.people.standing_labels import StandingLabel, between, by_labeler
from streams.core.proportions import Interval

REFERENCE_WINDOWS = 4
"""Length of the reference period of the rushing detector, in windows before the present one."""


class Peers(NamedTuple):
    """The peers that somebody is compared with.

    Attributes:
        names: The peers.
        like_tenure: They are of like tenure. If there were too few of these, the peers are everybody.
        tallies: Their counts in the window.
        reference: Their counts in the reference period.
    """

    names: list[str]
    like_tenure: bool
    tallies: Tallies
    reference: Tallies


class Cohort:
    """All labellers of a log as of a moment, with a window and the reference period before it.

    Attributes:
        works: Labels of each labeller over the whole log, by time.
        window: Labels of each in the window.
        reference: Labels of each in the reference period.
        tenures: Tenure of each.
        risk: Risk ratio of everybody's fast labels over both periods.
    """

    def __init__(
        self,
        works: Sequence[StandingLabel],
        window: tuple[int, int],
        policy: PeoplePolicy,
        known: Mapping[str, PriorTenure] | None = None,
    ) -> None:
        """Sort the labels.

        Args:
            works: Standing labels of the whole log, by time.
            window: Half-open range in ms; what is decided at or after its end is not looked at.
            policy: Bounds.
            known: Tenure from before the log.
        """
        self.policy = policy
        self.start_ms, self.end_ms = window
        self.known = dict(known or {})
        before_ms = self.start_ms - REFERENCE_WINDOWS * (self.end_ms - self.start_ms)
        seen = [work for work in works if work.time_ms < self.end_ms]
        self.begin_ms = seen[0].time_ms if seen else self.start_ms
        self.works = by_labeler(seen)
        self.window = by_labeler(between(seen, self.start_ms, self.end_ms))
        self.reference = by_labeler(between(seen, before_ms, self.start_ms))
        self.tenures = {
            name: tenure_of(own, self.begin_ms, self.end_ms, policy, self.known.get(name))
            for name, own in self.works.items()
        }
        self._tallies = {name: tally_works(own) for name, own in self.window.items()}
        self._past = {name: tally_works(own) for name, own in self.reference.items()}
        established = [name for name, tenure in self.tenures.items() if not tenure.is_new(policy)]
        self._sums = {
            group: tuple(summed(tallies[name] for name in names if name in tallies) for tallies in self._both)
            for group, names in (("established", established), ("everybody", list(self.works)))
        }
        self.risk = self._risk()

    @property
    def _both(self) -> tuple[dict[str, Tallies], dict[str, Tallies]]:
        return self._tallies, self._past

    def _risk(self) -> Interval | None:
        limits = fast_limits(self._sums["everybody"][0], self.policy)
        labels = [work for period in (self.reference, self.window) for own in period.values() for work in own]
        return fast_risk(labels, limits, self.policy)

    def peers_of(self, labeler_id: str) -> Peers:
        """Return the peers of one labeller: of like tenure where there are enough on the floor, else everybody."""
        tenure = self.tenures[labeler_id]
        others = {name: held for name, held in self.tenures.items() if name != labeler_id and name in self._tallies}
        alike = like_tenured(tenure, others, self.policy)
        if len(alike) < self.policy.min_peers:
            return Peers(list(others), False, *self._without("everybody", labeler_id))
        if tenure.is_new(self.policy):
            sums = (summed(tallies[name] for name in alike if name in tallies) for tallies in self._both)
            return Peers(alike, True, *sums)
        return Peers(alike, True, *self._without("established", labeler_id))

    def _without(self, group: str, labeler_id: str) -> tuple[Tallies, Tallies]:
        """Return a group's counts without those of one labeller, who must be in the group. Unchanged parts are shared."""
        now, past = (
            _less(total, tallies.get(labeler_id, {}))
            for total, tallies in zip(self._sums[group], self._both, strict=True)
        )
        return now, past

    def periods_of(self, labeler_id: str, peers: Peers) -> tuple[Period, Period]:
        """Return one labeller's labels and peers in the window and in the reference period."""
        return (
            Period(self.window.get(labeler_id, []), self._tallies.get(labeler_id, {}), peers.tallies),
            Period(self.reference.get(labeler_id, []), self._past.get(labeler_id, {}), peers.reference),
        )

    def curves_without(self, labeler_id: str) -> tuple[Curve | None, Curve | None]:
        """Return the learning curves of handle time and errors, of peers whose beginning is known."""
        learners = {name: own for name, own in self.works.items() if name != labeler_id and self.tenures[name].exact}
        before = {name: held.labels for name, held in self.known.items()}
        handle = handle_curve(learners, self._sums["established"][0], self.policy, before)
        return handle, error_curve(learners, before)


def _less(total: Tallies, own: Tallies) -> Tallies:
    found = dict(total)
    for mix, tally in own.items():
        rest = WorkTally()
        rest.add(total[mix])
        rest.add(tally, -1)
        found[mix] = rest
    return found
