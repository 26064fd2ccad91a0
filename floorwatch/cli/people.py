"""``floorwatch people`` and ``floorwatch scorecard``: who needs what, and why, from the facts of a log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from config.nearest import choices
from floorwatch.cli.facts_file import load_facts
from floorwatch.cli.options import (
    AtOption,
    ConfigOption,
    EventsOption,
    VarOption,
    duration_ms,
    json_option,
    timestamp_ms,
)
from floorwatch.cli.people_options import (
    append_step,
    fail,
    people_policy,
    plain,
    read_coaching,
    read_tenure,
)
from floorwatch.output.reader_zone import local_instant
from floorwatch.output.terminal import MISSING, aligned, say, say_json_text, window_width

if TYPE_CHECKING:
    from floorwatch.analysis.people.coaching import Told
    from floorwatch.analysis.people.cohort import Cohort
    from floorwatch.analysis.people.people_policy import PeoplePolicy
    from floorwatch.analysis.people.rotation import Suggestion
    from floorwatch.analysis.people.scorecard import Scorecard
    from floorwatch.cli.facts_file import FloorLog

_GROUPINGS = ("team", "site", "vendor")

Window = Annotated[str, typer.Option(help="How far back: 24h, 7d, 28d …")]
CoachingFile = Annotated[Path | None, typer.Option(help="JSON lines of coaching steps; see docs/people.md.")]
Incidents = Annotated[
    bool, typer.Option("--incidents", help="Take alerted and acknowledged from the incidents about a person too.")
]
TenureFile = Annotated[Path | None, typer.Option(help="JSON lines of tenure from before the log; see docs/people.md.")]
Weights = Annotated[
    list[str] | None,
    typer.Option(
        "--weight", help="Severity of a policy's content, POLICY=NUMBER; * is all others. Else as configured."
    ),
]
Cap = Annotated[str | None, typer.Option(help="Exposure cap, severity-weighted; else people.exposure.cap_s.")]
Target = Annotated[float | None, typer.Option(min=0, max=100, help="Accuracy target in percent; else as configured.")]
Each = Annotated[
    bool, typer.Option("--each", help="A row for each person too: the own accuracy, and pooled with peers.")
]
AsJson = Annotated[bool, json_option("JSON instead of words.")]


class _PeopleData(NamedTuple):
    """Everything the two commands use; ``heard`` are the coaching steps known from incidents and not from a file."""

    crowd: Cohort
    policy: PeoplePolicy
    steps: dict[str, list[Told]]
    heard: dict[str, list[Told]]
    shift_ends: dict[str, int]
    loads: Any
    waiting: dict[str, int]

    def card(self, labeler_id: str) -> Scorecard:
        from floorwatch.analysis.people.coaching import StepRefused
        from floorwatch.analysis.people.scorecard import scorecard

        try:
            steps = self.taken(labeler_id)
            return scorecard(self.crowd, labeler_id, steps, self.shift_ends.get(labeler_id), self.coached)
        except StepRefused as error:
            raise fail(f"the coaching file, {labeler_id}: {error}") from None

    @property
    def coached(self) -> set[str]:
        """Everybody who was coached: the others show what becomes of people without it."""
        from floorwatch.analysis.people.coaching import CoachingStep

        return {name for name, steps in self.steps.items() if any(one.step is CoachingStep.coached for one in steps)}

    def taken(self, labeler_id: str) -> list[Told]:
        """Every step of somebody's coaching: those of the file, and those of incidents that fit between them."""
        from floorwatch.cli.people_incidents import with_place

        told = self.steps.get(labeler_id, [])
        return [*told, *with_place(told, self.heard.get(labeler_id, ()))]

    def rotations(self, card: Scorecard) -> list[Suggestion]:
        """Queues to move somebody to who is near the cap or over it."""
        from floorwatch.analysis.people.rotation import present_weight_milli, rotations

        if not self.policy.exposure_configured or not (card.exposure.warn or card.exposure.over):
            return []
        since_ms = self.crowd.end_ms - self.policy.exposure_pace_ms
        works = self.crowd.works[card.labeler_id]
        recent = [work for work in works if work.time_ms >= since_ms] or works[-20:]
        present = present_weight_milli(recent, self.policy)
        if present is None:
            return []
        return rotations(card.labeler_id, card.exposure, present, self.loads, self.waiting)


