"""Settings that were renamed are taken by their old names, with a warning that says the new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from config import renamed
from config.errors import ConfigErrors
from floorwatch.cli import build
from floorwatch.settings.load import load, loads
from floorwatch.settings.review import warnings
from floorwatch.settings.schema import FloorwatchConfig

TABLE = {
    "engine.flush_every_s": "engine.flush_interval_s",
    "broker": "kafka",
    "gateway.sources.*.until": "gateway.sources.*.expires_at",
    "redis.address": "redis.url",
}


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renamed, "RENAMED", TABLE)


def of(text: str, env: dict[str, str] | None = None) -> FloorwatchConfig:
    return loads(text, env or {}, name="test.yaml", base=Path())


def faults(text: str, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigErrors) as caught:
        of(text, env)
    return str(caught.value)


def test_an_old_name_is_taken_and_the_warning_says_line_and_new_name() -> None:
    config = of("engine:\n  publish_interval_s: 3\n  flush_every_s: 0.25\n")
    assert (config.engine.flush_interval_s, config.engine.publish_interval_s) == (0.25, 3)
    (said,) = config.renamed
    assert said.startswith("line 3: engine.flush_every_s is now called engine.flush_interval_s.")
    assert said in warnings(config)


def test_a_new_name_warns_of_nothing() -> None:
    assert of("engine: {flush_interval_s: 0.25}").renamed == ()


def test_a_section_is_renamed_with_all_that_is_in_it() -> None:
    config = of("broker:\n  brokers: [a:9092]\n  security: {protocol: SSL}\n")
    assert (config.kafka.brokers, config.kafka.security.protocol) == (["a:9092"], "SSL")
    assert config.renamed[0].startswith("line 1: broker is now called kafka.")


def test_a_chosen_name_stands_at_its_place() -> None:
    text = "gateway: {sources: {tool: {token: abcdefghijklmnop, until: 2030-01-01T00:00:00Z}, other: {token: bcdefghijklmnopq}}}"
    config = of(text)
    assert config.gateway.sources["tool"].expires_at is not None
    assert config.gateway.sources["other"].expires_at is None
    assert "gateway.sources.tool.until is now called gateway.sources.tool.expires_at" in config.renamed[0]


def test_a_fault_under_an_old_name_is_shown_where_it_stands() -> None:
    said = faults("engine:\n  flush_every_s: -1\n")
    assert "test.yaml:2:18: engine.flush_interval_s" in said
    assert "flush_every_s: -1" in said


def test_both_names_in_a_file_are_a_fault_at_the_old_one() -> None:
    said = faults("engine:\n  flush_every_s: 1\n  flush_interval_s: 2\n")
    assert "test.yaml:2:3: engine.flush_every_s: is the old name of engine.flush_interval_s" in said
    assert "keep engine.flush_interval_s alone" in said


def test_a_group_where_a_value_stands_is_told_by_validation() -> None:
    assert "kafka" in faults("broker: {brokers: [a:1]}\nkafka: 3\n")


def test_variables_of_old_names_are_taken_too() -> None:
    config = of("", {"FLOORWATCH_ENGINE__FLUSH_EVERY_S": "0.5", "FLOORWATCH_BROKER__BROKERS": "a:1,b:2"})
    assert (config.engine.flush_interval_s, config.kafka.brokers) == (0.5, ["a:1", "b:2"])
    assert [said.split(".")[0] for said in config.renamed] == [
        "FLOORWATCH_BROKER__BROKERS is now called FLOORWATCH_KAFKA__BROKERS",
        "FLOORWATCH_ENGINE__FLUSH_EVERY_S is now called FLOORWATCH_ENGINE__FLUSH_INTERVAL_S",
    ]


def test_a_variable_of_the_new_name_wins_and_the_environment_wins_over_the_file() -> None:
    both = {"FLOORWATCH_ENGINE__FLUSH_EVERY_S": "0.5", "FLOORWATCH_ENGINE__FLUSH_INTERVAL_S": "0.75"}
    assert of("", both).engine.flush_interval_s == 0.75
    old = {"FLOORWATCH_ENGINE__FLUSH_EVERY_S": "0.5"}
    assert of("engine: {flush_interval_s: 2}", old).engine.flush_interval_s == 0.5


def test_the_free_name_in_a_variable_keeps_its_letters() -> None:
    env = {"FLOORWATCH_GATEWAY__SOURCES__Tool__UNTIL": "2030-01-01T00:00:00Z"}
    assert renamed.rename_variables(env, TABLE, "FLOORWATCH_")[0] == {
        "FLOORWATCH_GATEWAY__SOURCES__Tool__EXPIRES_AT": "2030-01-01T00:00:00Z"
    }


def test_config_check_shows_the_warning_and_so_do_doctor_and_worker(tmp_path: Path) -> None:
    file = tmp_path / "floorwatch.yaml"
    file.write_text("engine: {flush_every_s: 0.25}\n")
    expected = "engine.flush_every_s is now called engine.flush_interval_s"
    checked = CliRunner().invoke(build("config"), ["config", "check", str(file)])
    assert checked.exit_code == 0
    assert f"warning: line 1: {expected}" in checked.output
    # Doctor and a worker's start say what ``warnings`` returns (tests/config/test_sites.py).
    assert any(expected in said for said in warnings(load(file, {})))


def test_every_new_name_in_the_table_is_one_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for old, new in renamed.RENAMED.items():
        kinds: list[Any] = [FloorwatchConfig]
        for part in new.split("."):
            from config import introspect

            known = introspect.known_keys(kinds, {})
            assert part == renamed.ANY or not known or part in known, f"{old} → {new}"
            kinds = introspect.inside(kinds, part, {})
    assert load(None, {}).renamed == ()


GONE = {"targets.attainment_ratio": "sla_attainment", "targets.critical_accuracy_ratio": "critical_errors"}


@pytest.mark.parametrize(("name", "kind"), GONE.items())
def test_a_setting_that_is_no_more_is_left_out_with_a_warning(name: str, kind: str) -> None:
    section, _, setting = name.partition(".")
    config = of(f"{section}:\n  accuracy_ratio: 0.9\n  {setting}: 0.98\n")
    assert config.targets.accuracy_ratio == 0.9
    (said,) = config.renamed
    assert said.startswith(f"line 3: {name} is no setting any more.")
    assert kind in said
    variable = f"FLOORWATCH_{section.upper()}__{setting.upper()}"
    (said,) = of("", {variable: "0.98"}).renamed
    assert said.startswith(f"{variable} is no setting any more.")
