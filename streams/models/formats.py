"""Versions of everything that is serialised and read again by a later version of Floorwatch (ADR 0027).

Each format has a version of its own. A value carries its whole number; one that carries none is version 1, which the deployed
commit 24565ae wrote. A reader takes every version up to its own and refuses a newer one with ``NewerFormat``; it never guesses.

The number is raised by a change that an older reader must not ignore, because it would count wrongly. Any other change
(a new field with a default) raises ``minor``, which no value carries, so older readers go on reading. ``make golden``
then writes the states of the new version to ``tests/golden``, where tests read those of every version.
"""

from __future__ import annotations

from streams.models.versions import (
    FIELD,
    FIRST,
    Format,
    NewerFormat,
    check,
    check_json,
    check_msgpack,
    member,
    read_from,
    refuse_longer,
    stamped_json,
)

__all__ = [
    "FIELD",
    "FIRST",
    "Format",
    "NewerFormat",
    "check",
    "check_json",
    "check_msgpack",
    "member",
    "read_from",
    "refuse_longer",
    "stamped_json",
]

_STOPS = "the worker stops with exit code 78 and the reason"

META = Format(
    "a ledger's meta row",
    2,
    "ledger-changelog.v1, key m|…",
    "worker (ledger)",
    "worker (ledger)",
    "ninth member of the array",
    _STOPS,
    "2: idle and floor (ADR 0019), set_aside, the version",
)
SEGMENT = Format(
    "a segment of facts",
    2,
    "ledger-changelog.v1, key s|…",
    "worker (ledger)",
    "worker (ledger)",
    "fourth member of the array, once for up to 4,000 facts",
    _STOPS,
    "2: grants and incomparable audits (facts), the version; 2.1: audits without sampling say so; 2.2: audits of whose draw the "
    "configuration told",
    2,
)
ROW = Format(
    "a row",
    1,
    "ledger-changelog.v1, key r|…, and partials.v1",
    "worker (ledger)",
    "worker (ledger, scopes)",
    "an array of two is version 1; a later version appends its number",
    _STOPS,
    "1.1: counters of what cannot be compared, and of names left out; amounts beyond 64 bits as digits; 1.2: counters of audits by "
    "class of sampling probability; 1.3: pairs and critical errors by it",
    3,
)
COUNTED = Format(
    "how a row is counted",
    7,
    "ledger-changelog.v1 and partials.v1, the owner in each key",
    "worker (ledger)",
    "worker (ledger)",
    "behind ~ in the owner; an owner without it is version 1",
    _STOPS,
    "2: labels without values are not compared, long decisions are shortened, values are a set; recovery counts anew what "
    "version 1 counted; 3: a label's weight is of the audit that drew it, audits without sampling are assumed random, "
    "audits are counted by class of π too; 4: the evidence of audits without sampling is a class of its own; 5: pairs and "
    "critical errors by class of π; 6: without a π the first audit says how the label was chosen; 7: the first "
    "by its own time, and evidence is at the time of the label; recovery counts all of it anew",
)
WATERMARK = Format(
    "a partition's watermark",
    1,
    "partials.v1, key ~watermark|…",
    "worker (ledger)",
    "worker (scopes)",
    "an array of two is version 1; a later version appends its number",
    _STOPS,
    "1.1: idle and the floor, as negative times (ADR 0019); 1.2: a partition that has refused scopes (ADR 0030)",
    2,
)
TABLE_ROW = Format(
    "a table row",
    2,
    "accuracy.v1, throughput.v1, sla.v1, Redis rows:…",
    "worker (scopes)",
    "worker (rules), command line, readers of the topics",
    "member format",
    "the rules stop the worker; commands end with the reason",
    "2: incomparable, overlap_incomparable, open_as_of, the version; 2.1: partial; 2.2: recovered and phi of evidence; 2.3: assumed, "
    "sample_…; 2.4: the estimate of accuracy and its interval; "
    "2.5: that of critical errors, weighted precision and recall; "
    "2.6: breach_at_by_arrival; 2.7: breach_at_low, breach_at_high; 2.8: audits_stand_for",
    8,
)
INCIDENT = Format(
    "an incident",
    3,
    "incidents.v1, Redis hashes incidents, incidents-pending",
    "worker (incidents)",
    "worker (incidents), command line, metrics",
    "member format",
    _STOPS,
    "2: told, clear and share_of of contributors, the version; 2.1: windows of any length, day and shift; 2.2: any kind (ADR 0033); "
    "2.3: figures; 3: who was told and who was not (ADR 0046); 3.1: every action with its way, owner, links, snooze, merge (ADR 0050); "
    "3.2: held for a digest; 3.3: flapping; 3.4: what maintenance held before",
    4,
)
SIGNAL = Format(
    "a signal, operator action or tick",
    3,
    "signals.v1; what is planned also on notices.v1, key ~…, with offset and earlier, and in Redis, hash plans",
    "worker (rules, incidents), command line, gateway",
    "worker (incidents), command line, gateway",
    "member format",
    _STOPS,
    "2: clear and share_of of contributors, the version; 2.1: windows of any length, day and shift; 2.2: any kind (ADR 0033); "
    "2.3: holds; 3: figures; types act, receipt, override, maintenance, calendar; 3.1: no type moved; "
    "3.2: instead of receipts, rebuild of ticks (ADR 0051)",
    2,
)
NOTICE = Format(
    "a group of incidents",
    1,
    "notices.v1",
    "worker (incidents)",
    "worker (incidents)",
    "member format, once there is a version 2",
    _STOPS,
    "1.1: keys +… (a notification) and =… (what became of it on each channel; ADR 0051); "
    "1.2: keys !… (what people did has counted; ADR 0058)",
    2,
)
NOTIFICATION = Format(
    "a notification",
    3,
    "Redis {outbox}:item:…, field payload",
    "worker (incidents)",
    "worker (notifier), command line",
    "member format",
    "it waits for a worker of the newer version; after all attempts, the dead list",
    "2: also, a queue for each channel (ADR 0024), the version; 3: several incidents, channels as they were decided (ADR 0046); 3.1: "
    "links to tasks and for short messages",
    minor=1,
)
AUDIT_REQUEST = Format(
    "a request for audits",
    1,
    "audit-requests.v1",
    "worker (incidents)",
    "worker (incidents), labelling tools",
    "end of the CloudEvents type (.v1)",
    "a dead letter tells of it; the request may be made again",
)
AUDIT_DRAW = Format(
    "a label drawn for audit",
    1,
    "audit-requests.v1, key ~label|…",
    "floorwatch audits feed",
    "labelling tools, floorwatch audits feed; worker (incidents) passes over it",
    "end of the CloudEvents type (.v1)",
    "it is passed over; the label may be asked for again, with the same id",
)
AUDIT_PLAN = Format(
    "an audit plan",
    1,
    "a file of yours",
    "floorwatch audits plan --json",
    "floorwatch audits feed",
    "member format",
    "the command ends with the reason",
)
EVENT = Format(
    "an event",
    1,
    "raw.v1, events.v1, embedded journal",
    "tools, gateway, worker (intake)",
    "worker (intake, ledger), replay",
    "end of the CloudEvents type (.v1); optional fields may be added",
    "intake refuses it to the dead letters with its type; send new types after the last worker is upgraded",
    "1.1: verdict incomparable, floorwatchgrant, idle and floor_at of ticks; 1.2: sampling.source",
    2,
)
DEAD_LETTER = Format(
    "a dead letter",
    1,
    "deadletters.v1, late.v1",
    "worker, gateway",
    "command line, people",
    "member format, once there is a version 2",
    "fields are only ever added; readers pass over those they do not know",
    "1.1: removed; a key replayed|KEY without a value says that the record of letter KEY was sent again",
    1,
)
BASELINE = Format(
    "the throughput baseline",
    1,
    "Redis kept:throughput-baseline",
    "worker (rules)",
    "worker (rules)",
    "member format of the map, once there is a version 2",
    "it is learnt anew, with a warning",
)
LOOK = Format(
    "how far the rules have looked",
    1,
    "Redis kept:rules-looked",
    "worker (rules)",
    "command line, /statusz",
    "member format, once there is a version 2",
    "it is shown as not known",
    "1.1: when they looked",
    minor=1,
)
HEALTH = Format(
    "how notifiers and the heartbeat fare",
    1,
    "Redis {outbox}:notifiers, kept:heartbeat",
    "worker (health)",
    "worker (health), command line",
    "member format, once there is a version 2",
    "it is taken as not known",
)
TOOL_STATE = Format(
    "a tool's state",
    1,
    "Redis gateway:…",
    "gateway",
    "gateway",
    "member format, once there is a version 2",
    "webhooks wait in the spool, and /readyz says why",
    "1.1: what an annotation's audit was; 1.2: digests of what is no choice (ADR 59); 1.3: its latest save, copies, reviews (ADR 63); "
    "1.4: lives of ids, labels a task wants; 1.5: open tasks of projects",
    5,
)
SPOOL = Format(
    "a webhook in the spool",
    2,
    "gateway.spool_dir, hooks-….jsonl",
    "gateway",
    "gateway",
    "member format",
    "the gateway does not start and says why",
    "2: grant, a checksum in the file done, the version; 2.1: what a task and its project say of skips; "
    "2.2: the place of the first task of a part of a large one",
    2,
)
EMITTER_SPOOL = Format(
    "an emitter's spool",
    1,
    "the folder that Emitter(spool=) names, events-….jsonl and refused.jsonl",
    "the SDK",
    "the SDK",
    "the file named format",
    "the emitter is not made and says why",
)
JOURNAL = Format(
    "a journal segment",
    1,
    "embedded journal, ….seg",
    "gateway, embedded stack",
    "shipper",
    "the digit in the first eight bytes, FWJRNL1",
    "the shipper ends and says why; the writer does not start",
)
STACK_STATE = Format(
    "the embedded stack's state",
    1,
    "var/run/state.json",
    "floorwatch up",
    "command line",
    "member version",
    "the command ends with the reason",
    "1.1: password file, prefix and configuration file; 1.2: processes in a crash loop",
    2,
)
KEPT_ALERTS = Format(
    "what the embedded stack keeps of alerts",
    1,
    "var/alerts, ….seg",
    "embedded stack (workers, floorwatch up)",
    "floorwatch up",
    "member format of the map",
    "floorwatch up ends with the reason",
)
PROGRESS = Format(
    "the shipper's progress",
    1,
    "var/run/shipper.json",
    "shipper",
    "shipper",
    "none: it is about one start of the broker",
    "what cannot be read is sent again, which the ledger ignores",
)
COLD_TASK = Format(
    "a task on disk",
    1,
    "engine.state_dir",
    "worker (ledger)",
    "worker (ledger)",
    "none: it is emptied at each start",
    "never read by another version",
)

FORMATS: tuple[Format, ...] = (
    *(META, SEGMENT, ROW, COUNTED, WATERMARK, TABLE_ROW, INCIDENT, SIGNAL, NOTICE, NOTIFICATION),
    *(AUDIT_REQUEST, AUDIT_DRAW, AUDIT_PLAN, EVENT, DEAD_LETTER, BASELINE, LOOK, HEALTH, TOOL_STATE),
    *(SPOOL, EMITTER_SPOOL, JOURNAL, STACK_STATE, KEPT_ALERTS, PROGRESS, COLD_TASK),
)
