"""The accuracy table: what audits and appeals say of labels."""

from __future__ import annotations

from typing import Literal

from streams.models.measures.records import Beside, Column, Computed, Count, Family, Meaning, Ratio, Series
from streams.models.measures.registry import registry

NANO = 1_000_000_000

ERROR_CLASSES = ("unspecified", "false_positive", "false_negative", "wrong_selection", "technical")
"""Names of the counters ``WRONG_UNSPECIFIED + i``."""

SEVERITIES = ("unspecified", "critical", "major", "minor")
"""Names of the counters ``SEVERITY_UNSPECIFIED + i``."""

CONFUSION_PREFIX = registry.by_name("C:", "confusion")
"""Pairs of decision and truth of targeted audits; what was counted by version 4 or earlier holds all audits."""
CONFUSION_ASSUMED_PREFIX = registry.by_name("A:", "confusion_assumed")
"""Pairs of audits that are assumed to be random."""
CONFUSION_DRAWN_PREFIX = registry.by_name("D:", "confusion_drawn")
"""Pairs of audits with a known probability; a letter for their class, ``a`` for class 0, stands before the pair."""
CONFUSION_WEIGHT_PREFIX = registry.by_name("W:", "confusion_weight_nano")
"""Σ1/π of the pairs of audits with a known probability."""
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
        "Labels whose audits say how they were chosen, and no probability, and planted items. They are in *raw* and in no estimate."
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
    Series("audited_assumed_labels", "Those of the audited labels that are only assumed to be drawn at random."),
    Meaning(
        "Labels whose audits say nothing of sampling ([meaning](meaning.md#auditcompleted)). They are assumed to be drawn at random."
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
        'Labels drawn with a known probability, by class of it: `"16"` holds those of which one in 16 up to one in 32 was drawn.'
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
WEIGHT_CRITICAL_NANO = accuracy.count(
    98,
    "weight_critical",
    "labels",
    "Sum of 1/probability over labels drawn with a known probability that have a critical error.",
    Beside("critical_error_estimate_ratio"),
    counter="weight_critical_nano",
    scale=NANO,
)
ASSUMED_CRITICAL = accuracy.count(
    99, "assumed_critical", "labels", "Those of the assumed that have a critical error.", Beside("assumed")
)
CLASS_CRITICAL = accuracy.family(
    CLASS_WEIGHT_NANO + SAMPLING_CLASSES,
    "sample_critical",
    _CLASSES,
    "labels",
    "Those of sample_audited that have a critical error.",
    Beside("sample_audited"),
    sparse=True,
)
"""This family and the two counters before it are rare."""
accuracy.show(
    "accuracy_estimate_ratio",
    "ratio",
    "Estimated accuracy of the work, from random audits, without technical errors; null without random audits.",
    Computed(float | None),
    Column("accuracy", 10),
    Series(
        "accuracy_estimate_ratio",
        "Accuracy of the work, estimated from random audits (weight 1 / sampling probability), without technical errors.",
    ),
    Meaning(
        "What accuracy would be if all labels had been audited, estimated from the audits that are random: each counts 1/probability "
        "times. Audits that say nothing of sampling are assumed to be random and stand for the labels left over; a few weigh as the "
        "others ([how](statistics.md#accuracy-and-its-interval)). Technical errors are left out, for they are nobody's fault. Alert "
        "rules hold this number against their target. None where no audit is random."
    ),
)
accuracy.compose(
    "`accuracy_low_ratio`, `accuracy_high_ratio`",
    "ratio",
    Column("95% interval", 20),
    Meaning(
        "Where the true accuracy may lie, given so few random audits ([how often it does](statistics.md#intervals)); the board shows "
        "its lower end as *at least*. Two rows whose intervals overlap widely do not differ for sure. `wilson_low_ratio` and "
        "`wilson_high_ratio` are the former names of its ends."
    ),
)
for _end, _words in (("low", "Lower"), ("high", "Upper")):
    accuracy.show(
        f"accuracy_{_end}_ratio",
        "ratio",
        f"{_words} end of the 95% interval of the estimate (docs/statistics.md).",
        Computed(float | None),
        Series(f"accuracy_{_end}_ratio", f"{_words} end of the 95% interval of the estimated accuracy."),
        Beside("`accuracy_low_ratio`, `accuracy_high_ratio`"),
    )
accuracy.compose(
    "`audited` − `targeted`",
    "labels",
    Column("random audits", 30),
    Meaning(
        "The audited labels behind the estimate, and how many of them are only assumed to be drawn at random (`assumed`)."
    ),
)
accuracy.show(
    "weighted_accuracy_ratio",
    "ratio",
    "weight_correct / weight_sum (Hajek): known probabilities only, technical errors counted as errors.",
    Ratio((WEIGHT_CORRECT_NANO,), (WEIGHT_NANO,)),
    Series(
        "accuracy_weighted_ratio",
        "As the estimate, from audits with a known probability only and with technical errors counted as errors.",
    ),
    Meaning(
        "As the estimate, from the audits with a known probability only, and technical errors count as errors. `weight_technical` is "
        "the part that the tool's errors have in it."
    ),
)
accuracy.show(
    "raw_accuracy_ratio",
    "ratio",
    "correct / audited, targeted audits included: no estimate of anything.",
    Ratio((CORRECT,), (AUDITED,)),
    Column("raw", 90, spare=2),
    Series("accuracy_raw_ratio", "Audited labels found correct, unweighted, targeted audits included: no estimate."),
    Series("accuracy_ratio", "Former name of accuracy_raw_ratio; gone in the next release."),
    Meaning(
        "Of the labels that were audited, the share found right: all audits alike, the targeted ones too, and technical errors as "
        "errors. It says how the audits went. Where risky work is audited more it is far below the accuracy of the work."
    ),
)
for _end in ("low", "high"):
    accuracy.show(
        f"wilson_{_end}_ratio",
        "ratio",
        f"Former name of accuracy_{_end}_ratio; gone in the next release.",
        Computed(float | None),
        Series(f"accuracy_wilson_{_end}_ratio", f"Former name of accuracy_{_end}_ratio; gone in the next release."),
        Beside("`accuracy_low_ratio`, `accuracy_high_ratio`"),
    )
accuracy.show(
    "coverage_ratio",
    "ratio",
    "audited / labels.",
    Ratio((AUDITED,), (LABELS,)),
    Series("audit_coverage_ratio", "Share of the window's labels that are audited."),
    Beside("audited"),
)
accuracy.show(
    "audits_stand_for",
    "none",
    "few: the audits with a known probability surely stand for less than half of the labels; many: for far more than there are.",
    Computed(Literal["few", "many"] | None),
    Meaning("What is surely wrong with Σ1/π ([awaited audits](statistics.md#awaited-audits)); null mostly."),
)
SEVERITY_UNSPECIFIED = registry.family(20, "severity", SEVERITIES)
SEVERITY_CRITICAL = SEVERITY_UNSPECIFIED + SEVERITIES.index("critical")
accuracy.show(
    "critical_errors",
    "labels",
    "Incorrect labels of critical severity.",
    Count(SEVERITY_CRITICAL),
    Column("critical", 70, spare=3),
    Meaning("Wrong labels whose error is critical, of all audits."),
)
accuracy.show(
    "critical_error_estimate_ratio",
    "ratio",
    "Estimated share of the labels that have a critical error, from random audits; null without random audits.",
    Computed(float | None),
    Series("critical_error_estimate_ratio", "Share of labels with a critical error, estimated from random audits."),
    Meaning(
        "The share of labels with a critical error, estimated as accuracy is, and the ends of its 95% interval. Alert rules "
        "hold this number against their target. `critical_error_ratio` is the raw share of all audits."
    ),
)
for _end, _words in (("low", "Lower"), ("high", "Upper")):
    accuracy.show(
        f"critical_error_{_end}_ratio",
        "ratio",
        f"{_words} end of the 95% interval of that estimate.",
        Computed(float | None),
        Series(f"critical_error_{_end}_ratio", f"{_words} end of the 95% interval of the share of critical errors."),
        Beside("critical_error_estimate_ratio"),
    )
accuracy.show(
    "critical_error_ratio",
    "ratio",
    "critical_errors / audited, targeted audits included: no estimate of anything.",
    Ratio((SEVERITY_CRITICAL,), (AUDITED,)),
    Series("critical_error_ratio", "Audited labels with a critical error, targeted audits included: no estimate."),
    Beside("critical_error_estimate_ratio"),
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
        "Precision and recall of each decision, estimated as accuracy is; `tp`, `fp`, `fn` count all audits. Recall has its 95% "
        "interval; where no miss was seen it has no value, and is at least the lower end. Null where more than 5% of the audits behind "
        "it do not name the right value (`unsaid`); what was given where what was right, null where nobody said; some wrong tasks to "
        "open."
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
