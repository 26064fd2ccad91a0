"""A scorecard in plain words. Pure: the same card gives the same lines."""

from __future__ import annotations

from floorwatch.analysis.people.accuracy import Accuracy, TargetStanding
from floorwatch.analysis.people.coaching import Coaching, State
from floorwatch.analysis.people.cohort import JudgedTogether
from floorwatch.analysis.people.exposure import Exposure
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.pooling import Pooled
from floorwatch.analysis.people.rotation import Suggestion
from floorwatch.analysis.people.rushing import Pace, Rushing
from floorwatch.analysis.people.scorecard import Learning, Scorecard
from floorwatch.output.reader_zone import local_instant
from floorwatch.output.terminal import MISSING
from streams.core.binomial import TAIL
from streams.core.formatting import duration, percent, plural, printable
from streams.core.proportions import Interval

_BROKEN_TREND_Z = 2.0
_LEAST_CORRELATION = 0.005
_LEAST_SCATTER = 1.05
NOT_CONFIGURED = "not configured: nobody said what counts (people.exposure.weights, or --weight POLICY=NUMBER)"


def spread(share: Interval) -> str:
    """Return a share with its interval: ``88.1% (95% interval 85.0–90.6%)``."""
    return f"{share.value * 100:.1f}% (95% interval {share.low * 100:.1f}–{share.high * 100:.1f}%)"


def points(change: Interval) -> str:
    """Return a difference of shares with its interval, in points."""
    ends = f"{change.low * 100:+.1f} to {change.high * 100:+.1f}"
    return f"{change.value * 100:+.1f} points (95% interval {ends})"


def seconds(time_ms: float) -> str:
    """Return a handle time: ``42.5 s``, ``3.1 min``."""
    return f"{time_ms / 1000:.1f} s" if time_ms < 120_000 else f"{time_ms / 60_000:.1f} min"


def accuracy_words(accuracy: Accuracy, policy: PeoplePolicy) -> str:
    """Return what can be said of an accuracy, in one or two sentences."""
    target = percent(policy.accuracy_target_ratio)
    right, judged = accuracy.seen
    seen = f"{judged - right} of {plural(judged, 'audited label')} wrong" if judged else "no label was audited"
    best = accuracy.best
    if accuracy.awaits_audits:
        return (
            f"awaits audits: they stand for {accuracy.stand_for:,.0f} of {plural(accuracy.labels, 'label')} so far, {seen}. "
            "What is audited first is often what was flagged, so nothing is said before they stand for half"
        )
    if accuracy.standing is TargetStanding.too_few or best is None:
        return (
            f"too few audits to say: {seen}. At least {policy.min_audits} are asked for; about {accuracy.missing} more "
            f"would tell it to ±{percent(policy.wanted_half_width_ratio)}"
        )
    verdict = {
        TargetStanding.below: f"below the target of {target} beyond chance",
        TargetStanding.on_target: f"at or above the target of {target} beyond chance",
        TargetStanding.unclear: f"cannot be told from the target of {target}",
    }[accuracy.standing]
    how = "weighted by sampling, " if accuracy.by_weight else "audits assumed random, "
    return f"{spread(best)}: {verdict}; {how}{seen}"


def pooled_words(pooled: Pooled, policy: PeoplePolicy) -> str:
    """Return what the accuracy probably is, given the own audits and those of peers, as a sentence."""
    low, high = pooled.estimate.low * 100, pooled.estimate.high * 100
    return (
        f"Pooled with peers: {percent(pooled.estimate.value)} ({low:.1f}–{high:.1f}%); "
        f"{_probability(pooled.below)} that it is below {percent(policy.accuracy_target_ratio)}."
    )


def _probability(chance: float) -> str:
    if chance < 0.01:
        return "less than 1% probable"
    return "more than 99% probable" if chance > 0.99 else f"{chance * 100:.0f}% probable"


def named_words(card: Scorecard, policy: PeoplePolicy) -> str:
    """Return what is concluded where everybody is looked at together; empty where there is nothing to conclude."""
    if card.accuracy.standing is TargetStanding.too_few:
        return ""
    of = people_counted(card.judged_together)
    if card.named:
        rate = percent(policy.false_discovery_ratio)
        return (
            f"Named for coaching among {of} judged together: of those named, at most {rate} meet the target on average."
        )
    if card.accuracy.standing is TargetStanding.below:
        return f"Not named for coaching: among {of} judged together, results like this one come of chance too often."
    return ""


def people_counted(count: int) -> str:
    """Return ``1 person``, ``150 people``."""
    return "1 person" if count == 1 else f"{count:,} people"


