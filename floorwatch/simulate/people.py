"""The people and the work of a simulated floor: labellers with shifts and learning curves, queues with their policies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from config.nearest import choices
from floorwatch.simulate.config import SCENARIO_SETTINGS, FloorConfig, Scenario
from streams.models.timestamps import DAY_MS, HOUR_MS

_SHIFT_MS = 8 * HOUR_MS
_FIRST_SHIFT_MS = 6 * HOUR_MS
_SLOT_MS = 900_000
_TEAM_SIZE = 10
_SKILLED_QUEUES = 0.45

QUEUE_NAMES = (
    "comments", "hate", "videos", "images", "live", "profiles", "ads", "messages", "reviews", "groups",
    "marketplace", "audio", "usernames", "music", "minors", "appeals", "search", "shops", "stories", "games",
)  # fmt: skip
POLICY_NAMES = (
    "hate", "harassment", "scam", "nudity", "violence", "spam", "self_harm", "minor_safety", "drugs", "weapons",
    "misinformation", "ip",
)  # fmt: skip
MARKETS = ("en-US", "ms-MY", "es-CO", "pt-PT", "id-ID", "ar-SA", "de-DE")
PRIORITIES = (
    ("high", 0.15, 900_000, 60_000),
    ("normal", 0.65, 3_600_000, 360_000),
    ("low", 0.2, 28_800_000, 2_400_000),
)
"""Name, share, time until due (ms), median wait before somebody takes the task (ms)."""


@dataclass(slots=True)
class Labeler:
    """One person; ``done`` labels so far drive the learning curve, ``free_at_ms`` is when the current task ends."""

    labeler_id: str
    team: str
    site: str
    vendor: str
    source: str
    utc_offset_ms: int
    shift: int
    skill: float
    pace: float
    learning_labels: float
    done: int
    free_at_ms: int = 0

    def on_shift(self, time_ms: int) -> bool:
        """Whether the person works at that time: 06–14, 14–22 or 22–06 by the site's clock."""
        since_ms = (time_ms + self.utc_offset_ms - _FIRST_SHIFT_MS - self.shift * _SHIFT_MS) % DAY_MS
        return since_ms < _SHIFT_MS

    def inexperience(self) -> float:
        """1 for a beginner, falling towards 0 with every label."""
        return math.exp(-self.done / self.learning_labels)


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue: its weight among the arrivals, what it judges and how strictly it is audited."""

    name: str
    weight: float
    policies: tuple[str, ...]
    markets: tuple[str, ...]
    required_labels: int
    audit_probability: float
    sla_ms: int | None = None
    """Its promise, from creation to due; None: by priority."""


def hire(config: FloorConfig, rng: Random) -> list[Labeler]:
    """The labellers of a floor, spread over sites, vendors, shifts and teams of about ten."""
    places = [(site, vendor, share) for site in config.sites for vendor, share in site.vendors]
    total = sum(share for _, _, share in places)
    people: list[Labeler] = []
    filled = 0.0
    for site, vendor, share in places:
        first = len(people)
        filled += share
        while len(people) < round(config.labelers * filled / total):
            number = len(people)
            # Whole teams share a shift; a place smaller than three teams still covers all three shifts.
            team_size = max(1, min(_TEAM_SIZE, round(config.labelers * share / total / 3)))
            team = (number - first) // team_size
            people.append(
                Labeler(
                    labeler_id=f"{site.name.lower()}-{number:04d}",
                    team=f"{site.name.lower()}-{vendor}-{team + 1:02d}",
                    site=site.name,
                    vendor=vendor,
                    source=f"label-studio/{site.name.lower()}-1",
                    utc_offset_ms=site.utc_offset_h * HOUR_MS,
                    shift=team % 3,
                    skill=min(0.995, rng.gauss(0.967 if vendor == "inhouse" else 0.955, 0.012)),
                    pace=math.exp(rng.gauss(0, 0.2)),
                    learning_labels=rng.uniform(400, 1600),
                    done=int(rng.expovariate(1 / 4000)),
                )
            )
    return people


def open_queues(config: FloorConfig) -> list[Queue]:
    """The queues of a floor; the same for every seed. Every fifth needs two labels, some are audited more closely.

    Raises:
        ValueError: ``config.sla`` names a queue that the floor does not have.
    """
    names = [_name(QUEUE_NAMES, "queue", i) for i in range(config.queues)]
    promises = {name: round(promise_s * 1000) for name, promise_s in config.sla}
    unknown = sorted(promises.keys() - {"", *names})
    if unknown:
        raise ValueError(f"there is no queue {unknown[0]!r} to give an SLA; {choices(unknown[0], names)}")
    policies = [_name(POLICY_NAMES, "policy", i) for i in range(config.policies)]
    queues = []
    for i in range(config.queues):
        own = [policies[0], policies[(i * 2 + 1) % len(policies)], policies[(i * 5 + 2) % len(policies)]]
        queues.append(
            Queue(
                name=names[i],
                weight=1 / (i + 3),
                policies=tuple(dict.fromkeys(own)),
                markets=tuple(dict.fromkeys((MARKETS[i % 7], MARKETS[(i * 3 + 1) % 7], MARKETS[0]))),
                required_labels=2 if i % 5 == 4 else 1,
                audit_probability=0.25 if i in (9, 14) else 0.1 if i == 11 else 0.05,
                sla_ms=promises.get(names[i], promises.get("")),
            )
        )
    return queues


def check_scenarios(config: FloorConfig) -> None:
    """Refuse a scenario that would silently change nothing.

    Raises:
        ValueError: a scenario names a vendor, policy, queue or site the floor does not have, or begins after its end.
    """
    there: dict[str, list[str]] = {
        "vendor": list(dict.fromkeys(vendor for site in config.sites for vendor, _ in site.vendors)),
        "policies": [_name(POLICY_NAMES, "policy", i) for i in range(config.policies)],
        "queue": [_name(QUEUE_NAMES, "queue", i) for i in range(config.queues)],
        "site": [site.name for site in config.sites],
    }
    for scenario in config.scenarios:
        for setting in SCENARIO_SETTINGS[scenario.kind]:
            value = getattr(scenario, setting)
            for name in value if setting == "policies" else (value,):
                if setting in there and name not in there[setting]:
                    raise ValueError(
                        f"scenario {scenario.kind}: {setting}={name}: this floor has none; {choices(name, there[setting])}"
                    )
        if scenario.at_s >= config.duration_s:
            raise ValueError(
                f"scenario {scenario.kind} begins {scenario.at_s:g} s after the start, "
                f"the floor ends after {config.duration_s:g} s"
            )


def _name(names: tuple[str, ...], kind: str, index: int) -> str:
    return names[index] if index < len(names) else f"{kind}-{index + 1:02d}"


class Availability:
    """Who may take a task of a queue now."""

    def __init__(self, config: FloorConfig, people: list[Labeler], queue_count: int) -> None:
        self._people = people
        self._queue_count = queue_count
        self._start_ms = config.start_ms
        self._outages = [s for s in config.scenarios if s.kind == "site_outage"]
        self._slot = -1
        self._candidates: dict[tuple[int, frozenset[str]], list[Labeler]] = {}

    def candidates(self, queue_index: int, time_ms: int) -> list[Labeler]:
        """Labellers on shift at a working site who know the queue; all on shift there if nobody knows it."""
        slot = time_ms // _SLOT_MS
        if slot != self._slot:
            self._slot = slot
            self._candidates.clear()
        down = self._sites_down(time_ms) if self._outages else frozenset()
        key = (queue_index, down)
        found = self._candidates.get(key)
        if found is None:
            here = [p for p in self._people if p.site not in down and p.on_shift(slot * _SLOT_MS)]
            knowing = [p for p in here if self._knows(p, queue_index)]
            found = self._candidates[key] = knowing or here
        return found

    def can_work(self, labeler: Labeler, time_ms: int) -> bool:
        """Whether the labeller is on shift at a working site at that time."""
        if self._outages and labeler.site in self._sites_down(time_ms):
            return False
        return labeler.on_shift(time_ms)

    def queues_of(self, labeler: Labeler) -> list[int]:
        """The queues a labeller knows."""
        return [index for index in range(self._queue_count) if self._knows(labeler, index)]

    def _sites_down(self, time_ms: int) -> frozenset[str]:
        offset_s = (time_ms - self._start_ms) / 1000
        return frozenset(outage.site for outage in self._outages if outage.active(offset_s))

    def _knows(self, labeler: Labeler, queue_index: int) -> bool:
        # A team knows its own fixed share of the queues: spread by a multiplier coprime to the queue counts in use.
        team = sum(map(ord, labeler.team))
        return ((queue_index * 7 + team * 3) % self._queue_count) < self._queue_count * _SKILLED_QUEUES


def accuracy_factor(scenarios: tuple[Scenario, ...], labeler: Labeler, policy: str, offset_s: float) -> float:
    """By how much the scenarios lower the labeller's chance to be right on a policy now (1: not at all)."""
    factor = 1.0
    for scenario in scenarios:
        if (
            scenario.kind == "vendor_quality_drop"
            and labeler.vendor == scenario.vendor
            and policy in scenario.policies
            and scenario.active(offset_s)
        ):
            factor *= scenario.strength
    return factor
