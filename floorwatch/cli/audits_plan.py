"""``floorwatch audits plan``: strata of the last days, the probability of each, and what the tables will show of it."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.nearest import choices
from floorwatch.cli.audits_plan_text import notes_of, show_plan
from floorwatch.cli.options import (
    AtOption,
    ConfigOption,
    CsvOption,
    EventsOption,
    VarOption,
    duration_ms,
    json_option,
    misused,
    timestamp_ms,
)
from floorwatch.cli.people_options import as_percent
from floorwatch.output.csv_file import write_csv
from floorwatch.output.terminal import say_json, say_lines
from streams.core.policy import DAY_MS, DIMENSIONS, HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from floorwatch.analysis.audits.plan_file import AuditPlan
    from floorwatch.analysis.audits.planned_labels import FlagRule
    from floorwatch.analysis.audits.planning import PlanGoal, PlanResult
    from floorwatch.analysis.audits.rates import StrataTally
    from floorwatch.cli.audits_log import StrataLog

_SHORT_MS = 2 * DAY_MS
"""A window up to the last event begins on the whole minute where it is up to so long, else on the whole hour: only counts are kept."""

Window = Annotated[str, typer.Option(help="The time that tells volumes and error rates, and that the plan is for.")]
Strata = Annotated[str, typer.Option(help="What the strata are made of, beside flagged or approved.")]
ForEach = Annotated[
    str, typer.Option(help="Meet the goal for each value of these, e.g. vendor; else for the whole floor.")
]
HalfWidth = Annotated[
    float | None,
    typer.Option(min=0.01, max=50, help="Goal: a 95% interval no wider than twice so many points (2 without a goal)."),
]
See = Annotated[float | None, typer.Option(min=0, max=100, help="Goal: see that accuracy fell to this, in percent.")]
Total = Annotated[int | None, typer.Option(min=1, max=10**9, help="Goal: so many audits, as useful as can be.")]
RecallAtLeast = Annotated[
    float | None, typer.Option(min=0, max=100, help="Goal: recall known to be at least this, in percent.")
]
RecallHalfWidth = Annotated[
    float | None, typer.Option(min=0.01, max=50, help="Goal: an interval of recall no wider than twice so many points.")
]
Target = Annotated[float, typer.Option(min=0, max=100, help="The target, in percent.")]
Power = Annotated[float, typer.Option(min=1, max=99.9, help="Chance of seeing the drop, in percent.")]
Assurance = Annotated[
    float, typer.Option(min=1, max=99.9, help="Chance that the interval is no wider than promised, in percent.")
]
Minimum = Annotated[int, typer.Option(min=0, max=10**6, help="Least audits of each stratum.")]
Cost = Annotated[list[str] | None, typer.Option(help="What one audit costs, VALUE=NUMBER: hate=3. Others cost 1.")]
Approved = Annotated[
    list[str] | None, typer.Option(help="A value that approves an item; else common words such as safe, approved.")
]
FlagValue = Annotated[
    str | None, typer.Option("--value", help="Flagged are labels with this value; all others count as approved.")
]
PlanName = Annotated[str, typer.Option(help="Name of the plan.")]
Begins = Annotated[str | None, typer.Option(help="Labels from then on are drawn; else from the last event on.")]
AsJson = Annotated[bool, json_option("The plan as JSON, for floorwatch audits feed.")]


def plan(
    events: EventsOption = None,
    window: Window = "7d",
    at: AtOption = None,
    strata: Strata = "vendor,policy",
    for_each: ForEach = "",
    half_width: HalfWidth = None,
    see: See = None,
    total: Total = None,
    recall_at_least: RecallAtLeast = None,
    recall_half_width: RecallHalfWidth = None,
    target: Target = 95.0,
    power: Power = 80.0,
    assurance: Assurance = 90.0,
    minimum: Minimum = 5,
    cost: Cost = None,
    approved: Approved = None,
    value: FlagValue = None,
    name: PlanName = "audit-plan",
    begins: Begins = None,
    as_json: AsJson = False,
    as_csv: CsvOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Plan which part of each vendor's flagged and approved labels to audit, from the log.

    Example: floorwatch audits plan --for-each vendor --half-width 2 --json > plan.json
    """
    goal = _goal(total, half_width, see, target, power, assurance, minimum, recall_at_least, recall_half_width)
    dimensions, each = _names("--strata", strata), _names("--for-each", for_each)
    dimensions = list(dict.fromkeys([*each, *dimensions]))
    costs, flags = _costs(cost), _flags(value, approved)
    window_ms, until_ms = duration_ms("--window", window), None if at is None else timestamp_ms("--at", at)
    begins_ms = None if begins is None else timestamp_ms("--begins", begins)
    _check_name(name)
    log = _load(dimensions, flags, events, config, var, window_ms=window_ms, until_ms=until_ms)
    end_ms = log.watermark_ms + 1 if until_ms is None else until_ms
    start_ms = log.counted_from(end_ms - window_ms)
    tally = log.since(start_ms)
    _refuse_nothing(log, tally, window, end_ms, flags)
    results = _results(tally, goal, each, costs)
    document = _document(name, end_ms if begins_ms is None else begins_ms, dimensions, flags, results, goal)
    say_lines(notes_of(document, results, goal, log, (start_ms, end_ms), least_probability(config, var)), err=True)
    if as_json:
        from floorwatch.analysis.audits.plan_file import as_json as plain

        say_json(plain(document), indent=True)
    elif as_csv:
        rows = [row for result in results for row in _rows(dimensions, result)]
        write_csv(sys.stdout, [*dimensions, "decision", "labels", "wrong_ratio", "audits", "probability"], rows)
    else:
        show_plan(document, results, goal, tally, window, (start_ms, end_ms), each)


