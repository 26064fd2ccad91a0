"""One sentence for each field of the contract: the schemas' descriptions and the contract's README.

Looked up as ``Class.field`` first, then as ``field``.
"""

from __future__ import annotations

from streams.models.measures import TABLES

EVENT_DOCS: dict[str, str] = {
    # Envelope (CloudEvents 1.0)
    "type": "The event's type and version; decides what data holds.",
    "specversion": "CloudEvents version.",
    "id": "With source, the identity of the event: send the same pair again only with the same content.",
    "source": "Who sends, e.g. label-studio/kul-1. One name for each tool and site.",
    "subject": "The task: every event of one task carries the same value, and is ordered by it.",
    "ShiftScheduled.subject": "The roster, e.g. roster/KUL/2026-11-23: shifts belong to no task.",
    "time": "When it happened, RFC 3339 with a zone; at most 5 min (configurable) after its arrival.",
    "datacontenttype": "application/json, where given.",
    "floorwatchgrant": "Reserved: Floorwatch writes here who sent the event; what a sender writes is dropped.",
    "data": "What happened.",
    # Dimensions
    "queue": "The queue the task is worked in.",
    "policy": "The policy decided upon.",
    "policy_version": "Version of the policy's text.",
    "market": "Language or region, e.g. ms-MY.",
    "priority": "Priority of the task.",
    "site": "The labeller's site; decides the time zone of calendar days.",
    "vendor": "inhouse, or the partner who employs the labeller.",
    "team": "The labeller's team.",
    # Tasks
    "due_at": "When the task must be decided; outranks sla_class.",
    "LabelSubmittedData.due_at": "When the task was due, for sources that send no task.created.",
    "LabelSubmittedData.created_at": "When the task was created, for sources that send no task.created.",
    "sla_class": "Named time to due (targets.sla_classes of the configuration), where due_at is not known.",
    "required_labels": "The task is complete when it has this many standing labels.",
    "reason": "Why, in the tool's words; not kept.",
    # Labels
    "label_id": "The label. Sent again, it is a new version that replaces the earlier wholly.",
    "LabelWithdrawnData.label_id": "The label withdrawn; final, also when it arrives before the label.",
    "AuditCompletedData.label_id": "The label audited; without it, the task's latest label.",
    "AppealOpenedData.label_id": "The label disputed; needed when against is label.",
    "AppealDecidedData.label_id": "The label disputed; needed when against is label.",
    "labeler_id": "The labeller, by the id of the tool or a pseudonym.",
    "LabelSubmittedData.values": "The decision: one or several values, in any order; never content of the item.",
    "AuditCompletedData.values": "What would have been right, as the auditor sees it.",
    "Prediction.values": "What the model proposed.",
    "started_at": "When the labeller began; handle time is time minus this, so not after time.",
    "active_ms": "Milliseconds of actual work, where the tool measures it.",
    "prediction": "What a model had proposed.",
    "score": "The model's confidence.",
    "model": "The model's name and version.",
    # Audits
    "audit_id": "The audit. Sent again, the later replaces the earlier.",
    "AuditWithdrawnData.audit_id": "The audit withdrawn; final, also when it arrives before the audit.",
    "AppealOpenedData.audit_id": "The audit disputed; needed when against is audit.",
    "AppealDecidedData.audit_id": "The audit disputed; needed when against is audit.",
    "verdict": "Whether the label was right.",
    "auditor_id": "Who audited.",
    "error_class": "What kind of error; technical errors are shown, but not held against a person.",
    "severity": "How bad the error is.",
    "sampling": "How the label came to be audited; without it the label is assumed to be drawn at random.",
    "method": "Name of the sampling method, e.g. random.",
    "Sampling.source": "Written by Floorwatch at intake, where the sender names no probability: configuration, event or assumed.",
    "probability": "The label's chance of being audited by any programme, fixed before the outcome: of two independent draws "
    "1 − (1 − π₁)(1 − π₂), or labels count twice. Sampling without it is a targeted audit.",
    "blind": "The auditor did not see the label's decision.",
    "gold": "The right answer was known beforehand: a planted item, which without a sampling probability is no sample of the work.",
    # Appeals
    "appeal_id": "The appeal; the latest decision counts.",
    "against": "What is disputed.",
    "by": "Who disputes.",
    "outcome": "overturned flips an audit, or makes an audited label incorrect; upheld changes nothing.",
    "decided_by": "Who decided.",
    # Shifts and breaks
    "shift_id": "The shift.",
    "from": "Start of the shift.",
    "to": "End of the shift.",
    "ShiftScheduledData.queue": "The queue the shift is for: its forecast goes by the shifts that name it.",
    "labeler_ids": "Who is rostered, where known by name.",
    "headcount": "How many are rostered.",
    "BreakData.labeler_id": "Whose break it is.",
}