def chance_line(judged: JudgedTogether) -> str:
    """Return how much of the column "below target" can be chance, and how the names below are chosen."""
    of = people_counted(judged.people)
    if not judged.people:
        return "Nobody has audits enough to be judged."
    return (
        f"{of} with audits enough: were all exactly on target, up to {judged.people * TAIL:.1f} would be in the column "
        f'"below target" by chance. Of those named for coaching by their audits at most {percent(judged.rate)} meet the '
        f"target, on average.{_clustered(judged.correlation)}"
    )


def _clustered(correlation: float) -> str:
    if correlation < _LEAST_CORRELATION:
        return ""
    return f" Errors of one person on one day are correlated by {correlation:.2f}: the column, names and intervals allow for it."


def each_rows(cards: list[Scorecard], by: str) -> list[list[str]]:
    """Return a table of everybody, the one most probably below the target first: the own accuracy, and pooled with peers."""
    rows = [
        ["labeller", by, "audits", "wrong", "accuracy", "95% interval", "pooled", "95% interval", "P(below target)"]
    ]
    for card in sorted(cards, key=lambda card: (-(card.pooled.below if card.pooled else -1.0), card.labeler_id)):
        (right, judged), best, pooled = card.accuracy.seen, card.accuracy.best, card.pooled
        few = (
            "awaits audits"
            if card.accuracy.awaits_audits
            else "too few"
            if card.accuracy.standing is TargetStanding.too_few
            else ""
        )
        rows.append(
            [
                printable(card.labeler_id),
                printable(getattr(card, by)) or f"no {by}",
                f"{judged:,}",
                f"{judged - right:,}",
                *((few or "too few", MISSING) if few or best is None else _cells(best)),
                *((MISSING, MISSING, MISSING) if pooled is None else (*_cells(pooled.estimate), f"{pooled.below:.2f}")),
            ]
        )
    return rows


def _cells(share: Interval) -> tuple[str, str]:
    return percent(share.value), f"{share.low * 100:.1f}–{share.high * 100:.1f}%"


def _accuracy_lines(card: Scorecard, policy: PeoplePolicy) -> list[str]:
    accuracy = card.accuracy
    lines = [f"Accuracy: {accuracy_words(accuracy, policy)}."]
    if card.peers_accuracy is not None:
        lines.append(f"  {_peers(card)} get {percent(card.peers_accuracy)} on the same mix of queues and policies.")
    if card.pooled is not None:
        lines.append(f"  {pooled_words(card.pooled, policy)}")
    if accuracy.scatter >= _LEAST_SCATTER and accuracy.standing is not TargetStanding.too_few:
        lines.append(
            f"  Errors of one day resemble each other on this floor: the accuracy scatters {accuracy.scatter:.1f} times as much as "
            "with independent audits, and its interval and the words allow for it."
        )
    if named := named_words(card, policy):
        lines.append(f"  {named}")
    apart = []
    if accuracy.technical:
        apart.append(f"{plural(accuracy.technical, 'technical error')} not held against anybody")
    if accuracy.gold[1]:
        apart.append(f"gold tasks {accuracy.gold[0]} of {accuracy.gold[1]} right")
    if apart:
        lines.append(f"  Apart: {', '.join(apart)}.")
    return [*lines, *targeted_lines(accuracy)]


def targeted_lines(accuracy: Accuracy) -> list[str]:
    """Return a note on audited labels that are in no estimate, and on those that are only assumed to be drawn at random."""
    unsaid = accuracy.judged - accuracy.targeted - (accuracy.seen[1] if accuracy.by_weight else 0)
    notes = []
    if unsaid and accuracy.by_weight:
        notes.append(
            f"  Not in it: {plural(unsaid, 'audit')} that say nothing of sampling, for others name their probability."
        )
    elif unsaid:
        notes.append(
            f"  {plural(unsaid, 'audit')} say nothing of sampling: they are assumed random. Say how they are drawn: docs/production.md."
        )
    return [*notes, *_targeted_lines(accuracy)]


def _targeted_lines(accuracy: Accuracy) -> list[str]:
    if not accuracy.targeted:
        return []
    wrong = accuracy.targeted - accuracy.targeted_correct
    how = "picked or planted, or drawn with a probability that nobody says"
    what = f"{plural(accuracy.targeted, 'targeted audit')} ({how}), {wrong} wrong"
    return [f"  Not in it: {what}. They are not a sample of the work."]


def _peers(card: Scorecard) -> str:
    if not card.peers:
        return "Nobody else"
    kind = "of like tenure" if card.like_tenure else "of any tenure (too few of like tenure)"
    return f"{plural(card.peers, 'peer')} {kind}"


