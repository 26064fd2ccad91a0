"""Which signals are worth sending: firing ones, those that ask for audits, and just enough quiet ones after them. Pure.

Without it every evaluation would write one signal for every rule and scope (thousands of "all is well" a minute).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from alerts.rules import Rule
from alerts.signals import Signal
from streams.core.policy import HOUR_MS
from streams.core.window_names import window_ms


class SignalFilterState(Struct, frozen=True):
    """Quiet signals still to send, by rule and scope key.

    A new state sends ``resolve_for`` of each: after a restart that resolves what was left open before it.

    Attributes:
        left: Quiet signals still to send.
        held: Of signals that hold, the period of event time in which one was last sent.
    """

    left: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)


def filter_signals(
    state: SignalFilterState, signals: Iterable[Signal], rules: Iterable[Rule]
) -> tuple[list[Signal], SignalFilterState]:
    """Signals to publish, and the state after.

    Returns:
        Every signal that fires or asks for audits; each other one while fewer than the rule's ``resolve_for`` quiet ones in
        a row were sent. Of signals that hold, one each window of the rule, or each hour if that is shorter: an incident of which
        nothing is heard would end.
    """
    resolve_for = {rule.name: rule.resolve_for for rule in rules}
    left, held = dict(state.left), {}
    sent = []
    for signal in signals:
        key = f"{signal.rule}\x1f{signal.scope_key}"
        quiet_left = left.get(key, resolve_for[signal.rule])
        if signal.firing:
            left[key] = resolve_for[signal.rule]
            sent.append(signal)
        elif signal.holds:
            left[key] = resolve_for[signal.rule]
            held[key] = signal.watermark_ms // min(HOUR_MS, window_ms(signal.window))
            if held[key] != state.held.get(key) or signal.wish is not None:
                sent.append(signal)
        elif quiet_left > 0:
            left[key] = quiet_left - 1
            sent.append(signal)
        elif signal.wish is not None:
            sent.append(signal)
    return sent, SignalFilterState(left, held)
