"""Settings of incidents that resolve and reopen too often."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from alerts.flapping import FlapPolicy
from config.base import StrictNumbers
from config.durations import Seconds
from streams.core.durations import seconds_to_ms


class FlappingSettings(StrictNumbers):
    """When an incident flaps, and when it is steady again (event time).

    Attributes:
        reopened: It flaps when it reopens so many times within ``within``; 0: never.
        within: The time that reopenings are counted in.
        steady: It flaps no more when it has stayed open, or over, for so long.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reopened: int = Field(default=4, ge=0, le=50, description="0 never takes an incident for flapping.")
    within: Seconds = Field(default=21_600, ge=60, le=3 * 86_400, description="In event time.")
    steady: Seconds = Field(
        default=3600, ge=60, le=86_400, description="For so long nothing is told of it, also that it is open."
    )

    def policy(self) -> FlapPolicy:
        """Return it as the pure machines take it."""
        return FlapPolicy(self.reopened, seconds_to_ms(self.within), seconds_to_ms(self.steady))
