"""The limits as data: every buffer between socket and disk, its bound, who waits at it, and the metrics that show it.

``docs/limits.md`` is written from this list; tests hold each row's metrics to the catalogue and its setting to the configuration.
"""

from __future__ import annotations

from telemetry.limit import Limit

_FOLDED = "floorwatch_events_folded_total"
_LAG = "floorwatch_lag_records"
_WAIT = "floorwatch_wait_seconds_total"
_UNFLUSHED = "floorwatch_unflushed_records"
_IN_FLIGHT = "floorwatch_writer_in_flight_bytes"
_ROWS = "floorwatch_rows"
_REQUESTS = "floorwatch_gateway_requests_total"
_REFUSED = "floorwatch_gateway_refused_total"
_ENDED = "floorwatch_gateway_connections_ended_total"
_SPOOL = "floorwatch_gateway_spool_events"

GATEWAY_LIMITS = (
    Limit(
        "open connections",
        "gateway/http_connections.py",
        "gateway.max_connections, and 128 fewer than open files allow: half for events, a quarter for webhooks, a quarter "
        "for those on which nothing was let in yet; within each, one sender holds at most as many as are free",
        "gateway.max_connections",
        "the oldest idle one of whoever has most is ended; where none is idle, a new one; without descriptors none is taken "
        "for a second",
        "floorwatch_gateway_connections",
        _ENDED,
    ),
    Limit(
        "a request's head",
        "gateway/http_connections.py",
        "64 headers of 8,190 bytes; gateway.header_timeout_s",
        "gateway.header_timeout_s",
        "431 or 408, and the connection ends",
        "floorwatch_gateway_connections",
        _ENDED,
    ),
    Limit(
        "an idle connection; an answer that is not read",
        "gateway/http_connections.py",
        "gateway.idle_timeout_s; 30 s",
        "gateway.idle_timeout_s",
        "the connection ends",
        "floorwatch_gateway_connections",
        _ENDED,
    ),
    Limit(
        "requests under way",
        "gateway/body.py",
        "gateway.max_requests, a quarter of them webhooks; within each, one sender holds at most as many as are free; each "
        "at most gateway.request_timeout_s",
        "gateway.max_requests",
        "a sender with its share gets 429, others 503 when none is free; both send again",
        "floorwatch_gateway_requests_under_way",
        _REFUSED,
    ),
    Limit(
        "request bodies that have arrived, unpacked",
        "gateway/body.py",
        "events 12, webhooks 4 x gateway.max_body_bytes (of Label Studio's: what is kept of them, and the task that arrives); within "
        "each, one sender holds at most as much as is free",
        "gateway.max_body_bytes",
        "the sender gets 429 and sends again; other senders are not concerned",
        "floorwatch_gateway_body_bytes",
        _REFUSED,
    ),
    Limit(
        "one body",
        "gateway/body.py",
        "gateway.max_body_bytes unpacked, of Label Studio's webhooks gateway.max_hook_bytes, and each task in it max_body_bytes; "
        "gateway.body_timeout_s, and after 5 s no less than gateway.min_body_bytes_per_s",
        "gateway.min_body_bytes_per_s",
        "413 or 408, and nothing of it is accepted",
        "floorwatch_gateway_body_bytes",
        _REFUSED,
    ),
    Limit(
        "events of one request",
        "gateway/time_slices.py",
        "gateway.max_events, of a webhook its tasks; 200,000 values in a part of an array that cannot be cut; 1,000 refusals told "
        "one by one",
        "gateway.max_events",
        "413, and nothing of it is accepted; refusals beyond the told ones are counted",
        "floorwatch_gateway_requests_under_way",
        _REFUSED,
    ),
    Limit(
        "work on a large body before others get their turn",
        "gateway/time_slices.py",
        "5 ms, sender after sender, with 8 rounds of the event loop in between",
        None,
        "the rest of it waits for its next turn",
        "floorwatch_gateway_requests_under_way",
    ),
    Limit(
        "accepted events waiting for the broker or the journal",
        "gateway/publisher.py",
        "gateway.max_in_flight_bytes, a quarter kept for webhooks; one sender's events at most as much as is free",
        "gateway.max_in_flight_bytes",
        "the sender gets 503 and sends again; nothing was answered 2xx that is not durable",
        "floorwatch_gateway_in_flight_bytes",
        _REQUESTS,
    ),
    Limit(
        "webhooks kept, number",
        "gateway/webhook_queue.py",
        "gateway.spool_max_hooks; one sender at most 8 times what is free, so a ninth is left to others",
        "gateway.spool_max_hooks",
        "the tool gets 503",
        _SPOOL,
        _REQUESTS,
    ),
    Limit(
        "webhooks kept, bytes",
        "gateway/webhook_queue.py",
        "gateway.spool_max_bytes; one sender at most 8 times what is free",
        "gateway.spool_max_bytes",
        "the tool gets 503",
        "floorwatch_gateway_spool_bytes",
        _REQUESTS,
    ),
    Limit(
        "what earlier webhooks left, in Redis",
        "gateway/tool_state.py",
        "time to live",
        "gateway.memory_ttl_s",
        "old records go; while Redis is away webhooks wait in the spool",
        _SPOOL,
        _REQUESTS,
    ),
    Limit(
        "token buckets of senders",
        "gateway/authenticator.py",
        "one for each configured source; without tokens one for each of the last 10,000 addresses",
        "gateway.sources",
        "a sender that is too fast gets 429; an address beyond 100 requests/s without a token also loses its connection",
        _REQUESTS,
        _REQUESTS,
    ),
    Limit(
        "what gateways have refused, in Redis",
        "streams/adapters/refused_requests.py",
        "one number each quarter of an hour of each configured source and code, 1,000 in all; a day",
        None,
        "those refused last stay; while Redis is away each gateway counts in memory, within the same bound",
        _REFUSED,
    ),
    Limit(
        "lines of the log about refused requests",
        "gateway/refusal_log.py",
        "of each configured source and code 5 at once, then one each 10 s; 400 characters each",
        None,
        "the next line says how many more there were; nobody waits",
        _REFUSED,
    ),
    Limit(
        "people of a tool's users_csv",
        "gateway/sources/places.py",
        "100,000 people, 16 MiB, 256 characters a value",
        None,
        "the gateway does not start, and config check says why",
        "floorwatch_gateway_unmapped_total",
    ),
    Limit(
        "people and projects that are not mapped, told in the log",
        "gateway/unmapped.py",
        "10,000 remembered, each told once; 20 lines a minute",
        None,
        "counted and not told; those beyond 20 a minute when they come again",
        "floorwatch_gateway_unmapped_total",
    ),
)

