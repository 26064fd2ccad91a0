"""What several commands share: configuration, and its errors as diagnostics."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from floorwatch.output.terminal import say, say_lines

if TYPE_CHECKING:
    from floorwatch.sdk.stacks import Found
    from floorwatch.settings.load import Process
    from floorwatch.settings.schema import FloorwatchConfig


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

    from floorwatch.cli.away import redis_away

    try:
        yield
    except (RedisError, OSError) as error:
        say(redis_away(url, error), err=True)
        raise typer.Exit(1) from None


@contextmanager
def exit_on_kafka_error(settings: FloorwatchConfig, doing: str) -> Iterator[None]:
    """Print why Kafka cannot be used and what to do, and exit with code 1.

    Args:
        settings: Whose brokers were asked.
        doing: What could not be done, e.g. ``topics cannot be created``.
    """
    import asyncio

    from aiokafka.errors import KafkaError

    from floorwatch.cli.away import Away, check_kafka, kafka_away

    try:
        asyncio.run(check_kafka(settings))
        yield
    except Away as away:
        say(f"{doing}. {away}", err=True)
        raise typer.Exit(1) from None
    except (KafkaError, OSError) as error:
        say(f"{doing}. {kafka_away(settings, error)}", err=True)
        raise typer.Exit(1) from None


def load_for_reader(
    config: Path | None, var: Path | None, *, needed: bool = True, process: Process = "reader"
) -> FloorwatchConfig:
    """Load the configuration of a command that reads a running stack; see ``load_target``."""
    return load_target(config, var, needed=needed, process=process)[0]


def load_target(
    config: Path | None,
    var: Path | None,
    env: Mapping[str, str] = os.environ,
    *,
    needed: bool = True,
    process: Process = "all",
) -> tuple[FloorwatchConfig, Found | None]:
    """Load a configuration and point it at what runs: what it names itself, else the running embedded stack.

    A Kafka or Redis named by the environment, or by the file and not the default one, is used as it is. Otherwise the
    stack of ``floorwatch.sdk.stacks.locate`` is used if there is one, with the file it was started with unless
    another is given.

    Args:
        config: The YAML given by the user; None takes ``FLOORWATCH_CONFIG``.
        var: Folder of a ``floorwatch up`` given by the user, or None.
        env: The environment.
        needed: Whether the command needs a stack; otherwise nothing is printed when none can be chosen.
        process: Which files of secrets are read.

    Returns:
        The configuration, and the stack that it points at, if any; else the configuration's own servers are used.

    Raises:
        ConfigErrors: The configuration is not valid.
        typer.Exit: 1 where no stack runs on the folder named; 2 where several run and none was named.
    """
    from floorwatch.embedded.state import environment_of
    from floorwatch.sdk.stacks import VAR_VARIABLE, StackNotFound, locate
    from floorwatch.settings.load import load

    if config is None and env.get("FLOORWATCH_CONFIG"):
        config = Path(env["FLOORWATCH_CONFIG"])
    settings = None if config is None else load(config, env, channels="tolerated", process=process)
    found = None
    if not names_servers(settings, env):
        try:
            found = locate(var, env)
        except StackNotFound as error:
            if needed:
                say_lines([f"{str(error)[0].upper()}{str(error)[1:]}."], err=True)
                raise typer.Exit(2 if error.several else 1) from None
    elif needed and var is not None and str(var) != env.get(VAR_VARIABLE):
        say_lines([f"--var {var} is not used: {_named_by(env)} names Kafka or Redis."], err=True)
    if found is None:
        return settings or load(None, env, channels="tolerated", process=process), None
    if config is None and found.state.config_file and Path(found.state.config_file).is_file():
        config = Path(found.state.config_file)
    return load(config, environment_of(found.state, env), channels="tolerated", process=process), found


def configuration_words(config: Path | None, stack: Found | None) -> str:
    """Return which configuration ``load_target`` has taken, in words.

    Args:
        config: The file that was named by option or environment, if any.
        stack: The embedded stack that it found, if any.
    """
    if config is not None:
        return str(config)
    if stack is None:
        return "the defaults, for no configuration was named and no `floorwatch up` runs"
    runs = f"the `floorwatch up` that runs on {stack.var}"
    if stack.state.config_file:
        return f"{stack.state.config_file}, with which {runs} was started"
    return f"the defaults, with which {runs} was started"


def _named_by(env: Mapping[str, str]) -> str:
    variables = ("FLOORWATCH_KAFKA__BROKERS", "FLOORWATCH_REDIS__URL")
    return " and ".join(name for name in variables if env.get(name)) or "the configuration file"


def names_servers(settings: FloorwatchConfig | None, env: Mapping[str, str]) -> bool:
    """Return whether the environment, or a file other than by the defaults, names a Kafka or a Redis.

    Args:
        settings: What was loaded from the file; None without one.
        env: The environment.
    """
    from config.kafka import KafkaSettings
    from config.redis import RedisSettings

    if env.get("FLOORWATCH_KAFKA__BROKERS") or env.get("FLOORWATCH_REDIS__URL"):
        return True
    if settings is None:
        return False
    return (settings.kafka.brokers, settings.redis.url) != (KafkaSettings().brokers, RedisSettings().url)
