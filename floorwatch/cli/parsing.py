"""How command lines are read: bounds of numbers, names out of a list, options that stand before the command."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isnan
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from config.nearest import choices
from floorwatch.cli.options import ConfigOption, VarOption
from floorwatch.output.reader_zone import ZONE_VARIABLE

LARGEST, LARGEST_INT = 1e12, 2**63 - 1
"""The greatest number that a command accepts. Larger ones have no meaning and would only overflow."""

ZoneOption = Annotated[
    str | None,
    typer.Option(
        "--zone",
        envvar=ZONE_VARIABLE,
        help="Your time zone, such as Asia/Kuala_Lumpur; times are shown in it. JSON and CSV stay UTC.",
    ),
]
"""The option that names the zone in which a person sees times."""

_EXAMPLES = {
    "--by": "Write who you are: --by mei",
    "--for": "Write how long: --for 2h",
    "--match": "Write which incidents: --match vendor=bpo-a",
}
"""What to write where one of these options is missing."""

_NAN = re.compile(r"\s*[+-]?nan\s*", re.IGNORECASE)
_WITH_PERCENT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*%\s*")
_MOST_SHOWN = 40
_NOT_A_CHOICE = re.compile(r"(?:Value error, )?(['\"])(.*)\1 is not one of (.*)\.", re.DOTALL)
_CHOICE = re.compile(r"'([^']*)'")


class CheckedCommand(TyperCommand):
    """Refuses numbers that cannot be counted with (``nan``, ``inf``, ``1e308``), and says what a wrong name may have meant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises:
            typer.BadParameter: One of them is wrong.
        """
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            options = getattr(getattr(error, "param", None), "opts", ())
            if type(error).__name__ == "MissingParameter":
                error.message = next((_EXAMPLES[name] for name in options if name in _EXAMPLES), error.message)
                raise
            error.message = number_words(error.message, value_in(given, options)) or reworded(error.message)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            typer.BadParameter: An option's number is not finite, or larger than ``LARGEST``.
        """
        for param in self.params:
            value = ctx.params.get(param.name)
            # The bounds of the option itself do not catch nan, which is neither less nor greater than any number.
            most = LARGEST if isinstance(value, float) else LARGEST_INT
            if isinstance(value, float) and isnan(value):
                raise typer.BadParameter("must be a number, not nan", ctx=ctx, param=param)  # type: ignore[arg-type]
            if isinstance(value, int | float) and not -most <= value <= most:
                shown = f"{value:.4g}" if isinstance(value, float) else f"a number of {len(str(abs(value)))} digits"
                raise typer.BadParameter(f"{shown} cannot be counted with", ctx=ctx, param=param)  # type: ignore[arg-type]
        if ctx.params.get("as_json") and ctx.params.get("as_csv"):
            raise typer.BadParameter("--json and --csv: give one of them", ctx=ctx)
        return super().invoke(ctx)


def value_in(args: Sequence[str], options: Collection[str]) -> str | None:
    """Return the last value that a command line gives one of these options; None where it gives none."""
    found = None
    for at, one in enumerate(args):
        name, equals, value = one.partition("=")
        if name in options:
            found = value if equals else args[at + 1] if at + 1 < len(args) else None
    return found


def number_words(message: str, given: str | None) -> str | None:
    """Return the library's message about what is no number in plain words, with how to write it; None for other messages.

    Args:
        message: The library's.
        given: What stands on the command line.

    Example:
        >>> number_words("Input should be a valid number, unable to parse string as a number", "5%")
        'must be a number, not 5%; write 5'
    """
    if given is None or not message.removeprefix("Value error, ").startswith("Input should be"):
        return None
    if _NAN.fullmatch(given):
        return f"must be a number, not {given}"
    if "valid number" not in message and "valid integer" not in message:
        return None
    must = "a number" if "valid number" in message else "a whole number"
    percent = _WITH_PERCENT.fullmatch(given)
    hint = f"; write {percent[1]}" if percent and ("." not in percent[1] or must == "a number") else ""
    return f"must be {must}, not {given[:_MOST_SHOWN]}{hint}"


def reworded(message: str) -> str:
    """Return the library's message about a value in the words of all other messages.

    Example:
        >>> reworded("Value error, 'acuracy' is not one of 'accuracy', 'sla'.")
        'there is no acuracy; did you mean accuracy? Use one of accuracy, sla'
    """
    found = _NOT_A_CHOICE.fullmatch(message)
    if found is None:
        return message.removeprefix("Value error, ")
    return f"there is no {found[2]}; {choices(found[2], _CHOICE.findall(found[3]))}"


@contextmanager
def with_place_of_option(program: str) -> Iterator[None]:
    """Say, where an unknown option stands before the command, that options stand behind it."""
    try:
        yield
    except typer.BadParameter:
        raise
    except Exception as error:
        if type(error).__name__ == "NoSuchOption" and hasattr(error, "message"):
            error.message = (
                f"{error.message} before the command. Options of a command stand behind its name: {program} COMMAND "
                f"{getattr(error, 'option_name', '')}"
            )
        raise


def common_options(
    context: typer.Context, var: VarOption = None, config: ConfigOption = None, zone: ZoneOption = None
) -> None:
    """Take the options that most commands share where they stand before the command, too."""
    hand_down(context, {"FLOORWATCH_VAR": var, "FLOORWATCH_CONFIG": config, ZONE_VARIABLE: checked_zone(zone)})


def checked_zone(zone: str | None) -> str | None:
    """Return a time zone that there is.

    Raises:
        typer.BadParameter: There is no such zone; the message says what may be meant.
    """
    from zoneinfo import available_timezones

    from config.zone_names import hint

    if zone and zone not in available_timezones():
        raise typer.BadParameter(f"there is no time zone {zone}; {hint(zone)}")
    return zone


def with_zone(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command that takes ``--zone`` besides its own options; one that has it already as it is."""
    signature = inspect.signature(command, eval_str=True)
    if "zone" in signature.parameters:
        return command
    own = list(signature.parameters.values())

    @functools.wraps(command)
    def run(*args: Any, zone: str | None = None, **options: Any) -> Any:
        with _environment({ZONE_VARIABLE: checked_zone(zone)}):
            return command(*args, **options)

    option = inspect.Parameter("zone", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ZoneOption)
    run.__signature__ = signature.replace(parameters=[*own, option])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*own, option)}
    return run


class CheckedGroup(TyperGroup):
    """A group of commands that says where an option stands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before the command.

        Raises:
            typer.BadParameter: It is wrong.
        """
        with with_place_of_option(ctx.command_path):
            return super().parse_args(ctx, args)


def hand_down(context: typer.Context, options: Mapping[str, object]) -> None:
    """Let a command take options that stood before its name, as long as it runs: it finds them in the environment.

    Args:
        context: Of the command line that had them.
        options: Value by variable; None was not given.
    """
    context.with_resource(_environment(options))


@contextmanager
def _environment(options: Mapping[str, object]) -> Iterator[None]:
    given = {name: str(value) for name, value in options.items() if value is not None}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
