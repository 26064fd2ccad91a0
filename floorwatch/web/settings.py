"""The ``web`` section of the configuration: the pages that links of messages open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from alerts.links import LinkSigner, keys_of
from config.addresses import task_address, web_base
from config.base import Section, SettingsFault, refuse
from config.durations import Seconds

LEAST_KEY = 32
"""Characters of a key."""

_LEAST_SECRET = 16
"""Characters of a signing secret; Slack's have 32."""

_MAKE = "make one with: openssl rand -hex 32"


class WebSettings(Section):
    """Web pages, and the links in messages that lead to them."""

    host: str = Field(
        default="127.0.0.1", description="Where `floorwatch web` listens: behind your proxy, which speaks HTTPS."
    )
    port: int = Field(default=8091, ge=0, le=65535, description="0 takes a free port and prints it.")
    url: Annotated[str, AfterValidator(web_base)] = Field(
        default="",
        description="How people reach it, e.g. https://floorwatch.example; none puts no links that act into messages.",
    )
    link_keys: SecretStr | None = Field(
        default=None,
        description="What workers sign links with and `floorwatch web` knows them by: one key a line, the first signs, all are "
        "believed. Better in link_keys_file.",
    )
    link_keys_file: Path | None = Field(default=None, description="File whose content is link_keys.")
    slack_signing_secret: SecretStr | None = Field(
        default=None,
        description="Of your Slack app: what Slack signs its requests to /slack/actions with. With it messages in Slack have buttons. "
        "One a line, all are believed. Better in slack_signing_secret_file.",
    )
    slack_signing_secret_file: Path | None = Field(
        default=None, description="File whose content is slack_signing_secret."
    )
    task_url: Annotated[str, AfterValidator(task_address)] = Field(
        default="",
        description="Where your labelling tool shows a task, e.g. https://tool.example/tasks/{task}; the pages link the tasks behind "
        "an incident to it.",
    )
    link_lasts: Seconds = Field(
        default=7 * 86_400,
        ge=3600,
        le=90 * 86_400,
        description="How long a link is good, at least; it ends with a UTC day.",
    )
    behind_proxy: bool = Field(
        default=False,
        description="Limits count the last address of X-Forwarded-For, which your proxy writes; else that of the connection.",
    )
    requests_per_s: float = Field(default=5, gt=0, le=10_000, description="Of one address, on average; beyond it 429.")
    burst_requests: int = Field(default=60, ge=1, le=100_000, description="How many may come at once.")

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys, of which the first signs; empty where there are none."""
        return () if self.link_keys is None else keys_of(self.link_keys.get_secret_value())

    @property
    def slack_secrets(self) -> tuple[bytes, ...]:
        """What Slack signs with; empty where messages have no buttons."""
        return () if self.slack_signing_secret is None else keys_of(self.slack_signing_secret.get_secret_value())

    def signer(self) -> LinkSigner | None:
        """Return what makes the links of messages; None where messages have none."""
        if not self.url or not self.keys:
            return None
        return LinkSigner(self.url, self.keys, round(self.link_lasts * 1000))

    @model_validator(mode="after")
    def _sound(self) -> WebSettings:
        faults = []
        short = [number for number, key in enumerate(self.keys, 1) if len(key) < LEAST_KEY]
        if self.link_keys is not None and (short or not self.keys):
            reason = f"key {short[0]} has fewer than {LEAST_KEY} characters" if short else "there is no key in it"
            faults.append(SettingsFault(("link_keys",), reason, _MAKE))
        if self.slack_signing_secret is not None and not all(map(_is_secret, self.slack_secrets or (b"",))):
            hint = "copy it from the app's page: Basic Information, App Credentials, Signing Secret"
            faults.append(
                SettingsFault(("slack_signing_secret",), "this is not the signing secret of a Slack app", hint)
            )
        if self.url and self.link_keys is None and self.link_keys_file is None:
            hint = f"{_MAKE} > link.keys, and set web.link_keys_file for workers and `floorwatch web`"
            faults.append(SettingsFault(("url",), "there is no key to sign links with", hint))
        refuse(faults)
        return self


def _is_secret(secret: bytes) -> bool:
    return len(secret) >= _LEAST_SECRET and secret.isascii() and secret.decode().isprintable() and b" " not in secret
