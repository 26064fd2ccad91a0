"""Settings of the tables: scopes, windows, panes, time zones and shifts."""

from __future__ import annotations

import re
import zoneinfo
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from config.base import Section, SettingsFault, refuse
from config.durations import Seconds
from config.nearest import nearest
from config.zone_names import hint
from streams.core.durations import format_duration, parse_duration
from streams.core.policy import DEFAULT_AUDIT_SCOPES, DEFAULT_SCOPES, DIMENSIONS
from streams.core.window_names import CALENDAR_WINDOWS, BadWindow, window_name

DAY_S = 86_400
_CLOCK = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$")
_QUARTER_MIN = 15


def _dimension(name: str) -> str:
    if name in DIMENSIONS:
        return name
    hint = nearest(name, DIMENSIONS, f"the dimensions are {', '.join(DIMENSIONS)}")
    raise PydanticCustomError("config", 'there is no dimension "{name}"', {"name": name, "hint": hint})


def _ordered(kind: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(kind)) != len(kind):
        hint = "name each dimension once"
        raise PydanticCustomError("config", "a dimension is named twice", {"hint": hint})
    return tuple(sorted(kind, key=DIMENSIONS.index))


def _window(value: object) -> str:
    try:
        return window_name(value)
    except BadWindow as error:
        raise PydanticCustomError("config", "{reason}", {"reason": error.reason, "hint": error.hint}) from None


@lru_cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _zone(name: str) -> str:
    if name in _zones():
        return name
    raise PydanticCustomError("config", 'there is no time zone "{name}"', {"name": name, "hint": hint(name)})


def _clock(text: str) -> str:
    found = _CLOCK.match(text)
    if found is None:
        raise PydanticCustomError("config", '"{t}" is not a time of day', {"t": text, "hint": "write e.g. 07:00"})
    if int(found[2]) % _QUARTER_MIN:
        raise PydanticCustomError(
            "config",
            "a shift must start on a quarter of an hour",
            {"hint": "calendar windows are made of 15-min panes"},
        )
    return text


Dimension = Annotated[str, AfterValidator(_dimension)]
ScopeKind = Annotated[tuple[Dimension, ...], AfterValidator(_ordered)]
"""The dimensions of one kind of scope; empty for the whole floor."""
WindowName = Annotated[str, BeforeValidator(_window)]
"""The name of a window; which of ``tables.windows`` it is, ``same_window`` says."""
Zone = Annotated[str, AfterValidator(_zone)]
ClockTime = Annotated[str, AfterValidator(_clock)]


class TableSettings(Section):
    """What is counted, over which time, and how long it can still change."""

    correction_horizon_days: int = Field(
        default=14,
        ge=1,
        le=400,
        description="Audits and appeals change numbers this far back; older events go to late.v1.",
    )
    minute_panes_kept_s: Seconds = Field(
        default=3 * 3600,
        ge=3600,
        le=DAY_S,
        description="1-min panes serve windows up to this; 3 h covers 1h with late labels.",
    )
    quarter_panes_kept_s: Seconds = Field(
        default=2 * DAY_S,
        ge=DAY_S,
        le=14 * DAY_S,
        description="15-min panes; 48 h covers 24h and a calendar day in any zone.",
    )
    windows: list[WindowName] = Field(
        default=["5m", "15m", "1h", "8h", "24h", "7d", "day"],
        min_length=1,
        max_length=16,
        description="Sliding lengths, and day and shift in the zone of the scope's site; rules may watch any of them. These span "
        "reacting, a shift, a day and a week.",
    )
    scopes: list[ScopeKind] = Field(
        default=list(DEFAULT_SCOPES),
        min_length=1,
        max_length=64,
        description="Slices kept, [] being the whole floor; the two pairs answer whose queue and which policy.",
    )
    audit_scopes: list[ScopeKind] = Field(
        default=list(DEFAULT_AUDIT_SCOPES),
        max_length=16,
        description="Slices of which only audits are kept, hardly any cost; causes two deep: which vendor and policy.",
    )
    max_scopes: int = Field(
        default=50_000,
        ge=100,
        le=10_000_000,
        description="Distinct scopes of a partition, about 1 GB; beyond, rows that lack something are marked partial.",
    )
    default_zone: Zone = Field(default="UTC", description="For days and shifts of scopes without a site.")
    zones: dict[str, Zone] = Field(
        default={"KUL": "Asia/Kuala_Lumpur", "LIS": "Europe/Lisbon", "BOG": "America/Bogota"},
        description="Time zone of each site; these are the simulated floor's, replace them by yours.",
    )
    shifts: list[ClockTime] = Field(
        default=[],
        max_length=12,
        description="Local starts of shifts, e.g. [07:00, 15:00, 23:00]; none until windows has shift.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> TableSettings:
        faults: list[SettingsFault] = []
        for name in ("windows", "scopes", "audit_scopes", "shifts"):
            values = getattr(self, name)
            for index, value in enumerate(values):
                if value in values[:index]:
                    faults.append(SettingsFault((name, index), "the entry stands twice", "remove one of the two"))
        if "shift" in self.windows and not self.shifts:
            hint = "write e.g. shifts: [07:00, 15:00, 23:00]"
            faults.append(
                SettingsFault(("windows", self.windows.index("shift")), "the window shift needs shifts", hint)
            )
        faults += [fault for index, name in enumerate(self.windows) for fault in self._window_faults(index, name)]
        refuse(faults)
        return self

    def _window_faults(self, index: int, name: str) -> list[SettingsFault]:
        if name in CALENDAR_WINDOWS:
            return []
        seconds = parse_duration(name)
        place = ("windows", index)
        if seconds > self.correction_horizon_days * DAY_S:
            hint = "shorten it or raise correction_horizon_days"
            return [SettingsFault(place, f"{name} is longer than the correction horizon", hint)]
        pane_s = self.pane_s_of(seconds)
        if seconds % pane_s:
            shown = format_duration(pane_s)
            hint = f"windows of this length are made of {shown} panes: write a multiple of {shown}"
            return [SettingsFault(place, f"{name} is not a whole number of panes", hint)]
        return []

    def pane_s_of(self, window_s: float) -> int:
        """Return the pane size in seconds that serves a sliding window: the finest kept for long enough."""
        if window_s <= self.minute_panes_kept_s:
            return 60
        return 900 if window_s <= self.quarter_panes_kept_s else 3600
