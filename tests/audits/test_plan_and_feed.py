"""``floorwatch audits plan`` and ``feed`` over a file of events: tables, JSON, CSV, the same draw each time, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from floorwatch.cli import build
from streams.core.formatting import plural
from streams.core.time_text import rfc3339
from streams.models.outputs import AuditDrawn
from tests.core.harness import CoreRun

START = 1_796_083_200_000  # 2026-12-01T00:00:00Z
LABELS, MINUTE, DAY = 1_200, 60_000, 86_400_000
RUNNER = CliRunner()


def sent(kind: str, task: str, at: int, data: dict[str, Any]) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{kind}-{data.get('audit_id', data['label_id'])}-{at}",
            "source": "tool/a",
            "type": f"floorwatch.{kind}.v1",
            "subject": task,
            "time": rfc3339(at),
            "data": data,
        }
    )


def floor() -> list[str]:
    """A day of two vendors: a tenth flagged and audited with 50%, the rest with 10%; one label is corrected later."""
    rng, lines = Random(4), []
    for n in range(LABELS):
        at, flagged, vendor = START + n * MINUTE, n % 10 == 0, "bpo-a" if n % 3 else "bpo-b"
        who = {"label_id": f"l{n}", "labeler_id": f"p{n % 7}", "vendor": vendor, "policy": f"P{n % 2}"}
        lines.append(sent("label.submitted", f"t{n}", at, {**who, "values": ["hate" if flagged else "safe"]}))
        if rng.random() < (0.5 if flagged else 0.1):
            wrong = rng.random() < (0.2 if flagged else 0.03)
            said = (
                {"verdict": "incorrect", "values": ["safe" if flagged else "hate"]} if wrong else {"verdict": "correct"}
            )
            sampling = {"method": "random", "probability": 0.5 if flagged else 0.1}
            data = {"audit_id": f"a{n}", "label_id": f"l{n}", "sampling": sampling, **said}
            lines.append(sent("audit.completed", f"t{n}", at + MINUTE, data))
    return lines


def corrected(value: str, number: int, at: int) -> str:
    data = {
        "label_id": f"l{number}",
        "labeler_id": f"p{number % 7}",
        "vendor": "bpo-a",
        "policy": "P0",
        "values": [value],
    }
    return sent("label.submitted", f"t{number}", at, data)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audits") / "events.jsonl"
    path.write_text("\n".join(floor()))
    return path


def run(*words: object):
    return RUNNER.invoke(build("audits"), ["audits", *map(str, words)], env={"COLUMNS": "160"})


@pytest.fixture(scope="module")
def plan_file(events: Path) -> Path:
    done = run("plan", "--events", events, "--half-width", 4, "--begins", "2026-12-01T00:00:00Z", "--json")
    assert done.exit_code == 0, done.output
    path = events.with_name("plan.json")
    # The key is drawn anew for each plan; with this one the tests are the same each time.
    path.write_text(json.dumps({**json.loads(done.stdout), "key": bytes(range(16)).hex()}))
    return path


def test_a_plan_shows_strata_probabilities_and_what_they_give(events: Path) -> None:
    done = run("plan", "--events", events, "--half-width", 4, "--for-each", "vendor", "--minimum", 10)
    assert done.exit_code == 0, done.output
    for said in (
        "Goal for each vendor: interval of accuracy no wider than 8 points, with a chance of 90%",
        "For 7d like the last: 1,200 labels, error rates from",
        "bpo-a: ",
        "bpo-b: ",
        "interval no wider than",
        "points with a chance of 90%; as many audits of one probability give",
        "floorwatch audits feed plan.json",
    ):
        assert said in done.output, done.output
    assert done.output.count("│ bpo-a") == 3


def test_a_plan_says_which_audits_would_be_refused(events: Path, tmp_path: Path) -> None:
    config = tmp_path / "floorwatch.yaml"
    config.write_text("sampling: {min_probability: 0.5}\n")
    words = ("plan", "--events", events, "--total", 200, "--json")
    assert "min_probability" not in run(*words).stderr
    assert (
        "is below sampling.min_probability, 0.5: audits that name it are refused"
        in run(*words, "--config", config).stderr
    )


def test_a_plan_that_the_minimum_decides_says_so(events: Path) -> None:
    """Also where the plan is written as JSON: the sentence is on standard error."""
    assert "--minimum" not in run("plan", "--events", events, "--total", 200).stderr
    for form in ((), ("--json",), ("--csv",)):
        said = run("plan", "--events", events, "--total", 40, "--minimum", 20, *form).stderr
        assert "each stratum has 20 audits at least (--minimum)" in said
        assert "that makes 120 instead of 40." in said
    said = run("plan", "--events", events, "--half-width", 20, "--for-each", "vendor", "--minimum", 30).stderr
    assert "bpo-a: each stratum has 30 audits at least (--minimum)" in said
    assert "that makes these 90, and the goal may need fewer" in said


def test_a_number_of_audits_beyond_the_labels_is_told(events: Path) -> None:
    said = run("plan", "--events", events, "--total", 10**9).stderr
    assert "there are only 1,200 labels, so all of them are audited, not 1,000,000,000." in said


def test_a_window_that_the_log_does_not_fill_is_told(events: Path) -> None:
    """The numbers by the day are then too small."""
    said = "The first label of the log is of Tue 1 Dec 00:00 UTC, so the window is not full"
    assert said in run("plan", "--events", events, "--total", 40).stderr
    assert "first label" not in run("plan", "--events", events, "--total", 40, "--window", "20h").stderr


@pytest.mark.parametrize(
    ("at", "window", "labels"),
    [
        ("10:30:00", "90m", 90),
        ("10:59:00", "30m", 30),
        ("03:00:00", "2h", 120),
        ("10:30:30", "150s", 3),
        ("10:30:30", "90s", 2),
        ("10:30:30", "45s", 1),
    ],
)
def test_the_window_before_a_time_is_exact(events: Path, at: str, window: str, labels: int) -> None:
    """A label at each whole minute: none before the window and none from its end on."""
    done = run("plan", "--events", events, "--total", 40, "--window", window, "--at", f"2026-12-01T{at}Z")
    assert f"For {window} like the last: {plural(labels, 'label')}" in done.output, done.output


def test_a_long_window_before_a_time_is_exact(tmp_path: Path) -> None:
    """Three days and 90 seconds, to the second: no whole hours."""
    events, end = tmp_path / "events.jsonl", START + 4 * DAY
    times = (end - 3 * DAY - 90_001, end - 3 * DAY - 90_000, end - 1, end)
    events.write_text("\n".join(corrected("safe", number, at) for number, at in enumerate(times)))
    asked = ("plan", "--events", events, "--window", "259290s", "--at", rfc3339(end), "--total", 2)
    assert ": 2 labels" in run(*asked).output


def test_a_window_up_to_the_last_event_says_what_it_counted(events: Path) -> None:
    """The last label is made at 19:59; the window begins on the whole minute, a long one on the whole hour."""
    short = run("plan", "--events", events, "--total", 40, "--window", "90m").output
    assert "Counted from Tue 1 Dec 18:29 UTC to Tue 1 Dec 19:59 UTC" in short
    assert "For 90m like the last: 91 labels" in short
    assert "Counted from Tue 24 Nov 19:00 UTC" in run("plan", "--events", events, "--total", 40).output


def test_a_window_of_flagged_labels_alone_is_planned(events: Path) -> None:
    """That other labels approve is known: it was said that no label does, and nothing was planned."""
    done = run("plan", "--events", events, "--total", 1, "--window", "45s", "--at", "2026-12-01T10:30:30Z")
    assert done.exit_code == 0, done.output
    assert "Every label of the window flags its item, so all are planned as flagged." in done.stderr


def test_chances_near_one_are_not_rounded_to_certainty(events: Path) -> None:
    said = run("plan", "--events", events, "--see", 85, "--power", 99.9, "--assurance", 99.5).output
    assert "with a chance of 99.9%" in said
    assert "points with a chance of 99.5%" in said
    goal = run("plan", "--events", events, "--half-width", 10, "--assurance", 99.9, "--json").stdout
    assert json.loads(goal)["goal"][0].endswith("with a chance of 99.9%")


def test_a_plan_may_begin_in_1970(events: Path) -> None:
    """0 ms is a time, too: the last event was taken in its place."""
    asked = ("plan", "--events", events, "--total", 40, "--begins", "1970-01-01T00:00:00Z", "--json")
    assert json.loads(run(*asked).stdout)["begins"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb"])
def test_a_name_that_cannot_stand_is_refused(events: Path, name: str) -> None:
    """It was cut, or replaced, without a word."""
    done = run("plan", "--events", events, "--total", 40, "--name", name)
    assert done.exit_code == 2
    assert "--name: write 1 to 100 printable characters" in done.output


def test_a_time_without_labels_says_when_the_last_event_was(events: Path) -> None:
    done = run("plan", "--events", events, "--at", "2030-01-01T00:00:00Z")
    assert done.exit_code == 1
    assert "the last event is of 2026-12-01T" in done.output


def test_csv_has_a_row_for_each_stratum(events: Path) -> None:
    done = run("plan", "--events", events, "--total", 200, "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 6
    assert sum(int(row["audits"]) for row in rows) == 200
    assert all(float(row["probability"]) >= int(row["audits"]) / int(row["labels"]) - 1e-6 for row in rows)
    flagged = [float(row["probability"]) for row in rows if row["decision"] == "flagged"]
    approved = [float(row["probability"]) for row in rows if row["decision"] == "approved"]
    assert min(flagged) > max(approved)


def test_a_goal_of_recall_raises_the_probability_of_approved_labels(events: Path) -> None:
    done = run("plan", "--events", events, "--total", 600, "--recall-at-least", 50, "--strata", "")
    assert done.exit_code == 0, done.output
    assert "recall is then known to be at least" in done.output
    assert "approved labels are audited with" in done.output


def test_each_plan_has_a_key_of_its_own(events: Path) -> None:
    keys = {json.loads(run("plan", "--events", events, "--total", 50, "--json").stdout)["key"] for _ in range(2)}
    assert len(keys) == 2


def test_a_drop_and_a_cost(events: Path) -> None:
    plain, dear = (
        json.loads(run("plan", "--events", events, "--see", 88, "--strata", "", *more, "--json").stdout)
        for more in ((), ("--cost", "flagged=9"))
    )
    assert plain["goal"] == ["a drop to 88% seen below 95%, with a chance of 80%"]
    shares = [{one["key"][0]: one["probability"] for one in plan["strata"]} for plan in (plain, dear)]
    assert shares[1]["flagged"] / shares[1]["approved"] < 0.8 * shares[0]["flagged"] / shares[0]["approved"]


def asked(plan_file: Path, events: Path, *more: object) -> list[AuditDrawn]:
    done = run("feed", plan_file, "--events", events, "--json", *more)
    assert done.exit_code == 0, done.output
    return [msgspec.json.decode(line, type=AuditDrawn) for line in done.stdout.splitlines()]


def test_a_feed_draws_the_same_labels_each_time_and_carries_their_probability(plan_file: Path, events: Path) -> None:
    first = asked(plan_file, events)
    assert first == asked(plan_file, events)
    plan = json.loads(plan_file.read_text())
    probabilities = {tuple(one["key"]): one["probability"] for one in plan["strata"]}
    for one in first:
        assert one.data.sampling.probability == probabilities[tuple(one.data.stratum.values())]
        assert one.data.sampling.method == "stratified"
    expected = sum(one["audits"] for one in plan["strata"])
    assert len(first) == pytest.approx(expected, abs=4 * expected**0.5)
    assert len({one.id for one in first}) == len(first)


def test_audits_that_send_their_sampling_back_count_with_its_weight(
    plan_file: Path, events: Path, tmp_path: Path
) -> None:
    """The floor without its own audits, and those of the plan: the next plan rests on them, and the estimate of a row weighs them."""
    lines = [line for line in events.read_text().splitlines() if "label.submitted" in line]
    wrong, found = {f"l{n}" for n in range(0, LABELS, 20)}, asked(plan_file, events)
    weight = {True: 0.0, False: 0.0}
    for number, one in enumerate(found):
        bad = one.data.label_id in wrong
        weight[bad] += 1 / one.data.sampling.probability
        sampling = msgspec.to_builtins(one.data.sampling)
        verdict = {"verdict": "incorrect" if bad else "correct", "sampling": sampling}
        data = {"audit_id": f"p{number}", "label_id": one.data.label_id, **verdict}
        lines.append(sent("audit.completed", one.subject, START + (LABELS + number) * MINUTE, data))
    path = tmp_path / "audited.jsonl"
    path.write_text("\n".join(lines))
    done = run("plan", "--events", path, "--total", 100, "--strata", "")
    assert f"error rates from {len(found)} random audits." in done.output
    core = CoreRun()
    core.send(line.encode() for line in lines)
    core.finish()
    row = core.windows()["accuracy"]["all", "7d"]
    assert row["weight_sum"] == pytest.approx(sum(weight.values()), rel=1e-6)
    assert row["weight_correct"] == pytest.approx(weight[False], rel=1e-6)
    assert row["accuracy_low_ratio"] < 1 - len(wrong) / LABELS < row["accuracy_high_ratio"]
    assert row["accuracy_high_ratio"] - row["accuracy_low_ratio"] < 0.1, "planned: no wider than 8 points"


def test_what_comes_later_changes_no_draw(plan_file: Path, events: Path, tmp_path: Path) -> None:
    """The log goes on, a tool sends a label again with another decision, and order differs: the first draw stands."""
    first = asked(plan_file, events)
    lines = events.read_text().splitlines()
    later = [corrected("hate" if n % 10 else "safe", n, START + (LABELS + n) * MINUTE) for n in range(1, 120)]
    longer = tmp_path / "longer.jsonl"
    longer.write_text("\n".join([*lines, *later]))
    assert asked(plan_file, longer) == first
    half = tmp_path / "half.jsonl"
    half.write_text("\n".join(lines[: len(lines) // 2]))
    early = asked(plan_file, half)
    assert early == first[: len(early)]


def test_a_feed_says_what_it_would_do(plan_file: Path, events: Path) -> None:
    done = run("feed", plan_file, "--events", events)
    assert "Plan audit-plan: 1,200 labels from Tue 1 Dec 00:00 UTC" in done.output
    assert "Nothing was sent: --send asks." in done.output
    later = plan_file.with_name("later.json")
    later.write_text(plan_file.read_text().replace("2026-12-01T", "2026-12-09T"))
    assert "No label was made since the plan began" in run("feed", later, "--events", events).output


def test_a_feed_is_bounded_and_never_asks_for_a_part(plan_file: Path, events: Path) -> None:
    done = run("feed", plan_file, "--events", events, "--most", 10)
    assert done.exit_code == 2
    assert "more than --most 10: nothing was sent" in done.output


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("--strata", "vendro"), "did you mean vendor?", 2),
        (("--for-each", "site,teem"), "did you mean team?", 2),
        (("--strata", "vendor,vendor"), "vendor is there twice", 2),
        (("--for-each", "vendor,vendor"), "vendor is there twice", 2),
        (("--strata", "vendor,"), "a name is missing beside a comma", 2),
        (("--strata", ","), "a name is missing beside a comma", 2),
        (("--json", "--csv"), "--json and --csv: give one of them", 2),
        (("--half-width", "5%"), "write 5", 2),
        (("--cost", "hat=2"), "no stratum has it", 2),
        (("--cost", "P0"), "write VALUE=NUMBER", 2),
        (("--cost", "P0=nan"), "write VALUE=NUMBER", 2),
        (("--approved", "ok"), "given most: safe, hate", 2),
        (("--value", "hat"), "did you mean hate?", 2),
        (("--value", "hate", "--approved", "safe"), "give one of them", 2),
        (("--total", "5", "--see", "90"), "not both", 2),
        (("--see", "96"), "write less than the target of 95", 2),
        (("--half-width", "0.2"), "auditing all 1,200 labels gives", 2),
        (("--at", "2026-11-01T00:00:00Z"), "No label was made in the last 7d before", 1),
    ],
)
def test_wrong_options_and_empty_windows_say_what_to_do(
    events: Path, words: tuple[str, ...], said: str, code: int
) -> None:
    done = run("plan", "--events", events, *words)
    assert done.exit_code == code, done.output
    assert said in done.output


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"probability": 7}, "strata[0].probability must be at most 1.0"),
        ({"probability": "half"}, "strata[0].probability must be a number, not text"),
        ({"pi": 0.5}, "strata[0].pi: a plan has no such field"),
    ],
)
def test_faults_of_a_plan_are_in_plain_words(plan_file: Path, edit: dict[str, Any], said: str) -> None:
    document = json.loads(plan_file.read_text())
    document["strata"][0] |= edit
    edited = plan_file.with_name("faulty.json")
    edited.write_text(json.dumps(document))
    done = run("feed", edited, "--events", plan_file.with_name("events.jsonl"))
    assert done.exit_code == 2
    assert said in done.output
    assert "`$" not in done.output


def test_a_plan_that_was_edited_is_told(plan_file: Path, events: Path) -> None:
    assert "was edited" not in run("feed", plan_file, "--events", events).output
    document, edited = json.loads(plan_file.read_text()), plan_file.with_name("edited.json")
    edited.write_text(json.dumps({**document, "strata": []}))
    done = run("feed", edited, "--events", events)
    assert (done.exit_code, "strata: there is none, so the plan was edited" in done.output) == (2, True)
    edited.write_text(json.dumps({**document, "otherwise": 0.9}))
    assert "the plan was edited: otherwise is 0.9" in run("feed", edited, "--events", events).stderr
    document["strata"][0]["probability"] = 0.987
    edited.write_text(json.dumps(document))
    done = run("feed", edited, "--events", events, "--json")
    assert done.exit_code == 0
    assert "the plan was edited: strata[0].probability is 0.987, its audits / labels are" in done.stderr


def test_a_plan_that_cannot_be_read_is_named(tmp_path: Path, events: Path) -> None:
    bad = tmp_path / "bad.json"
    for content, said in (
        ("{}", "plan is missing. Write one with"),
        ("", "is empty. Write one with"),
        (" \n", "is empty. Write one with"),
        ("[]", "the plan must be an object, not a list"),
        ("{", "the JSON ends too early"),
        ("hello", "is no JSON: invalid character"),
    ):
        bad.write_text(content)
        done = run("feed", bad, "--events", events)
        assert done.exit_code == 2
        assert f"{bad}: {said}" in done.output
    assert "gone.json" in run("feed", tmp_path / "gone.json", "--events", events).output
