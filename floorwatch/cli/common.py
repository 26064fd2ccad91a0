"""What several commands share: logging, and configuration errors as diagnostics."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from config.schema import FloorwatchConfig


def set_up_logging(level: str) -> None:
    """Log to standard error, one line an event; Faust's and aiokafka's chatter only from warnings up."""
    logging.basicConfig(
        stream=sys.stderr,
        level=getattr(logging, level.upper(), logging.INFO),
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        force=True,
    )
    quiet = logging.DEBUG if level == "debug" else logging.ERROR
    for name in ("faust", "mode", "aiokafka", "kafka"):
        logging.getLogger(name).setLevel(quiet)


@contextmanager
def exit_on_config_error() -> Iterator[None]:
    """Print configuration diagnostics and leave with code 2."""
    from config.errors import ConfigErrors

    try:
        yield
    except ConfigErrors as errors:
        typer.echo(str(errors), err=True)
        raise typer.Exit(2) from None


@contextmanager
def exit_on_redis_error(url: str) -> Iterator[None]:
    """Say what to do when Redis cannot be reached, and leave with code 1."""
    from redis.exceptions import RedisError

    from config.masking import without_secrets

    try:
        yield
    except (RedisError, OSError) as error:
        reason = without_secrets(str(error))
        typer.echo(
            f"Redis at {without_secrets(url)} cannot be reached ({reason}). Start the stack with `floorwatch up`, or point redis.url "
            "(FLOORWATCH_REDIS__URL) at yours; `floorwatch doctor` tells more.",
            err=True,
        )
        raise typer.Exit(1) from None


def load_for_reader(config: Path | None, var: Path) -> FloorwatchConfig:
    """Load the configuration of a command that reads a running stack.

    Args:
        config: The YAML given by the user, or None.
        var: Directory of a ``floorwatch up``: when it runs and nothing else names a Redis, its servers are used.
    """
    from config.load import load
    from floorwatch.embedded.state import environment_of, find_stack

    stack = find_stack(var) if config is None else None
    env = os.environ if stack is None else environment_of(stack, os.environ)
    return load(config, env, channels="tolerated")


def json_line(value: Any) -> str:
    """Return a value as JSON on one line; what a terminal or a reader of lines could trip over is escaped, letters are not."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


PIPED_WIDTH = 160
"""Columns where nobody's window says how many: ids and intervals cut to 80 are of no use in a file."""


def wide_console() -> Console:
    """Return a console as wide as the window, or wide enough for every table where the output is no terminal.

    What it prints is text and never markup: names are other people's input.
    """
    from rich.console import Console

    options: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    console = Console(**options)
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(**options, width=PIPED_WIDTH)
