"""Where people and projects of a tool belong: tables, a CSV file, what is unmapped, and that repeats are the same events."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.errors import ConfigErrors
from floorwatch.settings.schema import FloorwatchConfig
from gateway.authenticator import MappingFault, authenticator
from gateway.metrics import GatewayMetrics
from gateway.settings import GatewaySettings
from gateway.sources.fields import LabelerDims
from gateway.sources.places import read_users
from gateway.unmapped import LINES_A_MINUTE, UnmappedLog
from tests.gateway import argilla_hooks, cvat_hooks
from tests.gateway.harness import Bench, raw_fixture

ANNOTATION, TASKS = raw_fixture("0006-ANNOTATION_CREATED"), raw_fixture("0003-TASKS_CREATED")
USER = f"ls-user-{json.loads(ANNOTATION)['annotation']['completed_by']}"
PROJECT = json.loads(ANNOTATION)["project"]


def label_studio(*bodies: str, source: str = "kul", **section: Any) -> Bench:
    async def steps(bench: Bench) -> None:
        for body in bodies:
            status, said = await bench.hook(body, f"?source={source}")
            assert status == 200, said

    return Bench(GatewaySettings.model_validate({"label_studio": section})).run(steps)


def data_of(bench: Bench, kind: str) -> dict[str, Any]:
    return next(one["data"] for one in bench.events if one["type"] == f"floorwatch.{kind}.v1")


def users(folder: Path, text: str) -> Path:
    path = folder / "users.csv"
    path.write_text(text)
    return path


# -- what is placed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [PROJECT["id"], PROJECT["title"], f"kul/{PROJECT['id']}", f"kul/{PROJECT['title']}"])
def test_a_project_is_placed_by_id_or_title_and_by_its_source(key: int | str, tmp_path: Path) -> None:
    path = users(tmp_path, f"user,team,site,vendor,name\n{USER},a,KUL,,Ana\n")
    projects = {key: {"queue": "mine", "policy_version": "v9", "vendor": "bpo", "team": "other", "sla_class": "fast"}}
    bench = label_studio(
        TASKS, ANNOTATION, users_csv=path, projects=projects, queue_field="none", policy_version_field="none"
    )
    label, task = data_of(bench, "label.submitted"), data_of(bench, "task.created")
    assert (label["team"], label["site"], label["vendor"]) == ("a", "KUL", "bpo")
    assert (label["queue"], label["policy_version"], task["queue"], task["sla_class"]) == ("mine", "v9", "mine", "fast")
    assert "Ana" not in json.dumps(bench.events)


def test_the_project_of_another_source_is_not_this_one() -> None:
    bench = label_studio(ANNOTATION, source="mnl", projects={f"kul/{PROJECT['id']}": {"vendor": "bpo"}})
    assert data_of(bench, "label.submitted").get("vendor") is None


def test_what_a_task_says_of_itself_goes_before_its_project() -> None:
    plain = data_of(label_studio(ANNOTATION), "label.submitted")
    found = data_of(
        label_studio(ANNOTATION, projects={PROJECT["id"]: {"queue": "mine", "market": "xx"}}), "label.submitted"
    )
    assert plain["queue"] == found["queue"]
    assert plain["market"] == found["market"]


def test_argilla_and_cvat_are_placed_alike(tmp_path: Path) -> None:
    hook = argilla_hooks.response("created", 1)
    dataset = hook["data"]["record"]["dataset"]
    path = users(tmp_path, "user,team\nargilla-ann,red\ncvat:roads:ann,blue\n")
    bench, _ = argilla_hooks.run_hooks(hook, users_csv=str(path), projects={dataset["name"]: {"vendor": "bpo"}})
    label = data_of(bench, "label.submitted")
    assert (label["team"], label["vendor"]) == ("red", "bpo")
    settings = cvat_hooks.settings(
        users_csv=str(path), projects={"*": {}, cvat_hooks.JOB["job"]["project_id"]: {"site": "KUL"}}
    )

    async def steps(bench: Bench) -> None:
        await cvat_hooks.replay(bench)

    bench = Bench(settings).run(steps)
    labels = [one["data"] for one in bench.events if one["type"] == "floorwatch.label.submitted.v1"]
    assert {one.get("team") for one in labels if one["labeler_id"] == "cvat:roads:ann"} == {"blue"}
    assert "KUL" in {one.get("site") for one in labels}


def test_sent_again_under_the_same_mapping_the_events_are_the_same(tmp_path: Path) -> None:
    path = users(tmp_path, f"user,team\n{USER},a\n")
    once, again = (
        label_studio(ANNOTATION, users_csv=path, projects={PROJECT["id"]: {"vendor": "b"}}) for _ in range(2)
    )
    assert once.publisher.records == again.publisher.records
    assert data_of(once, "label.submitted")["team"] == "a"


# -- who is not placed -------------------------------------------------------------------------------------------


def test_the_unmapped_are_told_counted_and_not_guessed(caplog: pytest.LogCaptureFixture) -> None:
    counted: dict[str, float] = {}

    async def steps(bench: Bench) -> None:
        for _ in range(3):
            assert (await bench.hook(ANNOTATION, "?source=kul"))[0] == 200
        await bench.hook(raw_fixture("0007-ANNOTATION_CREATED"), "?source=kul")
        counted.update(await bench.metrics())

    section = {"labelers": {"ls-user-999": {"team": "z"}}, "projects": {"other": {"queue": "q"}}}
    with caplog.at_level(logging.WARNING, "gateway.unmapped"):
        bench = Bench(GatewaySettings.model_validate({"label_studio": section})).run(steps)
    assert data_of(bench, "label.submitted").get("team") is None
    said = [one.getMessage() for one in caplog.records]
    assert sum(f"the person '{USER}' of 'label-studio/kul'" in one for one in said) == 1
    assert sum(f"the project '{PROJECT['id']}'" in one for one in said) == 1
    name = 'floorwatch_gateway_unmapped_total{of="%s",source_kind="label-studio"}'
    assert counted[name % "person"] >= 1
    assert counted[name % "project"] >= 1


def test_where_nobody_is_placed_nobody_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    label_studio(ANNOTATION)
    assert not [one for one in caplog.records if one.name == "gateway.unmapped"]


def test_the_lines_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    now = [0]
    log = UnmappedLog(GatewayMetrics("0"), lambda: now[0])
    some = [("person", f"p{number}\n") for number in range(LINES_A_MINUTE + 5)]
    with caplog.at_level(logging.WARNING, "gateway.unmapped"):
        log.tell("cvat/roads", some)
        assert len(caplog.records) == LINES_A_MINUTE
        now[0] = 60_000
        log.tell("cvat/roads", some)
    assert len(caplog.records) == len(some)
    assert not [one for one in caplog.records if "\n" in one.getMessage()]


# -- what is wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("user,teem\na,b\n", (1, 2), "there is no column 'teem'"),
        ("team\nb\n", (1, 1), "there is no column user"),
        ("", (1, 1), "there is no column user"),
        ("user,team,team\na,b,c\n", (1, 3), "the column team is there twice"),
        ("user,team\na,b\n\na,c\n", (4, 1), "'a' stands in line 2 too"),
        ("team,user\nb,known\n", (2, 2), "'known' stands in labelers of the configuration too"),
        ("user,team\na,b,c\n", (2, 1), "the line has 3 values, and 2 columns are named"),
        ("user,team\n,b\n", (2, 1), "the line names no user"),
        (f"user,team\na,{'x' * 257}\n", (2, 2), "team has more than 256 characters"),
        ('user,team\na,"b\n', (2, 1), "this is no CSV"),
    ],
)
def test_a_faulty_list_is_told_with_line_column_and_cure(
    text: str, place: tuple[int, int], said: str, tmp_path: Path
) -> None:
    path = users(tmp_path, text)
    with pytest.raises(ConfigErrors) as found:
        read_users(path, {"known": LabelerDims()})
    first = found.value.errors[0]
    assert (first.path, first.line, first.column) == (str(path), *place)
    assert first.reason.startswith(said)
    assert first.hint


def test_the_gateway_does_not_start_with_a_faulty_or_missing_list(tmp_path: Path) -> None:
    path = users(tmp_path, "user\na\na\n")
    for given, said in ((path, r"users\.csv:3:1: 'a' stands in line 2 too; keep one"), (tmp_path / "none.csv", "none")):
        settings = GatewaySettings.model_validate({"label_studio": {"users_csv": given}})
        with pytest.raises(MappingFault, match=r"gateway\.label_studio\.users_csv: .*" + said):
            authenticator(settings)


def test_an_sla_class_that_there_is_not_is_refused() -> None:
    given = {
        "targets": {"sla_classes": {"fast": "1h"}},
        "gateway": {"label_studio": {"projects": {7: {"sla_class": "fst"}}}},
    }
    with pytest.raises(ValidationError, match=r"projects\.7\.sla_class: there is no SLA class fst"):
        FloorwatchConfig.model_validate(given)


def test_a_project_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="project 7 is there twice"):
        GatewaySettings.model_validate({"label_studio": {"projects": {7: {}, "7": {}}}})
