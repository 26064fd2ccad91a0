"""The engine's own metrics, with series that can be taken away when a partition leaves.

Plain dictionaries instead of prometheus_client's counters: one worker folds hundreds of thousands of events a second in
one thread, a count is then one dictionary update a batch, and removing a partition needs no knowledge of every child.
"""

from __future__ import annotations

import platform
import re
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from telemetry import catalogue as c
from telemetry.metric import PREFIX, Metric

_CODE = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
_OTHER = "other"
_MAX_CODES = 64
_MAX_CHANNELS = 64

Labels = tuple[str, ...]


@dataclass(slots=True)
class _Histogram:
    """Counts per bucket (not cumulative) and the sum, in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(c.FLUSH_BUCKETS_S) + 1))
    sum_s: float = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(c.FLUSH_BUCKETS_S, seconds)] += 1
        self.sum_s += seconds


class EngineMetrics(Collector):
    """Counters and gauges of one worker or gateway.

    Written and collected by the event loop's thread only.
    """

    def __init__(
        self,
        *,
        component: str,
        version: str,
        stages: Collection[str] = (),
        dead_letter_codes: Collection[str] = c.DEAD_LETTER_CODES,
    ) -> None:
        """Start with every known dead-letter series at zero.

        Args:
            component: What this process is: ``worker``, ``gateway``, ...
            version: Floorwatch's version.
            stages: Stages this process runs; their dead-letter series start at zero so that a first one is seen.
            dead_letter_codes: Reasons known from the start.
        """
        self._values: dict[Metric, dict[Labels, float]] = {
            metric: {} for metric in c.ENGINE_METRICS if metric is not c.FLUSH
        }
        self._flushes: dict[str, _Histogram] = {}
        self._codes = set(dead_letter_codes)
        self._values[c.BUILD_INFO][(component, version, platform.python_version())] = 1.0
        self._values[c.SCOPES_REFUSED][()] = 0.0
        self._values[c.REDIS_RETRIES][()] = 0.0
        self._waits: dict[str, list[float]] = {on: [] for on in c.WAITS}
        self._waited_s = dict.fromkeys(c.WAITS, 0.0)
        self._samplers: list[Callable[[], None]] = []
        self._channels: set[str] = set()
        for stage in stages:
            self._values[c.SET_ASIDE][(stage,)] = 0.0
            if stage in c.DEAD_LETTER_STAGES:
                for code in sorted(self._codes):
                    self._values[c.DEAD_LETTERS][(stage, code)] = 0.0

    def folded(self, stage: str, partition: int, records: int) -> None:
        """Count records folded into state."""
        self._add(c.FOLDED, (stage, str(partition)), records)

    def dead_letter(self, stage: str, code: str, records: int = 1) -> None:
        """Count refused records. Codes that are not words, or past the 64th, are counted as ``other``."""
        if code not in self._codes:
            if not _CODE.match(code) or len(self._codes) >= _MAX_CODES:
                code = _OTHER
            self._codes.add(code)
        self._add(c.DEAD_LETTERS, (stage, code), records)

    def duplicates(self, partition: int, events: int) -> None:
        """Count events met again and ignored."""
        self._add(c.DUPLICATES, (str(partition),), events)

    def late(self, partition: int, events: int) -> None:
        """Count events past the correction horizon."""
        self._add(c.LATE, (str(partition),), events)

    def watermark(self, partition: int, watermark_ms: int, *, idle: bool = False) -> None:
        """Set the partition's watermark, Unix milliseconds, and whether it is idle and holds the floor back no more."""
        self._values[c.WATERMARK][(str(partition),)] = watermark_ms / 1000
        self._values[c.IDLE][(str(partition),)] = float(idle)

    def floor_watermark(self, partition: int, watermark_ms: int) -> None:
        """Set the watermark, Unix milliseconds, that the rows of a partition of the tables are as of."""
        self._values[c.FLOOR_WATERMARK][(str(partition),)] = watermark_ms / 1000

    def lag(self, stage: str, partition: int, records: int) -> None:
        """Set how many records wait in the stage's source log."""
        self._values[c.LAG][(stage, str(partition))] = float(records)

    def flushed(self, stage: str, seconds: float) -> None:
        """Record one flush and how long it took, in seconds."""
        self._flushes.setdefault(stage, _Histogram()).observe(seconds)

    def rows(self, stage: str, partition: int, rows: int) -> None:
        """Set how many state rows are held."""
        self._values[c.ROWS][(stage, str(partition))] = float(rows)

    def tasks(self, partition: int, tasks: int, cold: int = 0, refused: int = 0) -> None:
        """Set how many tasks are held, how many of them on disk, and how often the disk has taken none."""
        labels = (str(partition),)
        self._values[c.TASKS][labels] = float(tasks)
        self._values[c.COLD_TASKS][labels] = float(cold)
        self._values[c.COLD_REFUSED][labels] = float(refused)

    def scopes(self, scopes: int) -> None:
        """Set how many distinct scopes this worker holds."""
        self._values[c.SCOPES][()] = float(scopes)

    def scopes_refused(self, times: int = 1) -> None:
        """Count scopes the cap kept out."""
        self._add(c.SCOPES_REFUSED, (), times)

    def rule_failed(self, rule: str, times: int = 1) -> None:
        """Count evaluations of an alert rule that failed; 0 shows the rule with none, so that its first is an increase."""
        self._add(c.RULE_FAILURES, (rule,), times)

    def rule_faults(self, rule: str, effect: str, times: int) -> None:
        """Count scopes that an alert rule could not judge, or rows that it left out; 0 shows the series."""
        self._add(c.RULE_FAULTS, (rule, effect), times)

    def set_aside(self, stage: str, records: int = 1) -> None:
        """Count records or rows that a stage could not process."""
        self._add(c.SET_ASIDE, (stage,), records)

    def recovered(self, stage: str, seconds: float) -> None:
        """Set how long the stage's last recovery took, in seconds."""
        self._values[c.RECOVERY][(stage,)] = seconds

    def unflushed(self, stage: str, partition: int, records: int, size_bytes: int) -> None:
        """Set how many records a stage has folded and not flushed, and their size."""
        labels = (stage, str(partition))
        self._values[c.UNFLUSHED][labels] = float(records)
        self._values[c.UNFLUSHED_BYTES][labels] = float(size_bytes)

    def batches_in_hand(self, stage: str, partition: int, batches: int) -> None:
        """Set how many batches of a partition are fetched and not folded."""
        self._values[c.BATCHES_IN_HAND][(stage, str(partition))] = float(batches)

    def in_flight(self, size_bytes: int) -> None:
        """Set how many bytes the producer holds unacknowledged."""
        self._values[c.IN_FLIGHT][()] = float(size_bytes)

    def large_record(self, topic: str, size_bytes: int) -> None:
        """Note a record that filled a batch of its own; the largest of its topic is kept."""
        held = self._values[c.LARGEST_RECORD]
        held[(topic,)] = max(held.get((topic,), 0.0), float(size_bytes))

    def wait_began(self, on: str) -> float:
        """Note that something begins to wait; return what to give ``wait_ended``.

        Args:
            on: One of ``catalogue.WAITS``.
        """
        began = time.monotonic()
        self._waits[on].append(began)
        return began

    def wait_ended(self, on: str, began: float) -> None:
        """Note that a wait is over."""
        self._waits[on].remove(began)
        self._waited_s[on] += time.monotonic() - began

    def redis_retry(self) -> None:
        """Count that Redis must be tried again."""
        self._add(c.REDIS_RETRIES, (), 1)

    def not_committed(self, stage: str) -> None:
        """Count a commit the coordinator did not take."""
        self._add(c.COMMITS_REFUSED, (stage,), 1)

    def fenced(self, stage: str) -> None:
        """Count that a stage was found fenced."""
        self._add(c.FENCED, (stage,), 1)

    def interned(self, partition: int, tuples: int) -> None:
        """Set how many dimension tuples a ledger partition has numbered."""
        self._values[c.INTERNED][(str(partition),)] = float(tuples)

    def outbox(self, notifications: int) -> None:
        """Set how many notifications wait."""
        self._values[c.OUTBOX][()] = float(notifications)

    def channels(self, usable: Mapping[str, bool], silent_routes: int) -> None:
        """Export every channel from the start, so that its first failure is an increase.

        Args:
            usable: By channel, whether it could be built.
            silent_routes: Routes without a channel that works.
        """
        self._channels = set(list(usable)[:_MAX_CHANNELS])
        for name in self._channels:
            self._values[c.CHANNEL_USABLE][(name,)] = float(usable[name])
            for metric in (c.NOTIFICATIONS_SENT, c.NOTIFICATIONS_FAILED):
                self._add(metric, (name,), 0)
        self._values[c.ROUTES_SILENT][()] = float(silent_routes)

    def notification(self, channel: str, outcome: str) -> None:
        """Count an attempt to send: ``sent``, ``failed`` or ``dead``. Channels past the 64th are counted as ``other``."""
        metric = c.NOTIFICATIONS_SENT if outcome == "sent" else c.NOTIFICATIONS_FAILED
        self._add(metric, (channel if channel in self._channels else _OTHER,), 1)

    def notifications(self, channel: str, waiting: int, dead: int, oldest_s: float) -> None:
        """Set what the outbox holds for a channel; past the 64th channel nothing is shown."""
        labels = (channel,)
        shown = self._values[c.NOTIFICATIONS_WAITING]
        if labels not in shown and len(shown) >= 2 * _MAX_CHANNELS:
            return
        shown[labels] = float(waiting)
        self._values[c.NOTIFICATIONS_DEAD][labels] = float(dead)
        self._values[c.NOTIFICATIONS_OLDEST][labels] = oldest_s

    def forget_notifications(self, kept: Collection[str]) -> None:
        """Remove the series of channels that are neither configured nor hold anything."""
        for metric in (c.NOTIFICATIONS_WAITING, c.NOTIFICATIONS_DEAD, c.NOTIFICATIONS_OLDEST):
            for labels in [labels for labels in self._values[metric] if labels[0] not in kept]:
                del self._values[metric][labels]

    def mirrored(self, channel: str, alerts: int, outcome: str) -> None:
        """Set how many alerts an Alertmanager is told of again, and count the post: ``sent`` or ``failed``."""
        name = channel if channel in self._channels else _OTHER
        self._values[c.MIRRORED][(name,)] = float(alerts)
        self._add(c.MIRROR_POSTS, (name, outcome), 1)

    def heartbeat(self, to: str, outcome: str, at_ms: int) -> None:
        """Count a sign to a receiver of the heartbeat (``alive``, ``broken``, ``failed``), and when one of life was last taken."""
        self._add(c.HEARTBEATS, (to, outcome), 1)
        if outcome == "alive":
            self._values[c.HEARTBEAT_ALIVE][(to,)] = at_ms / 1000

    def background(self, task: str, down_s: float | None) -> None:
        """Set for how long a background task has been down; None while it runs."""
        self._values[c.BACKGROUND_DOWN][(task,)] = down_s or 0.0

    def limit(self, metric: Metric, bound: float) -> None:
        """Set the bound of a gauge."""
        self._values[c.LIMIT][(metric.name.removeprefix(PREFIX),)] = float(bound)

    def on_collect(self, sample: Callable[[], None]) -> None:
        """Call something before each collection, to set gauges that are not kept up to date otherwise."""
        self._samplers.append(sample)

    def drop_partition(self, stage: str, partition: int) -> None:
        """Remove every series of a stage's partition, because another worker has it now.

        Series that name only a partition belong to the stage their metric's ``owner`` says.
        """
        for metric, series in self._values.items():
            if metric.labels == ("stage", "partition"):
                series.pop((stage, str(partition)), None)
            elif metric.labels == ("partition",) and metric.owner == stage:
                series.pop((str(partition),), None)

    def describe(self) -> Iterable[Family]:
        """Return nothing: names are checked by the catalogue's test."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Yield every family, also an empty one, in the catalogue's order."""
        for sample in self._samplers:
            sample()
        self._sample_waits()
        for metric, series in self._values.items():
            family = Family(metric.name.removesuffix("_total"), metric.help, metric.kind)
            for values, number in series.items():
                family.add_sample(metric.name, dict(zip(metric.labels, values, strict=True)), number)
            yield family
        yield self._flush_family()

    def _sample_waits(self) -> None:
        """Set both metrics of waiting, including waits under way, so that an endless wait is seen too."""
        now_s = time.monotonic()
        for on, running in self._waits.items():
            self._values[c.WAITING][(on,)] = now_s - min(running) if running else 0.0
            self._values[c.WAIT][(on,)] = self._waited_s[on] + sum(now_s - began for began in running)

    def _flush_family(self) -> Family:
        name = c.FLUSH.name
        family = Family(name, c.FLUSH.help, c.FLUSH.kind)
        bounds = [*(str(bound) for bound in c.FLUSH_BUCKETS_S), "+Inf"]
        for stage, histogram in self._flushes.items():
            total = 0
            for bound, count in zip(bounds, histogram.counts, strict=True):
                total += count
                family.add_sample(f"{name}_bucket", {"stage": stage, "le": bound}, float(total))
            family.add_sample(f"{name}_count", {"stage": stage}, float(total))
            family.add_sample(f"{name}_sum", {"stage": stage}, histogram.sum_s)
        return family

    def _add(self, metric: Metric, labels: Labels, amount: float) -> None:
        if amount < 0:
            raise ValueError(f"{metric.name}{labels}: a counter cannot fall by {-amount}; pass the increase")
        series = self._values[metric]
        series[labels] = series.get(labels, 0.0) + amount
