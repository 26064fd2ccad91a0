"""The cohort: what one scorecard needs of all other labellers, computed once.

Costs one pass over the labels; then each person costs the kinds of work that person does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from floorwatch.analysis.people.accuracy import Accuracy, PlainAudits, TargetStanding, accuracy_of
from floorwatch.analysis.people.clusters import DayClusters, correlation_of, day_clusters
from floorwatch.analysis.people.learning import Curve, PriorTenure, error_curve, handle_curve, like_tenured, tenure_of
from floorwatch.analysis.people.peers import Tallies, less, summed, tally_works
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.pooling import Pooled, Prior, pooled_of, prior_of, spread_chances
from floorwatch.analysis.people.recovery import AuditedStretch, Span, Untouched
from floorwatch.analysis.people.rushing import Period, fast_limits, fast_risk
from floorwatch.analysis.people.sampled import SampledAudits
from floorwatch.analysis.people.standing_labels import StandingLabel, between, by_labeler
from streams.core.binomial import TAIL
from streams.core.multiplicity import benjamini_hochberg
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


class JudgedTogether(NamedTuple):
    """Who of all people in the window is named for coaching by the audits.

    Attributes:
        people: How many had audits enough to be judged.
        named: Those of them who are named, by Benjamini and Hochberg's rule: of these at most ``rate`` meet the target, on average.
        rate: The false discovery rate.
        correlation: Of errors of one person on one day: the names allow for it.
        chances: The p-value of "below the target" of each of them.
    """

    people: int
    named: frozenset[str]
    rate: float
    correlation: float
    chances: dict[str, float]


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
        self._tallies = {
            name: tally_works(own, audits=not self.accuracies[name].awaits_audits) for name, own in self.window.items()
        }
        self._past = {name: tally_works(own) for name, own in self.reference.items()}
        established = [name for name, tenure in self.tenures.items() if not tenure.is_new(policy)]
        self._sums = {
            group: tuple(summed(tallies[name] for name in names if name in tallies) for tallies in self._both)
            for group, names in (("established", established), ("everybody", list(self.works)))
        }
        self.risk = self._risk()
        self._stretches: dict[tuple[str, Span], AuditedStretch | None] = {}
        self._spreads: dict[tuple[bool, str], list[float]] = {}

    @cached_property
    def accuracies(self) -> dict[str, Accuracy]:
        """The accuracy of everybody in the window; what is said of it allows for errors of a day that resemble each other."""
        return {
            name: accuracy_of(own, self.policy, self.clusters[name].scatter(self.correlation))
            for name, own in self.window.items()
        }

    @cached_property
    def clusters(self) -> dict[str, DayClusters]:
        """How everybody's errors scatter over the days of the window."""
        return {name: day_clusters(self.window[name]) for name in sorted(self.window)}

    @cached_property
    def correlation(self) -> float:
        """The correlation of errors of one person on one day, over everybody in the window.

        Source: ``floorwatch.analysis.people.clusters``.
        """
        return correlation_of(self.clusters.values())

    @cached_property
    def judged(self) -> JudgedTogether:
        """Who is below the target beyond chance where all with audits enough are looked at together.

        Source: ``streams.core.multiplicity.benjamini_hochberg`` on the p-values of the accuracies, none of them above 2.5%, with the
        variance that the scatter of days gives them.
        """
        chances: dict[str, float] = {}
        for name, accuracy in self.accuracies.items():
            if accuracy.standing is not TargetStanding.too_few:
                share = SampledAudits(self.window[name]).share(weighted=accuracy.by_weight)
                target = self.policy.accuracy_target_ratio
                chances[name] = share.chance_below(target, accuracy.scatter) if share is not None else 1.0
        rate = self.policy.false_discovery_ratio
        stands = benjamini_hochberg(list(chances.values()), rate, most=TAIL)
        named = frozenset(name for name, one in zip(chances, stands, strict=True) if one)
        return JudgedTogether(len(chances), named, rate, self.correlation, chances)

    def pooled(self, labeler_id: str, peers: Peers) -> Pooled | None:
        """Return the accuracy of one labeller in the window, pooled with peers; None without audits, or while most are awaited.

        Args:
            labeler_id: Who.
            peers: Of ``peers_of``.
        """
        accuracy = self.accuracies.get(labeler_id)
        if accuracy is not None and accuracy.awaits_audits:
            return None
        prior = self._prior(labeler_id, peers.tallies) if accuracy is not None else None
        if accuracy is None or prior is None:
            return None
        chances = self._spread(labeler_id, peers)
        return pooled_of((self._independent(labeler_id), prior), chances, self.policy.accuracy_target_ratio)

    def untouched(self, peers: Peers, coached: Collection[str]) -> Untouched:
        """Return the peers whom somebody's recovery is measured against: those who are not among the ``coached``."""
        works = {name: self._audited[name] for name in peers.names if name in self._audited}
        return Untouched(works, frozenset(works).difference(coached), self.correlation, self._stretches)

    @cached_property
    def _audited(self) -> dict[str, list[StandingLabel]]:
        return {name: [work for work in own if work.judged is not None] for name, own in self.works.items()}

    def _independent(self, labeler_id: str) -> PlainAudits:
        """Return how many independent audits somebody's are worth."""
        accuracy = self.accuracies[labeler_id]
        return accuracy.audits.over(accuracy.scatter)

    def _prior(self, labeler_id: str, peers: Tallies) -> Prior | None:
        return prior_of(self._tallies[labeler_id], peers, weighted=self.accuracies[labeler_id].by_weight)

    def _spread(self, labeler_id: str, peers: Peers) -> list[float]:
        """Return how much people of somebody's group differ. Those who are not new have the same group."""
        new = peers.like_tenure and self.tenures[labeler_id].is_new(self.policy)
        group = (peers.like_tenure, labeler_id if new else "")
        if group not in self._spreads:
            names = sorted([labeler_id, *(name for name in peers.names if name in self._tallies)])
            whole = summed([peers.tallies, self._tallies[labeler_id]])
            priors = ((name, self._prior(name, less(whole, self._tallies[name]))) for name in names)
            self._spreads[group] = spread_chances((self._independent(name), one) for name, one in priors if one)
        return self._spreads[group]

    @property
    def _both(self) -> tuple[dict[str, Tallies], dict[str, Tallies]]:
        return self._tallies, self._past

    def _risk(self) -> Interval | None:
        limits = fast_limits(self._sums["everybody"][0], self.policy)
        labels = [work for period in (self.reference, self.window) for own in period.values() for work in own]
        return fast_risk(labels, limits, self.policy, self.correlation)

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
            less(total, tallies.get(labeler_id, {}))
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
