"""How audits came about: which audit drew a label, and with which weight it counts."""

from __future__ import annotations

from tests.oracle.case_events import Case, audit, drawn, label, labels_by, one_label, unaudit

_RIGHT = {"audited": 1, "correct": 1, "assumed": 1, "assumed_correct": 1}

_BOTH = {"weight_sum": 24.0, "weight_correct": 24.0}

SAMPLING_CASES = [
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
        "A known probability outranks all else, whichever came first.",
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
        "new_version_of_an_audit_says_it_was_picked",
        "An audit that was assumed random and says, sent again, how its label was picked is targeted.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "correct"),
            audit("a-1", 8, "l-1", "correct", how="risk", id="said"),
        ],
        one_label(audited=1, correct=1, targeted=1, targeted_correct=1),
    ),
    Case(
        "a_lead_confirms_what_was_picked",
        "Where no audit names a probability the first one counts: what it picked, later silence does not make a sample.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incorrect", how="risk"),
            audit("a-2", 8, "l-1", "incorrect"),
        ],
        one_label(audited=1, targeted=1, **{"wrong.unspecified": 1, "severity.unspecified": 1}),
    ),
    Case(
        "a_lead_picks_what_an_audit_found",
        "What the first audit says nothing of stays assumed random, though a later one says why it looked.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct"), audit("a-2", 8, "l-1", "correct", how="risk")],
        one_label(**_RIGHT),
    ),
    Case(
        "a_second_look_arrives_first",
        "Of audits without a probability the first by its own time says how the label was chosen, whichever arrived first.",
        [
            label("l-1", 5),
            audit("a-2", 8, "l-1", "incorrect"),
            audit("a-1", 7, "l-1", "incorrect", how="risk"),
        ],
        one_label(audited=1, targeted=1, **{"wrong.unspecified": 1, "severity.unspecified": 1}),
    ),
    Case(
        "a_pick_arrives_before_the_draw",
        "A label that an audit found and a lead picked then stays assumed random, whichever arrived first.",
        [label("l-1", 5), audit("a-2", 8, "l-1", "correct", how="risk"), audit("a-1", 7, "l-1", "correct")],
        one_label(**_RIGHT),
    ),
    Case(
        "of_audits_of_one_time_the_lesser_id_counts_first",
        "At equal times the audit whose id comes first counts as the first, whichever arrived first.",
        [label("l-1", 5), audit("a-2", 7, "l-1", "correct"), audit("a-1", 7, "l-1", "correct", how="risk")],
        one_label(audited=1, correct=1, targeted=1, targeted_correct=1),
    ),
    Case(
        "planted_item",
        "An item whose answer was known was planted, not drawn.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct", gold=True)],
        one_label(audited=1, correct=1, targeted=1, targeted_correct=1, gold=1, gold_correct=1),
    ),
    Case(
        "first_to_name_a_probability_drew_the_label",
        "Of two audits with a probability the one that named one first drew the label, whichever was sent first.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "correct"),
            audit("a-2", 8, "l-1", "correct", p=0.5),
            audit("a-1", 9, "l-1", "correct", p=0.25, id="named"),
        ],
        one_label(audited=1, correct=1, **drawn(2.0)),
    ),
    Case(
        "incomparable_audit_draws_no_label",
        "The probability of an audit that says nothing of its label is not kept.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "incomparable", p=0.05),
            audit("a-2", 8, "l-1", "incorrect", how="risk"),
        ],
        one_label(audited=1, targeted=1, **{"wrong.unspecified": 1, "severity.unspecified": 1}),
    ),
    Case(
        "probability_of_the_configuration",
        "A probability that the configuration gave at intake counts as one of the sender; what its sender names replaces it, and "
        "is replaced by none of the configuration.",
        [
            label("l-1", 5),
            label("l-2", 6, task="t-2"),
            audit("a-1", 7, "l-1", "correct", p=0.05, by="configuration"),
            audit("a-2", 7, "l-2", "correct", p=0.05, by="configuration", task="t-2"),
            audit("a-2", 8, "l-2", "correct", p=0.25, task="t-2", id="named"),
            audit("a-2", 9, "l-2", "correct", p=0.05, by="configuration", task="t-2", id="silent"),
        ],
        labels_by(2, 1, tasks=2, audited=2, correct=2, **{**drawn(4.0), **drawn(20.0), **_BOTH}),
    ),
    Case(
        "picked_by_the_configuration",
        "An audit of which the configuration says that it was picked is targeted; one of which it says nothing is assumed random.",
        [
            label("l-1", 5),
            label("l-2", 6, task="t-2"),
            audit("a-1", 7, "l-1", "correct", by="configuration"),
            audit("a-2", 8, "l-2", "correct", by="assumed", task="t-2"),
        ],
        labels_by(2, 1, tasks=2, audited=2, correct=2, targeted=1, targeted_correct=1, assumed=1, assumed_correct=1),
    ),
    Case(
        "sent_again_under_another_configuration",
        "The same event with what two configurations say of sampling is a duplicate: its sender said the same. Another probability of "
        "its sender is another content.",
        [
            label("l-1", 5),
            audit("a-1", 7, "l-1", "correct", by="assumed", id="one"),
            audit("a-1", 7, "l-1", "correct", p=0.05, by="configuration", id="one"),
            audit("a-1", 7, "l-1", "correct", id="one"),
            audit("a-1", 7, "l-1", "correct", p=0.05, id="one"),
        ],
        one_label(**_RIGHT),
        duplicates=2,
        conflicts=1,
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
        "targeted_technical_error",
        "A technical error of a targeted audit is counted among the targeted, not in the weights.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "incorrect", how="risk", error_class="technical", severity="minor")],
        one_label(audited=1, targeted=1, targeted_technical=1, **{"wrong.technical": 1, "severity.minor": 1}),
    ),
    Case(
        "later_targeted_audit_keeps_the_sample",
        "A targeted audit after a sampled one gives the verdict, and the label stays in the sample.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct", p=0.5), audit("a-2", 8, "l-1", "incorrect", how="risk")],
        one_label(audited=1, **drawn(2.0, "wrong"), **{"wrong.unspecified": 1, "severity.unspecified": 1}),
    ),
]
