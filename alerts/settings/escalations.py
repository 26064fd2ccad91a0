"""Settings of escalations: whom to tell next while nobody acknowledges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from alerts.routing.policy import EscalationPolicy, TierPolicy
from alerts.settings.names import EntryName, Known, ReceiverText, needed, receiver_of, repeated, required, some
from alerts.settings.times import between
from config.base import Section, SettingsFault
from config.durations import Seconds
from streams.core.durations import seconds_to_ms

_NOTIFY_HOW = "name whom to tell, e.g. notify: [schedule:lead]"
_TIERS_HOW = "write at least one step, e.g. tiers: [{notify: [ops], ack_within: 15m}]"
MOST_STEPS = 30
"""Steps that an escalation has with its repetitions: an incident keeps who was told of the last 50."""


class TierSettings(Section):
    """A step: tell ``notify``; the next one follows ``ack_within`` later, unless somebody acknowledges."""

    notify: Annotated[tuple[ReceiverText, ...], some(_NOTIFY_HOW), required(_NOTIFY_HOW)] = needed()
    ack_within: Annotated[Seconds, between(60, 7 * 86_400), required("write e.g. ack_within: 15m")] = needed()

    def receivers(self) -> tuple[str, ...]:
        """Return whom it tells, each with its kind: ``channel:ops``."""
        return tuple(receiver_of(text) for text in self.notify)


class EscalationSettings(Section):
    """Steps in their order, gone through ``1 + repeat`` times. The first is told with the opening."""

    tiers: Annotated[tuple[TierSettings, ...], some(_TIERS_HOW), Field(max_length=MOST_STEPS), required(_TIERS_HOW)] = (
        needed()
    )
    repeat: int = Field(default=0, ge=0, lt=MOST_STEPS)

    def policy(self, name: str) -> EscalationPolicy:
        """Return the escalation as the pure machines take it."""
        tiers = tuple(TierPolicy(one.receivers(), seconds_to_ms(one.ack_within)) for one in self.tiers)
        return EscalationPolicy(name, tiers, self.repeat)


Escalations = dict[EntryName, EscalationSettings]


def escalation_faults(escalations: Mapping[str, EscalationSettings], known: Known) -> Iterator[SettingsFault]:
    """Yield the receivers that there are not, and escalations of too many steps."""
    for name, escalation in escalations.items():
        place = ("alerts", "escalations", name)
        for number, tier in enumerate(escalation.tiers):
            at = (*place, "tiers", number, "notify")
            yield from known.unknown_receivers(at, tier.notify)
            yield from repeated(at, tier.receivers())
        steps = len(escalation.tiers) * (1 + escalation.repeat)
        if steps > MOST_STEPS:
            reason = f"repeated so often it has {steps} steps, {MOST_STEPS} at most"
            most = MOST_STEPS // len(escalation.tiers) - 1
            yield SettingsFault((*place, "repeat"), reason, f"write {most} or less", (place,))
