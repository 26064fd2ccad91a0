"""The simulations, short: every promise holds, and a detector that breaks its promise is told."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from floorwatch.cli import build
from floorwatch.sims import accuracy, lines, rivals, rows_of, simulations
from floorwatch.sims.picture import drop_picture
from streams.core.detectors.bets import ShareBets

SCALES = {"breach": 0.2}
"""Scale of the short version of a simulation, where it is not ``USUAL_SCALE``."""

USUAL_SCALE = 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", simulations())
def test_every_promise_holds_in_short(name: str) -> None:
    """What ``make sim`` runs at length. The module says which situations it measures: ``--row`` finds it by that."""
    report = simulations()[name](SCALES.get(name, USUAL_SCALE), 7)
    assert report
    broken = [str(line) for line in report if not line.ok]
    assert not broken, "\n".join(broken)
    assert {line.row for line in report} - {None} == set(rows_of(name))


def test_a_detector_that_bets_too_high_is_told() -> None:
    """The same detector on work that is below target without knowing: its false alarms leave the bound."""
    wrong = (np.random.default_rng(1).random((100, 4000)) >= 0.94).astype(np.uint8)
    hits = int(accuracy.esr(wrong, ShareBets.of(0.03))[:, -1].sum())
    assert not lines.of_share("too high", hits, 100, "at most", 4000 / accuracy.BAR).ok


def test_the_cusum_it_is_compared_with_has_the_run_length_it_is_named_for() -> None:
    assert rivals.cusum_run_length(rivals.CUSUM_BAR) == pytest.approx(206_000, rel=0.005)


def test_a_line_says_what_is_wrong() -> None:
    line = lines.of_share("false alarms", 30, 100, "at most", 0.1, "Ville")
    assert not line.ok
    assert str(line).split()[:3] == ["NOT", "false", "alarms"]
    assert lines.of_share("false alarms", 0, 100, "at most", 0.1).ok
    assert lines.of_run_length("run length", 1e6, 0, "at least", 1e5).high == math.inf
    assert not lines.of_run_length("run length", 1e6, 100, "at least", 1e5).ok
    assert not lines.of_median("delay", [50.0] * 99, "about", 35).ok
    assert not lines.of_mean("bias", [9.0, 10.0, 11.0] * 30, "at most", 5).ok


def test_the_interval_of_a_line_is_of_99_percent() -> None:
    """Half of 400 runs: its exact limits, from the sum of the binomial chances."""
    line = lines.of_share("half", 200, 400, "about", 0.5, row=3)
    assert (line.low, line.high) == (pytest.approx(0.434675, abs=1e-5), pytest.approx(0.565325, abs=1e-5))
    assert line.row == 3
    assert lines.of_count("alarms", 0, 1.0, "at most", 1.0).high == pytest.approx(-math.log(0.005), rel=0.05)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report() -> None:
    run = simulations()["intervals"]
    assert run(0.02, 5) == run(0.02, 5)
    assert run(0.02, 5) != run(0.02, 6)


@pytest.mark.slow
def test_the_command() -> None:
    app = build("sims")
    done = CliRunner().invoke(app, ["sims", "intervals", "--scale", "0.02"])
    assert done.exit_code == 0, done.output
    assert re.search(r"\b([1-9]\d*) of \1 as promised", done.output)
    assert CliRunner().invoke(app, ["sims", "nothing"]).exit_code == 2


def test_the_picture_in_the_docs_is_the_one_that_is_drawn() -> None:
    shown = Path(__file__).parents[2] / "docs" / "statistics-drop.svg"
    assert shown.read_text() == drop_picture(), "draw it anew: floorwatch sims intervals --picture"
