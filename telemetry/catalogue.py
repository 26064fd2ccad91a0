"""The metric catalogue as data: every series Floorwatch exports is declared here and nowhere else.

Those read from table rows stand in ``telemetry.table_metrics`` and are part of the list. The exporter,
``docs/metrics.md``, the board's queries and their tests all read it, so a metric cannot be exported undocumented,
documented unexported or queried under a name that does not exist.
"""

from __future__ import annotations

from telemetry.metric import PREFIX, Metric
from telemetry.table_metrics import TABLE_METRICS

DEAD_LETTER_STAGES = ("intake", "ledger", "gateway")
DEAD_LETTER_CODES = (
    "not_json",
    "wrong_type",
    "unknown_type",
    "missing_field",
    "unknown_sla_class",
    "wrong_time",
    "future_time",
    "started_after_time",
    "too_large",
    "control_character",
    "conflicting_duplicate",
    "cannot_process",
)
"""Reasons whose series exist at zero from the start, because ``increase()`` does not see a counter that starts at
one."""

FLUSH_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_SP = ("stage", "partition")
_P = ("partition",)

INCIDENTS_OPEN = Metric(
    PREFIX + "incidents_open",
    "gauge",
    "Incidents open, acknowledged or escalated, of those this worker owns; 0 for every configured rule without one.",
    "incidents",
    ("rule", "severity"),
)
ROWS_SKIPPED = Metric(
    PREFIX + "export_rows_skipped",
    "gauge",
    "Rows of the exported windows left out of this scrape: past the cap on exported scopes, or malformed.",
    "rows",
    ("reason",),
)
FOLDED = Metric(PREFIX + "events_folded_total", "counter", "Records folded into state.", "records", _SP)
DEAD_LETTERS = Metric(
    PREFIX + "dead_letters_total", "counter", "Records refused, by reason.", "records", ("stage", "code")
)
DUPLICATES = Metric(
    PREFIX + "duplicates_total", "counter", "Events met again and ignored.", "events", _P, owner="ledger"
)
LATE = Metric(
    PREFIX + "late_events_total",
    "counter",
    "Events past the correction horizon, sent to the late topic.",
    "events",
    _P,
    owner="ledger",
)
WATERMARK = Metric(
    PREFIX + "watermark_timestamp_seconds",
    "gauge",
    "Event time up to which the partition is complete, as Unix time.",
    "seconds",
    _P,
    owner="ledger",
)
IDLE = Metric(
    PREFIX + "partition_idle",
    "gauge",
    "1 while the partition has had no events for the idle timeout and does not hold the floor's watermark back.",
    "bool",
    _P,
    owner="ledger",
)
FLOOR_WATERMARK = Metric(
    PREFIX + "floor_watermark_timestamp_seconds",
    "gauge",
    "Event time up to which the tables' rows are complete, as Unix time: the least of the partitions that are not idle.",
    "seconds",
    _P,
    owner="scopes",
)
LAG = Metric(PREFIX + "lag_records", "gauge", "Records waiting in the source log.", "records", _SP)
FLUSH = Metric(
    PREFIX + "flush_seconds",
    "histogram",
    "Time of one flush: changelog written, then committed.",
    "seconds",
    ("stage",),
)
ROWS = Metric(PREFIX + "rows", "gauge", "State rows held in memory.", "rows", _SP)
TASKS = Metric(
    PREFIX + "tasks", "gauge", "Tasks whose facts are held, in memory or on disk.", "tasks", _P, owner="ledger"
)
COLD_TASKS = Metric(PREFIX + "cold_tasks", "gauge", "Of these, tasks on disk.", "tasks", _P, owner="ledger")
COLD_REFUSED = Metric(
    PREFIX + "cold_refused_total",
    "counter",
    "Times the disk took no tasks: they stay in memory.",
    "times",
    _P,
    owner="ledger",
)
SCOPES = Metric(
    PREFIX + "scopes", "gauge", "Distinct scopes of the ledger partition that has most, of this worker's.", "scopes", ()
)
SCOPES_REFUSED = Metric(
    PREFIX + "scopes_refused_total", "counter", "Times the cap on distinct scopes kept a new one out.", "scopes", ()
)
RULE_FAILURES = Metric(
    PREFIX + "rule_failures_total",
    "counter",
    "Evaluations of an alert rule that failed: the rule said nothing, the others went on.",
    "evaluations",
    ("rule",),
)
RULE_FAULTS = Metric(
    PREFIX + "rule_faults_total",
    "counter",
    "Rows that an alert rule could not process, at each look: `not_judged`, it said nothing of a scope that it watches; `left_out`, "
    "a row was missing beside its judgements, such as among the causes. All other scopes were judged.",
    "rows",
    ("rule", "effect"),
)
SET_ASIDE = Metric(
    PREFIX + "set_aside_total",
    "counter",
    "Records and rows that a stage could not process because of their content: set aside with a reason, the rest went on.",
    "records",
    ("stage",),
)
RECOVERY = Metric(
    PREFIX + "recovery_seconds", "gauge", "How long the last recovery of state took.", "seconds", ("stage",)
)
UNFLUSHED = Metric(
    PREFIX + "unflushed_records",
    "gauge",
    "Records folded since the last flush began; at engine.max_unflushed_records folding waits for a flush.",
    "records",
    _SP,
)
UNFLUSHED_BYTES = Metric(
    PREFIX + "unflushed_bytes", "gauge", "Size of these; bound by engine.max_unflushed_bytes.", "bytes", _SP
)
BATCHES_IN_HAND = Metric(
    PREFIX + "batches_in_hand",
    "gauge",
    "Batches fetched and not folded; at the limit no more of the partition are fetched.",
    "batches",
    _SP,
)
IN_FLIGHT = Metric(
    PREFIX + "writer_in_flight_bytes", "gauge", "Bytes given to the producer and not acknowledged.", "bytes", ()
)
LARGEST_RECORD = Metric(
    PREFIX + "largest_record_bytes",
    "gauge",
    "Largest record since the start that filled a batch of its own; above kafka.max_message_bytes the worker ends.",
    "bytes",
    ("topic",),
)
WAIT = Metric(
    PREFIX + "wait_seconds_total",
    "counter",
    "Time spent waiting: for the broker's acknowledgements, for Redis, or to flush because too much was unflushed.",
    "seconds",
    ("on",),
)
WAITING = Metric(
    PREFIX + "waiting_seconds",
    "gauge",
    "How long the longest wait under way has lasted; 0 for none.",
    "seconds",
    ("on",),
)
REDIS_RETRIES = Metric(
    PREFIX + "redis_retries_total",
    "counter",
    "Times Redis took no rows or gave none, so it was tried again.",
    "times",
    (),
)
COMMITS_REFUSED = Metric(
    PREFIX + "commits_refused_total",
    "counter",
    "Commits the coordinator did not take (away, or a rebalance): offered again at the next flush.",
    "commits",
    ("stage",),
)
FENCED = Metric(
    PREFIX + "fenced_total",
    "counter",
    "Times the group did not know this worker any more, so it dropped its partitions.",
    "times",
    ("stage",),
)
INTERNED = Metric(
    PREFIX + "interned_tuples",
    "gauge",
    "Dimension tuples numbered for adding up; the numbers are given anew above the limit.",
    "tuples",
    _P,
    owner="ledger",
)
OUTBOX = Metric(
    PREFIX + "outbox_waiting",
    "gauge",
    "Notifications in the outbox in Redis, waiting or being sent.",
    "notifications",
    (),
)
_CHANNEL = ("channel",)
NOTIFICATIONS_SENT = Metric(
    PREFIX + "notifications_sent_total",
    "counter",
    "Notifications a channel took from this worker.",
    "notifications",
    _CHANNEL,
)
NOTIFICATIONS_FAILED = Metric(
    PREFIX + "notification_failures_total",
    "counter",
    "Attempts of this worker to send a notification that failed; those worth it are tried again.",
    "attempts",
    _CHANNEL,
)
NOTIFICATIONS_WAITING = Metric(
    PREFIX + "notifications_waiting",
    "gauge",
    "Notifications that a channel does not have yet, over all workers. Channel (no channel): their route has none.",
    "notifications",
    _CHANNEL,
)
NOTIFICATIONS_DEAD = Metric(
    PREFIX + "notifications_dead",
    "gauge",
    "Notifications given up for a channel and not revived, over all workers.",
    "notifications",
    _CHANNEL,
)
NOTIFICATIONS_OLDEST = Metric(
    PREFIX + "notifications_oldest_waiting_seconds",
    "gauge",
    "How long the oldest of the notifications due next has waited for a channel; 0 for none.",
    "seconds",
    _CHANNEL,
)
CHANNEL_USABLE = Metric(
    PREFIX + "notification_channel_usable",
    "gauge",
    "1 for a channel that could be built at start, 0 for one whose package or settings are wrong.",
    "channels",
    _CHANNEL,
)
ROUTES_SILENT = Metric(
    PREFIX + "notification_routes_silent",
    "gauge",
    "Routes without a channel that works: nobody hears what goes there.",
    "routes",
    (),
)
MIRRORED = Metric(
    PREFIX + "mirrored_alerts",
    "gauge",
    "Incidents that this worker keeps alive in an Alertmanager; only the owner of the alerts does.",
    "alerts",
    _CHANNEL,
)
MIRROR_POSTS = Metric(
    PREFIX + "mirror_posts_total",
    "counter",
    "Times that incidents were posted again to an Alertmanager. Outcome: sent or failed.",
    "posts",
    ("channel", "outcome"),
)
_TO = ("to",)
HEARTBEAT_ALIVE = Metric(
    PREFIX + "heartbeat_alive_timestamp_seconds",
    "gauge",
    "When a receiver of the heartbeat last took a sign of life of this worker; only the owner of the alerts gives any. to: url, or a "
    "channel.",
    "seconds",
    _TO,
)
HEARTBEATS = Metric(
    PREFIX + "heartbeats_total",
    "counter",
    "Signs given to the heartbeat's receivers. Outcome alive: all works; broken: it was told what does not; failed: it did not take "
    "the sign.",
    "signs",
    ("to", "outcome"),
)
BACKGROUND_DOWN = Metric(
    PREFIX + "background_task_down_seconds",
    "gauge",
    "How long a background task has not run stably; 0 while it does.",
    "seconds",
    ("task",),
)
LIMIT = Metric(
    PREFIX + "limit",
    "gauge",
    "Bound of the gauge named without its prefix (and of each of its series).",
    "same",
    ("of",),
)
BUILD_INFO = Metric(
    PREFIX + "build_info", "gauge", "Always 1; says what is running.", "info", ("component", "version", "python")
)

