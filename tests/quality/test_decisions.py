"""Precision, recall, first pass, audit kinds and auditors on cases small enough to count by hand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floorwatch.analysis.quality.calibration import calibration
from floorwatch.analysis.quality.decisions import overview, value_quality
from floorwatch.analysis.quality.quality_text import _drawn_words
from streams.core.estimates import accuracy_share
from tests.oracle.case_events import Event, audit, event, label
from tests.quality.floor import counted, facts_of


def judge(
    label_id: str, verdict: str, *, minute: float = 60, by: str = "qa-1", task: str | None = None, **more
) -> Event:
    found = audit(f"a-{label_id}-{by}-{minute:g}", minute, label_id, verdict, task=task or f"t-{label_id}")
    found["data"] |= {"auditor_id": by, **more}
    return found


def decide(label_id: str, *, minute: float = 5, by: str = "ana", task: str | None = None, **data) -> Event:
    return label(label_id, minute, by=by, task=task or f"t-{label_id}", **data)


def overturn(label_id: str, against: str, target: str, minute: float = 90, outcome: str = "overturned") -> Event:
    data = {"appeal_id": f"p-{target}-{minute:g}", "against": against, f"{against}_id": target, "outcome": outcome}
    return event("appeal.decided", minute, data, task=f"t-{label_id}")


def test_recall_hangs_on_the_weights() -> None:
    """Flagged items are all audited, passed ones 1 in 10: the one miss found there stands for ten."""
    events = []
    for n in range(8):
        events += [
            decide(f"f{n}", values=["hate"], policy="P3"),
            judge(f"f{n}", "correct", sampling={"probability": 1.0}),
        ]
    events += [
        decide("m", values=["safe"], policy="P3"),
        judge("m", "incorrect", values=["hate"], sampling={"probability": 0.1}),
    ]
    hate = next(one for one in value_quality(counted(facts_of(events))) if one.value == "hate")
    assert (hate.policy, hate.tp, hate.fp, hate.fn, hate.weighted) == ("P3", 8, 0, 1, True)
    assert hate.recall.estimate is not None
    assert hate.recall.estimate.value == pytest.approx(8 / 18)
    assert hate.recall.worth == pytest.approx(1)  # of the items not called hate one was audited
    assert hate.precision.estimate is not None
    assert hate.precision.estimate.value == 1.0
    assert not hate.recall.enough


@pytest.mark.parametrize("said", [{}, {"sampling": {"probability": 0.5}}], ids=["assumed", "known"])
@pytest.mark.parametrize("picked", [{"gold": True}, {"sampling": {"method": "risk"}}], ids=["planted", "picked"])
def test_what_was_picked_is_in_no_precision_or_recall(said: dict, picked: dict) -> None:
    """400 labels drawn, every tenth wrong; beside each wrong one another that was picked because it was wrong."""
    events: list[Event] = []
    for n in range(400):
        value, other = ("x", "y") if n % 2 else ("y", "x")
        wrong = n % 20 < 2
        truth = other if wrong else value
        verdict = "incorrect" if wrong else "correct"
        events += [decide(f"d{n}", values=[value]), judge(f"d{n}", verdict, values=[truth], **said)]
        if wrong:
            events += [decide(f"p{n}", values=[value]), judge(f"p{n}", verdict, values=[truth], **picked)]
    for one in value_quality(counted(facts_of(events))):
        assert (one.tp, one.fp, one.fn) == (180, 40, 40), "all audits, as rows count them"
        for share in (one.precision, one.recall):
            assert share.estimate is not None
            assert (share.estimate.value, share.audits) == (0.9, 200)


def test_without_sampling_probabilities_all_count_alike_and_it_says_so() -> None:
    events = [
        decide("a", values=["x"]),
        judge("a", "correct"),
        decide("b", values=["x"]),
        judge("b", "incorrect", values=["y"]),
    ]
    found = {one.value: one for one in value_quality(counted(facts_of(events)))}
    assert found["x"].precision.estimate is not None
    assert (found["x"].weighted, found["x"].precision.estimate.value, found["x"].precision.worth) == (False, 0.5, 2)
    assert found["y"].precision.estimate is None


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("xyz"), st.sampled_from([1.0, 0.5, 0.1])), min_size=1)
)
def test_precision_is_a_ratio_of_weighted_sums(audits: list[tuple[str, str, float]]) -> None:
    events: list[Event] = []
    for n, (given_value, truth, p) in enumerate(audits):
        verdict = "correct" if given_value == truth else "incorrect"
        events += [
            decide(f"l{n}", values=[given_value]),
            judge(f"l{n}", verdict, values=[truth], sampling={"probability": p}),
        ]
    for one in value_quality(counted(facts_of(events))):
        of = [(truth == one.value, 1 / p) for given_value, truth, p in audits if given_value == one.value]
        if of:
            assert one.precision.estimate is not None
            assert one.precision.estimate.value == pytest.approx(
                sum(w for good, w in of if good) / sum(w for _, w in of)
            )
            assert one.precision.worth == pytest.approx(sum(w for _, w in of) ** 2 / sum(w * w for _, w in of))


def test_first_pass_leaves_out_rework_and_keeps_what_an_appeal_put_right() -> None:
    events = [
        decide("good"),
        judge("good", "correct"),
        decide("reworked"),
        judge("reworked", "incorrect", minute=20),
        decide("reworked", minute=30),
        judge("reworked", "correct", minute=40),
        decide("wronged"),
        judge("wronged", "incorrect"),
        overturn("wronged", "audit", "a-wronged-qa-1-60"),
        decide("fallen"),
        judge("fallen", "correct", minute=20),
        judge("fallen", "incorrect", minute=40, by="qa-2"),
        decide("unaudited"),
    ]
    found = overview(counted(facts_of(events)))
    assert found.first_pass is not None
    assert found.accuracy is not None
    assert (found.labels, found.audited) == (5, 4)
    assert found.first_pass.value == 2 / 4
    assert found.accuracy.value == 3 / 4
    assert not found.enough


def test_repair_of_the_audited_labels_alone_raises_accuracy_and_not_first_pass() -> None:
    """What docs/statistics.md says to settle payments by: 200 audits at π .05, the 20 wrong ones repaired or looked at again."""
    drawn = {"sampling": {"probability": 0.05}}
    events = []
    for n in range(200):
        events += [decide(f"l{n}"), judge(f"l{n}", "incorrect" if n < 20 else "correct", minute=20, **drawn)]
    repaired = [
        one for n in range(20) for one in (decide(f"l{n}", minute=30), judge(f"l{n}", "correct", minute=40, by="qa-2"))
    ]
    again = [judge(f"l{n}", "correct", minute=40, by="qa-2") for n in range(20)]
    replaced = [judge(f"l{n}", "correct", minute=20, **drawn) for n in range(20)]
    for more, accuracy, first in (([], 0.9, 0.9), (repaired, 1.0, 0.9), (again, 1.0, 0.9), (replaced, 1.0, 1.0)):
        found = overview(counted(facts_of([*events, *more])))
        assert found.accuracy is not None
        assert found.first_pass is not None
        assert (found.accuracy.value, found.first_pass.value) == (accuracy, first)


def test_planted_items_blind_and_open_audits_stand_apart() -> None:
    events = [
        *(decide("g1"), judge("g1", "correct", gold=True, blind=True)),
        *(decide("b1"), judge("b1", "correct", blind=True)),
        *(decide("b2"), judge("b2", "incorrect", blind=True, error_class="technical")),
        *(decide("o1"), judge("o1", "incorrect", error_class="false_positive", severity="critical")),
    ]
    found = overview(counted(facts_of(events)))
    shares = {kind: (None if share is None else share.value, n) for kind, (share, n) in found.kinds.items()}
    assert shares == {"blind": (1.0, 1), "open": (0.0, 1)}, "a technical error is nobody's"
    assert found.gold[0] is not None
    assert (found.gold[0].value, found.gold[1]) == (1.0, 1)
    assert found.errors == [("false_positive", "critical", 1), ("technical", "unspecified", 1)]
    assert found.technical == 1


def test_a_kind_says_what_its_own_audit_said_whoever_looked_again() -> None:
    """What a blind audit found wrong is looked at again, openly: it stays what a blind audit said."""
    blind = {"sampling": {"probability": 0.5}, "blind": True}
    events = [
        *(decide("b1"), judge("b1", "correct", **blind)),
        *(decide("b2"), judge("b2", "incorrect", **blind), judge("b2", "correct", minute=70, by="lead")),
        *(decide("o1"), judge("o1", "correct"), decide("o2"), judge("o2", "incorrect", sampling={"method": "risk"})),
    ]
    found = overview(counted(facts_of(events)))
    assert {kind: share and (share.value, n) for kind, (share, n) in found.kinds.items()} == {
        "blind": (0.5, 2),
        "open": (1.0, 1),
    }


@pytest.mark.parametrize("design", ["risk", "targeted", "assumed"])
def test_first_pass_and_the_kinds_are_of_the_work_however_it_is_audited(design: str) -> None:
    """A vendor that is 96% right: flagged work audited more, wrong labels picked beside a random sample, nothing said."""
    rng, events = random.Random(11), []
    for n in range(4_000):
        flagged, name = rng.random() < 0.1, f"l{n}"
        wrong = rng.random() < (0.2 if flagged else 0.02)
        chance = (0.5 if flagged else 0.05) if design == "risk" else 0.1
        verdict = "incorrect" if wrong else "correct"
        if rng.random() < chance:
            said = {} if design == "assumed" else {"sampling": {"probability": chance}}
            events += [decide(name), judge(name, verdict, **said)]
        elif design == "targeted" and wrong and rng.random() < 0.5:
            events += [
                decide(name),
                judge(name, verdict, sampling={"method": "risk"}),
                judge(name, verdict, minute=70, by="lead"),
            ]
        else:
            events.append(decide(name))
    found = overview(counted(facts_of(events)))
    for share in (found.accuracy, found.first_pass, found.kinds["open"][0]):
        assert share is not None
        assert share.low < 0.962 < share.high
        assert share.high - share.low < 0.06
    assert found.raw is not None
    assert design == "assumed" or found.raw.high < 0.93, "what counts all audits alike misses it"


def test_auditors_are_told_by_who_reversed_them() -> None:
    events: list[Event] = []
    for n in range(12):
        # qa-1 is right each time, qa-2 is overruled by qa-3 each time: twice too lenient, ten times too strict.
        events += [
            decide(f"a{n}"),
            judge(f"a{n}", "correct", by="qa-1"),
            judge(f"a{n}", "correct", by="qa-3", minute=70),
        ]
        said, later = ("correct", "incorrect") if n < 2 else ("incorrect", "correct")
        events += [decide(f"b{n}"), judge(f"b{n}", said, by="qa-2"), judge(f"b{n}", later, by="qa-3", minute=70)]
    found = calibration(counted(facts_of(events)))
    by_name = {one.auditor: one for one in found.auditors}
    assert [one.auditor for one in found.auditors] == ["qa-2", "qa-1", "qa-3"]
    assert (by_name["qa-2"].reviewed, by_name["qa-2"].strict, by_name["qa-2"].lenient) == (12, 10, 2)
    assert (by_name["qa-1"].reviewed, by_name["qa-1"].strict + by_name["qa-1"].lenient) == (12, 0)
    assert (by_name["qa-2"].stands_out, by_name["qa-1"].stands_out) == ("high", "low")
    assert (by_name["qa-3"].audits, by_name["qa-3"].reviewed, by_name["qa-3"].enough) == (24, 0, False)
    assert found.agreement.units == 24
    assert found.agreement.unanimous is not None
    assert found.agreement.unanimous.value == 0.5
    pairs = {(first, second): n for first, second, n, _ in found.pairs}
    assert pairs == {("qa-1", "qa-3"): 12, ("qa-2", "qa-3"): 12}


def reviews(**reversed_of: tuple[int, int]) -> dict[tuple[str, str, str], int]:
    """Counts of auditors by (reversed, reviewed)."""
    return {
        ("auditor", name, what): amount
        for name, (strict, reviewed) in reversed_of.items()
        for what, amount in (("audits", reviewed), ("reviewed", reviewed), ("strict", strict))
    }


def test_an_auditor_is_held_against_the_others_not_against_all() -> None:
    # 30% against 15% in 150 each is beyond chance; 30% against all together, 22.5%, would not be.
    found = {one.auditor: one.stands_out for one in calibration(reviews(a=(45, 150), b=(22, 150))).auditors}
    assert found == {"a": "high", "b": "low"}
    # The others' rate is not known either: 30 of 100 against 10 of 50 may be chance.
    assert {one.stands_out for one in calibration(reviews(a=(30, 100), b=(10, 50))).auditors} == {None}


def test_the_more_auditors_are_compared_the_more_it_takes_to_stand_out() -> None:
    few = calibration(reviews(a=(20, 100), others=(90, 900)))
    many = calibration(reviews(a=(20, 100), **{f"o{n}": (10, 100) for n in range(9)}))
    assert [one.stands_out for one in many.auditors if one.auditor == "a"] == [None]
    assert [one.stands_out for one in few.auditors if one.auditor == "a"] == ["high"]


def test_appeals_reverse_the_verdict_in_force_and_two_against_an_audit_cancel() -> None:
    events = [
        *(decide("x"), judge("x", "correct"), overturn("x", "label", "x")),
        *(
            decide("y"),
            judge("y", "incorrect"),
            overturn("y", "audit", "a-y-qa-1-60"),
            overturn("y", "audit", "a-y-qa-1-60", 95),
        ),
        *(decide("z"), judge("z", "incorrect"), overturn("z", "audit", "a-z-qa-1-60", outcome="upheld")),
    ]
    (found,) = calibration(counted(facts_of(events))).auditors
    assert (found.audits, found.reviewed, found.strict, found.lenient) == (3, 3, 0, 1)


def test_a_withdrawn_audit_and_one_without_an_auditor_count_for_nobody() -> None:
    nameless = judge("x", "correct")
    del nameless["data"]["auditor_id"]
    gone = judge("y", "incorrect")
    events = [
        *(decide("x"), nameless),
        *(decide("y"), gone, event("audit.withdrawn", 80, {"audit_id": gone["data"]["audit_id"]}, task="t-y")),
    ]
    assert calibration(counted(facts_of(events))).auditors == []


def drawn_three_ways() -> list[Event]:
    """40 labels at 50%, 2 of them wrong; 40 of which nothing is said, 4 wrong; 20 picked, 15 wrong; 1 technical."""
    events: list[Event] = []
    kinds = (
        (40, 2, {"p": 0.5}),
        (40, 4, {}),
        (20, 15, {"how": "review"}),
        (1, 1, {"p": 0.5, "error_class": "technical"}),
    )
    for number, (count, wrong, said) in enumerate(kinds):
        for at in range(count):
            name = f"{number}-{at}"
            events.append(decide(f"l-{name}", task=f"t-{name}"))
            verdict = "incorrect" if at < wrong else "correct"
            events.append(audit(f"a-{name}", 7, f"l-{name}", verdict, task=f"t-{name}", **said))
    return events


def test_accuracy_is_of_random_audits_as_in_the_accuracy_table_and_says_which_are_assumed() -> None:
    whole = overview(counted(facts_of(drawn_three_ways())))
    assert (whole.audited, whole.random, whole.assumed, whole.targeted) == (101, 80, 40, 20)
    row = {"labels": 101, "audited": 101, "correct": 79, "targeted": 20, "targeted_correct": 5}
    row |= {"assumed": 40, "assumed_correct": 36, "weight_sum": 82.0, "weight_correct": 76.0, "weight_technical": 2.0}
    row |= {
        "sample_audited": {"2": 41},
        "sample_wrong": {"2": 3},
        "sample_technical": {"2": 1},
        "sample_weight": {"2": 82.0},
    }
    share = accuracy_share(row)
    assert share is not None
    assert whole.accuracy == pytest.approx(share.estimate)
    assert whole.raw is not None
    assert whole.raw.value == 79 / 101
    said = " ".join(_drawn_words(whole))
    assert "Accuracy is of 80 random audits: 40 audits say nothing of sampling and are assumed random" in said
    assert "20 targeted audits are not in it" in said


def test_nothing_is_said_of_accuracy_by_targeted_audits_alone() -> None:
    events = [
        one
        for n in range(50)
        for one in (
            decide(f"l-{n}", task=f"t-{n}"),
            audit(f"a-{n}", 7, f"l-{n}", "correct", task=f"t-{n}", how="review"),
        )
    ]
    whole = overview(counted(facts_of(events)))
    assert (whole.audited, whole.accuracy, whole.enough) == (50, None, False)
