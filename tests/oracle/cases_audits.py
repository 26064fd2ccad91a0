"""Audits: which label, which verdict, which weight."""

from __future__ import annotations

from tests.oracle.case_events import Case, audit, drawn, label, labels_by, one_label, unaudit, unlabel

_RIGHT = {"audited": 1, "correct": 1, "assumed": 1, "assumed_correct": 1}
_WRONG = {"audited": 1, "assumed": 1, "wrong.unspecified": 1, "severity.unspecified": 1}

AUDIT_CASES = [
    Case(
        "weights_are_one_over_probability",
        "w = 1/probability of the audit that drew the label; weight_correct over the correct ones.",
        [
            label("l-1", 5),
            label("l-2", 6, task="t-2"),
            audit("a-1", 7, "l-1", "correct", p=0.05),
            audit("a-2", 8, "l-2", "incorrect", p=0.25, task="t-2", error_class="false_positive", severity="major"),
        ],
        labels_by(
            2,
            1,
            tasks=2,
            audited=2,
            correct=1,
            **{**drawn(4.0, "wrong"), **drawn(20.0), "weight_sum": 24.0},
            **{"wrong.false_positive": 1, "severity.major": 1},
        ),
    ),
    Case(
        "weight_in_nano",
        "Each weight is rounded to 1e-9 before it is summed.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct", p=0.3)],
        one_label(audited=1, correct=1, **drawn(3.333333333)),
    ),
    Case(
        "targeted_audit",
        "An audit that names a method and no probability is targeted: in audited and correct, in no estimate.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct", how="review")],
        one_label(audited=1, correct=1, targeted=1, targeted_correct=1),
    ),
    Case(
        "audit_that_says_nothing_of_sampling",
        "It is assumed to be random, which is a class of its own.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct")],
        one_label(**_RIGHT),
    ),
    Case(
        "technical_error_by_class",
        "A technical error is counted apart in each class.",
        [
            label("l-1", 5),
            label("l-2", 6, task="t-2"),
            label("l-3", 6, task="t-3"),
            audit("a-1", 7, "l-1", "incorrect", error_class="technical"),
            audit("a-2", 8, "l-2", "incorrect", how="risk", task="t-2", error_class="technical"),
            audit("a-3", 8, "l-3", "incorrect", p=0.5, task="t-3", error_class="technical"),
        ],
        labels_by(
            3,
            1,
            tasks=3,
            audited=3,
            assumed=1,
            assumed_technical=1,
            targeted=1,
            targeted_technical=1,
            **drawn(2.0, "technical"),
            **{"wrong.technical": 3, "severity.unspecified": 3},
        ),
    ),
    Case(
        "second_look_keeps_the_weight",
        "A label counts with the weight of the audit that drew it and the verdict of the latest one.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect", p=0.05),
            audit("a-2", 8, "l-1", "incorrect", severity="major"),
        ],
        one_label(audited=1, **drawn(20.0, "wrong"), **{"wrong.unspecified": 1, "severity.major": 1}),
    ),
    Case(
        "second_look_before_the_sample",
        "A known probability outranks an assumed one, and both outrank a targeted audit, whichever came first.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect", how="risk"),
            audit("a-2", 8, "l-1", "incorrect"),
            audit("a-3", 9, "l-1", "correct", p=0.25),
            audit("a-4", 10, "l-1", "correct", p=0.5),
        ],
        one_label(audited=1, correct=1, **drawn(4.0)),
    ),
    Case(
        "withdrawn_sample_gives_way_to_the_next",
        "Where the audit that drew the label is withdrawn, the next standing random one counts.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect", p=0.05),
            audit("a-2", 8, "l-1", "correct", p=0.5),
            audit("a-3", 9, "l-1", "correct", how="risk"),
            unaudit("a-1", 10),
        ],
        one_label(audited=1, correct=1, **drawn(2.0)),
    ),
    Case(
        "new_version_of_an_audit_names_another_probability",
        "The latest version that names a probability counts.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect", p=0.5),
            audit("a-1", 8, "l-1", "incorrect", p=0.05, id="corrected"),
        ],
        one_label(audited=1, **drawn(20.0, "wrong"), **{"wrong.unspecified": 1, "severity.unspecified": 1}),
    ),
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
        "targeted_technical_error",
        "A technical error of a targeted audit is counted among the targeted, not in the weights.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incorrect", how="risk", error_class="technical", severity="minor")],
        one_label(audited=1, targeted=1, targeted_technical=1, **{"wrong.technical": 1, "severity.minor": 1}),
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
        [label("l-1", 5), audit("a-1", 7, "l-1", "incorrect", gold=True), audit("a-2", 8, "l-1", "correct")],
        one_label(**_RIGHT),
    ),
    Case(
        "critical_error",
        "A critical error is a wrong label of severity critical.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incorrect", error_class="false_negative", severity="critical")],
        one_label(audited=1, assumed=1, critical_errors=1, **{"wrong.false_negative": 1, "severity.critical": 1}),
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
        "later_targeted_audit_keeps_the_sample",
        "A targeted audit after a sampled one gives the verdict, and the label stays in the sample.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct", p=0.5), audit("a-2", 8, "l-1", "incorrect", how="risk")],
        one_label(audited=1, **drawn(2.0, "wrong"), **{"wrong.unspecified": 1, "severity.unspecified": 1}),
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
