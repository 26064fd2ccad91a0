"""``floorwatch rules``: check the alert rules and routes, show them, test them, and say where an incident would go and why."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from floorwatch.cli.options import (
    ConfigFileOption,
    ConfigOption,
    JsonOption,
    OpensAtOption,
    VarOption,
    misused,
    scope_of,
    timestamp_ms,
)
from floorwatch.output.terminal import DataTable, say, say_json, say_lines, wide_console
from streams.core.formatting import plural

if TYPE_CHECKING:
    from alerts.routing.openings import Opening
    from alerts.routing.policy import Subject
    from alerts.rules import Rule
    from alerts.settings.route import RouteSettings
    from floorwatch.settings.schema import FloorwatchConfig

rules_app = typer.Typer(
    help="Alert rules and routes: check, show, test; who would be told, and why.", no_args_is_help=True
)

_SEVERITY_WORDS = {"page": "A page", "warn": "A warning", "info": "A notice (info)"}

ScopeOption = Annotated[str, typer.Option(help="Scope of the incident: vendor=bpo-a,queue=hate, or all.")]
RuleOption = Annotated[str | None, typer.Option("--rule", help="Its rule; kind and severity are then the rule's.")]
KindOption = Annotated[str | None, typer.Option("--kind", help="Its kind, e.g. accuracy_low.")]
SeverityOption = Annotated[str | None, typer.Option("--severity", help="page, warn or info.")]


def _loaded(config: Path | None) -> FloorwatchConfig:
    """Return a configuration whose every fault is told, with the channels built."""
    from config.errors import ConfigErrors
    from floorwatch.settings.load import load

    try:
        return load(config, os.environ, channels="built")
    except ConfigErrors as errors:
        say(errors.render(), err=True)
        raise typer.Exit(1) from errors


@rules_app.command("check")
def check(config: ConfigFileOption = None) -> None:
    """Check rules, routes and channels; print every fault with its place and what is never used, and exit 1 if there is a fault."""
    from floorwatch.settings.route_review import route_warnings

    settings = _loaded(config)
    name = config or "the defaults"
    for said in route_warnings(settings):
        say_lines([f"{name}: warning: {said}"], err=True)
    alerts = settings.alerts
    counts = [plural(len(settings.rules), "rule") + " in force", plural(len(alerts.routes), "route")]
    counts += [plural(len(alerts.channels), "channel")]
    say(f"{name}: {', '.join(counts)}; all of them can work")


@rules_app.command("show")
def show(config: ConfigFileOption = None, as_json: JsonOption = False) -> None:
    """Show the rules in force, with the routes that their incidents may take."""
    from floorwatch.cli.config_cmd import shown_rule
    from floorwatch.settings.route_review import routes_of_rule

    settings = _loaded(config)
    told = {name: _receivers(route) for name, route in settings.alerts.whole_routes().items()}
    if as_json:
        rules = [{**shown_rule(rule), "routes": routes_of_rule(settings, rule)} for rule in settings.rules]
        say_json({"rules": rules, "routes": {name: list(some) for name, some in told.items()}})
        return
    table = DataTable()
    table.add_names("rule", "kind", "scope", "severity", "window", "goes to")
    for rule in settings.rules:
        table.add_row(
            rule.name, rule.kind, _scope_words(rule), rule.severity, rule.window, _or(routes_of_rule(settings, rule))
        )
    wide_console().print(table)
    say_lines(f"route {name}: {', '.join(some) or 'nobody'}" for name, some in told.items())


def _receivers(route: RouteSettings) -> list[str]:
    """Return whom a route tells, channels by their names alone, and its escalation."""
    found = [one.removeprefix("channel:") for one in route.receivers()]
    return found if route.escalation is None else [*found, f"escalation:{route.escalation}"]


def _or(routes: list[str]) -> str:
    return " or ".join(routes)


def _scope_words(rule: Rule) -> str:
    parts = [f"each {name}" for name in rule.scope.by] + [f"{name}={value}" for name, value in rule.scope.exact.items()]
    return ", ".join(parts) or "the whole floor"


@rules_app.command("route")
def route(
    incident: Annotated[
        str | None, typer.Argument(help="An incident that there is: six digits of its key or more.")
    ] = None,
    scope: ScopeOption = "all",
    rule: RuleOption = None,
    kind: KindOption = None,
    severity: SeverityOption = None,
    at: OpensAtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    var: VarOption = None,
) -> None:
    """Say where an incident goes and why: the entries of the routing that were asked, the routes, whom each tells, and when."""
    from alerts.oncall.policy import RotaFacts
    from alerts.routing.explain import explain
    from alerts.routing.openings import openings, told_channels
    from alerts.scopes import scope_words
    from floorwatch.cli.common import exit_on_config_error, load_target
    from floorwatch.cli.plans import known_plans
    from floorwatch.output.reader_zone import local_instant
    from floorwatch.settings.policies import routing_policy
    from streams.core.time_text import rfc3339

    at_ms = int(time.time() * 1000) if at is None else timestamp_ms("--at", at)
    with exit_on_config_error():
        settings, _ = load_target(config, var, needed=incident is not None, process="reader")
    policy, facts = routing_policy(settings), RotaFacts()
    if incident is not None:
        if (scope, rule, kind, severity) != ("all", None, None, None):
            misused("name an incident, or say what it would be with --scope, --rule, --kind and --severity; not both")
        subject = _recorded(settings, incident)
        facts = known_plans(settings) or facts  # what was planned while the system runs counts, too
    else:
        subject = _imagined(settings, scope, rule, kind, severity)
    if as_json:
        found = openings(policy, subject, facts, at_ms)
        said = {name: getattr(subject, name) for name in ("rule", "kind", "severity", "scope")}
        now = [target for one in found if not one.told.holds for target in one.told.targets]
        say_json(
            {
                "incident": said,
                "at": rfc3339(at_ms),
                "routes": [_route_json(one) for one in found],
                "told": list(told_channels(now)),
                "why": explain(policy, subject, facts, at_ms),
            }
        )
        return
    of = f" of {subject.rule}" if subject.rule else ""
    head = f"{_SEVERITY_WORDS[subject.severity]}{of} ({subject.kind or 'any kind'}) on {scope_words(subject.scope)}"
    say_lines([f"{head}{'' if at is None else f', at {local_instant(at_ms)}'}:"])
    say_lines(f"  {line}" for line in explain(policy, subject, facts, at_ms, local_instant))


def _route_json(one: Opening) -> dict[str, Any]:
    from streams.core.time_text import rfc3339

    def text(at_ms: int | None) -> str | None:
        return None if at_ms is None else rfc3339(at_ms)

    return {
        "route": one.match.route.name,
        "why": one.match.why,
        "held": [{"why": hold.why, "by": hold.by, "until": text(hold.until_ms)} for hold in one.told.holds],
        "told_at": text(one.told.at_ms),
        "told": [{"receiver": to.receiver, "channels": list(to.channels), "why": to.why} for to in one.told.targets],
    }


def _recorded(settings: FloorwatchConfig, text: str) -> Subject:
    """Return what routes look at of an incident of the read model."""
    from alerts.routing.policy import Subject
    from config.connect import redis_options
    from floorwatch.cli.incident_records import read_incidents, start_of

    start = start_of(text)
    records = read_incidents(redis_options(settings.redis), settings.redis.prefix)
    found = [record for record in records if record["key"].startswith(start)]
    if len(found) != 1:
        misused(
            f"{text}: {'no incident begins so' if not found else f'{len(found)} incidents begin so, give more digits'}"
        )
    (one,) = found
    return Subject(one["key"], one["kind"], one["rule"], one["severity"], one["scope"])


def _imagined(
    settings: FloorwatchConfig, scope: str, rule: str | None, kind: str | None, severity: str | None
) -> Subject:
    """Return what routes look at of an incident that options describe."""
    from alerts.kinds.registry import ALL_KINDS
    from alerts.routing.matchers import SEVERITIES
    from config.nearest import choices
    from floorwatch.settings.rule_tests import GivenIncident, subject_of

    found = scope_of("--scope", scope)
    rules = {one.name: one for one in settings.rules}
    if kind is not None and kind not in ALL_KINDS:
        misused(f"--kind {kind}: {choices(kind, ALL_KINDS)}")
    if severity is not None and severity not in SEVERITIES:
        misused(f"--severity {severity}: {choices(severity, SEVERITIES)}")
    if rule is None:
        fitting = [one.name for one in settings.rules if _may_be(one, found, kind, severity)]
        if len(fitting) > 1 and severity is None:
            misused(f"several rules watch this: {', '.join(fitting)}; name one with --rule")
        rule = fitting[0] if len(fitting) == 1 else None
    given = {"rule": rule, "kind": kind, "severity": severity, "scope": found}
    subject = subject_of(GivenIncident.model_validate(given), rules)
    if isinstance(subject, str):
        misused(subject.replace("add  rule: NAME", "give --rule or --severity"))
    return subject


def _may_be(rule: Rule, scope: dict[str, str], kind: str | None, severity: str | None) -> bool:
    return rule.scope.matches(scope) and kind in (None, rule.kind) and severity in (None, rule.severity)


@rules_app.command("test")
def run_tests(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Tests of rules and routes in YAML.")],
    config: ConfigFileOption = None,
) -> None:
    """Run unit tests of rules and routes; print each that fails with its place and why, and exit 1 if one does."""
    failed = sum(_tested(file, config) for file in files)
    if failed:
        raise typer.Exit(1)


def _tested(file: Path, config: Path | None) -> int:
    """Run the tests of one file; return how many faults there are."""
    from config.errors import ConfigErrors
    from config.files import FileFault
    from floorwatch.settings.policies import routing_policy
    from floorwatch.settings.rule_tests import failures, read_tests

    try:
        read = read_tests(file)
    except FileFault as fault:
        misused(f"{file}: {fault.reason}; {fault.hint or 'check the path'}")
    except ConfigErrors as errors:
        say("\n\n".join(error.render() for error in errors.errors), err=True)
        return len(errors.errors)
    named = None if read.tests.config is None else file.parent / read.tests.config
    settings = _loaded(config or named)
    found = failures(read, settings, routing_policy(settings))
    for error in found:
        say(error.render() + "\n", err=True)
    say(f"{file}: {plural(read.tests.count, 'test')}, {plural(len(found), 'failure') if found else 'all passed'}")
    return len(found)