def _policy(
    config: Path | None,
    var: Path | None,
    weight: list[str] | None,
    cap: str | None,
    target: float | None,
    *,
    live: bool,
) -> PeoplePolicy:
    from floorwatch.cli.common import exit_on_config_error, load_for_reader
    from floorwatch.settings.policies import people_policy as configured

    with exit_on_config_error():
        settings = load_for_reader(config, var, needed=live)
    return people_policy(configured(settings), weight, cap, target)


def _desk(
    log: FloorLog,
    window: str,
    at: str | None,
    policy: PeoplePolicy,
    coaching: Path | None,
    tenure: Path | None,
    stack: tuple[Path | None, Path | None] | None,
) -> _PeopleData:
    from floorwatch.analysis.people.cohort import Cohort
    from floorwatch.analysis.people.rotation import queue_loads
    from floorwatch.cli.people_incidents import load_steps
    from streams.core.roster.intervals import holding
    from streams.core.roster.roster_plan import fold_roster, scheduled_by_person

    end_ms = log.watermark_ms + 1 if at is None else timestamp_ms("--at", at)
    span = (end_ms - duration_ms("--window", window), end_ms)
    crowd = Cohort(log.works, span, policy, read_tenure(tenure))
    scheduled = scheduled_by_person(fold_roster(log.roster).shifts.values())
    ends = {name: held[1] for name, times in scheduled.items() if (held := holding(times, end_ms)) is not None}
    recent = [work for own in crowd.window.values() for work in own]
    heard = {} if stack is None else load_steps(*stack, end_ms, now=at is None)
    return _PeopleData(crowd, policy, read_coaching(coaching), heard, ends, queue_loads(recent, policy), log.waiting)


