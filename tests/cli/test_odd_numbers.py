"""Numbers of the command line: each numeric option of each command refuses what cannot be counted with, in one message."""

from __future__ import annotations

from collections.abc import Iterator
from enum import EnumMeta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.cli import build
from floorwatch.cli.options import duration_ms
from floorwatch.cli.people_options import people_policy
from floorwatch.cli.rescale import Measured, advise

ODD = (
    "nan",
    "-nan",
    "inf",
    "-inf",
    "Infinity",
    "1e308",
    "-1e308",
    "1e400",
    "9" * 30,
    "-" + "9" * 30,
    "9" * 5000,
    "1_0x",
    "",
)
ANY_SIGN = "--seed"
"""A seed is any whole number of 64 bits."""


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, one in getattr(command, "commands", {}).items():
        yield from _commands(one, (*path, name))
    if path and not getattr(command, "commands", None):
        yield path, command


def _kind(option: Any) -> object:
    return option.type_descriptor.annotation


ROOT = typer.main.get_command(build())
NUMERIC = [
    (" ".join(path), command, option)
    for path, command in _commands(ROOT)
    for option in command.params
    if option.opts[0].startswith("-") and _kind(option) in (int, float)
]


def _given(command: Any, option: Any, value: str, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Return exit code and errors of a command with an option's value; the command itself is not run."""

    def never(**_: object) -> None:
        raise AssertionError(f"the command was run with {option.opts[0]}={value}")

    command.callback = never
    given = [f"{option.opts[0]}={value}"]
    for other in command.params:
        if other.required and other.name != option.name:
            kind = _kind(other)
            choices = [str(one.value) for one in kind] if isinstance(kind, EnumMeta) else ["x"]
            text = "1" if kind in (int, float) else choices[0]
            given += [text] if not other.opts[0].startswith("-") else [f"{other.opts[0]}={text}"]
    with pytest.raises(SystemExit) as ended:
        command.main(given, prog_name="floorwatch")
    return ended.value.code, capsys.readouterr().err


def test_there_are_numeric_options() -> None:
    assert len(NUMERIC) > 30


@pytest.mark.parametrize(
    ("command", "option"),
    [pytest.param(command, option, id=f"{name} {option.opts[0]}") for name, command, option in NUMERIC],
)
def test_what_cannot_be_counted_with_is_refused(command: Any, option: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for value in (*ODD, *(() if option.opts[0] == ANY_SIGN else ("-1",))):
        code, said = _given(command, option, value, capsys)
        assert code == 2, (value, said)
        assert said.count("─ Error ─") == 1
        assert option.opts[0] in said, (value, said)


@pytest.mark.parametrize("given", [0.0, 0.001, 1e9])
def test_advice_is_finite_whatever_rate_is_given(given: float) -> None:
    measured = Measured(4, 2, 1.0, 2.0, 0, 0.3, 1000, 2)
    advice = advise(measured, given, 1.0, 1.0)
    assert advice.workers >= 2


@pytest.mark.parametrize("text", ["9" * 400, "9" * 400 + "d", "99999999d", "1e308", "nan", "inf", "-1d"])
def test_durations_are_finite(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        duration_ms("--window", text)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("text", ["9" * 400, "nan", "inf", "1e308", "-1", "1.2345"])
def test_weights_are_finite(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        people_policy(PeoplePolicy(), [f"spam={text}"], None, None)
    assert "--weight" in capsys.readouterr().err


@pytest.mark.parametrize("speed", ["nan", "-inf", "0", "-1", "x"])
def test_a_speed_is_a_number(speed: str) -> None:
    found = CliRunner().invoke(build("simulate"), ["simulate", "--speed", speed])
    assert found.exit_code == 2
    assert "--speed" in found.output