def _handle_line(card: Scorecard) -> str:
    handle = card.handle
    if handle is None:
        return "Handle time: cannot be compared, peers have too few timed labels on the same queues and policies."
    low, high = handle.median.low, handle.median.high
    verdict = "faster than peers" if high < 1 else "slower than peers" if low > 1 else "no different from peers"
    part = (
        ""
        if handle.compared == handle.handled
        else f"; {handle.compared} of {plural(handle.handled, 'label')} compared"
    )
    return (
        f"Handle time: {seconds(handle.mean_ms)} on average where peers on the same mix take "
        f"{seconds(handle.expected_ms)}; the median label takes {handle.median.value:.2f}× theirs "
        f"({low:.2f}–{high:.2f}): {verdict}{part}."
    )


def _tenure_line(card: Scorecard) -> str:
    tenure = card.tenure
    much = f"{plural(tenure.labels, 'label')} over {tenure.days:.0f} days"
    return f"Tenure: {much}." if tenure.exact else f"Tenure: at least {much}; was here when the log begins."


def learning_line(learning: Learning) -> str:
    """Return what the learning curves of peers expect."""
    parts = []
    if learning.expected_handle_ratio is not None and learning.handle is not None:
        parts.append(
            f"handle times {learning.expected_handle_ratio:.2f}× those of the established "
            f"(falling by {percent(1 - 2**-learning.handle.exponent)} with every doubling of labels)"
        )
    if learning.expected_accuracy is not None:
        parts.append(f"accuracy {percent(learning.expected_accuracy)}")
    if not parts:
        return "Learning: new, and too few peers began while the log was watching to say what to expect."
    return f"Learning: new; peers at this point had {' and '.join(parts)}."


def trend_line(card: Scorecard) -> str:
    """Return how the accuracy moves."""
    change, within = card.trend.change, card.trend.within
    if change is None or card.accuracy.standing is TargetStanding.too_few:
        return "Trend: too few audits to say."
    if change.low > 0 or change.high < 0:
        verdict = "better than in the window before" if change.low > 0 else "worse than in the window before"
    else:
        verdict = "no change to be seen from the window before"
    inside = ""
    if within is not None and abs(within.z) >= _BROKEN_TREND_Z:
        inside = f", {'rising' if within.slope > 0 else 'falling'} within this one (z {within.z:+.1f})"
    return f"Trend: {points(change)}, {verdict}{inside}."


def pace_line(rushing: Rushing) -> str:
    """Return what is known of somebody's pace."""
    shift, risk = rushing.shift, rushing.risk
    if shift is None:
        return "Pace: too few timed labels, now or before, to say whether it changed."
    moved = f"{shift.ratio:.2f}× the handle time of before against peers on the same mix (z {shift.z:+.1f})"
    whose = "own" if rushing.own_risk else "everybody's"
    cost = (
        ""
        if risk is None
        else f"; {whose} fast labels are wrong {risk.value:.1f}× as often ({risk.low:.1f}–{risk.high:.1f})"
    )
    return {
        Pace.steady: f"Pace: steady, {moved}.",
        Pace.slower: f"Pace: slower, {moved}.",
        Pace.faster: f"Pace: faster, {moved}{cost}: nothing shows that it costs errors.",
        Pace.rushing: f"Pace: RUSHING, {moved}{cost}.",
        Pace.too_few: "Pace: too few labels to say.",
    }[rushing.pace]


def exposure_line(exposure: Exposure, *, weighted: bool, suggestions: list[Suggestion], configured: bool = True) -> str:
    """Return exposure, prediction and rotation.

    Args:
        exposure: The person's.
        weighted: Whether weights are configured. Otherwise a note says that every policy counts in full.
        suggestions: Queues to move to.
        configured: Whether exposure is configured; otherwise there is no line.
    """
    if not configured:
        return f"Exposure: {NOT_CONFIGURED}."
    spent = f"{duration(exposure.dose_ms / 1000)} weighted of {duration(exposure.cap_ms / 1000)} in 24 h"
    if exposure.over:
        said = f"{spent}: the cap is REACHED"
    elif exposure.reached_ms is None:
        said = f"{spent}: the cap is not reached at the present pace"
    else:
        said = f"{spent}: the cap is reached at {local_instant(exposure.reached_ms)} if the pace goes on"
        said += " (WARNING)" if exposure.warn else ""
    note = "" if weighted else " No weights were given: every policy counts in full."
    return f"Exposure: {said}.{note}" + (f" {rotation_words(suggestions)}" if suggestions else "")


