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


def show_plan(
    document: AuditPlan,
    results: list[PlanResult],
    goal: PlanGoal,
    tally: StrataTally,
    window: str,
    between: tuple[int, int],
) -> None:
    """Print the plan for people."""
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
    say(f"Goal: {'; '.join(goal.words())}")
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
            f"no wider than {200 * found.half_width:.2f} points with a chance of {found.assurance:.0%}; as many audits of one "
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
    _tell_minimum(results, goal)


def _tell_minimum(results: Sequence[PlanResult], goal: PlanGoal) -> None:
    """Say where the least audits of each stratum ask for more than the goal does."""
    for result in results:
        held = sum(one.audits <= min(goal.minimum, one.stratum.labels) for one in result.plan.strata)
        if goal.total is not None and result.plan.audits > goal.total:
            beyond = f"{result.plan.audits:,} audits instead of {goal.total:,}"
        elif held == len(result.plan.strata):
            beyond = "more audits than the goal needs, or as many"
        else:
            continue
        of = f"{', '.join(part or '–' for part in result.scope)}: " if result.scope else ""
        say(
            f"{of}at least {goal.minimum:,} audits of each stratum (--minimum) and the least probability make it {beyond}. A smaller "
            "--minimum or fewer --strata ask for less."
        )


def tell_refused(document: AuditPlan, least: float) -> None:
    """Say on standard error where audits of a plan would be refused, because their probability is below the bound."""
    below = sum(one.probability < least for one in document.strata)
    if below:
        say(
            f"The probability of {below:,} of {len(document.strata):,} strata is below sampling.min_probability, "
            f"{least:g}: audits that name it are refused. Plan for more audits (--minimum), or lower the bound.",
            err=True,
        )
