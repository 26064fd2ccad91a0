"""``floorwatch audits``: how many audits to make, of which labels, and with which probability."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.nearest import choices
from floorwatch.cli.audits_feed import feed
from floorwatch.cli.audits_plan import Assurance, Power, least_probability, plan
from floorwatch.cli.options import ConfigOption, CsvOption, JsonOption, VarOption, misused
from floorwatch.cli.people_options import as_percent
from floorwatch.output.csv_file import write_csv
from floorwatch.output.terminal import say, say_json
from streams.core.formatting import plural

if TYPE_CHECKING:
    from floorwatch.analysis.audits.iso2859 import AcceptancePlan
    from floorwatch.analysis.audits.operating import Characteristic
    from floorwatch.analysis.audits.switching import LotStanding

audits_app = typer.Typer(help="Plan audits: how many, of which labels, with which probability.", no_args_is_help=True)

_BAR = 40

audits_app.command("plan")(plan)
audits_app.command("feed")(feed)


@audits_app.command("size")
def size(
    accuracy: Annotated[float, typer.Option(min=0, max=100, help="Accuracy expected, in percent.")] = 95.0,
    half_width: Annotated[
        float | None, typer.Option(min=0.01, max=50, help="Wanted: a 95% interval no wider than twice so many points.")
    ] = None,
    see: Annotated[
        float | None, typer.Option(min=0, max=100, help="Wanted: see that accuracy has fallen to this, in percent.")
    ] = None,
    target: Annotated[
        float, typer.Option(min=0, max=100, help="The target that a drop is seen against, in percent.")
    ] = 95.0,
    power: Power = 80.0,
    assurance: Assurance = 90.0,
    audits: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Say instead what so many audits give.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say how many random audits an interval or the sight of a drop takes, or what a number of audits gives.

    The answers are those of the interval that the tables show and of the judgement "below target beyond chance".

    Examples: floorwatch audits size --half-width 2 · floorwatch audits size --see 92 --target 95 · floorwatch audits size --audits 500
    """
    goals = {"--half-width": half_width, "--see": see}
    given = [option for option, value in goals.items() if value is not None]
    if audits is not None and given:
        misused(
            f"--audits and {given[0]}: give one of them; --audits says what a number gives, {given[0]} how many it takes"
        )
    expected, goal = _percent("--accuracy", accuracy), _percent("--target", target)
    drop = None if see is None else _percent("--see", see)
    wanted = None if half_width is None else half_width / 100
    if audits is None and wanted is None and drop is None:
        wanted = 0.02
    found = (
        _of_audits(audits, expected, goal, power / 100, assurance / 100)
        if audits is not None
        else _for_goals(expected, wanted, drop, goal, power / 100, assurance / 100)
    )
    if as_json:
        say_json({name: value for name, (value, _) in found.items()})
    else:
        say("\n".join(words for _, words in found.values() if words))


def _percent(option: str, value: float) -> float:
    return as_percent(option, value) / 100


Answers = dict[str, tuple[Any, str]]
"""By name: the number for programs and the sentence for people; without a sentence it is told in another one."""


def _for_goals(
    accuracy: float, half_width: float | None, see: float | None, target: float, power: float, assurance: float
) -> Answers:
    """Return how many audits the goals take; the greater number meets both.

    Raises:
        typer.Exit: 2 where a goal is out of reach.
    """
    from floorwatch.analysis.audits.sizes import OutOfReach, audits_for_half_width, audits_for_power
    from streams.core.binomial import interval_limits

    found: Answers = {}
    try:
        if half_width is not None:
            number = audits_for_half_width(accuracy, half_width, assurance)
            low, high = interval_limits(round(accuracy * number), number)
            said = (
                f"Interval no wider than {200 * half_width:g} points at {_shown(accuracy)}: {plural(number, 'random audit')}, with a "
                f"chance of {_shown(assurance)}. A usual one is {low:.1%} – {high:.1%}."
            )
            found["audits_for_half_width"] = (number, said)
        if see is not None:
            number = audits_for_power(see, target, power)
            said = (
                f"A drop to {_shown(see)} against a target of {_shown(target)}: {plural(number, 'random audit')}, with a chance of "
                f"{_shown(power)} that it is judged below the target beyond chance. Work on the target is judged so in at most 2.5%."
            )
            found["audits_for_drop"] = (number, said)
    except OutOfReach as error:
        misused(f"floorwatch audits size: {error}. Ask for less.")
    numbers = [value for value, _ in found.values()]
    found["audits"] = (max(numbers), f"Both: {max(numbers):,}." if len(numbers) > 1 else "")
    return found