def rotation_words(suggestions: list[Suggestion]) -> str:
    """Return where to move somebody."""
    parts = []
    for item in suggestions:
        lasts = "" if not item.lasts_ms else f", {duration(item.lasts_ms / 1000)} until the cap there"
        known = "" if item.known else ", has not worked there yet"
        parts.append(
            f"{printable(item.queue)} ({plural(item.open_tasks, 'label')} waiting, severity {item.weight_milli / 1000:g}"
            f"{lasts}{known})"
        )
    return f"Rotate to {'; or '.join(parts)}."


def coaching_line(coaching: Coaching, policy: PeoplePolicy) -> str:
    """Return where the coaching stands."""
    loop, recovery = coaching.loop, coaching.recovery
    if coaching.state is State.none:
        return "Coaching: nothing told."
    if recovery is None or loop.coached_ms is None:
        since = {State.alerted: loop.alerted_ms, State.acknowledged: loop.acknowledged_ms}.get(coaching.state)
        when = f" since {local_instant(since)}" if since is not None else ""
        todo = "; nobody has coached yet" if coaching.state in (State.alerted, State.acknowledged) else ""
        return f"Coaching: {coaching.state.value}{when}{todo}."
    (was, before), (now, after) = recovery.before, recovery.after
    counts = f"before the alert {was} of {before} right, since coaching {now} of {after}"
    if recovery.expected is not None and recovery.gain is not None:
        peers = plural(recovery.expected.people, "peer")
        expected = percent(recovery.expected.accuracy.value)
        counts += (
            f"; without coaching {expected} would be expected, by {peers} who started alike: {points(recovery.gain)}"
        )
    elif recovery.change is not None:
        counts += f", {points(recovery.change)}"
    alone = "" if recovery.expected is not None else "; too few peers without coaching to tell a rise from chance"
    verdict = {
        State.watching: f"too few audits since to say: {recovery.missing} more are needed",
        State.recovered: "RECOVERED",
        State.not_recovered: f"NOT recovered: still below {percent(policy.accuracy_target_ratio)} beyond chance",
        State.unchanged: f"neither recovery nor a lasting shortfall is shown{alone}",
    }[coaching.state]
    return f"Coaching: coached on {local_instant(loop.coached_ms)}; {counts}: {verdict}."


def _evidence_lines(card: Scorecard) -> list[str]:
    evidence = card.evidence
    if not evidence.wrong:
        return ["Evidence: no wrong labels among the audited."]
    classes = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in evidence.error_classes)
    severities = ", ".join(f"{name} {count}" for name, count in evidence.severities)
    lines = [f"Evidence: {plural(evidence.wrong, 'wrong label')}: {classes}; severity {severities}."]
    for pair in evidence.confusions:
        truth = "something else (not said)" if pair.truth is None else printable(pair.truth)
        lines.append(f"  said {printable(pair.given)} where it was {truth}: {pair.times}")
    for focus in evidence.focus:
        where = f"{printable(focus.queue) or 'no queue'} / {printable(focus.policy) or 'no policy'}"
        usual = "" if focus.expected is None else f", peers would have {focus.expected:.1f}"
        lines.append(f"  on {where}: {focus.wrong} of {focus.judged} wrong{usual}")
    lines.append(f"  look at: {', '.join(map(printable, evidence.examples))}")
    return lines


def scorecard_lines(card: Scorecard, policy: PeoplePolicy, suggestions: list[Suggestion]) -> list[str]:
    """Return a scorecard as lines for a terminal."""
    where = " · ".join(printable(part) for part in (card.team, card.site, card.vendor) if part)
    volume = card.volume
    pace = "" if volume.per_productive_hour is None else f", {volume.per_productive_hour:.1f} per hour of handling"
    lines = [
        printable(card.labeler_id) + (f" · {where}" if where else ""),
        f"From {local_instant(card.start_ms)} to {local_instant(card.end_ms)}",
        "",
        *_accuracy_lines(card, policy),
        trend_line(card),
        f"Volume: {plural(volume.labels, 'label')} in {plural(volume.hours, 'hour')} with work{pace}.",
        _handle_line(card),
        pace_line(card.rushing),
        _tenure_line(card),
    ]
    if card.learning is not None:
        lines.append(learning_line(card.learning))
    weighted = bool(policy.severity_milli) or policy.other_severity_milli != 1000
    lines.append(
        exposure_line(card.exposure, weighted=weighted, suggestions=suggestions, configured=policy.exposure_configured)
    )
    lines.append(coaching_line(card.coaching, policy))
    return lines + _evidence_lines(card)
