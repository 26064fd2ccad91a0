"""`floorwatch rules`: check, show, test and route, on the shipped example and on faulty files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerts.incident import Maintenance
from alerts.oncall.policy import RotaFacts
from floorwatch.cli import build

EXAMPLE = Path("examples/alerts")
CONFIG = str(EXAMPLE / "floorwatch.yaml")
TESTS = EXAMPLE / "rules_test.yaml"


def rules(*args: str) -> tuple[int, str]:
    found = CliRunner().invoke(build("rules"), ["rules", *args], env={"COLUMNS": "160", "FLOORWATCH_CONFIG": None})
    return found.exit_code, found.output


def test_the_shipped_example_is_whole_and_its_tests_pass() -> None:
    code, said = rules("check", "-c", CONFIG)
    assert (code, "warning" in said) == (0, False), said
    assert said.endswith("5 rules in force, 4 routes, 4 channels; all of them can work\n")
    assert rules("test", str(TESTS)) == (0, f"{TESTS}: 5 tests, all passed\n")


ONCALL = str(EXAMPLE / "oncall.yaml")
ONCALL_TESTS = EXAMPLE / "oncall_test.yaml"


def test_the_example_of_people_on_call_is_whole_and_its_tests_pass() -> None:
    code, said = rules("check", "-c", ONCALL)
    assert (code, "warning" in said) == (0, False), said
    assert rules("test", str(ONCALL_TESTS)) == (0, f"{ONCALL_TESTS}: 7 tests, all passed\n")
    shown = rules("show", "-c", ONCALL)[1]
    assert "route kul: desk, escalation:kul" in shown


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("people: [mei]\n", "people: [arif]\n", "expected [arif], got [mei]"),
        ("people: [arif], told", "people: [mei], told", "expect.people: a page by night goes to the other one"),
        ("held: [nights]", "held: [weekends]", "expected [weekends], got [nights]"),
        ("told: [], held: [kul-move]", "told: [desk], held: [kul-move]", "expected [desk], got []"),
        ("{after: 50m, told: [ana-mail, ops], people: [ana]}", "{after: 1h, told: [ana-mail, ops]}", "then 50m [ana-mail, ops]"),
        ("people: [ana]}\n        - {after: 40m", "people: [mei]}\n        - {after: 40m", "step 1: expected [mei], got [ana]"),
        ("    at: 2026-12-03T10:00:00+08:00\n", "", "it depends on the time who is told of this incident"),
        ("at: 2026-12-03T10:00:00+08:00", "at: 2026-12-03T10:00:00", "must be a time with a zone"),
        ("at: 2026-12-03T10:00:00+08:00", "at: 10", "must be text, not 10"),
    ],
)  # fmt: skip
def test_a_test_of_people_that_fails_says_where_and_why(before: str, after: str, said: str, tmp_path: Path) -> None:
    text = ONCALL_TESTS.read_text()
    assert before in text
    file = tmp_path / "oncall_test.yaml"
    file.write_text(text.replace(before, after, 1))
    code, shown = rules("test", str(file), "-c", ONCALL)
    assert code == 1
    assert said in shown
    assert "Traceback" not in shown


def test_a_time_decides_whom_an_incident_is_told_to() -> None:
    asked = ("--scope", "site=kul", "--rule", "site-accuracy", "-c", ONCALL)
    code, said = rules("route", *asked, "--at", "2026-12-05T03:00+08:00", "--json")
    assert code == 0, said
    found = json.loads(said)
    (route,) = found["routes"]
    assert (found["at"], found["told"]) == ("2026-12-04T19:00:00Z", [])
    assert route["held"] == [{"why": "maintenance", "by": "kul-move", "until": "2026-12-04T21:00:00Z"}]
    assert [one["receiver"] for one in route["told"]] == ["channel:desk", "person:arif"]
    found = json.loads(rules("route", *asked, "--at", "2026-12-05T10:00+08:00", "--json")[1])
    assert found["told"] == ["desk", "mei-phone", "ops"]
    assert "by mei-phone" in rules("route", *asked, "--at", "2026-12-05T10:00+08:00")[1]
    code, said = rules("route", *asked, "--at", "2026-12-05T10:00")
    assert (code, "has no zone" in said) == (2, True), said


def test_the_defaults_are_whole() -> None:
    code, said = rules("check")
    assert (code, "warning" in said) == (0, False), said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "told: [bpo-a, ops]",
            "told: [bpo-a]",
            "rules_test.yaml:8:13: routes[0].expect.told: a vendor's page goes to its lead",
        ),
        ("routes: [lead]", "routes: [kul]", "expected [kul], got [lead]"),
        ("after: 15m", "after: 20m", "expected 20m [lead], got 15m [lead]"),
        ("met: 98, missed: 2", "met: 60, missed: 40", "expected [queue=hate], got [queue=ads, queue=hate]"),
        ("met: 98, missed: 2", "mett: 98, missed: 2", "the rule cannot judge queue=ads"),
        ("rule: queue-sla", "rule: queue-slo", "did you mean queue-sla?"),
        ("rule: site-accuracy", "rule: site-acuracy", "did you mean site-accuracy?"),
        ("scope: {vendor: inhouse}", "scope: {vendr: inhouse}", "did you mean vendor?"),
        ("expect: {firing", "expects: {firing", "did you mean expect?"),
        ("table: sla, scope: {queue: hate}", "table: sli, scope: {queue: hate}", "did you mean sla?"),
        ("at: 2026-11-23T10:02:00Z", "at: yesterday", "write e.g. 2027-01-31T00:00:00Z"),
        ("at: 2026-11-23T10:02:00Z", "at: 2026-11-23T10:02:00", "must be a time with a zone"),
        ("routes:\n  - name", "routs:\n  - name", "did you mean routes?"),
    ],
)
def test_a_test_that_fails_or_cannot_be_read_says_where_and_why(
    before: str, after: str, said: str, tmp_path: Path
) -> None:
    text = TESTS.read_text()
    assert before in text
    file = tmp_path / "rules_test.yaml"
    file.write_text(text.replace(before, after, 1))
    code, shown = rules("test", str(file), "-c", CONFIG)
    assert code == 1
    assert said in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("text", ["", "[]", "routes: []", "a: [", "\x00", "rules: 3"])
def test_what_is_no_file_of_tests_is_told_with_its_place(text: str, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(text)
    code, shown = rules("test", str(file))
    assert code == 1
    assert shown.startswith(f"{file}:1:")


def test_a_file_that_is_not_there_is_told() -> None:
    code, shown = rules("test", "nowhere.yaml")
    assert code == 2
    assert shown.startswith("nowhere.yaml: ")


def test_a_faulty_configuration_is_told_by_each_command(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("alerts: {routing: [{match: [vendr=a], route: default}]}\n")
    for args in (["check"], ["show"], ["test", str(TESTS)], ["route", "--severity", "page"]):
        code, said = rules(*args, "-c", str(file))
        assert code in (1, 2), args
        assert f"{file}:1:29: alerts.routing[0].match[0]: no incident has a vendr" in said, args


def test_what_is_never_used_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(
        "alerts: {routes: {default: [console], x: [console], y: [console]}, routing: [{match: ['team=a'], route: y}]}\n"
    )
    code, said = rules("check", "-c", str(file))
    assert code == 0
    assert "alerts.routing[0] (team=a): no rule in force has an incident that comes here" in said
    assert "alerts.routes.x: nothing takes this route" in said


def test_routes_are_explained_and_shown() -> None:
    code, said = rules("route", "--scope", "vendor=bpo-a", "-c", CONFIG)
    assert code == 0, said
    assert said.splitlines() == [
        "A page of vendor-accuracy (accuracy_low) on vendor bpo-a:",
        "  routing[0] vendor=bpo-a, severity!=info: yes, goes on: route bpo-a",
        "  routing[1] site=kul: no, it has no site",
        "  routing[2] everything: yes: route default",
        "  route bpo-a: routing[0]: vendor=bpo-a, severity!=info",
        "    tells channel bpo-a",
        "    if nobody acknowledges within 15m: route lead",
        "      tells channel lead",
        "  route default: routing[2]: everything",
        "    tells channel ops",
        "    if nobody acknowledges within 15m: route lead",
        "      tells channel lead",
    ]
    code, said = rules("route", "--rule", "site-throughput", "--scope", "site=kul", "-c", CONFIG, "--json")
    assert code == 0, said
    found = json.loads(said)
    assert ([one["route"] for one in found["routes"]], found["told"]) == (["kul"], ["kul"])
    code, said = rules("show", "-c", CONFIG, "--json")
    shown = {rule["name"]: rule["routes"] for rule in json.loads(said)["rules"]}
    assert shown["site-accuracy"] == ["lead", "default"]
    assert "kul or default" in rules("show", "-c", CONFIG)[1]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--rule", "nope"], "there is no rule nope in force"),
        (["--kind", "accuracy"], "did you mean accuracy_low?"),
        (["--severity", "high"], "use one of page, warn, info"),
        (["--scope", "queue=a"], "several rules watch this: queue-sla, queue-age; name one with --rule"),
        (["--scope", "market=us"], "give --rule or --severity"),
        (["abcdef", "--severity", "page"], "not both"),
    ],
)
def test_an_incident_that_cannot_be_imagined_is_told(args: list[str], said: str) -> None:
    code, shown = rules("route", *args, "-c", CONFIG)
    assert code == 2, shown
    assert said in shown


def test_an_incident_that_there_is_takes_its_own_record(monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"kind": "accuracy_low", "rule": "gone", "severity": "warn", "scope": {"site": "kul"}}
    held = [{**record, "key": "ab12cd" + "0" * 26}, {**record, "key": "ab12ce" + "0" * 26}]
    monkeypatch.setattr("floorwatch.cli.incident_records.read_incidents", lambda *_: held)
    facts = list[RotaFacts]()
    monkeypatch.setattr("floorwatch.cli.plans.known_plans", lambda _: facts[-1] if facts else None)
    monkeypatch.setenv("FLOORWATCH_REDIS__URL", "redis://127.0.0.1:1")
    code, said = rules("route", "ab12cd", "-c", CONFIG)
    assert code == 0, said
    assert said.startswith("A warning of gone (accuracy_low) on site kul:\n")
    assert "route kul: routing[1]: site=kul" in said
    assert "maintenance" not in said
    facts.append(RotaFacts(maintenance={"move": Maintenance("move", ("site=kul",), 0, 10**15, "ann", 0)}))
    code, said = rules("route", "ab12cd", "-c", CONFIG)
    assert (code, "maintenance move" in said) == (0, True), said
    for key, expected in (("ab12ff", "no incident begins so"), ("ab12c", "6")):
        code, said = rules("route", key, "-c", CONFIG)
        assert code == 2
        assert expected in said
