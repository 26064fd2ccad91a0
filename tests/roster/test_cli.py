"""``floorwatch roster`` over a file of events: golden text, JSON, faults that say what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from floorwatch.cli import build
from streams.core.time_text import rfc3339
from tests.people.floor import HOUR, MINUTE
from tests.people.log import Log, people_log

RUNNER = CliRunner()
GOLDEN = Path(__file__).parent / "golden"
KUL_MIDNIGHT = 1_795_363_200_000  # 2026-11-22T16:00:00Z is 2026-11-23 in Kuala Lumpur


def roster_log() -> Log:
    """Two people of KUL on a shift from 08:00 to 12:00 local, one late and on a long break; two heads of LIS by count."""
    log = Log()
    begin = KUL_MIDNIGHT + 8 * HOUR
    shift = {"shift_id": "s-1", "site": "KUL", "team": "kul-1", "labeler_ids": ["ann", "ben", "old"],
             "from": rfc3339(begin - HOUR), "to": rfc3339(begin + 4 * HOUR)}  # fmt: skip
    log.send("shift.scheduled", "roster/KUL", begin - 9 * HOUR, shift, "wfm/kul")
    again = {**shift, "labeler_ids": ["ann", "ben"], "from": rfc3339(begin)}
    log.send("shift.scheduled", "roster/KUL", begin - 8 * HOUR, again, "wfm/kul")
    counted = {
        "shift_id": "s-2",
        "site": "LIS",
        "headcount": 2,
        "from": rfc3339(begin),
        "to": rfc3339(begin + 2 * HOUR),
    }
    log.send("shift.scheduled", "roster/LIS", begin - 8 * HOUR, counted, "wfm/lis")
    log.send("break.started", "people/ann", begin + 2 * HOUR, {"labeler_id": "ann"})
    log.send("break.ended", "people/ann", begin + 3 * HOUR, {"labeler_id": "ann"})
    for number in range(24):
        late = number >= 6  # ben comes an hour late
        if not 12 <= number < 18:
            log.label("ann", begin + (number + 1) * 10 * MINUTE, 8 * MINUTE, "videos")
        if late:
            log.label("ben", begin + (number + 1) * 10 * MINUTE, 5 * MINUTE, "comments")
        if number < 12:
            log.label("rui", begin + (number + 1) * 10 * MINUTE, 6 * MINUTE, "ads", site="LIS", team="lis-1")
    # ben makes up half an hour after the shift
    log.label("ben", begin + 4 * HOUR + 30 * MINUTE, 30 * MINUTE, "comments")
    return log


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("roster") / "events.jsonl"
    path.write_bytes(b"\n".join(roster_log().lines))
    return path


def run(events: Path, *words: str):
    return RUNNER.invoke(build("roster"), ["roster", "--events", str(events), *words])


def same_as_golden(name: str, text: str) -> None:
    """Compare with the file; FLOORWATCH_UPDATE_GOLDEN=1 writes it instead, to be read before it is committed."""
    path = GOLDEN / name
    if os.environ.get("FLOORWATCH_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("by-site.txt", ["--by", "site", "--day", "2026-11-23"]),
        ("by-site-hours.txt", ["--by", "site", "--day", "2026-11-23", "--hours", "--shrinkage", "30"]),
        ("all.txt", ["--by", "all"]),
        ("by-team.txt", ["--by", "site,team", "--day", "2026-11-23"]),
    ],
)
def test_words(events, name, words):
    found = run(events, *words)
    assert found.exit_code == 0, found.output
    same_as_golden(name, found.stdout)


def test_the_day_in_the_docs_is_the_golden_one():
    page = (Path(__file__).parents[2] / "docs" / "roster.md").read_text()
    assert (GOLDEN / "by-site.txt").read_text().split("\n\nA person with")[0] in page


def test_the_numbers_by_hand(events):
    """KUL, 2 people × 4 h = 480 min. ann: 18 × 8 handling, 60 break (30 planned), 36 idle. ben: 65 away, 18 × 5, 85 idle."""
    found = run(events, "--day", "2026-11-23", "--json")
    days = {day["scope"]["site"]: day for day in map(json.loads, found.stdout.splitlines())}
    kul = days["KUL"]
    assert kul["start"] == "2026-11-22T16:00:00Z"
    counts = {name: amount // MINUTE for name, amount in kul["counts"].items() if name.endswith("_ms")}
    assert counts == {
        "scheduled_ms": 480, "named_ms": 480, "handling_ms": 18 * 8 + 18 * 5, "idle_ms": 36 + 85,
        "break_ms": 60, "away_ms": 65, "exception_ms": 65 + 30, "overtime_ms": 30, "headcount_handling_ms": 0,
        "handle_ms": 18 * 8 + 18 * 5 + 30,
    }  # fmt: skip
    assert kul["adherence_percent"] == pytest.approx(100 * (1 - 95 / 480))
    assert kul["conformance_percent"] == pytest.approx(100 * (480 - 95 + 30) / 480)
    assert kul["shrinkage_ratio"] == pytest.approx(125 / 480)
    lis = days["LIS"]
    assert lis["counts"]["headcount_handling_ms"] == 72 * MINUTE
    assert lis["occupancy_ratio"] == pytest.approx(72 / 240)
    assert lis["adherence_percent"] is None
    assert kul["required_h"] == pytest.approx(37 * (264 / 37) / 60 / (0.85 * 0.74), rel=1e-3)
    assert kul["peak_required_heads"] == max(hour["required_heads"] for hour in kul["hours"])
    assert sum(hour["counts"]["handling_ms"] for hour in kul["hours"]) == kul["counts"]["handling_ms"]


@pytest.mark.slow
def test_a_day_of_the_larger_log_is_the_same_in_any_zone_it_fits_in(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(people_log().lines))
    seen = []
    for zone in ("UTC", "Europe/Lisbon", "Asia/Kolkata"):
        found = run(path, "--day", "2026-11-12", "--zone", zone, "--json", "--by", "all")
        day = json.loads(found.stdout)
        seen.append({name: day["counts"][name] for name in ("scheduled_ms", "handling_ms", "labels")})
    assert seen[0]["scheduled_ms"] == 6 * 8 * HOUR
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--by", "policy"], "--by policy: all, or some of site, vendor, team, queue"),
        (["--by", "site,site"], "each once"),
        (["--day", "23/11"], "--day 23/11: write YYYY-MM-DD"),
        (["--zone", "Kuala Lumpur"], "there is no time zone Kuala Lumpur"),
        (["--occupancy", "0"], "--occupancy 0: write percent"),
        (["--occupancy", "0.85"], "--occupancy 0.85: write percent, for example 85"),
        (["--shrinkage", "100"], "--shrinkage 100: write percent"),
        (["--away", "-"], '"-" is not a duration'),
    ],
)
def test_faults_say_what_to_do(events, words, said):
    found = run(events, *words)
    assert found.exit_code == 2
    assert said in found.stderr


def test_a_day_without_anything(events):
    assert "No shift, no label and no task on that day." in run(events, "--day", "2020-01-01").stdout
