"""The page ``docs/limits.md``: what stands around the tables of ``telemetry.limits``."""

from __future__ import annotations

from telemetry.limits import LIMITS, Limit

_HEAD = """\
<!-- Generated from telemetry/limits.py and telemetry/limits_page.py by `make generate`. Do not edit. -->
# Limits and backpressure

Every buffer between a socket and a disk has a bound. At the bound, the side that still has its data elsewhere waits: a
sender that was not answered, or a partition of the log that was not committed. So a slow Redis or broker makes
Floorwatch slow, but nothing is lost and memory stays bounded. The log is the only buffer that is meant to grow, and
`floorwatch_lag_records` is its gauge.

`floorwatch_limit{of="..."}` exports the bound of each gauge whose bound is a setting, so a board can show how full it is:
`floorwatch_unflushed_records / on() group_left() floorwatch_limit{of="unflushed_records"}`. A bound is checked after a
batch, so a gauge may be one batch above it.
"""

_TAIL = """\
## When Redis is slow or away
- A scopes partition publishes to its topics and to Redis in one flush. Without Redis that flush waits and tries again
  with growing pauses; `floorwatch_waiting_seconds{on="redis"}` says for how long by now.
- Each stage has a flush loop of its own: **intake and the ledger go on** to fold, flush and commit. The aggregate stage
  folds partial rows until engine.max_unflushed_records, then its batches in hand fill up, then its partitions are not
  fetched any more. Partial rows wait on `partials.v1`, which is compacted: so however long Redis is away, at most the
  newest version of each row waits.
- Rules read rows from Redis and notifications wait there, so there are no alerts without it. The metrics endpoint still
    works: watch `floorwatch_waiting_seconds` from Prometheus.
- When Redis is back, everything catches up by itself. If it came back empty, all rows are written again.
- An answer that a retry cannot change (no right, a key of another type) stops the worker with that answer.

## When the broker is away at a start
- A worker waits for it and says every five seconds for how long, how often it has tried, where, and what the obstacle is
  (nothing listens, the host is not known, no answer). `/readyz` says so too, and SIGTERM ends it at once.
- A broker that is there and refuses the worker as it is configured (user, password, mechanism, a certificate not trusted) is
  not waited for: the worker ends with exit code 78, as for everything that a restart does not fix, and says what to
      correct.

## When the broker is slow or stalls
- Appends wait for acknowledgements, so flushes wait, so folding waits at its bound. Heartbeats have their own thread
    and connections, so a broker that answers them but takes no records causes no rebalance.
- An idempotent producer (the default) sends a batch again until the broker has it, in its order, exactly once.
- With `kafka.idempotent_producer: false` (the embedded broker) a batch not acknowledged for 60 s fails, and the worker ends with
  an error: whether the batch is on the log is then unknown, and a restart, which begins a new owner of rows, is exact.
- A rebalance waits for last flushes at most half the rebalance timeout. Then they are cancelled, which has the same
    effect as a crash, and the next owner folds the rest again. A worker stuck on Redis does not hold up the group.

## Commits, and being taken for dead
| the coordinator says | meaning | what the worker does |
|---|---|---|
| nothing, or that it is not the coordinator or is loading | it is away | goes on; the offset is offered again at the next flush |
| a rebalance is under way | still a member | goes on; the offset is offered again |
| unknown member, old generation, fenced instance id | taken for dead | stops all folding and flushing, joins anew, recovers |
| no right to commit | a fault of configuration | ends with the error |

A worker that is taken for dead may have lost every partition of every stage, so all stages stop at the first such
answer. `floorwatch_commits_refused_total` and `floorwatch_fenced_total` count these. A worker that was fenced and is
not given partitions anew within a minute (or five session timeouts) ends, so that its supervisor starts it again.
Exactness does not depend on commits: the stamps of rows say what they hold, and a commit only says where a replay may
begin.

## Why the producer is idempotent
Every key of the changelog has one writer whose stamps rise, and "the last record of a key is its newest" is what
compaction keeps. A batch whose answer is lost is sent again; without producer ids the broker may take the first copy
late, behind a newer batch, and compaction would keep the older row. With producer ids the broker drops it
(`tests/limits/test_idempotence.py` loses answers on a real Kafka: with ids each record is on the log once, without them some
are twice). A broker without `InitProducerId` is told by `floorwatch doctor` and by the worker at its start.

## Bounds that are not ours
- **Distinct labelers of one row.** Whoever labelled in a pane is counted by name inside its row: some 24 bytes for a name of
  20 characters, so the 8 MiB of kafka.max_message_bytes hold about 350,000 names of 20 characters, or 8,000 of the longest, 256
  characters of 4 bytes (Kafka's own limit of 1 MiB: 40,000, or 1,000). `floorwatch_largest_record_bytes` shows any record above
  768 KiB, and `FloorwatchRecordNearLimit` fires at half the limit. A row that passes seven eighths of it drops
  everything that it counts by name, is reported in the worker's log, and goes on ([ADR 0018](adr/0018-set-aside.md)).
  Ids that never repeat (a session id sent as labeler_id) do that: refuse them at the sender.
- **Any other record that is too large** ends the worker with exit code 78 and a message that names topic, record, size and remedy;
  nothing is lost, for its events are not committed. Starting again without a change ends the same way, so have the supervisor
  not restart on 78 (systemd: `RestartPreventExitStatus=78`; `floorwatch up` waits 30 s between two starts).
- **Topics made by an older version** keep the broker's limit of 1 MiB and their retention: `floorwatch doctor` names them
  and gives the `kafka-configs --alter` command.
- **Recovery** reads a partition's rows, and its segments of facts up to 32 MB, into memory before it builds the state: for a
  moment it takes about twice what the newest records take. More partitions make each smaller. Facts beyond that are read a
  second time. A partition's tables are published anew once the ledgers beside it have recovered, after 20 s in any case.
- **Topics** grow by retention and compaction: see [guarantees](guarantees.md).
"""


def _table(limits: tuple[Limit, ...]) -> list[str]:
    lines = [
        "| buffer | bound | at the bound | how full | who waits or is refused | bounded in |",
        "|---|---|---|---|---|---|",
    ]
    for limit in limits:
        wait = f"`{limit.wait}`" if limit.wait else "nobody"
        lines.append(
            f"| {limit.buffer} | {limit.bound} | {limit.at_bound} | `{limit.fill}` | {wait} | `{limit.where}` |"
        )
    return lines


def render() -> str:
    """Return the page."""
    lines = [_HEAD]
    for title, limits in LIMITS:
        lines += [f"## {title}", "", *_table(limits), ""]
    return "\n".join(lines) + "\n" + _TAIL
