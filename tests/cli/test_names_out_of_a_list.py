"""A name that is not on a list: every command that takes one says what was meant and what there is, in the same words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from config.nearest import choices
from floorwatch.cli import build, named_command
from floorwatch.cli.notifications import unknown_channel
from floorwatch.cli.parsing import reworded
from floorwatch.sdk.stacks import Found, ProcessMark, StackState
from floorwatch.simulate.config import parse_scenario

RUN = CliRunner()
REDIS = {"FLOORWATCH_REDIS__URL": "redis://127.0.0.1:9", "FLOORWATCH_KAFKA__BROKERS": "127.0.0.1:9"}


def test_the_closest_name_comes_first_and_long_lists_are_cut() -> None:
    assert choices("vender", ["queue", "vendor"]) == "did you mean vendor? Use one of queue, vendor"
    assert choices("x", ["queue", "vendor"]) == "use one of queue, vendor"
    assert choices("x", []) == "there is none yet"
    assert choices("q", [f"n{at}" for at in range(50)]).endswith("n19 and 30 more")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("table acuracy", "there is no acuracy; did you mean accuracy? Use one of accuracy, throughput, sla"),
        ("why throughputt --scope all", "did you mean throughput? Use one of"),
        ("explain acuracy", "did you mean accuracy? Use one of accuracy, sla"),
        ("topics lst", "did you mean list? Use one of list, create"),
        ("table accuracy --by vender", "did you mean vendor? Use one of all, site, vendor"),
        ("table accuracy --by queu×policy", "did you mean queue,policy? Use one of"),
        ("table accuracy --window 25h", "did you mean 24h? Use one of 5m"),
        ("why accuracy --scope vender=x --window 1h", "did you mean vendor? Use one of"),
        ("why accuracy --scope all --measure audted --window 1h", "did you mean audited? Use one of"),
        ("quality --by vender", "did you mean vendor? Use one of"),
        ("people --by tem", "did you mean team? Use one of team, site, vendor"),
        ("incidents --severity pge", "did you mean page? Use one of page, warn, info"),
        ("incidents --scope vender=x", "did you mean vendor? Use one of"),
        ("sims acuracy", "did you mean accuracy? Use one of"),
    ],
)
def test_every_command_says_what_was_meant(line: str, said: str) -> None:
    done = RUN.invoke(build(), line.split(), env={**REDIS, "COLUMNS": "400"})
    assert done.exit_code == 2, done.output
    assert said in " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.output).split())
    assert "Value error" not in done.output


def test_a_scenario_and_its_settings() -> None:
    with pytest.raises(ValueError, match=r"did you mean vendor_quality_drop\? Use one of vendor_quality_drop"):
        parse_scenario("vendor_quality_drp@2h")
    with pytest.raises(ValueError, match=r"did you mean factor\? Use one of queue, factor"):
        parse_scenario("queue_surge@1m:facter=2")


def test_other_messages_lose_only_the_name_of_the_exception() -> None:
    assert reworded("Value error, hm") == "hm"
    assert reworded("Input should be a valid number") == "Input should be a valid number"
    assert reworded("Value error, \"it's\" is not one of 'a', 'b'.") == "there is no it's; use one of a, b"


def test_the_command_of_a_line_is_found_behind_its_options() -> None:
    assert named_command(["--var", "table", "doctor"]) == "doctor"
    assert named_command(["--config=x", "-c", "y", "incidents", "show"]) == "incidents"
    assert named_command(["--unknown", "x", "table"]) is named_command(["tabel"]) is named_command([]) is None


@pytest.mark.parametrize("line", ["{} table accuracy", "table accuracy {}", "{} incidents", "incidents {} show abcdef0",
                                  "{} notifications list", "notifications {} list", "{} forecast", "config {} show"])  # fmt: skip
def test_common_options_stand_before_or_behind_the_command(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FLOORWATCH_VAR", *REDIS):
        monkeypatch.delenv(name, raising=False)
    done = RUN.invoke(build(), line.format(f"--var {tmp_path}").split())
    assert done.exit_code == 1, done.output
    assert f"No stack runs on {tmp_path}" in done.output
    (tmp_path / "f.yaml").write_text("nonsense: 1\n")
    done = RUN.invoke(build(), line.format(f"--config {tmp_path}/f.yaml").split())
    assert "nonsense: there is no such setting" in done.output + str(done.exception)
    assert "FLOORWATCH_VAR" not in __import__("os").environ


def test_options_of_a_command_before_it_are_told_where_they_stand() -> None:
    done = RUN.invoke(build(), ["--by", "vendor", "table", "accuracy"], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert "--by before the command. Options of a command stand behind its name" in done.output
    assert "name a command" in RUN.invoke(build(), ["--var", "x"]).output


def _stack(file: str) -> Found:
    mark = ProcessMark(1, "x")
    return Found(Path("/var/f"), StackState(mark, {}, {}, {}, "", "", 1, "", config_file=file))


def test_an_unknown_channel_says_whose_configuration_lacks_it_and_what_to_do() -> None:
    running = unknown_channel("ops", ["console"], None, _stack("/etc/floor.yaml"))
    assert running.startswith(
        "there is no channel ops in /etc/floor.yaml, with which the `floorwatch up` that runs on /var/f was started; "
        "use one of console."
    )
    assert "`floorwatch up --config FILE`" in running
    assert "--config FILE here" in running
    assert "in the defaults, with which the `floorwatch up`" in unknown_channel("ops", ["console"], None, _stack(""))
    named = unknown_channel("opps", ["ops"], Path("f.yaml"), None)
    assert (
        named == "there is no channel opps in f.yaml; did you mean ops? Use one of ops. Add it to alerts.channels there"
    )
    assert unknown_channel("ops", [], None, None).endswith("Name the file that has it: --config FILE")


def test_the_bounds_of_numbers_hold_in_groups_too() -> None:
    """Commands of groups are read by the same class as all others."""
    groups = typer.main.get_command(build()).commands  # type: ignore[attr-defined]
    kinds = {
        type(one).__name__
        for group in ("config", "incidents", "notifications")
        for one in groups[group].commands.values()
    }
    assert kinds == {"CheckedCommand"}
