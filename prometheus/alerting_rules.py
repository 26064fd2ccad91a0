"""Alerts on the stream itself, as data. Alerts on the floor (accuracy, SLA, ...) are Floorwatch's incidents.

They say when Floorwatch cannot be trusted, so they must not depend on Floorwatch being well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RUNBOOK = "prometheus/runbooks.md"

STALLED_AFTER_S = 600
UNDELIVERED_AFTER_S = 300
WORKER_JOB = "floorwatch-worker"
GATEWAY_JOB = "floorwatch-gateway"


@dataclass(frozen=True, slots=True)
class PrometheusRule:
    """One alerting rule.

    Attributes:
        name: Alert name; its runbook section has the same.
        expr: PromQL that answers while it fires.
        wait: How long it must hold, as a Prometheus duration.
        severity: ``critical`` wakes somebody, ``warning`` waits for the morning.
        summary: What is wrong, in one line; may use Prometheus templates.
        description: What it means and what to do first.
    """

    name: str
    expr: str
    wait: str
    severity: Literal["critical", "warning"]
    summary: str
    description: str


_LAG_S = "time() - max(floorwatch_watermark_timestamp_seconds)"

RULES: tuple[PrometheusRule, ...] = (
    PrometheusRule(
        "FloorwatchWatermarkStalled",
        # absent(): with no worker left there is no watermark to be old, and that is the worst stall of all.
        f"{_LAG_S} > {STALLED_AFTER_S} or absent(floorwatch_watermark_timestamp_seconds)",
        "2m",
        "critical",
        "The stream has stopped: no partition's watermark has moved for over 10 minutes",
        "Tables, boards and incidents are frozen; a quiet floor is not the cause, for time then closes windows by "
        "itself. Check workers, then the broker.",
    ),
    PrometheusRule(
        "FloorwatchPartitionStalled",
        f"(time() - max by (partition) (floorwatch_watermark_timestamp_seconds) > {STALLED_AFTER_S}) "
        'and on (partition) (max by (partition) (floorwatch_lag_records{stage="ledger"}) > 0)',
        "5m",
        "warning",
        "Partition {{ $labels.partition }} waits: records are there and its watermark does not move",
        "Scopes of this partition are late by {{ $value | humanizeDuration }}. Restart the worker that holds it.",
    ),
    PrometheusRule(
        "FloorwatchWorkerDown",
        f'up{{job="{WORKER_JOB}"}} == 0 or absent(up{{job="{WORKER_JOB}"}})',
        "1m",
        "critical",
        "Worker {{ if $labels.instance }}{{ $labels.instance }} does not answer{{ else }}missing: none answers"
        "{{ end }}",
        "Its partitions move to the other workers after the session timeout; with none left, everything waits "
        "in Kafka.",
    ),
    PrometheusRule(
        "FloorwatchGatewayDown",
        f'up{{job="{GATEWAY_JOB}"}} == 0 or absent(up{{job="{GATEWAY_JOB}"}})',
        "1m",
        "critical",
        "Gateway {{ if $labels.instance }}{{ $labels.instance }} does not answer{{ else }}missing: none answers"
        "{{ end }}",
        "Labelling tools cannot deliver; those that do not retry lose events. Restart it before anything else.",
    ),
    PrometheusRule(
        "FloorwatchDeadLetters",
        "sum by (stage, code) (increase(floorwatch_dead_letters_total[10m])) > 0",
        "0m",
        "warning",
        "{{ $value | humanize }} records refused by {{ $labels.stage }} as {{ $labels.code }} in 10 minutes",
        "Refused records are in no table. Read their reasons in the dead-letter topic; most often a tool changed "
        "its payload.",
    ),
    PrometheusRule(
        "FloorwatchScopesRefused",
        'sum(increase(floorwatch_scopes_refused_total[10m])) > 0 or sum(floorwatch_export_rows_skipped{reason="partial"}) > 0',
        "0m",
        "warning",
        "The cap on distinct scopes keeps new ones out",
        "They are not counted; rows that may lack something for it are marked partial, and metrics and alert rules leave them out. "
        "Find the sender and the dimension whose values explode; raising tables.max_scopes needs a rebuilt state.",
    ),
    PrometheusRule(
        "FloorwatchRuleFails",
        "sum by (rule) (increase(floorwatch_rule_failures_total[10m])) > 0",
        "0m",
        "warning",
        "Alert rule {{ $labels.rule }} could not be evaluated",
        "It is blind meanwhile: its incidents stay as they are. Tables and other rules go on. The worker's log has the fault: "
        "please report it.",
    ),
    PrometheusRule(
        "FloorwatchScopesNotJudged",
        'sum by (rule) (increase(floorwatch_rule_faults_total{effect="not_judged"}[10m])) > 0',
        "0m",
        "warning",
        "Alert rule {{ $labels.rule }} cannot judge some of its scopes",
        "Their incidents stay as they are: none opens, none ends. All other scopes are judged. `floorwatch doctor` and /statusz of the "
        "worker that evaluates the rules name the scopes and the reason.",
    ),
    PrometheusRule(
        "FloorwatchSetAside",
        "sum by (stage) (increase(floorwatch_set_aside_total[10m])) > 0",
        "0m",
        "warning",
        "{{ $value | humanize }} records or rows that stage {{ $labels.stage }} could not process in 10 minutes",
        "They are in no table; everything else goes on. The dead-letter topic (code cannot_process) and the worker's log have the "
        "reason and the offset: please report it.",
    ),
    PrometheusRule(
        "FloorwatchRedisAway",
        'max by (instance) (floorwatch_waiting_seconds{on="redis"}) > 60',
        "1m",
        "critical",
        "Redis has taken nothing from worker {{ $labels.instance }} for {{ $value | humanizeDuration }}",
        "Rows, boards that read Redis, alert rules and notifications stand still; intake and ledger go on and nothing is lost. "
        "Bring Redis back: everything catches up by itself.",
    ),
    PrometheusRule(
        "FloorwatchRecordNearLimit",
        "max by (topic) (floorwatch_largest_record_bytes) > "
        'on () group_left () (0.5 * max(floorwatch_limit{of="largest_record_bytes"}))',
        "0m",
        "warning",
        "A record of {{ $value | humanize1024 }}B for {{ $labels.topic }}: over half of what may be written",
        "A row grows with the distinct labelers of its pane. At the limit the worker ends. Look for a sender whose labeler_id "
        "never repeats, or raise kafka.max_message_bytes and the topic's max.message.bytes.",
    ),
    PrometheusRule(
        "FloorwatchAlertsNotDelivered",
        f"max by (channel) (floorwatch_notifications_oldest_waiting_seconds) > {UNDELIVERED_AFTER_S} "
        "or max by (channel) (delta(floorwatch_notifications_dead[10m])) > 0",
        "1m",
        "critical",
        "Alerts are not being delivered: channel {{ $labels.channel }}",
        "Somebody is to be told of an incident and is not. Its receiver refuses, does not answer, or no channel serves the route. "
        "`floorwatch doctor` and /statusz of a worker name the reason; other channels deliver.",
    ),
    PrometheusRule(
        "FloorwatchAlertRouteSilent",
        "max by (instance) (floorwatch_notification_routes_silent) > 0 "
        "or min by (instance, channel) (floorwatch_notification_channel_usable) == 0",
        "1m",
        "critical",
        "{{ if $labels.channel }}Channel {{ $labels.channel }} cannot be used{{ else }}A route of alerts reaches nobody{{ end }}",
        "A package is missing, an address is wrong or a route is empty: what is sent there waits. `floorwatch config check` says "
        "where; mend it and restart the workers, and what waits is delivered.",
    ),
    PrometheusRule(
        "FloorwatchHeartbeatLate",
        f"time() - max by (to) (floorwatch_heartbeat_alive_timestamp_seconds) > {UNDELIVERED_AFTER_S}",
        "5m",
        "warning",
        "No sign of life for {{ $labels.to }} for {{ $value | humanizeDuration }}",
        "Either the way from an event to a person is broken, or the receiver does not take the sign. /statusz of the worker "
        "that owns the alerts (health) and `floorwatch doctor` name the reason.",
    ),
    PrometheusRule(
        "FloorwatchBackgroundTaskDown",
        "max by (instance, task) (floorwatch_background_task_down_seconds) > 10",
        "1m",
        "critical",
        "{{ $labels.task }} of {{ $labels.instance }} has been down for {{ $value | humanizeDuration }}",
        "It is started again and again and fails; /readyz is red meanwhile. The log of the process has the fault: please report it.",
    ),
)
