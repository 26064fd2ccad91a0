"""Settings of each type of channel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr

from config.base import StrictNumbers


class ChannelBase(StrictNumbers):
    """What every channel may have: the IANA name of the zone in which its readers see times."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: str | None = Field(default=None, exclude_if=lambda zone: zone is None)


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
