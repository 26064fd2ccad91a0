"""The accuracy table: what audits and appeals say of labels."""

from __future__ import annotations

from streams.models.measures.records import (
    Beside,
    Column,
    Computed,
    Count,
    Family,
    Meaning,
    Ratio,
    Series,
)
from streams.models.measures.registry import registry

NANO = 1_000_000_000

ERROR_CLASSES = ("unspecified", "false_positive", "false_negative", "wrong_selection", "technical")
"""Names of the counters ``WRONG_UNSPECIFIED + i``."""

SEVERITIES = ("unspecified", "critical", "major", "minor")
"""Names of the counters ``SEVERITY_UNSPECIFIED + i``."""

CONFUSION_PREFIX = registry.by_name("C:", "confusion")
CONFUSION_WEIGHT_PREFIX = registry.by_name("W:", "confusion_weight_nano")
EXAMPLE_PREFIX = registry.by_name("X:", "example")

accuracy = registry.table(
    "accuracy",
    "Accuracy of the labels of a scope, by the time of the label; revised when a verdict changes.",
    "audited",
)
LABELS = accuracy.count(
    1, "labels", "labels", "Standing labels.", Column("labels", 60), Beside("audited"), nullable=True
)
AUDITED = accuracy.count(
    10,
    "audited",
    "labels",
    "Standing labels with a verdict.",
    Column("audited", 50),
    Series("audited_labels", "Standing labels of the window with an effective verdict."),
    Meaning("Labels with a verdict, all labels, and the share of the first among the second."),
)
CORRECT = accuracy.count(
    11, "correct", "labels", "Audited labels whose verdict is correct.", Beside("raw_accuracy_ratio")
)
TARGETED = accuracy.count(
    12,
    "targeted",
    "labels",
    "Audited labels that no audit drew at random; in no estimate.",
    Meaning(
        "Labels that no audit drew at random, picked because something looked wrong. They are in *accuracy* and not in *weighted*."
    ),
)
WEIGHT_NANO = accuracy.count(
    13,
    "weight_sum",
    "labels",
    "Sum of 1/probability over labels drawn with a known probability.",
    Beside("weighted_accuracy_ratio"),
    counter="weight_nano",
    scale=NANO,
)
WEIGHT_CORRECT_NANO = accuracy.count(
    14,
    "weight_correct",
    "labels",
    "The same over those that are correct.",
    Beside("weighted_accuracy_ratio"),
    counter="weight_correct_nano",
    scale=NANO,
)
WEIGHT_TECHNICAL_NANO = accuracy.count(
    33,
    "weight_technical",
    "labels",
    "The same over those whose error is technical.",
    Beside("weighted_accuracy_ratio"),
    counter="weight_technical_nano",
    scale=NANO,
)
TARGETED_CORRECT = accuracy.count(
    34, "targeted_correct", "labels", "Those of the targeted that are correct.", Beside("targeted")
)
TARGETED_TECHNICAL = accuracy.count(
    35, "targeted_technical", "labels", "Those of the targeted whose error is technical.", Beside("targeted")
)
"""This counter and the two before it are rare. With them a share can leave out technical errors and targeted audits."""
ASSUMED = accuracy.count(
    38,
    "assumed",
    "labels",
    "Audited labels whose audits say nothing of sampling; assumed to be drawn at random.",
    Meaning(
        "Labels whose audits say nothing of sampling ([meaning](meaning.md#auditcompleted)). They are in *accuracy* and not in "
        "*weighted*."
    ),
)
ASSUMED_CORRECT = accuracy.count(
    39, "assumed_correct", "labels", "Those of the assumed that are correct.", Beside("assumed")
)
ASSUMED_TECHNICAL = accuracy.count(
    24, "assumed_technical", "labels", "Those of the assumed whose error is technical.", Beside("assumed")
)
SAMPLING_CLASSES = 20
"""Classes of audits by sampling probability π: class k holds 1/π from 2ᵏ up to 2ᵏ⁺¹, the last one all above."""
_CLASSES = tuple(str(1 << number) for number in range(SAMPLING_CLASSES))
CLASS_AUDITED = accuracy.family(
    100,
    "sample_audited",
    _CLASSES,
    "labels",
    "Labels drawn with a known probability, by class: 2^k holds 1/probability from 2^k up to 2^(k+1).",
    Meaning(
        'The labels in *weighted*, by class of sampling probability: `"16"` holds those of which one in 16 up to one in 32 was drawn.'
    ),
    sparse=True,
)
CLASS_WRONG = accuracy.family(
    CLASS_AUDITED + SAMPLING_CLASSES,
    "sample_wrong",
    _CLASSES,
    "labels",
    "Those of them that are incorrect, technical errors among them.",
    Beside("sample_audited"),
    sparse=True,
)
CLASS_TECHNICAL = accuracy.family(
    CLASS_WRONG + SAMPLING_CLASSES,
    "sample_technical",
    _CLASSES,
    "labels",
    "Those of them whose error is technical.",
    Beside("sample_audited"),
    sparse=True,
)
CLASS_WEIGHT_NANO = accuracy.family(
    CLASS_TECHNICAL + SAMPLING_CLASSES,
    "sample_weight",
    _CLASSES,
    "labels",
    "Sum of 1/probability over them.",
    Beside("sample_audited"),
    counter="sample_weight_nano",
    scale=NANO,
    sparse=True,
)
accuracy.show(
    "raw_accuracy_ratio",
    "ratio",
    "correct / audited.",
    Ratio((CORRECT,), (AUDITED,)),
    Column("accuracy", 10),
    Series("accuracy_ratio", "Audited labels found correct, unweighted."),
    Meaning("Of the labels that were audited, the share found right."),
)
accuracy.compose(
    "`correct` / (`audited` − `wrong.technical`)",
    "ratio",
    Column("less technical errors", 20, spare=2),
    Meaning(
        "The same with technical errors left out, for they are nobody's fault: what alert rules hold against their target."
    ),
)
accuracy.show(
    "weighted_accuracy_ratio",
    "ratio",
    "weight_correct / weight_sum (Hajek).",
    Ratio((WEIGHT_CORRECT_NANO,), (WEIGHT_NANO,)),
    Column("weighted", 40, spare=4),
    Series(
        "accuracy_weighted_ratio",
        "Accuracy weighted by 1 / sampling probability (Hajek); audits without a known probability are left out.",
    ),
    Meaning(
        "The same with every audit counted 1/probability times: what accuracy would be if all labels had been audited. Believe "
        "this one where risky work is audited more. `weight_technical` is the part that the tool's errors have in it."
    ),
)
accuracy.compose(
    "`wilson_low_ratio`, `wilson_high_ratio`",
    "ratio",
    Column("95% interval", 30),
    Meaning(
        "Where the true accuracy may lie, given so few audits ([how often it does](statistics.md#intervals)); the board shows "
        "its lower end as *at least*. Two rows whose intervals overlap widely do not differ for sure."
    ),
)
accuracy.show(
    "wilson_low_ratio",
    "ratio",
    "Lower end of the 95% interval of the raw ratio (docs/statistics.md).",
    Computed(float | None),
    Series("accuracy_wilson_low_ratio", "Lower end of the 95% interval."),
    Beside("`wilson_low_ratio`, `wilson_high_ratio`"),
)
accuracy.show(
    "wilson_high_ratio",
    "ratio",
    "Upper end of the 95% interval of the raw ratio (docs/statistics.md).",
    Computed(float | None),
    Series("accuracy_wilson_high_ratio", "Upper end of the 95% interval."),
    Beside("`wilson_low_ratio`, `wilson_high_ratio`"),
)
accuracy.show(
    "coverage_ratio",
    "ratio",
    "audited / labels.",
    Ratio((AUDITED,), (LABELS,)),
    Series("audit_coverage_ratio", "Share of the window's labels that are audited."),
    Beside("audited"),
)
SEVERITY_UNSPECIFIED = registry.family(20, "severity", SEVERITIES)
SEVERITY_CRITICAL = SEVERITY_UNSPECIFIED + SEVERITIES.index("critical")
accuracy.show(
    "critical_errors",
    "labels",
    "Incorrect labels of critical severity.",
    Count(SEVERITY_CRITICAL),
    Column("critical", 70, spare=3),
    Meaning("Wrong labels whose error is critical; their share of the audited."),
)
accuracy.show(
    "critical_error_ratio",
    "ratio",
    "critical_errors / audited.",
    Ratio((SEVERITY_CRITICAL,), (AUDITED,)),
    Series("critical_error_ratio", "Audited labels with a critical error."),
    Beside("critical_errors"),
)
WRONG_UNSPECIFIED = accuracy.family(
    15,
    "wrong",
    ERROR_CLASSES,
    "labels",
    "Incorrect labels by error class.",
    Meaning("Wrong labels by class and by severity. A technical error is wrong, but held against nobody."),
)
WRONG_TECHNICAL = WRONG_UNSPECIFIED + ERROR_CLASSES.index("technical")
accuracy.show(
    "severity", "labels", "Incorrect labels by severity.", Family(SEVERITY_UNSPECIFIED, SEVERITIES), Beside("wrong")
)
GOLD = accuracy.count(
    29,
    "gold",
    "labels",
    "Audited against a known answer.",
    Meaning("Audits against a known answer, and those found right."),
)
GOLD_CORRECT = accuracy.count(30, "gold_correct", "labels", "Those that are correct.", Beside("gold"))
APPEALS_OPENED = accuracy.count(
    26, "appeals_opened", "appeals", "Appeals opened, at the time of the label.", Beside("overturn_ratio")
)
APPEALS_DECIDED = accuracy.count(27, "appeals_decided", "appeals", "Appeals decided.", Beside("overturn_ratio"))
APPEALS_OVERTURNED = accuracy.count(
    28, "appeals_overturned", "appeals", "Appeals decided overturned.", Beside("overturn_ratio")
)
accuracy.show(
    "overturn_ratio",
    "ratio",
    "appeals_overturned / appeals_decided.",
    Ratio((APPEALS_OVERTURNED,), (APPEALS_DECIDED,)),
    Column("overturned", 80, spare=1),
    Series("overturn_ratio", "Decided appeals that were overturned."),
    Meaning(
        "Of the appeals decided, the share that was won; `appeals_opened` waits among them. Not an error rate: people appeal "
        "what looks wrong."
    ),
)
INCOMPARABLE = accuracy.count(
    36,
    "incomparable",
    "labels",
    "Labels whose only audits say nothing that can be compared (verdict incomparable): not audited.",
    Meaning(
        "Labels whose only audits give no verdict, and tasks of several people of whom fewer than two sent values. They were "
        "looked at and cannot be compared: they are in no share."
    ),
)
OVERLAPPED = accuracy.count(
    31,
    "overlapped",
    "tasks",
    "Tasks that two or more people labelled with values, all of them in the scope; at the time of the last label.",
    Beside("agreement_ratio"),
)
UNANIMOUS = accuracy.count(
    32, "unanimous", "tasks", "Those on which all of them decided alike.", Beside("agreement_ratio")
)
OVERLAP_INCOMPARABLE = accuracy.count(
    37,
    "overlap_incomparable",
    "tasks",
    "Tasks of two or more people of whom fewer than two sent values: not compared.",
    Beside("incomparable"),
)
accuracy.show(
    "agreement_ratio",
    "ratio",
    "unanimous / overlapped.",
    Ratio((UNANIMOUS,), (OVERLAPPED,)),
    Meaning(
        "Of the tasks that several people labelled with values, the share on which all said the same ([quality](quality.md))."
    ),
)
accuracy.show(
    "values",
    "labels",
    "Precision and recall of each decision value.",
    Computed(),
    Meaning(
        "Precision and recall of each decision, null where more than 5% of the audits behind it do not name the right value "
        "(`unsaid`); what was given where what was right, null where nobody said; some wrong tasks to open."
    ),
)
accuracy.show(
    "confusion",
    "labels",
    "[given, right, count], most frequent first; right is null where no audit says what is right.",
    Computed(),
    Beside("values"),
)
accuracy.show("examples", "tasks", "Task ids of some incorrect labels.", Computed(), Beside("values"))
