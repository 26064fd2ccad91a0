"""What the alert rules could not judge: logged, counted, and told on ``/statusz``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from alerts.kinds.base import Faults, ScopeFault
from alerts.rules import Rule
from streams.core.formatting import rfc3339

log = logging.getLogger(__name__)

LOG_AGAIN_S = 3600.0
_LINES_A_LOOK = 20
_SHOWN = 20

NOT_JUDGED = "not_judged"
LEFT_OUT = "left_out"
EFFECTS = (NOT_JUDGED, LEFT_OUT)
"""A scope whose rule says nothing of it; and a row that is missing beside a judgement, as a cause or in what is usual."""

HOW_TO_FIX = (
    "the scope's next event, or a restart of the worker that counts it, writes the row anew; if the fault comes again, report the "
    "traceback in the log of this worker: prometheus/runbooks.md, FloorwatchScopesNotJudged"
)


class KnownFault(Struct, frozen=True):
    """A fault that lasts: since which watermark, and the newest of it."""

    since_ms: int
    fault: ScopeFault

    @property
    def effect(self) -> str:
        """One of ``EFFECTS``. A fault without a scope is of the whole rule."""
        return NOT_JUDGED if self.fault.silent or not self.fault.scope_key else LEFT_OUT


class RuleFaults:
    """The faults of the last look of each rule."""

    def __init__(self, meter: Any, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the metrics to count in, and the clock in seconds by which a fault is logged again."""
        self._meter, self._clock = meter, clock
        self._logged: dict[tuple[str, str], float] = {}
        self.known: dict[tuple[str, str], KnownFault] = {}

    def begin(self, rules: Iterable[Rule]) -> None:
        """Begin anew, as another owner of the rules, with every metric at 0."""
        self.known = {}
        for rule in rules:
            self._meter.rule_failed(rule.name, times=0)
            for effect in EFFECTS:
                self._meter.rule_faults(rule.name, effect, 0)

    def lasted_ms(self, fault: ScopeFault, watermark_ms: int) -> int:
        """Return since how long, in event time, a fault has been found by every look; 0 if the last one did not find it."""
        known = self.known.get((fault.rule, fault.scope_key))
        return 0 if known is None else watermark_ms - known.since_ms

    def note(self, rules: Iterable[Rule], faults: Faults, watermark_ms: int) -> None:
        """Take the faults of a look: count them, and log each that was not logged within the hour.

        Args:
            rules: The rules that looked; what is known of others stays.
            faults: What they could not judge.
            watermark_ms: The watermark of the look.
        """
        looked = {rule.name for rule in rules}
        before = self.known
        self.known = {key: known for key, known in before.items() if key[0] not in looked}
        for key, fault in faults.items():
            since_ms = before[key].since_ms if key in before else watermark_ms
            self.known[key] = KnownFault(since_ms, fault)
        for name in sorted(looked):
            self._count_and_log(name, [self.known[key] for key in faults if key[0] == name], watermark_ms)

    def _count_and_log(self, rule: str, found: list[KnownFault], watermark_ms: int) -> None:
        if any(not known.fault.scope_key for known in found):
            self._meter.rule_failed(rule)
        for effect in EFFECTS:
            times = sum(known.effect == effect for known in found if known.fault.scope_key)
            if times:
                self._meter.rule_faults(rule, effect, times)
        now_s = self._clock()
        self._logged = {key: at_s for key, at_s in self._logged.items() if now_s - at_s < LOG_AGAIN_S}
        due = [known for known in found if (rule, known.fault.scope_key) not in self._logged]
        self._logged.update({(rule, known.fault.scope_key): now_s for known in due})
        for number, known in enumerate(due[:_LINES_A_LOOK]):
            # One traceback a look is enough: faults of one rule are mostly one fault.
            log.error("%s", _words(known, watermark_ms), exc_info=known.fault.error if number == 0 else None)
        if len(due) > _LINES_A_LOOK:
            log.error("rule %s: %d further scopes like these are not logged", rule, len(due) - _LINES_A_LOOK)

    def status(self) -> dict[str, Any]:
        """Return what is not judged as plain values: how many, the first of them, and how to fix it."""
        known = sorted(
            self.known.values(), key=lambda one: (one.effect != NOT_JUDGED, one.fault.rule, one.fault.scope_key)
        )
        shown = [
            {
                "rule": one.fault.rule,
                "scope": one.fault.scope_key or "every scope of the rule",
                "effect": one.effect,
                "since": rfc3339(one.since_ms),
                "reason": one.fault.reason,
            }
            for one in known[:_SHOWN]
        ]
        counts = {effect: sum(one.effect == effect for one in known) for effect in EFFECTS}
        return {**counts, "faults": shown, "fix": HOW_TO_FIX if known else None}


def _words(known: KnownFault, watermark_ms: int) -> str:
    fault = known.fault
    if not fault.scope_key:
        what = (
            f"rule {fault.rule} could not be evaluated at watermark {watermark_ms}, and its incidents stay as they are"
        )
        return f"{what}: {fault.reason}. Please report this: prometheus/runbooks.md, FloorwatchRuleFails"
    if known.effect == NOT_JUDGED:
        what = f"rule {fault.rule} could not judge {fault.scope_key!r} at watermark {watermark_ms}; its incident stays as it is"
    else:
        what = f"rule {fault.rule} left out {fault.scope_key!r} at watermark {watermark_ms}, beside the scopes that it judged"
    return f"{what}: {fault.reason}. What to do: {HOW_TO_FIX}"
