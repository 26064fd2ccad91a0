"""Settings of each type of channel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr

from config.base import StrictNumbers
from config.durations import Seconds


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


class EmailSettings(ChannelBase):
    """Mail through an SMTP server: text and HTML in one."""

    type: Literal["email"]
    host: str = Field(min_length=1, max_length=253)
    port: int | None = Field(default=None, ge=1, le=65_535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Path | None = None
    username: str = ""
    password: SecretStr | None = None
    sender: str = Field(alias="from")
    to: tuple[str, ...] = Field(min_length=1, max_length=50)
    timeout_s: float = Field(default=30.0, gt=0, le=60)


class PagerDutySettings(ChannelBase):
    """Alerts of a PagerDuty service, by its integration of the type Events API v2."""

    type: Literal["pagerduty"]
    routing_key: SecretStr
    url: str = "https://events.pagerduty.com/v2/enqueue"
    timeout_s: float = Field(default=10.0, gt=0, le=60)


class SlackSettings(ChannelBase):
    """Messages in one Slack channel, by an incoming webhook or by an app's token."""

    type: Literal["slack"]
    url: SecretStr | None = None
    token: SecretStr | None = None
    channel: str = ""
    api_url: str = "https://slack.com/api"
    buttons: bool = True
    timeout_s: float = Field(default=10.0, gt=0, le=60)


class AlertmanagerSettings(ChannelBase):
    """Alerts of a Prometheus Alertmanager.

    Attributes:
        lasts: How long an alert stands that is not posted again.
        resend: How often each incident that goes on is posted again.
    """

    type: Literal["alertmanager"]
    url: SecretStr
    token: SecretStr | None = None
    username: str = ""
    password: SecretStr | None = None
    labels: dict[str, str] = Field(default={})
    lasts: Seconds = Field(default=3600, ge=2, le=30 * 86_400)
    resend: Seconds = Field(default=180, ge=1, le=3600)
    timeout_s: float = Field(default=10.0, gt=0, le=60)


ChannelSettings = Annotated[
    ConsoleSettings
    | WebhookSettings
    | AppriseSettings
    | EmailSettings
    | PagerDutySettings
    | SlackSettings
    | AlertmanagerSettings,
    Field(discriminator="type"),
]
