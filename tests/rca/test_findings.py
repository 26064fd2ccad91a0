"""Explain on a simulated floor: the vendor that drops is found with its policies, from rows and from the log alike."""

import asyncio
import json

import pytest
import typer
from typer.testing import CliRunner

from floorwatch.analysis.rca.answer import answer, answer_json, weighted_or_raw
from floorwatch.cli.explain import cut_table, explain_log, explain_rows
from floorwatch.simulate.config import parse_scenario
from streams.core.counters import NANO
from streams.core.policy import DAY_MS, HOUR_MS, CorePolicy
from streams.core.rca.ratio_tally import ClassCounts, RatioTally
from streams.core.rca.shift import decompose, summed
from streams.core.rca.slices import row_tally, tally_of, windows
from tests.replay.memory import PlainRun, floor_log
from tests.support import size

POLICY = CorePolicy(
    scopes=((), ("vendor",), ("queue",), ("policy",), ("market",), ("vendor", "queue"), ("queue", "policy"))
)
SIZES = {"8h": 8 * HOUR_MS, "24h": DAY_MS, "7d": 7 * DAY_MS}
DROP = parse_scenario("vendor_quality_drop@22h:vendor=bpo-a,policies=hate/scam,factor=0.6")


@pytest.fixture(scope="module")
def log():
    return floor_log(11, days=1.25, rate=0.5, scenarios=(DROP,), audit_delay_scale=0.02, errors=0.5)


@pytest.fixture(scope="module")
def quiet_log():
    return floor_log(11, days=1.25, rate=size(0.1, 0.5), scenarios=(DROP,), audit_delay_scale=0.02, errors=0.5)


@pytest.fixture(scope="module")
def rows(quiet_log):
    run = PlainRun(quiet_log, policy=POLICY)
    return {measure: {name: run.windows(measure, name) for name in SIZES} for measure in ("accuracy", "sla")}


ANSWERS = {}


def from_log(log, scope, by, measure="accuracy"):
    key = (id(log), str(scope), by, measure)
    if key not in ANSWERS:
        ANSWERS[key] = asyncio.run(explain_log(log, POLICY, measure, scope, by, ("8h", "24h"), SIZES))[0]
    return ANSWERS[key]


def evident(found, *by):
    cut = next((cut for cut in found.cuts if cut[0].dimensions == by), [])
    return [one.key for one in cut if one.verdict == "evident" and one.effect_pp < 0]


@pytest.mark.slow
def test_the_right_vendor_and_policy_are_named(log):
    whole = from_log(log, {}, ("site", "vendor", "team", "policy", "market", "labeler"))
    assert whole.change.evident
    assert whole.change.change_pp < 0
    assert evident(whole, "vendor") == [("bpo-a",)]
    assert evident(whole, "market") == []
    inside = from_log(log, {"vendor": "bpo-a"}, ("policy", "labeler"))
    assert set(evident(inside, "policy")) <= {("hate",), ("scam",)}
    assert ("hate",) in evident(inside, "policy")
    assert any("vendor bpo-a" in line for line in whole.summary)


@pytest.mark.slow
def test_the_telling_cross_is_chosen(log):
    whole = from_log(log, {}, ("site", "vendor", "team", "policy", "market", "labeler"))
    crossed = whole.cuts[-1]
    assert set(crossed[0].dimensions) == {"vendor", "policy"}
    assert crossed[0].key[crossed[0].dimensions.index("vendor")] == "bpo-a"
    assert crossed[0].key[crossed[0].dimensions.index("policy")] in {"hate", "scam"}
    assert crossed[0].verdict == "evident"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("measure", "scope", "by"),
    [
        ("accuracy", {}, ("queue", "policy")),
        ("accuracy", {"vendor": "bpo-a"}, ("queue",)),
        ("sla", {}, ("vendor",)),
    ],
)
def test_rows_and_log_give_one_answer(quiet_log, rows, measure, scope, by):
    counted = answer_json(from_log(quiet_log, scope, by, measure))
    read = answer_json(explain_rows(measure, scope, by, rows[measure], ("8h", "24h")))
    assert counted["before"]["total"] > 50
    assert counted == read


@pytest.mark.slow
def test_parts_sum_to_the_change(log):
    found = from_log(log, {"vendor": "bpo-a"}, ("policy", "labeler"))
    assert len(found.cuts) == 3
    for cut in found.cuts:
        assert sum(one.effect_pp for one in cut) == pytest.approx(found.change.change_pp, abs=1e-9)
        assert summed(one.after for one in cut) == found.after


