"""The command line: one file a command, registered here."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import typer

from floorwatch.cli.options import ConfigOption, VarOption
from floorwatch.cli.parsing import CheckedCommand, CheckedGroup, ZoneOption, common_options, with_zone

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("floorwatch.cli.up", "up"),
    "demo": ("floorwatch.cli.demo", "demo"),
    "worker": ("floorwatch.cli.worker", "worker"),
    "gateway": ("floorwatch.cli.gateway", "gateway"),
    "web": ("floorwatch.cli.web", "web"),
    "simulate": ("floorwatch.cli.simulate", "simulate"),
    "sims": ("floorwatch.cli.sims", "sims"),
    "process": ("floorwatch.cli.process", "process"),
    "verify": ("floorwatch.cli.verify", "verify"),
    "table": ("floorwatch.cli.table", "table"),
    "facts": ("floorwatch.cli.facts", "facts"),
    "why": ("floorwatch.cli.why", "why"),
    "quality": ("floorwatch.cli.quality", "quality"),
    "explain": ("floorwatch.cli.explain", "explain"),
    "forecast": ("floorwatch.cli.forecast", "forecast"),
    "whatif": ("floorwatch.cli.forecast", "whatif"),
    "ack": ("floorwatch.cli.operator_actions", "ack"),
    "silence": ("floorwatch.cli.operator_actions", "silence"),
    **{
        name: ("floorwatch.cli.incident_acts", name)
        for name in ("snooze", "escalate", "assign", "comment", "link", "merge", "unmerge")
    },
    "check-events": ("floorwatch.cli.check_events", "check_events"),
    "doctor": ("floorwatch.cli.doctor", "doctor"),
    "topics": ("floorwatch.cli.topics_cmd", "topics"),
    "chaos": ("floorwatch.cli.chaos", "chaos"),
    "rescale": ("floorwatch.cli.rescale", "rescale"),
    "people": ("floorwatch.cli.people", "people"),
    "scorecard": ("floorwatch.cli.people", "scorecard"),
    "roster": ("floorwatch.cli.roster", "roster"),
    "sources": ("floorwatch.cli.sources", "sources"),
    "generate": ("floorwatch.cli.generate", "generate"),
}
"""Command name to module and function."""

GROUPS: dict[str, tuple[str, str]] = {
    "config": ("floorwatch.cli.config_cmd", "config_app"),
    "incidents": ("floorwatch.cli.incidents", "incidents_app"),
    "notifications": ("floorwatch.cli.notifications", "notifications_app"),
    "alerts": ("floorwatch.cli.alerts", "alerts_app"),
    "rules": ("floorwatch.cli.rules", "rules_app"),
    "oncall": ("floorwatch.cli.oncall", "oncall_app"),
    "maintenance": ("floorwatch.cli.maintenance", "maintenance_app"),
    "audits": ("floorwatch.cli.audits", "audits_app"),
    "map": ("floorwatch.cli.map_cmd", "map_app"),
    "dead-letters": ("floorwatch.cli.dead_letters", "dead_letters_app"),
}
"""Commands with commands of their own."""


PANELS: dict[str, tuple[str, ...]] = {
    "Start": ("up", "demo", "simulate"),
    "Look": ("table", "forecast", "whatif", "quality", "people", "scorecard", "roster", "audits"),
    "Explain a number": ("why", "facts", "explain", "sources", "dead-letters"),
    "Alerts": (
        *("incidents", "ack", "silence", "snooze", "escalate", "assign", "comment", "link", "merge", "unmerge"),
        *("oncall", "maintenance", "alerts", "notifications", "rules"),
    ),
    "Set up and check": ("config", "doctor", "check-events", "map", "topics"),
    "Run in production": ("worker", "gateway", "web", "rescale"),
    "Prove and develop": ("process", "verify", "chaos", "sims", "generate"),
}
"""Commands by what people do with them, as the help shows them."""


SHOW_TIMES = ("Look", "Explain a number", "Alerts", "Set up and check")
"""Panels whose commands show times of the floor to people."""


class InPanels(CheckedGroup):
    """Lists the commands in the order of the panels."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as the library calls it
        """Return the names of the commands."""
        return [name for names in PANELS.values() for name in names if name in self.commands]


def build(only: str | None = None) -> typer.Typer:
    """Return the application.

    Args:
        only: Import just this command, so that a worker does not load the imports of all others.
    """
    app = typer.Typer(
        name="floorwatch",
        cls=InPanels,
        help="Live, exact numbers and alarms for labelling operations.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=True)
    def _root(
        context: typer.Context,
        version: bool = typer.Option(False, "--version", help="Print the version and exit."),
        var: VarOption = None,
        config: ConfigOption = None,
        zone: ZoneOption = None,
    ) -> None:
        if version:
            from telemetry.version import VERSION

            typer.echo(f"floorwatch {VERSION}")
            raise typer.Exit
        if context.invoked_subcommand is None:
            raise typer.BadParameter("name a command; `floorwatch -h` lists them")
        common_options(context, var, config, zone)

    panels = {name: panel for panel, names in PANELS.items() for name in names}
    for name, (module, function) in COMMANDS.items():
        if only in (None, name):
            app.command(name, cls=CheckedCommand, rich_help_panel=panels[name])(zoned(name, _load(module, function)))
    for name, (module, group) in GROUPS.items():
        # With one command alone typer would drop the command's name from the line.
        if only in (None, name) or (only in COMMANDS and name == "config"):
            app.add_typer(checked(_load(module, group)), cls=CheckedGroup, name=name, rich_help_panel=panels[name])
    return app


def zoned(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with the option ``--zone``, if it shows times to people."""
    return with_zone(command) if any(name in PANELS[panel] for panel in SHOW_TIMES) else command


def checked(group: typer.Typer) -> typer.Typer:
    """Return a group whose commands are read as all others are."""
    for command in group.registered_commands:
        command.cls = CheckedCommand
        command.callback = with_zone(command.callback) if command.callback is not None else None
    if group.registered_callback is None:
        group.callback()(common_options)
    elif group.registered_callback.callback is not None:
        group.registered_callback.callback = with_zone(group.registered_callback.callback)
    return group


def _load(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def named_command(args: list[str]) -> str | None:
    """Return which command a line calls; None where that takes reading all of it."""
    left = iter(args)
    for one in left:
        if not one.startswith("-"):
            return one if one in COMMANDS or one in GROUPS else None
        if one in ("--var", "--config", "-c", "--zone"):
            next(left, None)
    return None


def main() -> None:
    """Run the command line. If any command finds a faulty configuration, it prints the diagnostics and exits with code 2."""
    from config.errors import ConfigErrors
    from streams.models.formats import NewerFormat

    try:
        build(named_command(sys.argv[1:]))()
    except ConfigErrors as errors:
        from floorwatch.output.terminal import say

        say(str(errors), err=True)
        sys.exit(2)
    except NewerFormat as error:
        from floorwatch.output.terminal import say

        say(f"floorwatch: {error}", err=True)
        sys.exit(2)