FETCH_LIMITS = (
    Limit(
        "records fetched and not handed out, of each partition",
        "streams/app.py (aiokafka)",
        "one fetch: 4 MiB, or one record batch if that is larger",
        None,
        "the partition is not fetched again before they are taken; the log is the buffer",
        _LAG,
        _LAG,
    ),
    Limit(
        "batches handed to a stage and not folded, of each partition",
        "streams/engine/batches.py",
        "4 batches of engine.max_batch_records",
        "engine.max_batch_records",
        "no more of that partition are fetched; other partitions and stages go on",
        "floorwatch_batches_in_hand",
        _LAG,
    ),
    Limit(
        "streams' queues in Faust",
        "streams/app.py",
        "6 x partitions + 8 batches: above what batches in hand can come to, so never reached",
        None,
        "would stop all topics, which is why it is not the bound in force",
        "floorwatch_batches_in_hand",
    ),
)

STAGE_LIMITS = (
    Limit(
        "records folded and not flushed, of each stage and partition: intake's events and dead letters, new facts, sums not "
        "yet drained, late and rejected events, incidents and notifications that wait",
        "streams/engine/host.py",
        "engine.max_unflushed_records",
        "engine.max_unflushed_records",
        "folding waits until a flush is done",
        _UNFLUSHED,
        _WAIT,
    ),
    Limit(
        "the same in bytes of the records' values",
        "streams/engine/host.py",
        "engine.max_unflushed_bytes",
        "engine.max_unflushed_bytes",
        "folding waits until a flush is done",
        "floorwatch_unflushed_bytes",
        _WAIT,
    ),
    Limit(
        "changes summed in columns before they touch rows",
        "streams/core/accumulate.py",
        "262,144 changes (13 MB) and one batch",
        None,
        "they are drained into rows at once; nobody waits",
        _UNFLUSHED,
    ),
    Limit(
        "numbers of dimension values and tuples",
        "streams/core/scopes.py",
        "200,000 parts of tuples (66 MB), looked at after each drain",
        None,
        "numbering begins anew; no row changes",
        "floorwatch_interned_tuples",
    ),
    Limit(
        "distinct scopes of a ledger partition",
        "streams/core/scopes.py",
        "tables.max_scopes",
        "tables.max_scopes",
        "new scopes are not counted, save those that the configuration names; rows that may lack something for it are marked partial",
        "floorwatch_scopes",
        "floorwatch_scopes_refused_total",
    ),
    Limit(
        "rows of a partition",
        "streams/core/rows.py",
        "scopes x panes that are kept",
        "tables.max_scopes",
        "rows whose pane has expired go",
        _ROWS,
    ),
    Limit(
        "facts of tasks in memory",
        "streams/core/tasks.py",
        "engine.hot_tasks of each partition",
        "engine.hot_tasks",
        "the tasks untouched for longest go to disk; if the disk takes none, memory grows and says so",
        "floorwatch_tasks",
        "floorwatch_cold_refused_total",
    ),
    Limit(
        "facts of tasks on disk",
        "streams/core/ledger.py",
        "tasks within the correction horizon",
        "tables.correction_horizon_days",
        "tasks whose facts are all older are dropped",
        "floorwatch_cold_tasks",
    ),
    Limit(
        "rows merged and not published, of a scopes partition",
        "streams/core/floor.py",
        "at most all rows it holds, each once in its version before the first change",
        "tables.max_scopes",
        "newer versions of a row replace older ones; folding waits by the bound on unflushed records",
        _ROWS,
        _WAIT,
    ),
    Limit(
        "table rows made and not written, of a scopes partition",
        "streams/agents/aggregate.py",
        "1,500, and those of one more scope",
        None,
        "the rest is made when these are written; what comes meanwhile waits by the bound on unflushed records",
        _ROWS,
        _WAIT,
    ),
    Limit(
        "minute rows kept decoded for their next change, of a scopes partition",
        "streams/core/scope_windows.py",
        "4,096, those that changed last",
        None,
        "the others are decoded again",
        _ROWS,
    ),
    Limit(
        "what audits that are alike count for, remembered",
        "streams/core/audit_templates.py",
        "20,000 kinds of audits, looked at after each drain; 65,536 evidence counters",
        None,
        "they are found anew",
        _FOLDED,
    ),
    Limit(
        "times as text, remembered",
        "streams/core/time_text.py",
        "4,096",
        None,
        "the one used least goes",
        _FOLDED,
    ),
)