def _of_audits(audits: int, accuracy: float, target: float, power: float, assurance: float) -> Answers:
    """Return what a number of audits gives."""
    from floorwatch.analysis.audits.sizes import detectable, half_width_within, judged_from

    width = half_width_within(audits, accuracy, assurance)
    seen = detectable(audits, target, power)
    drop = (
        f"A drop below the target of {_shown(target)} is seen with a chance of {_shown(power)} from {_shown(seen.accuracy)} down; "
        f"{judged_from(seen)}."
        if seen.accuracy is not None
        else f"So few say nothing of a target of {_shown(target)}: not even if all are wrong."
    )
    return {
        "audits": (audits, f"{plural(audits, 'random audit')}:"),
        "half_width_points": (
            round(100 * width, 3),
            f"At {_shown(accuracy)} the 95% interval is no wider than {200 * width:.1f} points with a chance of {_shown(assurance)}.",
        ),
        "seen_accuracy_ratio": (None if seen.accuracy is None else round(seen.accuracy, 5), drop),
        "judged_from_wrong": (seen.wrong, ""),
    }


def _shown(share: float, digits: int = 4) -> str:
    """Return a share in percent with so many significant digits, never in exponents: 0.000041 is 0.0041%."""
    return f"{float(f'{100 * share:.{digits}g}'):.12f}".rstrip("0").rstrip(".") + "%"


