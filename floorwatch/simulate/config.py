"""What a simulated floor is made of: sizes, shares of trouble, scenarios. All of it is data, none of it is a clock."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from config.nearest import choices
from streams.core.durations import parse_duration

ORDERS = ("arrival", "due")
SCENARIO_SETTINGS = {
    "vendor_quality_drop": ("vendor", "policies", "factor"),
    "queue_surge": ("queue", "factor"),
    "site_outage": ("site",),
}
"""Every kind of scenario and the settings it goes by."""
SCENARIO_KINDS = tuple(SCENARIO_SETTINGS)
MIN_SLA_S = 60
MAX_SLA_S = 14 * 86_400
"""Open work is looked at 14 days ahead; a task due later would never be part of a forecast."""
_FOREVER_S = 10**9
_SCENARIO = re.compile(r"(?P<kind>\w+)@(?P<at>[^+:]+)(?:\+(?P<lasts>[^:]+))?(?::(?P<settings>.*))?")


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something goes wrong from ``at_s`` seconds after the start, for ``lasts_s`` seconds.

    vendor_quality_drop: labellers of ``vendor`` decide right with ``factor`` of their usual chance on ``policies``.
    queue_surge: tasks of ``queue`` arrive ``factor`` times as fast. site_outage: nobody at ``site`` works.
    """

    kind: str
    at_s: float
    lasts_s: float = _FOREVER_S
    vendor: str = "bpo-a"
    policies: tuple[str, ...] = ("hate", "harassment", "scam")
    queue: str = "comments"
    site: str = "KUL"
    factor: float | None = None

    @property
    def strength(self) -> float:
        """``factor`` or the kind's default."""
        if self.factor is not None:
            return self.factor
        return {"vendor_quality_drop": 0.8, "queue_surge": 4.0}.get(self.kind, 1.0)

    def active(self, offset_s: float) -> bool:
        """Whether it is going on ``offset_s`` seconds after the start."""
        return self.at_s <= offset_s < self.at_s + self.lasts_s


@dataclass(frozen=True, slots=True)
class Site:
    """A site, its distance from UTC in hours (fixed, so that a seed means the same everywhere) and its vendors' shares."""

    name: str
    utc_offset_h: int
    vendors: tuple[tuple[str, float], ...]


SITES = (
    Site("KUL", 8, (("inhouse", 0.22), ("bpo-a", 0.14))),
    Site("LIS", 0, (("inhouse", 0.2), ("bpo-b", 0.12))),
    Site("BOG", -5, (("bpo-a", 0.18), ("bpo-b", 0.14))),
)


@dataclass(frozen=True, slots=True)
class StreamTrouble:
    """Shares (0..1) of what real floors do to a stream. The defaults are those of the tests and the demo."""

    duplicate: float = 0.01
    late_arrival: float = 0.05
    """Events that arrive seconds to minutes after their time."""
    very_late_arrival: float = 0.001
    """Events that arrive hours after their time."""
    held_label: float = 0.08
    """Labels that arrive after their own audit or withdrawal, of those that have one."""
    correction: float = 0.01
    label_withdrawn: float = 0.006
    audit_withdrawn: float = 0.02
    audit_again: float = 0.03
    """Audits followed by a second audit of the same label."""
    audit_revised: float = 0.02
    """Audits sent again under the same audit_id."""
    audit_unnamed: float = 0.04
    """Audits that do not name their label."""
    cancelled: float = 0.008
    not_created: float = 0.02
    """Tasks whose task.created nobody sends (half of their labels carry created_at and due_at)."""
    no_due: float = 0.015
    created_again: float = 0.006
    not_started: float = 0.02
    """Labels without started_at."""
    extra_label: float = 0.01
    claimed: float = 0.1
    conflict: float = 0.0005
    """Conflicting duplicates; only with ``FloorConfig.faults``."""


