"""The doctor's checks of audits: whose senders do not say how they were drawn, and which of them weigh far too much."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aiokafka.errors import KafkaError

from config.connect import kafka_options
from config.kafka import KafkaSettings
from floorwatch.cli.doctor_check import ANSWER_TIMEOUT_S, Check
from streams.core.formatting import percent, plural
from streams.core.remainder import SURE, TWICE
from streams.engine.log import KafkaLogReader
from streams.models import topics
from streams.models.acceptance import UNREADABLE
from streams.models.events import ASSUMED, BY_CONFIGURATION, AuditCompleted, LabelSubmitted, decode_log_event
from streams.models.sampling_plan import SamplingPlan

LATEST = 5_000
"""Events of each partition of the log that are looked at."""

MIN_AUDITS = 30
"""Of fewer audits one may well weigh much."""

HEAVY = 0.2
"""Share of the weight of all audits of a source beyond which a single one is told."""

_SHOWN = 10


@dataclass
class DrawnAudits:
    """Audits of one source, by what says how they were drawn.

    Attributes:
        audits: All of them.
        assumed: Nobody says anything.
        method_only: Their sender names a method and no probability.
        configured: The configuration said it.
        weights: 1/probability of the others.
    """

    audits: int = 0
    assumed: int = 0
    method_only: int = 0
    configured: int = 0
    weights: list[float] = field(default_factory=list)

    def add(self, event: AuditCompleted) -> None:
        """Count an audit."""
        sampling = event.data.sampling
        self.audits += 1
        if sampling is None or sampling.source == ASSUMED:
            self.assumed += 1
            return
        self.configured += sampling.source == BY_CONFIGURATION
        if sampling.probability is not None:
            self.weights.append(1 / sampling.probability)
        else:
            self.method_only += sampling.source != BY_CONFIGURATION


async def sampling_checks(kafka: KafkaSettings, plan: SamplingPlan) -> list[Check]:
    """Check the latest audits on the log.

    Args:
        kafka: The ``kafka`` section.
        plan: What the configuration says of audits that name no probability.

    Returns:
        Nothing where the log cannot be read: the checks of Kafka say why.
    """
    try:
        async with asyncio.timeout(2 * ANSWER_TIMEOUT_S):
            values = await latest_events(kafka)
    except (KafkaError, OSError, TimeoutError):
        return []
    return checks_of(drawn_by_source(values), plan) + twice_checks(values)


async def latest_events(kafka: KafkaSettings) -> list[bytes]:
    """Return the latest events of every partition of the log."""
    reader = KafkaLogReader(kafka_options(kafka))
    found: list[bytes] = []
    for partition in range(kafka.partitions):
        async for records in reader.read(kafka.topic_prefix + topics.EVENTS, partition, latest=LATEST):
            found += [value for _, _, value in records if value is not None]
    return found


def drawn_by_source(values: Iterable[bytes]) -> dict[str, DrawnAudits]:
    """Return the audits among events by their source."""
    found: dict[str, DrawnAudits] = defaultdict(DrawnAudits)
    for value in values:
        if b"audit.completed" not in value:
            continue
        try:
            event = decode_log_event(value)
        except UNREADABLE:
            continue  # the ledger has told of it
        if type(event) is AuditCompleted and event.data.verdict != "incomparable":
            found[event.source].add(event)
    return found


def twice_checks(values: Sequence[bytes]) -> list[Check]:
    """Return whether audits stand for far more labels than there are, as those of several programmes do that each name their own π.

    Of each label among the events with an audit among them, the first probability counts. In expectation Σ1/π is then at most the
    number of these labels, also where audits come late (Horvitz & Thompson 1952).
    """
    labels = set[tuple[str, str]]()
    weights = dict[tuple[str, str], float]()
    for value in values:
        if b"label.submitted" not in value and b"audit.completed" not in value:
            continue
        try:
            event = decode_log_event(value)
        except UNREADABLE:
            continue
        if type(event) is LabelSubmitted:
            labels.add((event.subject, event.data.label_id))
        elif type(event) is AuditCompleted and event.data.verdict != "incomparable" and event.data.label_id is not None:
            sampling = event.data.sampling
            if sampling is not None and sampling.probability is not None:
                weights.setdefault((event.subject, event.data.label_id), 1 / sampling.probability)
    found = [weight for key, weight in weights.items() if key in labels]
    total, error = sum(found), math.sqrt(sum(weight * weight for weight in found))
    if len(found) < MIN_AUDITS or total < TWICE * len(labels) or total - len(labels) < SURE * error:
        return []
    detail = (
        f"the audits of the latest {plural(len(labels), 'label')} stand for {total:,.0f} labels (Σ1/probability): some labels count "
        "more than once, as where two programmes draw from the same labels and each names its own probability"
    )
    fix = (
        "send with each audit the label's chance of being audited by any programme: of two that draw independently "
        "1 − (1 − π₁)(1 − π₂) (docs/meaning.md)"
    )
    return [Check("warn", "weights", detail, fix)]


def checks_of(found: dict[str, DrawnAudits], plan: SamplingPlan) -> list[Check]:
    """Return what is to be said of the audits of each source, those with most audits first."""
    if not found:
        return [Check("ok", "sampling", "there are no audits among the latest events")]
    ordered = sorted(found.items(), key=lambda one: (-one[1].audits, one[0]))
    told = [check for source, drawn in ordered for check in _of_source(source, drawn, plan)]
    if len(told) > _SHOWN:
        more = Check("warn", "sampling", f"{len(told) - _SHOWN} more sources or weights like these", told[0].fix)
        return [*told[:_SHOWN], more]
    audits = sum(drawn.audits for drawn in found.values())
    by = sum(drawn.configured for drawn in found.values())
    words = f"{plural(audits, 'audit')} among the latest events say how they were drawn"
    return told or [Check("ok", "sampling", words + (f", {by:,} of them by the configuration" if by else ""))]


def _of_source(source: str, drawn: DrawnAudits, plan: SamplingPlan) -> list[Check]:
    checks = []
    wanted = plan.of(source) is plan.other
    if drawn.assumed and wanted:
        detail = f"{drawn.assumed:,} of {plural(drawn.audits, 'audit')} of source {source} carry no probability: assumed random"
        checks.append(Check("warn", "sampling", detail, _say_it(source)))
    if drawn.method_only == drawn.audits and drawn.audits >= MIN_AUDITS and wanted:
        detail = (
            f"all {plural(drawn.audits, 'audit')} of source {source} are targeted, so nothing is estimated from them"
        )
        checks.append(Check("warn", "sampling", detail, _say_it(source)))
    heaviest, total = max(drawn.weights, default=0.0), sum(drawn.weights)
    if len(drawn.weights) >= MIN_AUDITS and heaviest > HEAVY * total:
        detail = (
            f"one audit of source {source} names probability {1 / heaviest:.3g}: it stands for {heaviest:,.0f} labels, "
            f"{percent(heaviest / total)} of what all {len(drawn.weights):,} stand for; estimates rest on it, and alarms wait"
        )
        fix = (
            "send that audit again with the label's chance of being audited, or withdraw it; a bound refuses such audits: "
            f'sampling: {{sources: {{"{source}": {{min_probability: 0.001}}}}}}'
        )
        checks.append(Check("warn", "weights", detail, fix))
    return checks


def _say_it(source: str) -> str:
    return (
        f'say how they are drawn: sampling: {{sources: {{"{source}": {{method: random, probability: 0.05}}}}}}, or targeted, or unset '
        "(docs/production.md); a tool that knows it sends data.sampling.probability"
    )
