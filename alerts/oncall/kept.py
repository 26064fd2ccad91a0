"""Plans as the log keeps them: overrides, maintenance windows and calendars, each with its last versions. Pure.

A worker that begins anew folds some records again, and the newest plans may have come behind these. So each plan is kept with
its offset and with the versions before it, and a record that is folded again sees the plans that it saw the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from msgspec import Struct

from alerts.codec import Input, decode_input
from alerts.incident import Calendar, Maintenance, Override
from alerts.oncall.facts import fold
from alerts.oncall.policy import RotaFacts
from streams.models import formats
from streams.models.timestamps import DAY_MS

Plan = Override | Maintenance | Calendar

PLANS = "plans"
"""Name of the Redis hash of the plans in force, by ``plan_key``; each value is the input as ``signals.v1`` has it."""

SHOWN = "~"
"""A field of that hash which is there once a worker has written all plans."""

MOST_EARLIER = 4
"""Versions kept before the last one; of a calendar none, for its text is long."""

KEPT_AFTER_MS = 35 * DAY_MS
"""How long an override or maintenance window is kept after its end."""


class Version(NamedTuple):
    """A plan and the offset of its record; -1: an earlier release wrote it, before all that is folded again."""

    offset: int
    plan: Plan


class _EarlierPlan(Struct, frozen=True):
    offset: int
    plan: Plan


class _KeptPlan(Struct, frozen=True):
    offset: int = -1
    earlier: tuple[_EarlierPlan, ...] = ()


_kept: msgspec.json.Decoder[_KeptPlan] = msgspec.json.Decoder(_KeptPlan)


class Plans:
    """What people plan, as of the records that were folded."""

    def __init__(self) -> None:
        """Begin empty."""
        self._versions: dict[str, tuple[Version, ...]] = {}
        self._facts: RotaFacts | None = None
        self._begun = False

    @property
    def facts(self) -> RotaFacts:
        """What the plans say to the routing."""
        if self._facts is None:
            self._facts = facts_of(self.known().values())
        return self._facts

    def take(self, value: bytes, *, own: bool = True) -> None:
        """Take a plan as it was read from notices.v1, before anything is folded.

        Args:
            value: As ``encoded`` writes it.
            own: It was written for the partition that is folded; else its offsets mean nothing here.

        Raises:
            msgspec.DecodeError: No JSON, or no plan.
            NewerFormat: A newer version of Floorwatch wrote it.
        """
        plan, kept = as_plan(decode_input(value)), _kept.decode(value)
        key = plan_key(plan)
        # A worker that stalled may have written an older state after a newer one.
        found = {one.offset: one for one in self._versions.get(key, ())}
        if own:
            found |= {one.offset: Version(one.offset, one.plan) for one in kept.earlier}
        offset = kept.offset if own else -1
        found[offset] = Version(offset, plan)
        self._versions[key] = _last(sorted(found.values(), key=lambda one: one.offset))
        self._facts = None

    def reach(self, offset: int) -> None:
        """Go on from a record: if it is the first one, what was planned at or behind it is not known yet."""
        if self._begun:
            return
        self._begun = True
        self._versions = {
            key: left
            for key, versions in self._versions.items()
            if (left := tuple(one for one in versions if one.offset < offset or isinstance(one.plan, Calendar)))
        }
        self._facts = None

    def fold(self, plan: Plan, offset: int) -> str:
        """Take a plan from the log; return its key."""
        key = plan_key(plan)
        self._versions[key] = _last((*self._versions.get(key, ()), Version(offset, plan)))
        self._facts = fold(self.facts, plan)
        return key

    def forget(self, now_ms: int) -> list[str]:
        """Drop overrides and maintenance windows that were over for long; return their keys.

        Args:
            now_ms: Wall time of a tick of the log.
        """
        gone = [key for key, versions in self._versions.items() if _over_ms(versions[-1].plan) < now_ms - KEPT_AFTER_MS]
        for key in gone:
            del self._versions[key]
        if gone:
            self._facts = None
        return gone

    def encoded(self, key: str) -> bytes:
        """Return a plan with its versions, as JSON bytes for topic notices.v1."""
        *before, last = self._versions[key]
        said = msgspec.to_builtins(last.plan)
        earlier = [_EarlierPlan(one.offset, one.plan) for one in before]
        return formats.stamped_json(
            formats.SIGNAL, msgspec.json.encode({**said, "offset": last.offset, "earlier": earlier})
        )

    def known(self) -> dict[str, Plan]:
        """Return the plans by key, those that were removed too."""
        return {key: versions[-1].plan for key, versions in self._versions.items()}


def plan_key(plan: Plan) -> str:
    """Return the key of a plan: ``maintenance/ID``, ``override/ID``, ``calendar/NAME``."""
    return f"{type(plan).__name__.lower()}/{plan.name if isinstance(plan, Calendar) else plan.id}"


def as_plan(given: Input) -> Plan:
    """Return an input that is a plan.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(given, Override | Maintenance | Calendar):
        return given
    raise ValueError(f"{type(given).__name__.lower()} is no plan")


def facts_of(plans: Iterable[Plan]) -> RotaFacts:
    """Return the facts that plans make, the last of each key."""
    found = RotaFacts({}, {}, {})
    for plan in plans:
        match plan:
            case Override():
                found.overrides[plan.id] = plan
            case Maintenance():
                found.maintenance[plan.id] = plan
            case Calendar():
                found.calendars[plan.name] = plan
    return found


def shown_plans(found: Mapping[bytes, bytes]) -> RotaFacts | None:
    """Return what is planned, of the fields of the Redis hash; None: no worker has written it.

    Raises:
        msgspec.DecodeError: A value is no plan.
        NewerFormat: A newer version of Floorwatch wrote one.
    """
    if SHOWN.encode() not in found:
        return None
    return facts_of(as_plan(decode_input(value)) for key, value in found.items() if key != SHOWN.encode())


def _last(versions: Iterable[Version]) -> tuple[Version, ...]:
    found = tuple(versions)
    return found[-1:] if isinstance(found[-1].plan, Calendar) else found[-1 - MOST_EARLIER :]


def _over_ms(plan: Plan) -> float:
    return float("inf") if isinstance(plan, Calendar) else plan.to_ms