@dataclass(frozen=True, slots=True)
class FloorConfig:
    """A floor and how long to watch it.

    Attributes:
        start_ms: simulated time of the first event, milliseconds since 1970.
        duration_s: events arriving later than this after the start are not sent.
        rate: events per second, on average over a day, all types together.
        labelers: people, over all sites and shifts.
        queues, policies: how many of each.
        audit_delay_scale: 1.0 audits within minutes, hours and days (at most 9 days); smaller is sooner.
        errors: 1.0 makes a floor of 93 to 94% accuracy in the audits; 0.5 halves the mistakes of labellers and auditors,
            which is a floor that meets the usual target of 95%.
        sla: (queue, seconds) promises: every task of the queue is due so long after it comes, whatever its priority, and
            is up for work at once, and again when its label is withdrawn. An empty name stands for all queues that have
            none of their own. Without any, every queue mixes tasks due in 15 minutes, an hour and eight hours.
        order: ``arrival``: people take tasks as they come. ``due``: whoever is free takes the task that is due first.
        faults: also send a few conflicting duplicates.
        prefix: put before every id, so that two runs do not collide; empty: made of seed and start.
    """

    start_ms: int
    duration_s: float
    rate: float = 26.0
    labelers: int = 150
    queues: int = 20
    policies: int = 12
    audit_delay_scale: float = 1.0
    errors: float = 1.0
    sla: tuple[tuple[str, float], ...] = ()
    order: str = "arrival"
    faults: bool = False
    prefix: str = ""
    sites: tuple[Site, ...] = SITES
    scenarios: tuple[Scenario, ...] = ()
    trouble: StreamTrouble = field(default_factory=StreamTrouble)

    def __post_init__(self) -> None:
        for name in ("duration_s", "rate", "labelers", "queues", "policies", "audit_delay_scale", "errors"):
            if getattr(self, name) <= 0:
                raise ValueError(f"FloorConfig.{name} is {getattr(self, name)}: it must be greater than 0")
        names = [name for name, _ in self.sla]
        for name, promise_s in self.sla:
            whose = f"of {name}" if name else "of all queues"
            if not MIN_SLA_S <= promise_s <= MAX_SLA_S:
                raise ValueError(f"the SLA {whose} is {promise_s:g} s: it must be between 1 minute and 14 days")
            if names.count(name) > 1:
                raise ValueError(f"the SLA {whose} is given {names.count(name)} times: give it once")
        if self.order not in ORDERS:
            raise ValueError(f"FloorConfig.order is {self.order!r}: it must be one of {', '.join(ORDERS)}")
        if self.errors > 1:
            raise ValueError(f"FloorConfig.errors is {self.errors}: it must not be greater than 1")


def parse_sla(text: str) -> tuple[str, float]:
    """(queue, seconds) of ``comments=4h``; the queue is empty for ``4h``, which stands for all.

    Raises:
        ValueError: the text is not a promise; the message says what is allowed.

    Examples:
        >>> parse_sla("comments=4h"), parse_sla("90m")
        (('comments', 14400.0), ('', 5400.0))
    """
    queue, equals, promise = text.rpartition("=")
    if equals and not queue.strip():
        raise ValueError(f"{text!r} names no queue: write QUEUE=DURATION, or DURATION for all queues")
    try:
        return queue.strip(), parse_duration(promise)
    except ValueError as error:
        raise ValueError(f"{text!r} is no SLA: {error}; or QUEUE=DURATION, for example comments=4h") from None


def parse_scenario(text: str) -> Scenario:
    """A scenario from ``NAME@AT[+DURATION][:key=value,…]``.

    Examples: ``vendor_quality_drop@2h``, ``queue_surge@30m+1h:queue=hate,factor=6``,
    ``vendor_quality_drop@0s:policies=hate/scam,factor=0.7``.

    Raises:
        ValueError: the text is not a scenario; the message says what is allowed.
    """
    match = _SCENARIO.fullmatch(text.strip())
    if match is None or match["kind"] not in SCENARIO_KINDS:
        kind = re.split(r"[@+:]", text.strip())[0]
        meant = "" if kind in SCENARIO_KINDS else f"; {choices(kind, SCENARIO_KINDS)}"
        raise ValueError(f"{text!r} is not a scenario: write NAME@AT[+DURATION][:key=value,…]{meant}")
    settings: dict[str, object] = {}
    for pair in filter(None, (match["settings"] or "").split(",")):
        key, _, value = pair.partition("=")
        allowed = SCENARIO_SETTINGS[match["kind"]]
        if key not in allowed:
            raise ValueError(f"{text!r}: {key!r} is not a setting of {match['kind']}; {choices(key, allowed)}")
        if key == "factor":
            settings[key] = _factor(text, value)
        elif key == "policies":
            settings[key] = tuple(value.split("/"))
        else:
            settings[key] = value
    lasts_s = parse_duration(match["lasts"]) if match["lasts"] else _FOREVER_S
    return Scenario(match["kind"], parse_duration(match["at"]), lasts_s, **settings)  # type: ignore[arg-type]


def _factor(text: str, value: str) -> float:
    try:
        factor = float(value)
    except ValueError:
        factor = -1.0
    if not (math.isfinite(factor) and factor >= 0):
        raise ValueError(f"{text!r}: factor {value!r} is not a number from 0 on")
    return factor