@audits_app.command("aql")
def aql(
    lot: Annotated[int, typer.Option(min=1, max=10**12, help="Labels of the lot: what is accepted or not as one.")],
    aql: Annotated[float, typer.Option("--aql", min=0, max=10, help="Acceptance quality limit, percent wrong.")] = 1.0,
    level: Annotated[str, typer.Option(help="Inspection level: I, II, III, S-1, S-2, S-3 or S-4.")] = "II",
    severity: Annotated[
        str | None, typer.Option(help="normal, tightened or reduced; else by --before, else normal.")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(help="Wrong ones found in the lots before, the oldest first: 0,3,1. They decide the severity."),
    ] = None,
    steady: Annotated[
        bool, typer.Option("--steady", help="Reduced inspection may begin when the score allows it.")
    ] = False,
    wrong: Annotated[int | None, typer.Option(min=0, help="Wrong ones found: say whether the lot is accepted.")] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Give the acceptance sampling plan of ISO 2859-1 for a lot, with its operating characteristic curve.

    Example: floorwatch audits aql --lot 1150 --aql 1.0
    """
    from floorwatch.analysis.audits.iso2859 import AQLS, LEVELS, Severity, acceptance_plan
    from floorwatch.analysis.audits.operating import characteristic

    _known("--level", level, LEVELS)
    if severity is not None:
        _known("--severity", severity, [one.value for one in Severity])
    if aql not in AQLS:
        near = min(AQLS, key=lambda one: abs(one - aql))
        listed = ", ".join(f"{one:g}" for one in AQLS)
        misused(f"--aql {aql:g}: not in the tables of ISO 2859-1; the nearest is {near:g}. Use one of {listed}")
    if lot < 2:
        misused(f"--lot {lot}: one label needs no sample; write 2 or more")
    standing = None if before is None else _standing(lot, aql, level, before, severity, steady=steady)
    given = Severity(severity or "normal") if standing is None else standing.severity
    found = acceptance_plan(lot, aql, level, given)
    if wrong is not None and wrong > found.size:
        misused(f"--wrong {wrong}: the sample has only {found.size:,} labels")
    curve, least = characteristic(found), least_probability(config, var)
    if as_csv:
        rows = (one._asdict() for one in curve.points)
        write_csv(sys.stdout, ["wrong", "share", "lot_accepted", "process_accepted"], rows)
    elif as_json:
        say_json(_aql_json(found, curve, wrong, standing, least))
    else:
        say("\n".join([*_before_lines(standing), *_aql_lines(found, curve, wrong, least)]))


def _standing(lot: int, aql: float, level: str, before: str, severity: str | None, *, steady: bool) -> LotStanding:
    """Return where the vendor stands after the lots before.

    Raises:
        typer.Exit: 2 where the counts cannot be read.
    """
    from floorwatch.analysis.audits.switching import standing_after

    if severity is not None:
        misused("--before and --severity: give one of them; the lots before decide the severity")
    parts = [part.strip() for part in before.split(",") if part.strip()]
    bad = next((part for part in parts if not (part.isascii() and part.isdigit() and len(part) < 8)), None)
    if bad is not None or not parts:
        misused(f"--before {bad or before}: write whole numbers with commas between them, for example 0,3,1")
    try:
        return standing_after(lot, aql, level, [int(part) for part in parts], steady=steady)
    except ValueError as error:
        misused(f"--before: {error}")


def _before_lines(standing: LotStanding | None) -> list[str]:
    """Return what the lots before say, and a line between."""
    if standing is None:
        return []
    accepted, lots = sum(standing.accepted), len(standing.accepted)
    said = f"{accepted} of {plural(lots, 'lot')} before accepted; the next gets {standing.severity} inspection"
    if standing.stopped:
        return [
            f"{said.partition(';')[0]}; 5 were not under tightened inspection: accept none by sample until the vendor improves.",
            "",
        ]
    score = f", switching score {standing.score}" if standing.severity == "normal" else ""
    return [f"{said}{score}.", ""]


def _known(option: str, given: str, known: Any) -> None:
    if given not in known:
        misused(f"{option} {given}: {choices(given, known)}")


def _aql_json(
    plan: AcceptancePlan, curve: Characteristic, wrong: int | None, standing: LotStanding | None, least: float
) -> dict[str, Any]:
    accepted = {} if wrong is None else {"wrong": wrong, "accepted": plan.accepts(wrong)}
    return {
        "standard": "ISO 2859-1:1999, single sampling",
        **plan._asdict(),
        "probability": plan.probability,
        "probability_accepted": plan.probability >= least,
        **accepted,
        **({} if standing is None else {"before": standing._asdict()}),
        "risk_at_aql": curve.risk_at_aql,
        "share_accepted_with": {str(chance): share for chance, share in curve.shares.items()},
        "curve": [point._asdict() for point in curve.points],
    }


def _aql_lines(plan: AcceptancePlan, curve: Characteristic, wrong: int | None, least: float) -> list[str]:
    from floorwatch.analysis.audits.iso2859 import SWITCHING

    arrow = "" if plan.letter == plan.plan_letter else f", by an arrow to {plan.plan_letter}"
    whole = " (the whole lot)" if plan.size == plan.lot else ""
    lines = [
        f"ISO 2859-1, single sampling, {plan.severity} inspection (Table {plan.table}), level {plan.level}, AQL {plan.aql:g}%",
        f"Lot of {plan.lot:,}: code letter {plan.letter}{arrow}",
        "",
        f"Audit {plan.size:,} labels at random{whole}. Accept with {plan.accept} wrong or fewer, do not with {plan.reject} or more.",
        (
            f"Send each with sampling.probability {plan.probability:.6g}: then they count as random in every table."
            if plan.probability >= least
            else f"Their probability, {plan.probability:.3g}, is below {least:g}, the least that is accepted: audits with it are "
            "refused. Divide the work into smaller lots."
        ),
    ]
    if wrong is not None:
        lines.append(f"With {wrong} wrong the lot is {'accepted' if plan.accepts(wrong) else 'not accepted'}.")
    shares = curve.shares
    lines += [
        "",
        (
            f"Work at the AQL is not accepted in {_shown(curve.risk_at_aql, 3)} of lots. Accepted in 95% of lots: work that is wrong "
            f"in {_shown(shares[0.95], 3)}; in half: {_shown(shares[0.5], 3)}; in 10%: {_shown(shares[0.1], 3)}."
        ),
        "",
        "   wrong  lots accepted",
    ]
    for point in curve.points:
        bar = "█" * round(_BAR * point.process_accepted)
        lines.append(f"{_shown(point.share):>8}  {_shown(point.process_accepted, 3):>13}  {bar}".rstrip())
    return [*lines, "", *SWITCHING[plan.severity]]
