"""What several commands share: logging, and configuration errors as diagnostics."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


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
