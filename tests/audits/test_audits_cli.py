"""``floorwatch audits``: answers, JSON, CSV, and what wrong options are told."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from floorwatch.cli import build

RUNNER = CliRunner()


def run(*words: str):
    return RUNNER.invoke(build("audits"), ["audits", *words])


def test_size_answers_both_goals() -> None:
    done = run("size", "--half-width", "1", "--see", "92")
    assert done.exit_code == 0, done.output
    assert "Interval no wider than 2 points at 95%: 2,080 random audits, with a chance of 90%." in done.output
    assert "±" not in done.output, (
        "the interval is lopsided: its longer arm passes half the width in about half of the cases"
    )
    assert "A drop to 92% against a target of 95%: 562 random audits" in done.output
    assert "Both: 2,080." in done.output
    found = json.loads(run("size", "--half-width", "1", "--see", "92", "--json").output)
    assert found == {"audits_for_half_width": 2080, "audits_for_drop": 562, "audits": 2080}
    assert json.loads(run("size", "--json").output) == {"audits_for_half_width": 581, "audits": 581}


def test_size_says_what_a_number_gives() -> None:
    done = run("size", "--audits", "500")
    assert "no wider than 4.3 points with a chance of 90%" in done.output
    assert "±" not in done.output
    assert "from 91.86% down; 36 wrong ones or more" in done.output
    assert json.loads(run("size", "--audits", "1", "--json").output)["seen_accuracy_ratio"] is None


def test_one_audit_is_no_audits() -> None:
    assert "1 random audit:" in run("size", "--audits", "1").output


def test_aql_advises_no_probability_that_is_refused(tmp_path: Path) -> None:
    lot = ("aql", "--lot", "1000000000000", "--aql", "0.65")
    done = run(*lot)
    assert done.exit_code == 0, done.output
    assert "Send each with" not in done.output
    assert "is below 1e-06, the least that is accepted" in done.output
    assert json.loads(run(*lot, "--json").output)["probability_accepted"] is False
    config = tmp_path / "floorwatch.yaml"
    config.write_text("sampling: {min_probability: 0.1}\n")
    bounded = run("aql", "--lot", "1150", "--config", str(config))
    assert "is below 0.1, the least that is accepted" in bounded.output
    assert "Send each with" in run("aql", "--lot", "200", "--config", str(config)).output


def test_aql_gives_plan_curve_and_rules() -> None:
    done = run("aql", "--lot", "1150", "--wrong", "3")
    assert done.exit_code == 0, done.output
    for said in (
        "code letter J",
        "Audit 80 labels at random. Accept with 2 wrong or fewer, do not with 3 or more.",
        "sampling.probability 0.0695652",
        "With 3 wrong the lot is not accepted.",
        "2%          78.4%  ███████",
        "2 of 5 (or fewer) consecutive lots",
    ):
        assert said in done.output
    found = json.loads(run("aql", "--lot", "1150", "--wrong", "2", "--json").output)
    assert [found[name] for name in ("size", "accept", "reject", "accepted")] == [80, 2, 3, True]
    assert found["severity"] == "normal"
    assert found["curve"][0] == {"wrong": 0, "share": 0.0, "lot_accepted": 1.0, "process_accepted": 1.0}
    rows = list(csv.DictReader(io.StringIO(run("aql", "--lot", "1150", "--csv").output)))
    assert len(rows) == len(found["curve"])
    assert float(rows[2]["process_accepted"]) == found["curve"][2]["process_accepted"]


def test_aql_shows_small_shares_with_significant_digits() -> None:
    """The fault planted: two decimals say that work wrong in 0.00% is accepted, and two rows of the curve say alike."""
    done = run("aql", "--lot", "600000", "--aql", "0.01")
    assert "Accepted in 95% of lots: work that is wrong in 0.0041%; in half: 0.0554%; in 10%: 0.184%." in done.output
    assert "0.00%" not in done.output
    assert "e-" not in done.output
    curve = [line.split()[0] for line in done.output.splitlines() if line.strip()[:1].isdigit()]
    assert len(curve) > 10
    assert len(set(curve)) == len(curve)
    assert "  0.025%" in done.output


def test_the_lots_before_decide_how_strictly_the_next_is_inspected() -> None:
    done = run("aql", "--lot", "1150", "--before", "0,3,1,4")
    assert "2 of 4 lots before accepted; the next gets tightened inspection." in done.output
    assert "Accept with 1 wrong or fewer" in done.output
    reduced = json.loads(run("aql", "--lot", "1150", "--before", ",".join("1" * 10), "--steady", "--json").output)
    assert (reduced["severity"], reduced["size"], reduced["before"]["score"]) == ("reduced", 32, 0)
    assert "switching score 30." in run("aql", "--lot", "1150", "--before", ",".join("1" * 10)).output
    stopped = run("aql", "--lot", "1150", "--before", "3,3,2,2,2,2,2").output
    assert "accept none by sample until the vendor improves" in stopped


def test_a_small_lot_is_audited_whole() -> None:
    assert "Audit 100 labels at random (the whole lot)." in run("aql", "--lot", "100", "--aql", "0.1").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("size", "--accuracy", "0.95"), "write percent, for example 95"),
        (("size", "--see", "95"), "95% is not below the target of 95%"),
        (("size", "--half-width", "nan"), "must be a number, not nan"),
        (("size", "--accuracy", "nan"), "must be a number, not nan"),
        (("size", "--half-width=-nan"), "must be a number, not -nan"),
        (("size", "--half-width", "5%"), "must be a number, not 5%; write 5"),
        (("size", "--audits", "5%"), "must be a whole number, not 5%; write 5"),
        (("size", "--audits", "2.5"), "must be a whole number, not 2.5"),
        (("size", "--audits", "50", "--half-width", "2"), "--audits and --half-width: give one of them"),
        (("size", "--audits", "50", "--see", "90"), "--audits and --see: give one of them"),
        (("aql", "--lot", "500", "--json", "--csv"), "--json and --csv: give one of them"),
        (("aql", "--lot", "1"), "--lot"),
        (("aql", "--lot", "500", "--aql", "1.1"), "the nearest is 1. Use one of 0.01"),
        (("aql", "--lot", "500", "--level", "S4"), "did you mean S-4?"),
        (("aql", "--lot", "500", "--severity", "tight"), "did you mean tightened?"),
        (("aql", "--lot", "500", "--wrong", "51"), "the sample has only 50 labels"),
        (("aql", "--lot", "500", "--before", "1,x"), "--before x: write whole numbers"),
        (("aql", "--lot", "500", "--before", ","), "write whole numbers"),
        (("aql", "--lot", "500", "--before", "60"), "lot 1: 60 wrong of a sample of 50"),
        (("aql", "--lot", "500", "--before", "1", "--severity", "normal"), "give one of them"),
        (("aqls",), "aql"),
    ],
)
def test_wrong_options_say_what_to_write(words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.output


def test_chances_near_one_are_not_rounded_to_certainty() -> None:
    """99.9% was told as 100%."""
    said = run("size", "--half-width", 5, "--assurance", 99.9, "--see", 85, "--power", 99.8).output
    assert "with a chance of 99.9%" in " ".join(said.split())
    assert "with a chance of 99.8%" in " ".join(said.split())
