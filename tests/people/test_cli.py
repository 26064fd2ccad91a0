"""``floorwatch scorecard`` and ``floorwatch people`` over a file of events: golden text, JSON, faults that say what to do."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from floorwatch.cli import build
from tests.oracle.case_events import audit, label
from tests.people.log import files_read_once, people_log

RUNNER = CliRunner()
GOLDEN = Path(__file__).parent / "golden"
WEIGHTS = ("--weight", "violence=1", "--weight", "*=0.1")


@pytest.fixture(scope="module", autouse=True)
def _read_once() -> Iterator[None]:
    with files_read_once():
        yield


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("people") / "events.jsonl"
    path.write_bytes(b"\n".join(people_log().lines))
    return path


def run(*words: str):
    return RUNNER.invoke(build(words[0]), list(words))


def same_as_golden(name: str, text: str) -> None:
    """Compare with the file; FLOORWATCH_UPDATE_GOLDEN=1 writes it instead, to be read before it is committed."""
    path = GOLDEN / name
    if os.environ.get("FLOORWATCH_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def coaching(tmp_path: Path) -> Path:
    path = tmp_path / "coaching.jsonl"
    steps = [("low", "2026-11-17T08:00:00Z", "alerted", ""), ("low", "2026-11-17T09:00:00Z", "acknowledged", "lead-1"),
             ("low", "2026-11-18T00:00:00Z", "coached", "lead-1"), ("ben", "2026-11-10T00:00:00Z", "alerted", "")]  # fmt: skip
    path.write_text(
        "\n".join(json.dumps({"labeler_id": who, "time": at, "step": step, "by": by}) for who, at, step, by in steps)
    )
    return path


@pytest.mark.slow
@pytest.mark.parametrize("who", ["low", "hurry", "new", "gore", "cho"])
def test_scorecards(events, tmp_path, who):
    found = run("scorecard", who, "--events", str(events), "--coaching", str(coaching(tmp_path)), *WEIGHTS)
    assert found.exit_code == 0, found.output
    same_as_golden(f"scorecard-{who}.txt", found.stdout)


def test_the_card_in_the_docs_is_the_golden_one():
    page = (Path(__file__).parents[2] / "docs" / "people.md").read_text()
    assert (GOLDEN / "scorecard-hurry.txt").read_text() in page


def test_people(events, tmp_path):
    found = run("people", "--by", "team", "--events", str(events), "--coaching", str(coaching(tmp_path)), *WEIGHTS)
    assert found.exit_code == 0, found.output
    same_as_golden("people.txt", found.stdout)
    assert "1 refused, 0 conflicting" in found.stderr


@pytest.mark.slow
def test_a_row_for_each_the_one_most_probably_below_the_target_first(events):
    found = run("people", "--each", "--events", str(events))
    lines = found.stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("labeller"))
    assert lines[at].split() == [
        *("labeller", "team", "audits", "wrong", "accuracy", "95%", "interval", "pooled", "95%", "interval"),
        "P(below", "target)",
    ]  # fmt: skip
    rows = [line.split() for line in lines[at + 1 : at + 8]]
    assert [row[0] for row in rows[:2]] == ["low", "hurry"]
    assert rows[0] == ["low", "kul-2", "146", "29", "80.1%", "73.0–86.1%", "80.7%", "74.0–86.6%", "1.00"]
    assert next(row for row in rows if row[0] == "cho")[4:7] == ["awaits", "audits", "n/a"]
    assert sorted(row[0] for row in rows) == ["ann", "ben", "cho", "gore", "hurry", "low", "new"]


@pytest.mark.slow
def test_json_says_the_same(events):
    found = run("people", "--json", "--events", str(events), *WEIGHTS)
    cards = {card["labeler_id"]: card for card in map(json.loads, found.stdout.splitlines())}
    assert cards["low"]["accuracy"]["standing"] == "below"
    assert cards["low"]["named"] is True
    assert cards["low"]["judged_together"] == 6
    assert 0.99 < cards["low"]["pooled"]["below"] <= 1
    assert set(cards["low"]["pooled"]["estimate"]) == {"value", "low", "high"}
    assert cards["hurry"]["rushing"]["pace"] == "rushing"
    assert cards["cho"]["accuracy"]["standing"] == "too_few"
    assert cards["new"]["tenure"]["exact"] is True
    assert cards["gore"]["exposure"]["warn"] or cards["gore"]["exposure"]["over"]
    assert [item["queue"] for item in cards["gore"]["rotation"]] == ["ads"]
    one = json.loads(run("scorecard", "low", "--json", "--events", str(events), *WEIGHTS).stdout)
    assert one == cards["low"]


@pytest.mark.slow
def test_a_file_in_another_order_of_tasks_gives_the_same(events, tmp_path):
    """Within the correction horizon the order between tasks does not matter: only the order within each."""
    lines = events.read_bytes().splitlines()
    part = len(lines) // 4  # about a week of the month
    keys = [(n // part, json.loads(line).get("subject", "")) for n, line in enumerate(lines)]
    shuffled = [lines[n] for n in sorted(range(len(lines)), key=keys.__getitem__)]
    assert shuffled != lines
    path = tmp_path / "sorted.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(shuffled)))
    first, second = (run("people", "--json", "--events", str(one)).stdout for one in (events, path))
    assert first == second


@pytest.mark.slow
def test_a_file_in_an_order_beyond_the_horizon_says_what_is_late(events, tmp_path):
    """Sorted by task over a month, most lines come long after a later one: counted, and told on standard error."""
    lines = sorted(events.read_bytes().splitlines(), key=lambda line: json.loads(line).get("subject", ""))
    path = tmp_path / "sorted.jsonl"
    path.write_bytes(b"\n".join(lines))
    in_order, by_task = (run("people", "--json", "--events", str(one)) for one in (events, path))
    assert "late: older than the correction horizon" in by_task.stderr
    assert "late: older" not in in_order.stderr


def test_as_of_a_past_moment(events):
    found = run("scorecard", "low", "--json", "--events", str(events), "--at", "2026-11-15T00:00:00Z")
    card = json.loads(found.stdout)
    assert card["accuracy"]["standing"] != "below"
    assert card["end_ms"] == 1_794_700_800_000


@pytest.mark.slow
def test_telling_a_step_writes_it_once_it_fits(events, tmp_path):
    path = tmp_path / "coaching.jsonl"
    words = ("scorecard", "ann", "--events", str(events), "--coaching", str(path))
    found = run(*words, "--told", "coached", "--by", "lead-1")
    assert found.exit_code == 2
    assert "coached after none: here only alerted has a place" in found.stderr
    assert not path.exists()
    assert "Coaching: alerted" in run(*words, "--told", "alerted").stdout
    assert "Coaching: acknowledged" in run(*words, "--told", "acknowledged", "--by", "lead-1").stdout
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == ["alerted", "acknowledged"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["scorecard", "nobody"],
            "no label was made by a labeller named 'nobody'; use one of ann, ben, cho, gore, hurry",
        ),
        (["people", "--by", "queue"], "--by queue: use one of team, site, vendor"),
        (["people", "--window", "soon"], '"soon" is not a duration'),
        (["people", "--weight", "violence"], "--weight violence: write POLICY=NUMBER"),
        (["people", "--target", "0"], "--target 0: write percent"),
        (["people", "--target", "0.95"], "--target 0.95: write percent, for example 95"),
        (["people", "--at", "yesterday"], "--at: 'yesterday' is not a time: write for example 2026-11-22T18:00:00Z"),
        (["people", "--at", "2026-11-15T00:00:00"], "no zone"),
        (["scorecard", "ann", "--told", "alerted"], "--told needs --coaching FILE"),
    ],
)
def test_faults_say_what_to_do(events, words, said):
    found = run(*words, "--events", str(events))
    assert found.exit_code == 2
    assert said in found.stderr


@pytest.mark.slow
def test_faults_of_files(events, tmp_path):
    assert "no such file" in run("people", "--events", str(tmp_path / "none")).stderr
    bad = tmp_path / "bad.jsonl"
    for text, said in (
        ('{"labeler_id": "a"}', "bad.jsonl:1: step is missing"),
        ("\n[]", "bad.jsonl:2: each line is one JSON object"),
        ('{"labeler_id": "a", "time": "2026-11-15T00:00:00Z", "step": "told"}', "step 'told': use one of alerted"),
    ):
        bad.write_text(text)
        found = run("people", "--events", str(events), "--coaching", str(bad))
        assert (found.exit_code, said in found.stderr) == (2, True), found.stderr
    for labels in ("-1", "true", "1.5", '"9"'):
        bad.write_text(f'{{"labeler_id": "a", "labels": {labels}, "since": "2026-11-15T00:00:00Z"}}')
        assert "labels: write a whole number" in run("people", "--events", str(events), "--tenure", str(bad)).stderr
    bad.write_text('{"nothing": 1}')
    assert "holds no good event" in run("people", "--events", str(bad)).stderr


def test_tenure_from_before_the_log(events, tmp_path):
    path = tmp_path / "tenure.jsonl"
    path.write_text('{"labeler_id": "ann", "labels": 90000, "since": "2021-01-01T00:00:00Z"}')
    found = run("scorecard", "ann", "--events", str(events), "--tenure", str(path))
    assert "Tenure: 90,820 labels over 2151 days." in found.stdout


def test_without_weights_nothing_is_said_of_exposure(events):
    """The alert rule needs them too: people and alerts say the same, and nobody is near a cap that nobody has set."""
    found = run("people", "--events", str(events))
    assert (
        "Near the exposure cap: not configured: nobody said what counts (people.exposure.weights, or --weight"
        in found.stdout
    )
    assert "n/a" in found.stdout
    assert "Exposure: not configured" in run("scorecard", "gore", "--events", str(events)).stdout
    (card,) = [json.loads(line) for line in run("people", "--json", "--events", str(events)).stdout.splitlines()][:1]
    assert card["exposure"] is None


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            0,
            (
                "audits assumed random, 6 of 60 audited labels wrong",
                "60 audits say nothing of sampling: they are assumed random",
            ),
        ),
        (40, ("weighted by sampling, ", "Not in it: 20 audits that say nothing of sampling")),
    ],
)
def test_a_scorecard_says_which_audits_are_only_assumed_to_be_random(tmp_path, named, said):
    events = []
    for n in range(60):
        sampling = {"p": 0.05} if n < named else {}
        events.append(label(f"l-{n}", 5, task=f"t-{n}"))
        verdict = "incorrect" if n % 10 == 0 else "correct"
        events.append(audit(f"a-{n}", 7, f"l-{n}", verdict, task=f"t-{n}", **sampling))
    path = tmp_path / "silent.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in events))
    found = run("scorecard", "ana", "--events", str(path))
    assert found.exit_code == 0, found.output
    for part in said:
        assert part in " ".join(found.stdout.split())
