"""Audits: which label, which verdict, which weight."""

from __future__ import annotations

from tests.oracle.case_events import Case, audit, drawn, label, labels_by, one_label, unaudit, unlabel

_RIGHT = {"audited": 1, "correct": 1, "assumed": 1, "assumed_correct": 1}
_WRONG = {"audited": 1, "assumed": 1, "wrong.unspecified": 1, "severity.unspecified": 1}

AUDIT_CASES = [
    Case(
        "incomparable_audit",
        "An audit that cannot be compared gives no verdict: the label is not audited, it is counted as incomparable.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incomparable", p=0.5)],
        one_label(incomparable=1),
    ),
    Case(
        "incomparable_audit_does_not_undo_a_verdict",
        "The latest audit that gives a verdict counts.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incorrect"), audit("a-2", 9, "l-1", "incomparable")],
        one_label(**_WRONG),
    ),
    Case(
        "incomparable_version_of_an_audit",
        "A new version of an audit replaces the earlier one wholly.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incorrect"), audit("a-1", 9, "l-1", "incomparable", id="again")],
        one_label(incomparable=1),
    ),
    Case(
        "incomparable_audit_withdrawn",
        "A withdrawn audit counts for nothing.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incomparable"), unaudit("a-1", 9)],
        one_label(),
    ),
    Case(
        "technical_error",
        "technical counts in audited, not in correct, and is shown apart.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incorrect", p=0.5, error_class="technical", severity="minor")],
        one_label(audited=1, **drawn(2.0, "technical"), **{"wrong.technical": 1, "severity.minor": 1}),
    ),
    Case(
        "gold_audit",
        "Audits against a known answer are counted apart too, by the effective verdict.",
        [
            label("l-1", 5),
            label("l-2", 6, task="t-2"),
            audit("a-1", 7, "l-1", "correct", how="gold", gold=True),
            audit("a-2", 8, "l-2", "incorrect", p=0.25, task="t-2", gold=True),
        ],
        labels_by(
            2,
            1,
            tasks=2,
            audited=2,
            correct=1,
            targeted=1,
            targeted_correct=1,
            **drawn(4.0, "wrong"),
            gold=2,
            gold_correct=1,
            **{"wrong.unspecified": 1, "severity.unspecified": 1},
        ),
    ),
    Case(
        "latest_audit_is_no_gold_audit",
        "Whether the answer was known says the latest audit, as it says all the rest.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incorrect", p=0.5, gold=True), audit("a-2", 8, "l-1", "correct")],
        one_label(audited=1, correct=1, **drawn(2.0)),
    ),
    Case(
        "critical_error",
        "A critical error is a wrong label of severity critical.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incorrect", error_class="false_negative", severity="critical")],
        one_label(
            audited=1,
            assumed=1,
            assumed_critical=1,
            critical_errors=1,
            **{"wrong.false_negative": 1, "severity.critical": 1},
        ),
    ),
    Case(
        "class_of_a_correct_verdict_is_nothing",
        "Error class and severity belong to a wrong verdict.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct", error_class="false_negative", severity="critical")],
        one_label(**_RIGHT),
    ),
    Case(
        "latest_audit_in_log_order",
        "The effective verdict is the latest audit in log order, whatever the times say. The first one drew the label.",
        [label("l-1", 5), audit("a-1", 50, "l-1", "incorrect", p=0.5), audit("a-2", 7, "l-1", "correct", p=0.25)],
        one_label(audited=1, correct=1, **drawn(2.0)),
    ),
    Case(
        "withdrawn_audit_uncovers_the_earlier",
        "The effective verdict is the latest audit that is not withdrawn.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "correct", p=0.5),
            audit("a-2", 8, "l-1", "incorrect"),
            unaudit("a-2", 9),
        ],
        one_label(audited=1, correct=1, **drawn(2.0)),
    ),
    Case(
        "only_audit_withdrawn",
        "A label whose audits are all withdrawn is not audited.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct"), unaudit("a-1", 9)],
        one_label(),
    ),
    Case(
        "audit_withdrawal_first_and_final",
        "audit.withdrawn is final for that audit_id, also when it arrives first.",
        [
            label("l-1", 5),
            unaudit("a-1", 9),
            audit("a-1", 7, "l-1", "correct"),
            audit("a-1", 10, "l-1", "incorrect"),
        ],
        one_label(),
    ),
    Case(
        "resent_audit_replaces",
        "A re-sent audit_id replaces the earlier verdict; an audit that was drawn at random stays so.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incorrect", p=0.5), audit("a-1", 8, "l-1", "correct")],
        one_label(audited=1, correct=1, **drawn(2.0)),
    ),
    Case(
        "resent_audit_takes_the_later_place",
        "A re-sent audit_id takes the later place: it now outranks an audit that had come between.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect"),
            audit("a-2", 8, "l-1", "incorrect", error_class="false_positive"),
            audit("a-1", 9, "l-1", "correct"),
        ],
        one_label(**_RIGHT),
    ),
    Case(
        "resent_audit_moves_to_another_label",
        "A re-sent audit_id that names another label leaves the first one unaudited.",
        [
            label("l-1", 5, by="ana"),
            label("l-2", 6, by="ben"),
            audit("a-1", 7, "l-1", "incorrect"),
            audit("a-1", 8, "l-2", "correct"),
        ],
        {
            **labels_by(2, 2, **_RIGHT),
            ("accuracy", "labeler=ana", 0): {"labels": 1},
            ("accuracy", "labeler=ben", 0): {"labels": 1, **_RIGHT},
        },
    ),
    Case(
        "audit_before_its_label",
        "An audit before its label waits in the task's facts.",
        [audit("a-1", 7, "l-1", "correct", p=0.5), label("l-1", 5)],
        one_label(audited=1, correct=1, **drawn(2.0)),
    ),
    Case(
        "audit_of_a_label_never_sent",
        "An audit whose label never comes adds nothing.",
        [audit("a-1", 7, "l-9", "correct"), label("l-1", 5)],
        one_label(),
    ),
    Case(
        "audit_without_label_id",
        "An audit without label_id is of the task's latest label in log order.",
        [label("l-1", 6, by="ana"), label("l-2", 5, by="ben"), audit("a-1", 7, None, "correct")],
        {
            **labels_by(2, 2, **_RIGHT),
            ("accuracy", "labeler=ana", 0): {"labels": 1},
            ("accuracy", "labeler=ben", 0): {"labels": 1, **_RIGHT},
        },
    ),
    Case(
        "audit_without_label_id_stays_with_its_label",
        "…the latest before it: a label that comes after it changes nothing.",
        [label("l-1", 5, by="ana"), audit("a-1", 7, None, "correct"), label("l-2", 6, by="ben")],
        {
            **labels_by(2, 2, **_RIGHT),
            ("accuracy", "labeler=ana", 0): {"labels": 1, **_RIGHT},
            ("accuracy", "labeler=ben", 0): {"labels": 1},
        },
    ),
    Case(
        "audit_without_label_id_after_a_new_version",
        "A new version is a submission too: its label is the one most recently submitted.",
        [
            label("l-1", 5, by="ana"),
            label("l-2", 6, by="ben"),
            label("l-1", 7, by="ana"),
            audit("a-1", 8, None, "correct"),
        ],
        {
            **labels_by(2, 2, **_RIGHT),
            ("accuracy", "labeler=ana", 0): {"labels": 1, **_RIGHT},
            ("accuracy", "labeler=ben", 0): {"labels": 1},
        },
    ),
    Case(
        "audit_without_label_id_passes_over_the_withdrawn",
        "…not withdrawn as of that place in the log.",
        [
            label("l-1", 5, by="ana"),
            label("l-2", 6, by="ben"),
            unlabel("l-2", 7),
            audit("a-1", 8, None, "correct"),
        ],
        one_label(**_RIGHT),
    ),
    Case(
        "audit_without_label_id_goes_with_its_label",
        "A withdrawal after the audit does not move the audit to another label: the withdrawn label takes it along.",
        [
            label("l-1", 5, by="ana"),
            label("l-2", 6, by="ben"),
            audit("a-1", 7, None, "correct"),
            unlabel("l-2", 8),
        ],
        one_label(),
    ),
    Case(
        "audit_without_label_id_before_any_label",
        "If there is none before it, it is of the first label submitted after it.",
        [audit("a-1", 7, None, "correct"), label("l-1", 5, by="ana"), label("l-2", 6, by="ben")],
        {
            **labels_by(2, 2, **_RIGHT),
            ("accuracy", "labeler=ana", 0): {"labels": 1, **_RIGHT},
            ("accuracy", "labeler=ben", 0): {"labels": 1},
        },
    ),
    Case(
        "audit_without_label_id_between_withdrawn_and_next",
        "None standing before it: of the first label submitted after it.",
        [
            label("l-1", 5, by="ana"),
            unlabel("l-1", 6),
            audit("a-1", 7, None, "correct"),
            label("l-2", 8, by="ben"),
        ],
        one_label(**_RIGHT),
    ),
    Case(
        "audit_without_label_id_resent_later",
        "A re-sent audit without label_id is of the latest label at its later place.",
        [
            label("l-1", 5, by="ana"),
            audit("a-1", 6, None, "incorrect"),
            label("l-2", 7, by="ben"),
            audit("a-1", 8, None, "correct"),
        ],
        {
            **labels_by(2, 2, **_RIGHT),
            ("accuracy", "labeler=ana", 0): {"labels": 1},
            ("accuracy", "labeler=ben", 0): {"labels": 1, **_RIGHT},
        },
    ),
    Case(
        "duplicate_is_no_submission",
        "A duplicate of a label does not make it the latest.",
        [
            label("l-1", 5, by="ana", id="e-x"),
            label("l-2", 6, by="ben"),
            label("l-1", 5, by="ana", id="e-x"),
            audit("a-1", 8, None, "correct"),
        ],
        {**labels_by(2, 2, **_RIGHT), ("accuracy", "labeler=ben", 0): {"labels": 1, **_RIGHT}},
        duplicates=1,
    ),
    Case(
        "first_label_after_is_already_withdrawn",
        "The first label submitted after the audit was withdrawn beforehand: to the letter the audit is of it, and goes "
        "with it.",
        [
            unlabel("l-1", 4),
            audit("a-1", 5, None, "correct"),
            label("l-1", 3, by="ana"),
            label("l-2", 6, by="ben"),
        ],
        one_label(),
    ),
]
