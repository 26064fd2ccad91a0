"""The settings of the numbers about people, each bound with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from streams.core.policy import DAY_MS, HOUR_MS

MILLI = 1000


@dataclass(frozen=True)
class PeoplePolicy:
    """All that shapes the numbers about people.

    Attributes:
        accuracy_target_ratio: The target; contracts usually ask for 95%.
        min_audits: With fewer audits no accuracy is shown. At 30 the 95% interval is still about ±8 points at 95%.
        false_discovery_ratio: Of those named for coaching, the share who meet the target, on average and at most.
        wanted_half_width_ratio: The interval a lead can act on; tells how many audits are missing.
        min_peers: With fewer peers of like tenure on the same work, all peers are used, and the text says so.
        min_peer_labels: A kind of work with fewer timed labels of peers is left out of handle comparisons.
        established_labels: From here on the learning curve is taken as flat (the last doubling of a curve with exponent
            0.1 changes 7%).
        settle_ms: Somebody first seen this long after the log begins is new; before that it is not known.
        min_rush_labels: Least timed labels on comparable work in each of the two periods.
        rush_shift_log: Least fall of the median log handle time against peers; ln 0.9 is 10% faster.
        rush_z: Bound of the shift in standard errors. Labels of an hour resemble each other: with a correlation of 0.1 in
            runs of 20, z is 1.4 times as wide as it should be and 4 is passed by chance in 0.3% of person-weeks; 5 in none
            of 8,900 simulated ones.
        fast_ratio: A label is fast below this share of peers' median on the same work.
        min_risk_errors: Least errors among fast and among other labels for a risk ratio: with fewer the interval would
            be too narrow.
        recovery_audits: Audits of labels made after coaching before recovery is judged at all.
        recovery_ms: How far before the alert the labels lie that recovery is measured against.
        exposure_cap_ms: Severity-weighted time a person may see in ``exposure_window_ms``.
        exposure_pace_ms: The last stretch whose pace is carried on in predictions.
        exposure_ahead_ms: A cap predicted sooner than this is warned of.
        severity_milli: Weight of a policy's content in thousandths.
        other_severity_milli: Weight of a policy that is not named: in full, the careful side.
        exposure_configured: Whether weights are configured; otherwise exposure is not shown.
    """

    accuracy_target_ratio: float = 0.95
    min_audits: int = 30
    false_discovery_ratio: float = 0.1
    wanted_half_width_ratio: float = 0.05
    min_peers: int = 3
    min_peer_labels: int = 50
    established_labels: int = 2000
    settle_ms: int = 7 * DAY_MS
    min_rush_labels: int = 100
    rush_shift_log: float = math.log(0.9)
    rush_z: float = 5.0
    fast_ratio: float = 0.5
    min_risk_errors: int = 5
    recovery_audits: int = 50
    recovery_ms: int = 14 * DAY_MS
    exposure_cap_ms: int = 4 * HOUR_MS
    exposure_window_ms: int = DAY_MS
    exposure_pace_ms: int = HOUR_MS
    exposure_ahead_ms: int = 2 * HOUR_MS
    severity_milli: dict[str, int] = field(default_factory=dict)
    other_severity_milli: int = MILLI
    exposure_configured: bool = True

    def weight_milli(self, policy: str) -> int:
        """Return the severity weight of a policy's content, in thousandths."""
        return self.severity_milli.get(policy, self.other_severity_milli)
