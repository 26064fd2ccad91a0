"""What ``floorwatch audits plan`` prints for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from floorwatch.output.terminal import say, wide_console
from streams.core.policy import DAY_MS

if TYPE_CHECKING:
    from floorwatch.analysis.audits.plan_file import AuditPlan
    from floorwatch.analysis.audits.planning import PlanGoal, PlanResult
    from floorwatch.analysis.audits.rates import StrataTally
    from floorwatch.cli.audits_log import StrataLog


def show_plan(
    document: AuditPlan,
    results: list[PlanResult],
    goal: PlanGoal,
    tally: StrataTally,
    window: str,
    between: tuple[int, int],
    each: Sequence[str],
) -> None:
    """Print the plan for people.

    Args:
        document: The plan.
        results: Its parts.
        goal: What it is for.
        tally: What was counted.
        window: The time that was asked for.
        between: The time that was counted, in ms, half-open.
        each: Dimensions of ``--for-each``.
    """
    from floorwatch.output.reader_zone import local_instant
    from floorwatch.output.terminal import DataTable
    from streams.core.formatting import plural

    basis = (
        f"{plural(tally.audits, 'random audit')}"
        if tally.weighted
        else f"{plural(tally.audits, 'audit')} that are assumed to be random"
        if tally.audits
        else f"no audit, so {1 - goal.target:.1%} wrong is assumed everywhere"
    )
    of_each = f" for each {', '.join(each)}" if each else ""
    say(f"Goal{of_each}: {'; '.join(goal.words())}")
    start_ms, end_ms = between
    say(
        f"For {window} like the last: {plural(tally.labels, 'label')}, error rates from {basis}. "
        f"Counted from {local_instant(start_ms)} to {local_instant(end_ms)}."
    )
    table = DataTable()
    table.add_names(*document.dimensions, "decision")
    table.add_numbers("labels", "wrong expected", "audits", "probability π", spare=("wrong expected",))
    for result in results:
        for one in result.plan.strata:
            names = (part or "–" for part in one.stratum.key)
            shown = (
                f"{one.stratum.labels:,}",
                f"{one.stratum.wrong:.1%}",
                f"{one.audits:,}",
                f"{100 * one.probability:.3g}%",
            )
            table.add_row(*names, *shown)
    wide_console().print(table)
    days = max((end_ms - start_ms) / DAY_MS, 1 / 24)
    for result in results:
        of = f"{', '.join(part or '–' for part in result.scope)}: " if result.scope else ""
        found = result.plan
        say(
            f"{of}{plural(found.audits, 'audit')}, {found.audits / days:,.0f} a day. Accuracy {found.accuracy:.1%} expected, interval "
            f"no wider than {200 * found.half_width:.2f} points with a chance of {100 * found.assurance:g}%; as many audits of one "
            f"probability give {200 * result.even:.2f}."
        )
        if result.recall is not None:
            recall = result.recall
            say(
                f"{of}recall {recall.recall:.1%} expected; approved labels are audited with {100 * recall.probability:.3g}% at "
                f"least: recall is then known to be at least {recall.low:.1%}, its interval no wider than "
                f"{200 * recall.half_width:.1f} points."
            )
    say("Keep it with --json > plan.json; `floorwatch audits feed plan.json` then asks for the audits.")


def notes_of(
    document: AuditPlan,
    results: Sequence[PlanResult],
    goal: PlanGoal,
    log: StrataLog,
    between: tuple[int, int],
    least: float,
) -> list[str]:
    """Return what to know before a plan is used, one sentence or two each, whatever form it is printed in.

    Args:
        document: The plan.
        results: Its parts.
        goal: What it is for.
        log: What was read.
        between: The time that was counted, in ms.
        least: ``sampling.min_probability``.
    """
    said = [*_of_the_window(log, between), *(note for one in results for note in _of_the_minimum(one, goal))]
    below = sum(one.probability < least for one in document.strata)
    if below:
        said.append(
            f"The probability of {below:,} of {len(document.strata):,} strata is below sampling.min_probability, {least:g}: audits "
            "that name it are refused, except from sources with a lower bound of their own. Plan for more audits (--minimum), or lower "
            "the bound."
        )
    return said


def _of_the_window(log: StrataLog, between: tuple[int, int]) -> list[str]:
    """Say where the log does not go back to the begin of the window, and the numbers by the day are too small."""
    from floorwatch.output.reader_zone import local_instant

    start_ms, end_ms = between
    if log.first_ms is None or log.first_ms - start_ms <= (end_ms - start_ms) / 10:
        return []
    return [
        (
            f"The first label of the log is of {local_instant(log.first_ms)}, so the window is not full and its volumes are too small. "
            "Ask for a shorter --window."
        )
    ]


def _of_the_minimum(result: PlanResult, goal: PlanGoal) -> list[str]:
    """Say where a part asks for more audits than the goal because of lower bounds, or for fewer because there are no more labels."""
    from floorwatch.analysis.audits.allocation import LEAST_PROBABILITY, least_audits
    from streams.core.formatting import plural

    of = f"{', '.join(part or '–' for part in result.scope)}: " if result.scope else "Note: "
    audits, strata = result.plan.audits, result.plan.strata
    if goal.total is not None:
        if audits < goal.total:
            return [f"{of}there are only {plural(audits, 'label')}, so all of them are audited, not {goal.total:,}."]
        beyond = f"that makes {audits:,} instead of {goal.total:,}" if audits > goal.total else ""
    else:
        held = all(one.audits <= least_audits(one.stratum._replace(least=0.0), goal.minimum) for one in strata)
        beyond = f"that makes these {audits:,}, and the goal may need fewer" if held else ""
    if not beyond:
        return []
    return [
        (
            f"{of}each stratum has {plural(max(1, goal.minimum), 'audit')} at least (--minimum), or all of its labels, and a "
            f"probability of at least {LEAST_PROBABILITY:g}: {beyond}. A smaller --minimum or fewer --strata ask for less."
        )
    ]