def test_technical_errors_are_left_out():
    from streams.core import counters as c

    technical = (c.AUDITED, 1, c.WRONG_TECHNICAL, 1, c.WEIGHT_NANO, 20, c.WEIGHT_TECHNICAL_NANO, 20)
    assert tally_of("accuracy", technical) == RatioTally(0, 0, 0, 0)
    sampled = {"audited": 5, "correct": 3, "wrong": {"technical": 1}, "weight_sum": 50.0}
    row = {**sampled, "weight_correct": 30.0, "weight_technical": 10.0}
    assert row_tally("accuracy", row) == RatioTally(3, 4, 30 * c.NANO, 40 * c.NANO)
    assert tally_of("sla", (c.DUE, 1)) == RatioTally(0, 0)
    assert tally_of("sla", (c.DUE, 1, c.OVERDUE, 1)) == RatioTally(0, 1)


def test_targeted_audits_are_no_sample():
    from streams.core import counters as c

    assert tally_of("accuracy", (c.AUDITED, 1, c.CORRECT, 1, c.TARGETED, 1, c.TARGETED_CORRECT, 1)) == RatioTally(
        0, 0, 0, 0
    )
    targeted = {"targeted": 2, "targeted_correct": 1, "targeted_technical": 1}
    row = {"audited": 4, "correct": 3, "wrong": {"technical": 1}, "weight_sum": 4.0, "weight_correct": 4.0, **targeted}
    assert row_tally("accuracy", row) == RatioTally(2, 2, 4 * c.NANO, 4 * c.NANO)


def test_audits_that_are_assumed_to_be_random_have_no_weight():
    from streams.core import counters as c

    right = (c.AUDITED, 1, c.CORRECT, 1, c.ASSUMED, 1, c.ASSUMED_CORRECT, 1)
    fault = (c.AUDITED, 1, c.ASSUMED, 1, c.WRONG_TECHNICAL, 1, c.ASSUMED_TECHNICAL, 1)
    assert tally_of("accuracy", right) == tally_of("accuracy", fault) == RatioTally(0, 0, 0, 0)
    assert tally_of("unweighted_accuracy", right) == RatioTally(1, 1)
    unknown = {"targeted": 1, "targeted_correct": 1, "assumed": 3, "assumed_correct": 1, "assumed_technical": 1}
    row = {"audited": 6, "correct": 4, "wrong": {"technical": 1}, "weight_sum": 4.0, "weight_correct": 4.0, **unknown}
    assert row_tally("accuracy", row) == RatioTally(2, 2, 4 * c.NANO, 4 * c.NANO)


def test_a_part_whose_audits_say_nothing_of_sampling_is_no_division_by_zero():
    from streams.core import counters as c

    silent = tally_of("accuracy", (c.AUDITED, 1, c.ASSUMED, 1))
    assert decompose((), {(): silent}, {(): silent}) is None
    known = RatioTally(9, 10, 9 * c.NANO, 10 * c.NANO)
    parts = {("a",): known, ("b",): silent}
    assert decompose(("queue",), parts, parts) is not None


def test_how_many_audits_say_how_they_were_drawn_is_told():
    def cut_of(before, after):
        return lambda by: ({(): before}, {(): after}) if not by else ({("q",): before}, {("q",): after})

    raw = cut_of(RatioTally(150, 174), RatioTally(200, 240))
    for before, after, said in (
        (
            RatioTally(0, 0),
            RatioTally(200, 240),
            "240 of 414 audits say with which probability they were drawn, but none before the window",
        ),
        (
            RatioTally(150, 174),
            RatioTally(0, 0),
            "174 of 414 audits say with which probability they were drawn, but none in the window",
        ),
        (RatioTally(0, 0), RatioTally(0, 0), "No audit says with which probability it was drawn"),
    ):
        found = weighted_or_raw({}, ("queue",), {"accuracy": cut_of(before, after), "unweighted_accuracy": raw})
        assert found.summary[-1] == f"{said}: every audit that is not targeted counts the same."


def test_while_most_audits_are_to_come_no_part_is_judged():
    """Of today's 8,000 labels the flagged 800 are audited, at 1/2; yesterday's audits are all in. Nothing has changed but that."""

    def drawn(wrong, audits, weight, number):
        total = audits * weight * NANO
        return RatioTally(
            audits - wrong,
            audits,
            total - wrong * weight * NANO,
            total,
            (ClassCounts(number, audits, wrong, 0, total),),
        )

    before, after = drawn(40, 800, 10, 3), drawn(80, 400, 2, 1)

    def cuts_of(labels, sample=after):
        def cut_of(one, other):
            return lambda by: ({("q",) * len(by): one}, {("q",) * len(by): other}) if by else ({(): one}, {(): other})

        return {
            "accuracy": cut_of(before, after),
            "unweighted_accuracy": cut_of(RatioTally(*before[:2]), RatioTally(*sample[:2])),
            "labels": cut_of(RatioTally(8_000, 8_000), RatioTally(labels, labels)),
        }

    young = weighted_or_raw({}, (), cuts_of(8_000))
    assert young.change is None
    assert not young.cuts
    shares, said = young.summary
    assert shares == "Of what is audited so far: 95.0% before the window, 80.0% in it."
    assert said.startswith(
        "The 400 audits in the window stand for about 800 of 8,000 labels: most audits are still to come"
    )
    whole = weighted_or_raw({}, (), cuts_of(900))
    assert whole.change.evident
    also_silent = weighted_or_raw({}, (), cuts_of(8_000, RatioTally(330, 410)))
    assert also_silent.change.evident, "audits of a tool that says nothing stand for what is left"


