"""What several commands share: configuration, and its errors as diagnostics."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from floorwatch.output.terminal import say

if TYPE_CHECKING:
    from config.schema import FloorwatchConfig


@contextmanager
def exit_on_config_error() -> Iterator[None]:
    """Print configuration diagnostics and leave with code 2."""
    from config.errors import ConfigErrors

    try:
        yield
    except ConfigErrors as errors:
        say(str(errors), err=True)
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
        say(
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