MEASURE_DOCS: dict[str, str] = {
    f"{table.name.capitalize()}Row.{name}": measure.help
    for table in TABLES.values()
    for name, measure in table.measures.items()
}

OUTPUT_DOCS: dict[str, str] = {
    **MEASURE_DOCS,
    "table": "The table.",
    "scope": 'The slice, by dimension: {} is the whole floor, {"queue": "hate"} one queue.',
    "scope_key": "The scope as text: all, or queue=hate,policy=P3.",
    "window": "The window, or pane for a pane of an hour.",
    "start": "Start of the range, inclusive.",
    "end": "End of the range, exclusive.",
    "closed": "The watermark has passed the end: only corrections will change the row.",
    "format": "Version of the row's format; 1 where it is missing (docs/formats.md).",
    "revision": "Counts the corrections of panes in the range.",
    "watermark": "Event time up to which the row is complete.",
    "partial": "The row may lack some of what it should count, for tables.max_scopes kept the scope out of a partition.",
    "pane_s": "Length of the pane in seconds; pane rows only.",
    "pane_start": "Start of the pane; pane rows only.",
    "evidence": "By rule: what its detector says; only in rows of the rule's window and scopes.",
    "score": "The evidence, score : 1.",
    "bar": "The score at which the rule fires.",
    "firing": "The rule fires.",
    "since_ms": "When the change began, in milliseconds since 1970; while it fires, the finest pane kept with an observation of it; "
    "null while nothing speaks for one.",
    "fired_ms": "Start of the pane in which it fired, in milliseconds since 1970; null unless firing.",
    "units": "Audits, due tasks or expected labels since then: a stretch selected because it looked bad, so its share exaggerates.",
    "bad": "Those that are wrong, missed or lacking.",
    "wants_audits": "More audits here would soon decide.",
    "recovered": "An alarm may end: there is evidence of recovery, or too few audits for any.",
    "phi": "How many times more the errors scatter than independent ones would; evidence is tempered by it.",
    "open_by_due": "Open tasks by due time, ascending: the end of each bucket and its tasks; overdue ones first.",
    "basis": "What the pace is taken from.",
    "tasks_per_hour": "Tasks completed per hour now; null where nothing is known of the pace.",
    "pace_ahead": "From when on how many tasks are completed per hour; one entry at the recent rate, the roster's steps else.",
    "breach_at": "First due time that will be missed if the earliest due is taken first; null when all can be met.",
    "breach_at_low": "Early end of its range, where few tasks are done in an hour (docs/forecast.md); null elsewhere.",
    "breach_at_high": "Late end of its range; null without a range, and where it lies after the due times that are known.",
    "breach_at_by_arrival": "The same if tasks are taken in order of arrival.",
    "shortfall": "Most tasks that will not be done by their due time.",
    "shortfall_at": "By when that many are short.",
    "spare": "How many more tasks would still fit; negative when short.",
    "overdue": "Open tasks past their due time.",
    "false_positive": "Flagged what is fine.",
    "false_negative": "Passed what breaks the policy.",
    "wrong_selection": "Chose the wrong value.",
    "technical": "The tool's fault.",
    "unspecified": "Not said.",
    "critical": "Critical.",
    "major": "Major.",
    "minor": "Minor.",
    "tp": "Given and right.",
    "fp": "Given and not right.",
    "fn": "Right and not given.",
    "unsaid": "Given and wrong by an audit that does not name the right value.",
    "precision_ratio": "tp / (tp + fp), random audits by 1/probability; null where more than 5% of those that gave it do not "
    "name the right value.",
    "recall_ratio": "tp / (tp + fn), random audits by 1/probability; null where no miss was seen, where no label without the value was "
    "audited, or where more than 5% of the audits it hangs on, of any value, do not name the right value.",
    "recall_low_ratio": "Lower end of its 95% interval; where recall_ratio is null, recall is at least this.",
    "recall_high_ratio": "Upper end of that interval.",
    "AuditRequested.id": "Always the same for the same request: hash of rule, scope and number.",
    "AuditRequested.subject": "The scope's key.",
    "AuditRequested.time": "The watermark when it was asked.",
    "AuditDrawn.id": "Always the same for the same label: hash of task and label.",
    "AuditDrawn.subject": "The task's id.",
    "AuditDrawn.time": "When the label was made.",
    "AuditDrawnData.plan": "The audit plan that drew the label (docs/audit-plans.md).",
    "AuditDrawnData.label_id": "The label to audit.",
    "AuditDrawnData.labeled_at": "When its first version was made.",
    "AuditDrawnData.stratum": "The kind of work it belongs to; decision is flagged or approved.",
    "AuditDrawnData.sampling": "What to send with the audit as its sampling.",
    "AuditDrawnData.until": "An audit that comes later counts nowhere: the label is beyond the correction horizon.",
    "DrawnSampling.method": "How it was drawn.",
    "DrawnSampling.probability": "The probability with which it was drawn, that of its stratum.",
    "rule": "The rule whose evidence would be decided.",
    "kind": "Its kind.",
    "number": "Counts the requests of a rule on a scope, from 1; the next one is not made before the last one has ended.",
    "audits": "About how many audits of labels of the scope, drawn at random, would decide; at most 500.",
    "until": "The request ends then: what has not been drawn by then need not be.",
    "since": "When the change that is to be decided began.",
    "AuditRequestedData.units": "Audits since then.",
    "AuditRequestedData.bad": "Wrong ones among them.",
    "at": "When the record came, as the broker stamped it; at the ledger, the last record read; at the gateway, when the webhook came.",
    "stage": "Who refused it.",
    "source_topic": "Topic it was read from; null at the gateway.",
    "partition": "Partition it was read from; null at the gateway.",
    "offset": "Offset it was read from; null at the gateway, -1 of a row that is not on the topic any more.",
    "code": "The kind of fault, for machines.",
    "DeadLetter.reason": "What is wrong, for people.",
    "field": "JSON path of the field at fault, e.g. $.data.label_id.",
    "DeadLetter.hint": "What to do about it, for people.",
    "DeadLetter.value": "As JSON. Of intake and ledger, the event without what was removed: mend the fault and send it again; of "
    "bytes that are no JSON, the ids that could be recognised; of an event that was judged later than it came, its outline. Of "
    "the gateway, the ids of the part of the webhook. Of the other stages, the record itself, up to 64 KiB.",
    "value_encoding": "utf-8; base64 only for rows of Floorwatch's own topics that could not be read.",
    "value_bytes": "Length of the event as received.",
    "removed": "What is not kept, for it may be content: fields that the contract does not have, texts over 256 characters, "
    "objects where it has none; $ is the whole event.",
    "Removed.field": "JSON path of what was removed; an odd name is shown as ?, and … sums up all beyond 20.",
    "bytes": "Its length as received.",
}


def describe(struct_name: str, field: str) -> str | None:
    """Return the sentence for a field of a struct, or None if there is none."""
    for docs in (EVENT_DOCS, OUTPUT_DOCS):
        if f"{struct_name}.{field}" in docs:
            return docs[f"{struct_name}.{field}"]
    return EVENT_DOCS.get(field) or OUTPUT_DOCS.get(field)
