"""Routes and channels as settings, and the channels built from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from alerts.channels.base import Channel

DEFAULT_ROUTE = "default"


class ConsoleSettings(BaseModel):
    """Notifications on standard output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["console"]


class WebhookSettings(BaseModel):
    """Notifications by HTTP POST."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["webhook"]
    url: SecretStr
    secret: SecretStr | None = None
    timeout_s: float = Field(default=10.0, gt=0, le=60)

    @field_validator("url")
    @classmethod
    def _http(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("a webhook url begins with https:// (or http:// on a trusted network)")
        return url


class AppriseSettings(BaseModel):
    """Notifications through the package apprise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["apprise"]
    url: SecretStr


ChannelSettings = Annotated[ConsoleSettings | WebhookSettings | AppriseSettings, Field(discriminator="type")]


class RoutingSettings(BaseModel):
    """Channels by name, and which of them each route uses. Rules name routes; ``default`` must exist."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: dict[str, ChannelSettings] = {"console": ConsoleSettings(type="console")}
    routes: dict[str, tuple[str, ...]] = {DEFAULT_ROUTE: ("console",)}

    @model_validator(mode="after")
    def _known(self) -> RoutingSettings:
        if DEFAULT_ROUTE not in self.routes:
            raise ValueError("routes has no default; add  default: [console]")
        for route, names in self.routes.items():
            for name in names:
                if name not in self.channels:
                    known = ", ".join(self.channels) or "none"
                    raise ValueError(f"route {route} names channel {name!r}, which is not defined (defined: {known})")
        return self


def build_channels(settings: RoutingSettings, clock: Callable[[], int]) -> dict[str, Channel]:
    """Channels by name.

    Args:
        settings: Checked settings.
        clock: Wall time in ms, for signatures.

    Raises:
        ChannelError: An Apprise channel without the package, or with an unknown url.
    """
    return {name: _build(name, channel, clock) for name, channel in settings.channels.items()}


def build_routes(settings: RoutingSettings, channels: Mapping[str, Channel]) -> dict[str, Sequence[Channel]]:
    """The channels of each route."""
    return {route: tuple(channels[name] for name in names) for route, names in settings.routes.items()}


def _build(
    name: str, settings: ConsoleSettings | WebhookSettings | AppriseSettings, clock: Callable[[], int]
) -> Channel:
    # Imported here: a floor with only a console needs neither aiohttp nor apprise.
    if isinstance(settings, WebhookSettings):
        from alerts.channels.webhook import WebhookChannel

        return WebhookChannel(name, settings.url, clock, secret=settings.secret, timeout_s=settings.timeout_s)
    if isinstance(settings, AppriseSettings):
        from alerts.channels.apprise import AppriseChannel

        return AppriseChannel(name, settings.url)
    from alerts.channels.console import ConsoleChannel

    return ConsoleChannel(name)