def _goal(
    total: int | None,
    half_width: float | None,
    see: float | None,
    target: float,
    power: float,
    assurance: float,
    minimum: int,
    recall_low: float | None,
    recall_half_width: float | None,
) -> PlanGoal:
    """Return the goal with shares as ratios; a half-width of 2 points where none is given."""
    from floorwatch.analysis.audits.planning import PlanGoal

    if total is not None and (half_width is not None or see is not None):
        misused("--total: give either a number of audits or what they should show, not both")
    if (total, half_width, see) == (None, None, None):
        half_width = 2.0
    drop = None if see is None else as_percent("--see", see) / 100
    goal = as_percent("--target", target) / 100
    if drop is not None and drop >= goal:
        misused(f"--see {see:g}: write less than the target of {target:g}")
    low = None if recall_low is None else as_percent("--recall-at-least", recall_low) / 100
    return PlanGoal(
        total,
        None if half_width is None else half_width / 100,
        drop,
        goal,
        power / 100,
        assurance / 100,
        minimum,
        low,
        None if recall_half_width is None else recall_half_width / 100,
    )


def _check_name(name: str) -> None:
    from floorwatch.analysis.audits.plan_file import MOST_NAME

    if not 0 < len(name.strip()) <= MOST_NAME or not name.isprintable():
        misused(f"--name: write 1 to {MOST_NAME} printable characters, for example audit-plan")


def _names(option: str, text: str) -> list[str]:
    """Return the dimensions in a list with commas."""
    found = [one.strip() for one in text.split(",")] if text.strip() else []
    for at, one in enumerate(found):
        if not one:
            misused(f"{option} {text}: a name is missing beside a comma; write for example vendor,policy")
        if one in found[:at]:
            misused(f"{option} {text}: {one} is there twice; name each once")
        if one not in DIMENSIONS:
            misused(f"{option} {one}: there is no such dimension; {choices(one, DIMENSIONS)}")
    return found


def _costs(given: Sequence[str] | None) -> dict[str, float]:
    """Return costs by value of a dimension, or by flagged and approved."""
    costs = {}
    for text in given or ():
        head, equals, number = text.rpartition("=")
        try:
            found = float(number)
        except ValueError:
            found = 0.0
        if not equals or not head or not 0 < found <= 1e6:
            misused(f"--cost {text}: write VALUE=NUMBER with a number above 0 and up to a million, for example hate=3")
        costs[head] = found
    return costs


def _flags(value: str | None, approved: Sequence[str] | None) -> FlagRule:
    from floorwatch.analysis.audits.planned_labels import KNOWN_APPROVALS, FlagRule

    if value is not None and approved:
        misused("--value and --approved: give one of them; with --value all labels without the value count as approved")
    return FlagRule(value, frozenset(one.casefold() for one in approved) if approved else KNOWN_APPROVALS)


def least_probability(config: Path | None, var: Path | None) -> float:
    """Return the least sampling probability that is accepted of sources without a bound of their own.

    Raises:
        typer.Exit: 2 where the configuration is faulty.
    """
    from floorwatch.cli.common import exit_on_config_error, load_for_reader

    with exit_on_config_error():
        return load_for_reader(config, var, needed=False).sampling.min_probability


