"""Settings of each type of channel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr

from config.base import StrictNumbers


class RateSettings(StrictNumbers):
    """At most how many notifications go to a channel: ``burst`` at once, then ``per_minute``. Pages go first; nothing is lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_minute: float = Field(ge=0.01, le=6000)
    burst: int = Field(default=5, ge=1, le=1000)


def _unset(value: object) -> bool:
    return value is None


class ChannelBase(StrictNumbers):
    """What every channel may have.

    Attributes:
        zone: IANA name of the zone in which its readers see times.
        rate: What it may send; without one as much as its receiver takes.
        fallback: The channel that gets what this one was given up for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: str | None = Field(default=None, exclude_if=_unset)
    rate: RateSettings | None = Field(default=None, exclude_if=_unset)
    fallback: str | None = Field(default=None, exclude_if=_unset)


class ConsoleSettings(ChannelBase):
    """Notifications on standard output."""

    type: Literal["console"]


class WebhookSettings(ChannelBase):
    """Notifications by HTTP POST."""

    type: Literal["webhook"]
    url: SecretStr
    secret: SecretStr | None = None
    timeout_s: float = Field(default=10.0, gt=0, le=60)


class AppriseSettings(ChannelBase):
    """Notifications through the package apprise."""

    type: Literal["apprise"]
    url: SecretStr


ChannelSettings = Annotated[ConsoleSettings | WebhookSettings | AppriseSettings, Field(discriminator="type")]