ENGINE_METRICS: tuple[Metric, ...] = (
    FOLDED,
    DEAD_LETTERS,
    DUPLICATES,
    LATE,
    WATERMARK,
    IDLE,
    FLOOR_WATERMARK,
    LAG,
    FLUSH,
    ROWS,
    TASKS,
    COLD_TASKS,
    COLD_REFUSED,
    SCOPES,
    SCOPES_REFUSED,
    RULE_FAILURES,
    RULE_FAULTS,
    SET_ASIDE,
    RECOVERY,
    UNFLUSHED,
    UNFLUSHED_BYTES,
    BATCHES_IN_HAND,
    IN_FLIGHT,
    LARGEST_RECORD,
    WAIT,
    WAITING,
    REDIS_RETRIES,
    COMMITS_REFUSED,
    FENCED,
    INTERNED,
    OUTBOX,
    NOTIFICATIONS_SENT,
    NOTIFICATIONS_FAILED,
    NOTIFICATIONS_WAITING,
    NOTIFICATIONS_DEAD,
    NOTIFICATIONS_OLDEST,
    CHANNEL_USABLE,
    ROUTES_SILENT,
    MIRRORED,
    MIRROR_POSTS,
    HEARTBEAT_ALIVE,
    HEARTBEATS,
    BACKGROUND_DOWN,
    LIMIT,
    BUILD_INFO,
)

WAITS = ("broker", "redis", "flush")
"""What something can wait for; their series exist from the start."""

COLLECTOR_METRICS: tuple[Metric, ...] = (*TABLE_METRICS, INCIDENTS_OPEN, ROWS_SKIPPED)
CATALOGUE: tuple[Metric, ...] = (*COLLECTOR_METRICS, *ENGINE_METRICS)


def by_name(name: str) -> Metric:
    """Return the metric of that full name.

    Raises:
        KeyError: If the catalogue has no such metric.
    """
    for metric in CATALOGUE:
        if metric.name == name:
            return metric
    raise KeyError(f"{name} is not in telemetry/catalogue.py; add it there first")