def _load(
    dimensions: Sequence[str],
    flags: FlagRule,
    events: Path | None,
    config: Path | None,
    var: Path | None,
    *,
    window_ms: int,
    until_ms: int | None,
) -> StrataLog:
    from floorwatch.analysis.audits.rates import TooManyStrata
    from floorwatch.cli.audits_log import StrataLog
    from floorwatch.cli.facts_file import load_log

    places = tuple(DIMENSIONS.index(one) for one in dimensions)
    try:
        step_ms = MINUTE_MS if window_ms <= _SHORT_MS else HOUR_MS
        between = None if until_ms is None else (until_ms - window_ms, until_ms)
        log = StrataLog(dimensions=places, flags=flags, between=between, step_ms=step_ms)
        return load_log(log, events, config, var)
    except TooManyStrata as error:
        misused(f"--strata {','.join(dimensions)}: {error}. Take fewer dimensions; the labeller is seldom one of them.")


def _refuse_nothing(log: StrataLog, tally: StrataTally, window: str, end_ms: int, flags: FlagRule) -> None:
    """Leave with code 1 where there is nothing to plan for, and say why."""
    from floorwatch.analysis.audits.rates import APPROVED, FLAGGED
    from floorwatch.output.reader_zone import local_instant
    from streams.core.time_text import rfc3339

    if not tally.labels:
        say_lines(
            [
                (
                    f"No label was made in the last {window} before {local_instant(end_ms)}; the last event is of "
                    f"{rfc3339(log.watermark_ms)}. Ask for a longer --window, or another --at."
                )
            ],
            err=True,
        )
        raise typer.Exit(1)
    given = [name for name, _ in log.values.most_common(50)]
    if flags.value is not None and flags.value not in log.values:
        misused(f"--value {flags.value}: no label gives it; {choices(flags.value, given)}")
    sides = {key[-1] for key in tally.counts}
    if sides == {FLAGGED} and any(name.casefold() in flags.approvals for name in log.values):
        say_lines(["Every label of the window flags its item, so all are planned as flagged."], err=True)
    elif sides == {FLAGGED} and flags.value is None and given:
        listed = ", ".join(given[:10])
        misused(
            f"No label approves its item. Name the values that do with --approved, once each; given most: {listed}."
        )
    if sides == {APPROVED} and flags.value is None:
        say_lines(
            ["No label flags its item, so all are planned as approved; --approved names the values that approve."],
            err=True,
        )


def _results(tally: StrataTally, goal: PlanGoal, each: Sequence[str], costs: dict[str, float]) -> list[PlanResult]:
    """Return the plan of every part of the floor for which the goal is to be met.

    Raises:
        typer.Exit: 2 where a goal is out of reach, or a cost is of nothing there is.
    """
    from floorwatch.analysis.audits.planning import results_of
    from floorwatch.analysis.audits.sizes import OutOfReach

    unknown = [one for one in costs if not any(one in key for key in tally.counts)]
    if unknown:
        known = sorted({part for key in tally.counts for part in key if part})
        misused(f"--cost {unknown[0]}: no stratum has it; {choices(unknown[0], known)}")
    try:
        return results_of(tally, goal, len(each), costs)
    except OutOfReach as error:
        misused(f"{error}. Ask for less, or plan for a longer --window.")


def _document(
    name: str, begins_ms: int, dimensions: list[str], flags: FlagRule, results: list[PlanResult], goal: PlanGoal
) -> AuditPlan:
    from floorwatch.analysis.audits.drawing import KEY_BYTES
    from floorwatch.analysis.audits.plan_file import AuditPlan, PlannedStratum, rounded_up
    from streams.core.time_text import rfc3339

    planned = [one for result in results for one in result.plan.strata]
    labels = sum(one.stratum.labels for one in planned)
    return AuditPlan(
        plan=name,
        begins=rfc3339(begins_ms),
        key=secrets.token_hex(KEY_BYTES),
        dimensions=dimensions,
        value=flags.value,
        approvals=sorted(flags.approvals),
        otherwise=rounded_up(sum(one.audits for one in planned) / labels),
        strata=[
            PlannedStratum(
                list(one.stratum.key),
                rounded_up(one.probability),
                one.stratum.labels,
                one.audits,
                round(one.stratum.wrong, 6),
            )
            for one in planned
        ],
        goal=goal.words(),
    )


def _rows(dimensions: Sequence[str], result: PlanResult) -> list[dict[str, Any]]:
    from floorwatch.analysis.audits.plan_file import rounded_up

    return [
        {
            **dict(zip((*dimensions, "decision"), one.stratum.key, strict=True)),
            "labels": one.stratum.labels,
            "wrong_ratio": round(one.stratum.wrong, 6),
            "audits": one.audits,
            "probability": rounded_up(one.probability),
        }
        for one in result.plan.strata
    ]
