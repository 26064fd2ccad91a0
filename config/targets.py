"""Settings of what the floor promises."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from config.addresses import ratio
from config.base import Section, SettingsFault, refuse
from config.durations import Seconds

Ratio = Annotated[float, AfterValidator(ratio)]


class TargetSettings(Section):
    """What the floor promises. Each alert rule has a target of its own."""

    accuracy_ratio: Ratio = Field(
        default=0.95,
        description="What people are held against. Contracts ask for it; public programmes report 80 to 92 percent.",
    )
    sla_classes: dict[str, Seconds] = Field(
        default={"priority": 3600, "normal": 86_400},
        description="Time from creation to due for tasks that name a class instead of due_at: 1 h urgent, 24 h normal.",
    )

    @model_validator(mode="after")
    def _positive_classes(self) -> TargetSettings:
        empty = [name for name, seconds in self.sla_classes.items() if seconds == 0]
        refuse([SettingsFault(("sla_classes", name), "must be longer than 0", "write e.g. 1h") for name in empty])
        return self
