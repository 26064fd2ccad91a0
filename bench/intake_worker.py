"""A worker that runs intake and nothing else, so that its speed can be measured alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

import streams.worker
from floorwatch.cli.worker import worker
from streams.app import Worker


class _NoAgents:
    """A Faust app that takes no agents: what is asked for beyond that is the real app's."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    def topic(self, *_: Any, **__: Any) -> None:
        """Subscribe to nothing."""

    def agent(self, *_: Any, **__: Any) -> Callable[[Any], Any]:
        """Start nothing."""
        return lambda function: function


class IntakeOnly(Worker):
    """Hosts every stage, but only intake's topics are read: the others never get a partition."""

    def _add_stage(self, stage: str, topic: str, make: Callable[[int], Any]) -> None:
        app = self.app
        if not stage.startswith("intake"):
            self.app = _NoAgents(app)
        try:
            super()._add_stage(stage, topic, make)
        finally:
            self.app = app


if __name__ == "__main__":
    vars(streams.worker)["Worker"] = IntakeOnly
    typer.run(worker)