def scorecard(
    labeler: Annotated[str, typer.Argument(help="labeler_id")],
    events: EventsOption = None,
    window: Window = "7d",
    at: AtOption = None,
    coaching: CoachingFile = None,
    told: Annotated[str | None, typer.Option(help="Record a step: alerted, acknowledged, coached or closed.")] = None,
    by: Annotated[str, typer.Option(help="Who took the step.")] = "",
    incidents: Incidents = False,
    tenure: TenureFile = None,
    weight: Weights = None,
    cap: Cap = None,
    target: Target = None,
    as_json: AsJson = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Show one labeller fairly: accuracy and handle time against peers on the same work, pace, exposure, coaching."""
    from floorwatch.cli.people_text import scorecard_lines

    policy = _policy(config, var, weight, cap, target, live=events is None)
    if told is not None and coaching is None:
        raise fail("--told needs --coaching FILE: that is where the step is written")
    desk = _desk(
        load_facts(events, config, var),
        window,
        at,
        policy,
        coaching if told is None or _exists(coaching) else None,
        tenure,
        (config, var) if incidents else None,
    )
    if labeler not in desk.crowd.works:
        raise fail(f"no label was made by a labeller named {labeler!r}; {choices(labeler, sorted(desk.crowd.works))}")
    if told is not None and coaching is not None:
        _tell(desk, coaching, labeler, told, by)
    card = desk.card(labeler)
    suggestions = desk.rotations(card)
    if as_json:
        import orjson

        say_json_text(
            orjson.dumps({**_card_json(card, policy), "rotation": plain(suggestions), **_age(events, at, desk)})
        )
        return
    behind = _behind(events, at, desk)
    say("\n".join([*scorecard_lines(card, policy, suggestions), *([behind] if behind else [])]))


def _card_json(card: Scorecard, policy: PeoplePolicy) -> dict[str, Any]:
    """Return a card for programs. Exposure is null if no weights are configured."""
    shown: dict[str, Any] = plain(card)
    return shown if policy.exposure_configured else {**shown, "exposure": None}


def _exists(path: Path | None) -> bool:
    return path is not None and path.is_file()


def _tell(desk: _PeopleData, path: Path, labeler_id: str, step: str, by: str) -> None:
    """Check a step against those told before, then write it."""
    from floorwatch.analysis.people.coaching import CoachingStep, StepRefused, Told, fold_steps
    from floorwatch.cli.people_incidents import with_place

    if step not in [known.value for known in CoachingStep]:
        raise fail(f"--told {step}: {choices(step, [known.value for known in CoachingStep])}")
    told = Told(desk.crowd.end_ms - 1, CoachingStep(step), by)
    steps = desk.steps.setdefault(labeler_id, [])
    try:
        # Steps known from incidents are written to the file first, because incidents are not kept for ever.
        new = [*with_place(steps, desk.heard.get(labeler_id, ())), told]
        fold_steps([*steps, *new])
    except StepRefused as error:
        raise fail(f"--told {step}: {error}") from None
    steps += new
    for one in new:
        append_step(path, labeler_id, one.time_ms, one.step.value, one.by)


def people(
    events: EventsOption = None,
    by: Annotated[str, typer.Option(help="Group people by team, site or vendor.")] = "team",
    window: Window = "7d",
    at: AtOption = None,
    coaching: CoachingFile = None,
    incidents: Incidents = False,
    tenure: TenureFile = None,
    weight: Weights = None,
    cap: Cap = None,
    target: Target = None,
    each: Each = False,
    as_json: AsJson = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Say who needs coaching, who is near the exposure cap and who rushes."""
    if by not in _GROUPINGS:
        raise fail(f"--by {by}: {choices(by, _GROUPINGS)}")
    policy = _policy(config, var, weight, cap, target, live=events is None)
    stack = (config, var) if incidents else None
    desk = _desk(load_facts(events, config, var), window, at, policy, coaching, tenure, stack)
    told = desk.steps.keys() | desk.heard.keys()
    names = sorted(name for name in desk.crowd.works if name in desk.crowd.window or name in told)
    cards = [desk.card(name) for name in names]
    if as_json:
        import orjson

        for card in cards:
            shown = {**_card_json(card, policy), "rotation": plain(desk.rotations(card)), **_age(events, at, desk)}
            say_json_text(orjson.dumps(shown))
        return
    say("\n".join(people_lines(cards, desk, by, _behind(events, at, desk), each=each)))


def _behind(events: Path | None, at: str | None, desk: _PeopleData) -> str:
    """Return how far the live log is behind the clock; nothing for a file or a past time."""
    from floorwatch.cli.age import age_of_log

    age = age_of_log(desk.crowd.end_ms - 1, live=events is None and at is None)
    return "" if age is None else age.text


def _age(events: Path | None, at: str | None, desk: _PeopleData) -> dict[str, Any]:
    """Return ``as_of`` and ``behind_s`` for programs; nothing for a file or a past time."""
    from floorwatch.cli.age import age_of_log

    age = age_of_log(desk.crowd.end_ms - 1, live=events is None and at is None)
    return {} if age is None else age.for_programs


def people_lines(
    cards: list[Scorecard], desk: _PeopleData, by: str, behind: str = "", *, each: bool = False
) -> list[str]:
    """Return the answer for a terminal: groups, then the people who need something, the most pressing first.

    Args:
        cards: Of everybody.
        desk: What was looked at.
        by: How people are grouped.
        behind: How far this is behind the clock, in words; empty where that says nothing.
        each: Whether there is a row for each person too.
    """
    from floorwatch.analysis.people.rushing import Pace
    from floorwatch.cli.people_text import (
        NOT_CONFIGURED,
        accuracy_words,
        chance_line,
        coaching_line,
        each_rows,
        exposure_line,
        pace_line,
        people_counted,
    )

    policy = desk.policy
    weighted = bool(policy.severity_milli) or policy.other_severity_milli != 1000
    span = f"{local_instant(desk.crowd.start_ms)} to {local_instant(desk.crowd.end_ms)}"
    lines = [" · ".join(filter(None, (people_counted(len(cards)), span, behind))), ""]
    lines += aligned(_groups(cards, by, exposure=policy.exposure_configured), window_width())
    lines += ["", chance_line(desk.crowd.judged)]
    if each:
        lines += ["", *aligned(each_rows(cards, by), window_width())]
    low = [card for card in cards if needs_coaching(card)]
    low.sort(key=lambda card: (-(card.pooled.below if card.pooled else 0.0), card.labeler_id))
    lines += _section(
        "Needs coaching", low, by, lambda card: _coaching_words(card, accuracy_words, coaching_line, policy)
    )
    near = [card for card in cards if policy.exposure_configured and (card.exposure.over or card.exposure.warn)]
    near.sort(key=lambda card: (not card.exposure.over, card.exposure.reached_ms or 0, card.labeler_id))
    lines += _section(
        "Near the exposure cap",
        near,
        by,
        lambda card: exposure_line(card.exposure, weighted=True, suggestions=desk.rotations(card)),
        nobody="nobody" if policy.exposure_configured else NOT_CONFIGURED,
    )
    if near and not weighted:
        lines.append("  No weights were given, so every policy counts in full: see --weight.")
    fast = [card for card in cards if card.rushing.pace is Pace.rushing]
    fast.sort(key=lambda card: (card.rushing.shift.ratio if card.rushing.shift else 1.0, card.labeler_id))
    return lines + _section("Rushing", fast, by, lambda card: pace_line(card.rushing))


def needs_coaching(card: Scorecard) -> bool:
    """Tell whether somebody is named among all who are judged together, or has open coaching."""
    from floorwatch.analysis.people.coaching import State

    waiting = (State.alerted, State.acknowledged, State.not_recovered)
    return card.named or card.coaching.state in waiting


def _coaching_words(card: Scorecard, accuracy_words: Any, coaching_line: Any, policy: PeoplePolicy) -> str:
    from floorwatch.analysis.people.coaching import State
    from floorwatch.cli.people_text import pooled_words

    told = "" if card.coaching.state is State.none else f" {coaching_line(card.coaching, policy)}"
    pooled = "" if card.pooled is None else f" {pooled_words(card.pooled, policy)}"
    return f"{accuracy_words(card.accuracy, policy)}.{pooled}{told}"


def _section(title: str, cards: list[Scorecard], by: str, words: Any, nobody: str = "nobody") -> list[str]:
    from streams.core.formatting import printable

    return [
        "",
        f"{title}: {len(cards) if cards else nobody}",
        *(
            f"  {printable(card.labeler_id)} ({printable(getattr(card, by)) or f'no {by}'}): {words(card)}"
            for card in cards
        ),
    ]


def _groups(cards: list[Scorecard], by: str, *, exposure: bool) -> list[list[str]]:
    from floorwatch.analysis.people.accuracy import TargetStanding
    from floorwatch.analysis.people.rushing import Pace
    from streams.core.formatting import printable

    rows = [[by, "people", "labels", "below target", "not told", "on target", "too few audits", "rushing", "near cap"]]
    for name in sorted({getattr(card, by) for card in cards}):
        own = [card for card in cards if getattr(card, by) == name]
        standing = [card.accuracy.standing for card in own]
        counts = [
            len(own),
            sum(card.volume.labels for card in own),
            *(
                standing.count(kind)
                for kind in (
                    TargetStanding.below,
                    TargetStanding.unclear,
                    TargetStanding.on_target,
                    TargetStanding.too_few,
                )
            ),
            sum(card.rushing.pace is Pace.rushing for card in own),
        ]
        near = f"{sum(card.exposure.over or card.exposure.warn for card in own):,}" if exposure else MISSING
        rows.append([printable(name) or f"no {by}", *(f"{count:,}" for count in counts), near])
    return rows
