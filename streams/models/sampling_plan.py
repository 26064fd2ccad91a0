"""What the configuration says of audits whose sender names no sampling probability, written on the event at intake.

Gateway and intake call ``with_sampling``. What a sender names stands. What the configuration adds is marked on the event
(``sampling.source``), so the log alone says what was decided: a replay under another configuration gives the same numbers. The gateway
marks audits about which the configuration says nothing too, so that a replay of the raw topics leaves them as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct

from streams.models.events import (
    ASSUMED,
    BY_CONFIGURATION,
    BY_SENDER,
    MIN_PROBABILITY,
    STAMPS,
    AuditCompleted,
    AuditCompletedData,
    Sampling,
)
from streams.models.refusal import Refusal

SMALL_PROBABILITY = "probability_below_bound"
"""Code of the refusal of an audit whose probability is below what the configuration allows its source."""

NOTHING_KNOWN: Mapping[str, tuple[str, ...]] = {}

Method = Literal["random", "targeted", "unset"]


class SamplingRule(Struct, frozen=True):
    """How audits are drawn for which all conditions hold.

    Attributes:
        when: Patterns by what is looked at: ``method`` and ``auditor`` of the audit; ``decision``, ``queue``, ``policy``,
            ``market`` and ``priority`` of its label, which are known of webhooks only.
        gold: Only audits that say so, or that do not; None for all.
        blind: The same.
        probability: Inclusion probability; None where these audits are picked.
    """

    when: dict[str, tuple[str, ...]] = {}
    gold: bool | None = None
    blind: bool | None = None
    probability: float | None = None

    def holds(self, data: AuditCompletedData, label: Mapping[str, tuple[str, ...]]) -> bool:
        """Tell whether all conditions hold.

        Args:
            data: The audit.
            label: What is known of its label: values by name.
        """
        if self.gold not in (None, data.gold) or self.blind not in (None, data.blind):
            return False
        return all(_any(patterns, _looked_at(name, data, label)) for name, patterns in self.when.items())


class SourceSampling(Struct, frozen=True):
    """How audits of one source are drawn.

    Attributes:
        method: ``random`` with ``probability``; ``targeted``: picked, no evidence; ``unset``: nothing is known, so assumed random.
        probability: Inclusion probability of those for which no rule holds.
        rules: The first whose conditions hold decides.
        min_probability: Audits that name a smaller one are refused.
        place: Where in the configuration this stands, for hints.
    """

    method: Method = "unset"
    probability: float | None = None
    rules: tuple[SamplingRule, ...] = ()
    min_probability: float = MIN_PROBABILITY
    place: str = "sampling"


class SamplingPlan(Struct, frozen=True):
    """How audits are drawn, by CloudEvents source.

    Attributes:
        sources: By source, or by the beginning of sources: a name that ends with ``*``. The longest that fits counts.
        other: Of sources that are not named.
    """

    sources: dict[str, SourceSampling] = {}
    other: SourceSampling = SourceSampling()

    def of(self, source: str) -> SourceSampling:
        """Return how audits of a CloudEvents source are drawn."""
        exact = self.sources.get(source)
        if exact is not None:
            return exact
        fitting = [name for name in self.sources if name.endswith("*") and source.startswith(name[:-1])]
        return self.sources[max(fitting, key=len)] if fitting else self.other


NO_PLAN = SamplingPlan()


def with_sampling(
    event: Any,
    plan: SamplingPlan,
    *,
    first: bool,
    from_tool: bool = False,
    label: Mapping[str, tuple[str, ...]] = NOTHING_KNOWN,
) -> Any:
    """Return an event as the log has it: an audit that names no probability says how it was drawn, by the configuration.

    Args:
        event: A decoded event.
        plan: What the configuration says.
        first: The gateway calls: a mark that the event comes with is a claim of its sender. A probability beside it counts as the
            sender's own; without one the mark is made anew. Intake keeps the marks that a gateway writes.
        from_tool: The audit was made of a webhook of a tool that says nothing of sampling; its ``method`` is the gateway's word.
        label: What is known of the audited label beside the event: values by name.

    Returns:
        The event itself where nothing is added, else a new one; or a ``Refusal`` of a probability below the bound of its source.
    """
    if type(event) is not AuditCompleted or event.data.verdict == "incomparable":
        return event
    given = event.data.sampling
    if not first and given is not None and _is_ours(given):
        return event
    said = given if given is None or given.source is UNSET else _said(given)
    sampling = plan.of(event.source)
    if said is not None and said.probability is not None:
        if given is not None and given.source == BY_CONFIGURATION:
            # An event read from the log and sent again, where nothing has changed since: it stays the same, and a duplicate.
            silent = None if said.method is None else Sampling(said.method)
            if given == _decided(event.data, silent, sampling, label, first=first, from_tool=from_tool):
                return event
        if said.probability < sampling.min_probability:
            return _too_small(event.source, said.probability, sampling)
        return _with(event, said)
    return _with(event, _decided(event.data, said, sampling, label, first=first, from_tool=from_tool))


def _decided(
    data: AuditCompletedData,
    said: Sampling | None,
    sampling: SourceSampling,
    label: Mapping[str, tuple[str, ...]],
    *,
    first: bool,
    from_tool: bool,
) -> Sampling | None:
    method = None if said is None else said.method
    for rule in sampling.rules:
        if rule.holds(data, label):
            return Sampling(method, rule.probability, BY_CONFIGURATION)
    if sampling.method != "unset" and (said is None or from_tool):
        return Sampling(method, sampling.probability, BY_CONFIGURATION)
    if not first:
        return said
    return Sampling(source=ASSUMED) if said is None else Sampling(method, None, BY_SENDER)


def as_sent(event: Any) -> Any:
    """Return an event of a log without what a configuration may have added to it: equal for all that its sender has sent alike."""
    if type(event) is not AuditCompleted or event.data.sampling is None or event.data.sampling.source is UNSET:
        return event
    given = event.data.sampling
    if given.source not in (BY_CONFIGURATION, ASSUMED):
        return _with(event, Sampling(given.method, given.probability))
    return _with(event, None if given.method is None else Sampling(given.method))


def _is_ours(sampling: Sampling) -> bool:
    """Tell whether a gateway may have written this mark; only one of the configuration has a probability beside it."""
    if sampling.source == ASSUMED:
        return sampling.probability is None and sampling.method is None
    return sampling.source in STAMPS and (sampling.source == BY_CONFIGURATION or sampling.probability is None)


def _said(stamp: Sampling) -> Sampling | None:
    """Return what the sender of an audit with a mark says of sampling: a probability is its own word, whatever mark is beside it."""
    if stamp.probability is not None or stamp.source not in (BY_CONFIGURATION, ASSUMED):
        return Sampling(stamp.method, stamp.probability)
    return None if stamp.method is None else Sampling(stamp.method)


def _with(event: Any, sampling: Sampling | None) -> Any:
    if sampling == event.data.sampling:
        return event
    return msgspec.structs.replace(event, data=msgspec.structs.replace(event.data, sampling=sampling))


def _looked_at(name: str, data: AuditCompletedData, label: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if name == "method":
        return () if data.sampling is None or data.sampling.method is None else (data.sampling.method,)
    if name == "auditor":
        return () if data.auditor_id is None else (data.auditor_id,)
    return label.get(name, ())


def _any(patterns: tuple[str, ...], values: tuple[str, ...]) -> bool:
    return any(fnmatchcase(value, pattern) for value in values for pattern in patterns)


def _too_small(source: str, probability: float, sampling: SourceSampling) -> Refusal:
    reason = (
        f"probability {probability:g} of source {source!r} is below the bound {sampling.min_probability:g}: one such audit would stand "
        f"for {1 / probability:,.0f} labels"
    )
    hint = f"send the label's chance of being audited; if it is so small, lower {sampling.place}.min_probability"
    return Refusal(SMALL_PROBABILITY, "$.data.sampling.probability", reason, hint)