OUTPUT_LIMITS = (
    Limit(
        "bytes given to the producer and not acknowledged",
        "streams/engine/log.py",
        "engine.max_in_flight_bytes; of each append one batch under way and one being built",
        "engine.max_in_flight_bytes",
        "appends wait, hence flushes, hence folding",
        _IN_FLIGHT,
        _WAIT,
    ),
    Limit(
        "one record: a row with the names of the labelers of its pane",
        "streams/engine/log.py",
        "kafka.max_message_bytes, on the topics as max.message.bytes",
        "kafka.max_message_bytes",
        "a row beyond seven eighths keeps nothing by name and is told; any other such record ends the worker with code 78, uncommitted",
        "floorwatch_largest_record_bytes",
    ),
    Limit(
        "rows on their way to Redis",
        "streams/adapters/readmodel.py",
        "one publication of a partition, in pipelines of 2,000 rows",
        None,
        "the flush of that partition waits for each pipeline's answer",
        _UNFLUSHED,
        _WAIT,
    ),
    Limit(
        "a Redis that is away, full or loading",
        "streams/adapters/redis_retry.py",
        "one waiting publication of each scopes partition, one flush of each incidents partition",
        None,
        "tried again after 0.5 s, 1 s, 2 s, 4 s and then every 5 s",
        "floorwatch_waiting_seconds",
        "floorwatch_redis_retries_total",
    ),
    Limit(
        "notifications in the outbox",
        "alerts/outbox.py",
        "48 attempts on each channel, over about 7 hours; 64 KiB each; 10,000 dead ones a channel; 4 under way to a channel at once",
        None,
        "one that a channel does not take is listed as dead, other channels have it; `floorwatch notifications revive`",
        "floorwatch_notifications_waiting",
        "floorwatch_notifications_dead",
    ),
    Limit(
        "notices kept on the log with what became of them, from which a lost outbox is filled",
        "alerts/receipts.py",
        "50,000 that a channel does not have yet, 20,000 others, these for 30 days; about 1 KB of memory each",
        None,
        "the oldest are forgotten: those that wait are then in Redis alone, and the worker's log says how many",
        "floorwatch_notifications_waiting",
        "floorwatch_notifications_dead",
    ),
    Limit(
        "rows kept for scrapes",
        "telemetry/exporter.py",
        "the scopes a worker holds; 2,000 scopes exported of `metrics.window`, 2,000 of the other windows together",
        "tables.max_scopes",
        "the least busy scopes are left out of the scrape",
        "floorwatch_export_rows_skipped",
        "floorwatch_export_rows_skipped",
    ),
)

LIMITS: tuple[tuple[str, tuple[Limit, ...]], ...] = (
    ("Gateway", GATEWAY_LIMITS),
    ("From the log into a stage", FETCH_LIMITS),
    ("In a stage", STAGE_LIMITS),
    ("From a stage to broker and Redis", OUTPUT_LIMITS),
)
"""Tables of the page in the way an event goes."""
