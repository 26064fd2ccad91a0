"""Appeals: against an audit (flips), against a label (makes an audited label incorrect), and how they are counted."""

from __future__ import annotations

from tests.oracle.case_events import Case, audit, decided, drawn, label, labels_by, one_label, opened, unaudit, unlabel

_RIGHT = {"audited": 1, "correct": 1, "assumed": 1, "assumed_correct": 1}
_WRONG = {"audited": 1, "assumed": 1}
_UNSPECIFIED = {"wrong.unspecified": 1, "severity.unspecified": 1}
_OVERTURNED = {"appeals_decided": 1, "appeals_overturned": 1}
_FALSE_POSITIVE = {"error_class": "false_positive", "severity": "major"}

APPEAL_CASES = [
    Case(
        "overturned_audit_becomes_correct",
        "An appeal against the audit, decided overturned, flips it; error class and severity are dropped, the weight stays.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect", p=0.5, **_FALSE_POSITIVE),
            opened("p-1", 8, audit_id="a-1"),
            decided("p-1", 9, "overturned", audit_id="a-1"),
        ],
        one_label(audited=1, correct=1, **drawn(2.0), appeals_opened=1, **_OVERTURNED),
    ),
    Case(
        "overturned_audit_becomes_incorrect",
        "The flip of a correct audit takes error class and severity from the appeal.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "correct", p=0.5),
            decided("p-1", 9, "overturned", audit_id="a-1", error_class="false_negative", severity="critical"),
        ],
        one_label(
            audited=1,
            **drawn(2.0, "critical"),
            critical_errors=1,
            **_OVERTURNED,
            **{"wrong.false_negative": 1, "severity.critical": 1},
        ),
    ),
    Case(
        "upheld_changes_nothing",
        "upheld changes nothing but the count of decided appeals.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect", **_FALSE_POSITIVE),
            opened("p-1", 8, audit_id="a-1"),
            decided("p-1", 9, "upheld", audit_id="a-1", error_class="technical"),
        ],
        one_label(**_WRONG, appeals_opened=1, appeals_decided=1, **{"wrong.false_positive": 1, "severity.major": 1}),
    ),
    Case(
        "two_overturns_are_parity",
        "Each overturned decision flips: two different appeals bring an incorrect audit back to incorrect, with the "
        "second appeal's error class.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect", **_FALSE_POSITIVE),
            decided("p-1", 9, "overturned", audit_id="a-1", error_class="technical"),
            decided("p-2", 10, "overturned", audit_id="a-1", error_class="wrong_selection", severity="minor"),
        ],
        one_label(
            **_WRONG, appeals_decided=2, appeals_overturned=2, **{"wrong.wrong_selection": 1, "severity.minor": 1}
        ),
    ),
    Case(
        "latest_decision_of_an_appeal",
        "Per appeal_id the latest decision in log order counts.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect"),
            decided("p-1", 50, "overturned", audit_id="a-1"),
            decided("p-1", 9, "upheld", audit_id="a-1"),
        ],
        one_label(**_WRONG, **_UNSPECIFIED, appeals_decided=1),
    ),
    Case(
        "same_decision_sent_twice_flips_once",
        "A decision re-sent under a new event id is the same appeal: it flips once.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect"),
            decided("p-1", 9, "overturned", audit_id="a-1"),
            decided("p-1", 9, "overturned", audit_id="a-1"),
        ],
        one_label(**_RIGHT, **_OVERTURNED),
    ),
    Case(
        "appeal_before_audit_and_label",
        "Order of arrival does not matter: the decision waits for its audit, the audit for its label.",
        [
            decided("p-1", 9, "overturned", audit_id="a-1"),
            audit("a-1", 7, "l-1", "incorrect"),
            label("l-1", 5),
        ],
        one_label(**_RIGHT, **_OVERTURNED),
    ),
    Case(
        "appeal_against_a_superseded_audit",
        "Only the effective audit's appeals matter for the verdict; the decided appeal is counted all the same.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect"),
            audit("a-2", 8, "l-1", "incorrect", **_FALSE_POSITIVE),
            decided("p-1", 9, "overturned", audit_id="a-1"),
        ],
        one_label(**_WRONG, **_OVERTURNED, **{"wrong.false_positive": 1, "severity.major": 1}),
    ),
    Case(
        "appeal_comes_back_with_its_audit",
        "When the later audit is withdrawn, the earlier one counts again, flipped by its appeal.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect"),
            audit("a-2", 8, "l-1", "incorrect"),
            decided("p-1", 9, "overturned", audit_id="a-1"),
            unaudit("a-2", 10),
        ],
        one_label(**_RIGHT, **_OVERTURNED),
    ),
    Case(
        "overturned_label_is_incorrect",
        "An appeal against the label, decided overturned, makes an audited label incorrect, with the appeal's error class; "
        "the weight stays.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "correct", p=0.5),
            opened("p-1", 8, label_id="l-1"),
            decided("p-1", 9, "overturned", label_id="l-1", error_class="false_positive", severity="critical"),
        ],
        one_label(
            audited=1,
            **drawn(2.0, "critical"),
            critical_errors=1,
            appeals_opened=1,
            **_OVERTURNED,
            **{"wrong.false_positive": 1, "severity.critical": 1},
        ),
    ),
    Case(
        "overturned_label_without_audit",
        "…but never adds an unaudited label to the sample; it is counted as an appeal all the same.",
        [label("l-1", 5), decided("p-1", 9, "overturned", label_id="l-1", error_class="false_positive")],
        one_label(**_OVERTURNED),
    ),
    Case(
        "overturned_label_is_always_incorrect",
        "Two overturned appeals against a label do not flip it back; the last one's error class counts.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "correct"),
            decided("p-1", 9, "overturned", label_id="l-1", error_class="technical"),
            decided("p-2", 10, "overturned", label_id="l-1", **_FALSE_POSITIVE),
        ],
        one_label(
            **_WRONG, appeals_decided=2, appeals_overturned=2, **{"wrong.false_positive": 1, "severity.major": 1}
        ),
    ),
    Case(
        "overturned_label_outranks_a_later_audit",
        "An overturned label stays incorrect under a later audit: an appeal outranks an audit.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect"),
            decided("p-1", 9, "overturned", label_id="l-1", **_FALSE_POSITIVE),
            audit("a-2", 11, "l-1", "correct", p=0.5),
        ],
        one_label(audited=1, **drawn(2.0, "wrong"), **_OVERTURNED, **{"wrong.false_positive": 1, "severity.major": 1}),
    ),
    Case(
        "overturned_label_outranks_an_overturned_audit",
        "An audit flipped to correct does not save an overturned label.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect"),
            decided("p-1", 8, "overturned", audit_id="a-1"),
            decided("p-2", 9, "overturned", label_id="l-1", **_FALSE_POSITIVE),
        ],
        one_label(
            **_WRONG, appeals_decided=2, appeals_overturned=2, **{"wrong.false_positive": 1, "severity.major": 1}
        ),
    ),
    Case(
        "overturned_label_already_incorrect",
        "An overturned label takes its error class and severity from the appeal, also when the audit had said otherwise.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect", error_class="technical", severity="minor"),
            decided("p-1", 9, "overturned", label_id="l-1", **_FALSE_POSITIVE),
        ],
        one_label(**_WRONG, **_OVERTURNED, **{"wrong.false_positive": 1, "severity.major": 1}),
    ),
    Case(
        "overturned_label_audit_withdrawn",
        "Without a standing audit the overturned label leaves the sample; the appeal stays counted.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "correct"),
            decided("p-1", 9, "overturned", label_id="l-1"),
            unaudit("a-1", 10),
        ],
        one_label(**_OVERTURNED),
    ),
    Case(
        "appeal_against_a_withdrawn_audit",
        "Overturn rates count all decided appeals: also one against an audit that was withdrawn, at its label's pane.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect"),
            decided("p-1", 9, "overturned", audit_id="a-1"),
            unaudit("a-1", 10),
        ],
        one_label(**_OVERTURNED),
    ),
    Case(
        "appeals_of_a_withdrawn_label",
        "A withdrawn label has no pane: its appeals leave with it.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "correct"),
            opened("p-1", 8, label_id="l-1"),
            decided("p-1", 9, "overturned", label_id="l-1"),
            unlabel("l-1", 10),
        ],
        {},
    ),
    Case(
        "appeals_are_counted_at_the_label",
        "Appeals are counted at the label's pane and in the label's scopes, whatever their own times.",
        [
            label("l-1", 5, by="ana", vendor="bpo-a"),
            label("l-2", 6, by="ben", vendor="bpo-b"),
            audit("a-1", 100, "l-2", "incorrect", **_FALSE_POSITIVE),
            opened("p-1", 150, audit_id="a-1"),
            decided("p-1", 300, "overturned", audit_id="a-1"),
        ],
        {
            **labels_by(2, 2, **_RIGHT, appeals_opened=1, **_OVERTURNED),
            ("accuracy", "vendor=bpo-a", 0): {"labels": 1},
            ("accuracy", "vendor=bpo-b", 0): {"labels": 1, **_RIGHT, "appeals_opened": 1, **_OVERTURNED},
        },
    ),
    Case(
        "opened_twice_is_one_appeal",
        "An appeal opened again under a new event id is one appeal.",
        [label("l-1", 5), opened("p-1", 8, label_id="l-1"), opened("p-1", 9, label_id="l-1")],
        one_label(appeals_opened=1),
    ),
]
