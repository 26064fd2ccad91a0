"""`floorwatch map test --source`: each dimension with its rule, and what is not mapped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from floorwatch.cli import build
from tests.gateway.harness import raw_fixture

USER = f"ls-user-{json.loads(raw_fixture('0006'))['annotation']['completed_by']}"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "hook.json"
    path.write_text(raw_fixture("0006-ANNOTATION_CREATED"))
    return path


def tried(sample: Path, source: str = "label-studio/kul", **section: Any) -> tuple[int, str]:
    config = sample.parent / "floorwatch.yaml"
    mapped = {"tool": "mapped", "token": "t" * 32, "mapped": {"mapping": "examples/mappings/stampit.yaml"}}
    config.write_text(json.dumps({"gateway": {"label_studio": section, "sources": {"own": mapped}}}))
    args = ["map", "test", str(sample), "--source", source, "--config", str(config), "--json"]
    found = CliRunner().invoke(build("map"), args, env={"COLUMNS": "160"})
    return found.exit_code, found.output


def test_each_dimension_says_where_it_comes_from(sample: Path) -> None:
    users = sample.parent / "users.csv"
    users.write_text(f"user,team\n{USER},a\n")
    projects = {"1": {"vendor": "bpo", "policy": "P7"}}
    code, said = tried(sample, users_csv=str(users), projects=projects)
    assert code == 0, said
    (event,) = json.loads(said)["events"]
    dims = {name: (one["value"], one["from"]) for name, one in event["dimensions"].items()}
    assert dims["team"] == ("a", f"{users}: {USER}")
    assert dims["vendor"] == ("bpo", "projects: 1")
    assert dims["site"] == (None, "nothing")
    assert dims["queue"][1] == "what the tool says"
    assert "sla_class" not in dims
    assert json.loads(said)["unmapped"] == []


def test_who_is_not_mapped_is_listed(sample: Path) -> None:
    code, said = tried(sample, labelers={"ls-user-999": {"team": "z"}}, projects={"other": {}})
    assert code == 0
    assert json.loads(said)["unmapped"] == [{"kind": "person", "id": USER}, {"kind": "project", "id": "1"}]


def test_a_faulty_list_or_an_unknown_source_or_no_json_is_told(sample: Path) -> None:
    users = sample.parent / "users.csv"
    users.write_text("user,teem\n")
    code, said = tried(sample, users_csv=str(users))
    assert (code, f"{users}:1:6: " in said or f"{users}:1:2: " in said, "did you mean team?" in said) == (1, True, True)
    code, said = tried(sample, source="kull")
    assert (code, "there is no source kull" in said) == (2, True)
    sample.write_text("{")
    code, said = tried(sample)
    assert (code, "is not JSON" in said) == (2, True)


def test_a_source_with_a_mapping_of_its_own_is_tried_with_it(sample: Path) -> None:
    sample.write_text(json.dumps({"kind": "hello", "items": [{}]}))
    code, said = tried(sample, source="own")
    assert code == 0, said
    assert json.loads(said)["hooks"][str(sample)]["ignored"] == ["a greeting"]
