"""What is broken on the way from an event to a person, and whether a sign of life may be given. Pure: times come with the facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from alerts.health.facts import HealthFacts, HealthLimits, NotifierTurn, StreamFault
from streams.core.formatting import duration, instant, plural, printable
from streams.core.policy import MINUTE_MS

STALLED, NOTIFIER, RECEIVER = "watermark_stalled", "notifier_dead", "receiver_failing"


def faults_of(facts: HealthFacts, limits: HealthLimits) -> list[StreamFault]:
    """Return all that is broken, as far as it can be known: without Redis, nothing of it is.

    Args:
        facts: What is known.
        limits: From when on something is a fault.
    """
    if facts.redis_fault:
        return []
    return [*_stalled(facts, limits), *_dead_notifiers(facts, limits), *_failing_receivers(facts, limits)]


def broken_path(facts: HealthFacts, limits: HealthLimits) -> tuple[str, ...]:
    """Return why no sign of life may be given, each reason a sentence; none: all of the way works.

    One channel that fails is no reason, as long as each route has another that does not.

    Args:
        facts: What is known.
        limits: From when on something is a fault.
    """
    if facts.redis_fault:
        return (f"Redis does not answer ({facts.redis_fault}): rules and notifications stand still.",)
    faults = faults_of(facts, limits)
    reasons = [fault.evidence for fault in faults if fault.kind == STALLED]
    reasons += [fault.evidence for fault in faults if fault.kind == NOTIFIER and not fault.scope]
    down = {fault.scope["channel"]: fault.evidence for fault in faults if fault.kind == RECEIVER}
    unusable = {one.name: f"Channel {one.name} cannot be used." for one in facts.channels if not one.usable}
    down = {**down, **unusable}
    for route, names in facts.routes.items():
        if all(name in down for name in names):
            why = " ".join(down[name] for name in names) or "It has no channel."
            reasons.append(f"Route {route} reaches nobody. {why}")
    return tuple(dict.fromkeys(reasons))


def _stalled(facts: HealthFacts, limits: HealthLimits) -> Iterator[StreamFault]:
    """Yield the fault of numbers and rules that stand still.

    A floor without events is none: time then goes on by ticks of the log, and rules look (ADR 26).
    """
    look, now_ms = facts.look, facts.now_ms
    if look is None or look.at_ms <= 0:
        # Never looked, or only a version looked that did not say when. Before the first event there is nothing to look at.
        since_ms, seen = facts.watched_ms, "Rules have not looked yet"
        if facts.watermark_ms is None or facts.watermark_ms < 0:
            return
    else:
        since_ms, seen = look.at_ms, f"Rules have not looked since {instant(look.at_ms)}"
    if now_ms - since_ms >= limits.stalled_ms:
        at_ms = facts.watermark_ms
        moves = look is not None and at_ms is not None and at_ms >= look.upto_ms + MINUTE_MS
        time = "" if at_ms is None else f"; event time {'has come to' if moves else 'stands at'} {instant(at_ms)}"
        yield _stall(facts, limits, since_ms, f"{seen}{time}.")
    elif facts.taken_in_ms is not None and now_ms - facts.taken_in_ms >= limits.stalled_ms:
        said = f"Incidents have taken in nothing since {instant(facts.taken_in_ms)}, although rules look."
        yield _stall(facts, limits, facts.taken_in_ms, said)


def _stall(facts: HealthFacts, limits: HealthLimits, since_ms: int, evidence: str) -> StreamFault:
    return StreamFault(STALLED, {}, since_ms, facts.now_ms - since_ms, limits.stalled_ms, evidence)


def _dead_notifiers(facts: HealthFacts, limits: HealthLimits) -> Iterator[StreamFault]:
    """Yield a notifier that does nothing in a worker that lives; and that none does anything."""
    heard = [one for one in facts.notifiers if facts.now_ms - one.at_ms < limits.notifier_dead_ms]
    still = [one for one in heard if one.at_ms - one.turned_ms >= limits.notifier_dead_ms]
    for one in still:
        evidence = (
            f"Of the notifier of worker {one.worker}, {one.part} has done nothing since {instant(one.turned_ms)}."
        )
        yield _dead(facts, limits, {"worker": one.worker}, one.turned_ms, evidence)
    if len(still) == len(heard):
        since_ms = _last_turn_ms(facts.notifiers, facts.watched_ms)
        if facts.now_ms - since_ms >= limits.notifier_dead_ms:
            said = f"No notifier delivers anything since {instant(since_ms)}: nobody is told of any incident."
            yield _dead(facts, limits, {}, since_ms, said)


def _last_turn_ms(turns: Iterable[NotifierTurn], watched_ms: int) -> int:
    return max((one.turned_ms for one in turns), default=watched_ms)


def _dead(facts: HealthFacts, limits: HealthLimits, scope: dict[str, str], since_ms: int, evidence: str) -> StreamFault:
    return StreamFault(NOTIFIER, scope, since_ms, facts.now_ms - since_ms, limits.notifier_dead_ms, evidence)


def _failing_receivers(facts: HealthFacts, limits: HealthLimits) -> Iterator[StreamFault]:
    for one in facts.channels:
        if one.failing_since_ms is None or facts.now_ms - one.failing_since_ms < limits.receiver_failing_ms:
            continue
        lasting_ms = facts.now_ms - one.failing_since_ms
        said = f"Channel {one.name} delivers nothing for {duration(lasting_ms / 1000)}"
        said += f": {printable(one.reason)}" if one.reason else ""
        left = f"{plural(one.waiting, 'notification')} waiting, {one.dead:,} given up"
        yield StreamFault(
            RECEIVER,
            {"channel": one.name},
            one.failing_since_ms,
            lasting_ms,
            limits.receiver_failing_ms,
            f"{said}; {left}.",
            {"waiting": one.waiting, "given_up": one.dead},
        )
