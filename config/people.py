"""Settings of the numbers about people and rosters: thresholds, least numbers of audits, exposure caps."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from config.addresses import ratio
from config.base import Section, SettingsFault, refuse
from config.durations import Seconds

DAY_S = 86_400.0

Weight = Annotated[float, Field(ge=0, le=100)]
Ratio = Annotated[float, AfterValidator(ratio)]
FalseShare = Annotated[float, Field(gt=0, le=0.5)]


class ExposureSettings(Section):
    """How long somebody may look at hard content, weighted by its severity (wellbeing)."""

    cap_s: Seconds = Field(
        default=4 * 3600, gt=0, le=7 * DAY_S, description="Severity-weighted, within window_s; your choice to make."
    )
    window_s: Seconds = Field(
        default=DAY_S, ge=3600, le=7 * DAY_S, description="Rolling, so that a night shift counts as one."
    )
    pace_s: Seconds = Field(
        default=3600, ge=300, le=DAY_S, description="The last stretch whose pace is carried on in predictions."
    )
    ahead_s: Seconds = Field(
        default=7200, ge=0, le=DAY_S, description="A cap predicted sooner is warned of: time enough to rotate somebody."
    )
    weights: dict[str, Weight] = Field(
        default={}, description="Severity by policy, e.g. {minor_safety: 2, spam: 0.1}; none, for only you know yours."
    )
    other_weight: Weight | None = Field(
        default=None,
        description="Of every policy not named; null: 1, the careful side, once weights name any. Neither: not configured.",
    )

    @property
    def configured(self) -> bool:
        """Whether anybody said what counts; without it nothing is said of exposure, nowhere."""
        return bool(self.weights) or self.other_weight is not None

    @model_validator(mode="after")
    def _consistent(self) -> ExposureSettings:
        faults: list[SettingsFault] = []
        if self.pace_s > self.window_s:
            faults.append(SettingsFault(("pace_s",), "must not be longer than window_s", "shorten it"))
        if self.other_weight == 0 and not any(self.weights.values()):
            reason = "with no weight above 0 nothing is ever measured"
            faults.append(SettingsFault(("other_weight",), reason, "name policies in weights, or raise it"))
        refuse(faults)
        return self


class PeopleSettings(Section):
    """What `people` and `scorecard` say of somebody, and when they say that there is too little to say."""

    accuracy_target_ratio: Ratio | None = Field(
        default=None, description="What people are held against; null takes targets.accuracy_ratio."
    )
    min_audits: int = Field(
        default=30, ge=1, le=10_000, description="Fewer and no accuracy is said: at 30 it is still ±8 points wide."
    )
    false_discovery_ratio: FalseShare = Field(
        default=0.1, description="Of the people named for coaching, at most so many meet the target, on average."
    )
    wanted_half_width_ratio: Ratio = Field(
        default=0.05, description="The interval a lead can act on; tells how many audits are missing."
    )
    min_peers: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="Fewer peers of like tenure and all peers are compared with, and it is said.",
    )
    min_peer_labels: int = Field(
        default=50,
        ge=2,
        le=100_000,
        description="Fewer of peers on one kind of work and its handle time is not compared.",
    )
    established_labels: int = Field(
        default=2000,
        ge=1,
        le=1_000_000,
        description="From here on the learning curve is flat: its last doubling is 7%.",
    )
    settle_s: Seconds = Field(
        default=7 * DAY_S, ge=3600, le=90 * DAY_S, description="First seen later than this after the log begins is new."
    )
    min_rush_labels: int = Field(
        default=100, ge=2, le=100_000, description="Timed labels in each of the two periods compared for rushing."
    )
    rush_ratio: Ratio = Field(default=0.9, description="Median handle time against peers: 10% faster is worth a look.")
    rush_z: float = Field(
        default=5, gt=0, le=20, description="Standard errors of that; 4 is passed by chance in 0.3% of person-weeks."
    )
    fast_ratio: Ratio = Field(default=0.5, description="A label is fast below this share of peers' median.")
    min_risk_errors: int = Field(
        default=5,
        ge=1,
        le=10_000,
        description="Errors among fast and other labels for a risk ratio worth its interval.",
    )
    recovery_audits: int = Field(
        default=50, ge=1, le=100_000, description="Audits of labels made after coaching before recovery is judged."
    )
    recovery_s: Seconds = Field(
        default=14 * DAY_S,
        ge=DAY_S,
        le=400 * DAY_S,
        description="How far before the alert recovery is measured against.",
    )
    exposure: ExposureSettings = Field(default=ExposureSettings(), description="Wellbeing: exposure to hard content.")


class RosterSettings(Section):
    """What `roster` holds a day's staffing against."""

    away_s: Seconds = Field(
        default=900, ge=60, le=DAY_S, description="A longer stretch without a sign of work is away: less than a meal."
    )
    break_allowance_ratio: Ratio = Field(
        default=0.125, description="Planned breaks of each scheduled stretch: an hour in eight."
    )
    occupancy_ratio: Ratio = Field(
        default=0.85, description="Of available time spent handling; people kept busier for long slow down or leave."
    )
    shrinkage_ratio: Ratio = Field(
        default=0.3, description="For required people where too little was measured to know the floor's own."
    )
    min_measured_s: Seconds = Field(
        default=8 * 3600, ge=0, le=400 * DAY_S, description="Scheduled time of named people for a measured shrinkage."
    )