def test_labels_are_counted_alike_in_rows_and_in_what_tasks_contribute():
    from streams.core import counters as c

    assert tally_of("labels", (c.LABELS, 3, c.AUDITED, 1)) == RatioTally(3, 3) == row_tally("labels", {"labels": 3})
    assert row_tally("labels", {"labels": None}) == RatioTally(0, 0)


@pytest.mark.parametrize("seen", [{"bpo-a", "inhouse"}, {f"v{n}" for n in range(32)}])
def test_a_value_that_nothing_was_counted_for_is_told(seen, capsys):
    from floorwatch.cli.explain import exit_if_unknown

    with pytest.raises(typer.Exit) as left:
        exit_if_unknown({"vendor": "nope"}, {"vendor": seen})
    assert left.value.exit_code == 1
    said = capsys.readouterr().err
    assert said.startswith("there is no vendor nope; ")
    assert ("and 12 more" in said) == (len(seen) > 20)
    exit_if_unknown({"vendor": "nope"}, {"vendor": set()})
    exit_if_unknown({"vendor": min(seen)}, {"vendor": seen})


def test_the_windows_are_apart_and_end_with_their_panes():
    watermark_ms = 10 * DAY_MS + 8 * HOUR_MS + 7 * 60_000
    found = windows(POLICY, "24h", "7d", SIZES, watermark_ms)
    assert found.after == (9 * DAY_MS + 8 * HOUR_MS + 900_000, 10 * DAY_MS + 8 * HOUR_MS + 900_000)
    assert found.before == (3 * DAY_MS + 9 * HOUR_MS, found.after.start_ms)
    odd = windows(POLICY, "2h", "6h", {"2h": 2 * HOUR_MS, "6h": 6 * HOUR_MS}, watermark_ms)
    assert odd.before.start_ms == odd.after.end_ms - 6 * HOUR_MS
    with pytest.raises(ValueError, match="not longer"):
        windows(POLICY, "24h", "8h", SIZES, watermark_ms)


def test_noise_is_called_noise():
    def cut(by):
        if not by:
            return {(): RatioTally(95, 100)}, {(): RatioTally(93, 100)}
        return (
            {("a",): RatioTally(48, 50), ("b",): RatioTally(47, 50)},
            {("a",): RatioTally(47, 50), ("b",): RatioTally(46, 50)},
        )

    found = answer("accuracy", {"vendor": "x"}, ("policy",), cut)
    assert found.summary[1] == "This is within chance: the counts do not show that anything has changed."
    assert found.summary[2] == "By policy: no part moved it by more than chance would."


def test_an_empty_window_is_said():
    found = answer(
        "sla", {}, ("queue",), lambda by: ({}, {(): RatioTally(1, 2)} if not by else {("q",): RatioTally(1, 2)})
    )
    assert found.summary == ["There are no due tasks before the window: nothing to compare."]
    assert answer_json(found)["change_pp"] is None


@pytest.mark.slow
def test_the_table_shows_every_part_and_the_whole(log):
    from io import StringIO

    from rich.console import Console

    found = from_log(log, {"vendor": "bpo-a"}, ("policy", "labeler"))
    out = StringIO()
    Console(file=out, width=160).print(cut_table(found, found.cuts[0], 3))
    text = out.getvalue()
    assert "hate" in text
    assert "evident" in text
    assert f"{found.change.change_pp:+.2f}" in text.splitlines()[-2]
    narrow = StringIO()
    Console(file=narrow, width=80).print(cut_table(found, found.cuts[0], 3))
    assert "evident" in narrow.getvalue()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scope", "vender=x"], "vender is not a dimension"),
        (["--by", "policy,planet"], "planet is not a dimension"),
        (["--scope", "vendor=x", "--by", "vendor"], "fixed by --scope"),
        (["--window", "7d", "--against", "24h"], "must be longer"),
        (["--window", "7m"], "quarter hours"),
        (["--scope", "vendor=x", "--by", "market", "--source", "rows"], "scope [vendor, market] not kept"),
    ],
)
def test_misuse_is_explained(options, said):
    from floorwatch.cli import build

    env = {"FLOORWATCH_REDIS__URL": "redis://127.0.0.1:9/0"}
    done = CliRunner().invoke(build("explain"), ["explain", "accuracy", *options], env=env)
    assert done.exit_code == 2
    assert said in done.output
    json.dumps(done.output)
