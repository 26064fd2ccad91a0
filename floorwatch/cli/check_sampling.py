"""``floorwatch check-events``: how the audits of a file were drawn, and what intake would say where their sender does not."""

from __future__ import annotations

from collections import Counter
from typing import Any

from streams.core.formatting import plural
from streams.models.events import ASSUMED, BY_CONFIGURATION, BY_SENDER, AuditCompleted, Sampling
from streams.models.sampling_plan import SamplingPlan, with_sampling

_Kind = tuple[str, str, str, float | None]
"""Source, how the label counts, who says so, and its probability."""


class SamplingCount:
    """Counts audits by source and by how they were drawn."""

    def __init__(self, plan: SamplingPlan) -> None:
        """Start empty.

        Args:
            plan: What the configuration says of audits that name no probability.
        """
        self._plan = plan
        self._kinds: Counter[_Kind] = Counter()

    def decided(self, event: Any) -> Any:
        """Return a good event as it would stand on the log, or why its probability is refused."""
        return with_sampling(event, self._plan, first=True)

    def count(self, decided: Any) -> None:
        """Count an event that is no duplicate."""
        if type(decided) is AuditCompleted and decided.data.verdict != "incomparable":
            self._kinds[(decided.source, *_how(decided.data.sampling))] += 1

    def as_json(self) -> list[dict[str, Any]]:
        """Return one object for each source and way, the largest first."""
        return [
            {"source": source, "audits": count, "counts_as": way, "says": says, "probability": probability}
            for (source, way, says, probability), count in self._by_source()
        ]

    def lines(self) -> list[str]:
        """Return a sentence for each source and way where the sender names no probability; one for each source else."""
        return [_line(*kind, count) for kind, count in self._by_source()]

    def _by_source(self) -> list[tuple[_Kind, int]]:
        merged: Counter[_Kind] = Counter()
        for (source, way, says, probability), count in self._kinds.items():
            merged[source, way, says, None if says == BY_SENDER else probability] += count
        return sorted(merged.items(), key=lambda found: (found[0][0], -found[1], str(found[0])))


def _how(sampling: Sampling | None) -> tuple[str, str, float | None]:
    if sampling is None or sampling.source == ASSUMED:
        return "assumed random", ASSUMED, None
    says = BY_CONFIGURATION if sampling.source == BY_CONFIGURATION else BY_SENDER
    return "random" if sampling.probability is not None else "targeted", says, sampling.probability


def _line(source: str, way: str, says: str, probability: float | None, count: int) -> str:
    audits = f"{plural(count, 'audit')} of {source}"
    if says == ASSUMED:
        return f"{audits}: no sampling is said, so they are assumed random; say it: sampling.sources.{source} (docs/production.md)"
    if says == BY_SENDER:
        return f"{audits}: " + (
            "each with its probability" if way == "random" else "targeted, a method without a probability"
        )
    drawn = f"random with probability {probability:g}" if probability is not None else "targeted"
    return f"{audits}: {drawn}, by the configuration"
