"""Settings of the HTTP gateway: the ``gateway`` section of the configuration."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, Field, SecretStr, model_validator

from config.base import Section, SettingsFault, refuse
from config.durations import Seconds
from config.grants import MIN_KEY_CHARS, GrantSettings, tokens_of

Severity = Literal["critical", "major", "minor"]


class SourceSettings(GrantSettings):
    """One sender, its bearer tokens and what it may do."""

    token: SecretStr | None = Field(
        default=None,
        description="What the sender puts after 'Authorization: Bearer '; several, one a line, while one is replaced; after "
        "a token the time until which it holds. Better in token_file.",
    )
    token_file: Path | None = Field(
        default=None,
        description="File whose content is the token, or tokens, e.g. a mounted secret; read again when it changes.",
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="When all tokens of this sender end, e.g. 2027-01-31T00:00:00Z; null: never."
    )

    def tokens(self, text: str) -> list[tuple[str, datetime | None]]:
        """Return the tokens in a text, each with the time until which it holds; raises ValueError as ``tokens_of``."""
        ends = self.expires_at
        return [
            (token, until if ends is None or (until is not None and until < ends) else ends)
            for token, until in tokens_of(text)
        ]

    @model_validator(mode="after")
    def _sound(self) -> SourceSettings:
        faults = self.faults()
        if self.may is not None and not self.may:
            faults.append(
                SettingsFault(("may",), "the source may send nothing", "name event types, or remove the source")
            )
        if self.token is None:
            if self.token_file is None:
                faults.append(SettingsFault(("token",), "the source has no token", "set token_file or token"))
        else:
            try:
                self.tokens(self.token.get_secret_value())
            except ValueError as error:
                faults.append(SettingsFault(("token",), str(error), "make one with: openssl rand -hex 24"))
        refuse(faults)
        return self


class LabelerDims(Section):
    """Where a labeller belongs; Label Studio does not say."""

    team: str | None = Field(default=None, description="Team of this labeller.")
    site: str | None = Field(default=None, description="Site of this labeller.")
    vendor: str | None = Field(default=None, description="Vendor of this labeller.")


class LabelStudioSettings(Section):
    """How Label Studio's webhooks are read."""

    source: str = Field(
        default="default",
        min_length=1,
        max_length=200,
        description="Name in label-studio/<name>, for hooks without ?source= and without a token.",
    )
    queue_field: str = Field(default="queue", description="Field of task.data or task.meta; else the project's title.")
    policy_field: str = Field(default="policy", description="Field of task.data or task.meta that holds the policy.")
    policy_version_field: str = Field(default="policy_version", description="Field of task.data or task.meta.")
    market_field: str = Field(default="lang", description="Field of task.data or task.meta that holds the market.")
    priority_field: str = Field(default="priority", description="Field of task.data or task.meta.")
    due_field: str = Field(
        default="due_at", description="Field of task.data or task.meta: when it is due, RFC 3339 with a zone."
    )
    sla_class_field: str = Field(
        default="sla_class", description="Field of task.data or task.meta that names one of targets.sla_classes."
    )
    severity_control: str = Field(
        default="severity", description="Name of the choices control that tells severity; it is no decision value."
    )
    severities: dict[str, Severity] = Field(
        default={"S4": "critical", "S3": "major"},
        description="By the whole choice or its first word; any other choice of that control is minor.",
    )
    remark_controls: frozenset[str] = Field(
        default=frozenset({"comment", "comments", "note", "notes", "remark", "remarks"}),
        description="Names of text controls that hold remarks and decide nothing. Any other answer that is no choice of the "
        "whole task (a rating, a text, a box) cannot be compared: a review of it gives no verdict.",
    )
    safe_values: frozenset[str] = Field(
        default=frozenset({"Safe"}), description="Values that mean 'no violation': they tell false positives."
    )
    labelers: dict[str, LabelerDims] = Field(
        default={}, description="Team, site and vendor by labeler id (ls-user-7): Label Studio sends none of them."
    )

    @property
    def data_fields(self) -> frozenset[str]:
        """Names of the only fields ever read from task.data and task.meta."""
        return frozenset(
            {
                self.queue_field,
                self.policy_field,
                self.policy_version_field,
                self.market_field,
                self.priority_field,
                self.due_field,
                self.sla_class_field,
            }
        )


class GatewaySettings(Section):
    """The HTTP gateway: hooks, events, tokens, limits."""

    host: str = Field(default="127.0.0.1", description="Loopback, because there is no token by default.")
    port: int = Field(default=8090, ge=0, le=65535, description="0 takes a free port and prints it.")
    sources: dict[str, SourceSettings] = Field(
        default={}, description="Senders by name, each with a token. Empty: anyone who reaches the port may send."
    )
    grant_key: SecretStr | None = Field(
        default=None,
        description="Secret of gateway and workers, by which a worker knows what the gateway says of a sender's rights from "
        "what others write on the raw topics; needed when a source is bound. Better in grant_key_file.",
    )
    grant_key_file: Path | None = Field(default=None, description="File whose content is grant_key.")
    old_grant_key: SecretStr | None = Field(
        default=None, description="The key before: workers take it too, until what it sealed has been read."
    )
    old_grant_key_file: Path | None = Field(default=None, description="File whose content is old_grant_key.")
    allow_unauthenticated: bool = Field(
        default=False,
        description="Start without tokens on an address that others can reach; only behind a proxy or published port "
        "that keeps strangers out.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="Host names by which senders reach it, besides loopback, IP addresses and gateway.host; '*' allows "
        "any. Keeps web pages out that rebind a name of theirs. Empty with tokens: any, for a page has no token.",
    )
    max_body_bytes: int = Field(
        default=16_777_216, ge=1024, le=1_073_741_824, description="After unpacking gzip; larger requests get 413."
    )
    max_in_flight_bytes: int = Field(
        default=67_108_864, ge=1_048_576, description="Waiting for the broker; beyond it senders get 503."
    )
    max_events: int = Field(
        default=50_000, ge=1, le=10_000_000, description="Events of one request; beyond it 413, and none is accepted."
    )
    max_requests: int = Field(
        default=1024,
        ge=8,
        le=1_000_000,
        description="Requests under way; a quarter is for webhooks, and one sender gets at most half of what is free.",
    )
    max_connections: int = Field(
        default=2000,
        ge=16,
        le=1_000_000,
        description="Open connections: half for events, a quarter for webhooks, a quarter on which nothing was let in yet; "
        "never more than open files allow.",
    )
    header_timeout_s: Seconds = Field(default=10, gt=0, le=300, description="For a whole request head, then 408.")
    idle_timeout_s: Seconds = Field(
        default=75, gt=0, le=3600, description="An idle connection is kept so long: longer than proxies keep theirs."
    )
    body_timeout_s: Seconds = Field(default=30, gt=0, le=3600, description="For a whole body, then 408.")
    min_body_bytes_per_s: int = Field(
        default=1024, ge=0, le=1_073_741_824, description="A slower body gets 408 after 5 s; 0 sets no rate."
    )
    request_timeout_s: Seconds = Field(
        default=60, gt=0, le=3600, description="For a whole request from its head to its answer, then 503."
    )
    requests_per_s: float = Field(
        default=500, ge=0, le=1_000_000, description="Of /v1/events, for each sender; 0 sets no limit."
    )
    burst_requests: int = Field(default=1000, ge=1, le=1_000_000, description="How many may come at once.")
    publish_timeout_s: Seconds = Field(
        default=10, gt=0, le=300, description="Longest wait for the broker on /v1/events before 503."
    )
    hook_deadline_s: Seconds = Field(
        default=0.8, gt=0, le=60, description="Label Studio gives up after 1 s and never retries; then to the spool."
    )
    spool_dir: Path | None = Field(
        default=None,
        description="Folder in which each hook is kept on disk until its events are published; without one a hook that "
        "waits for the broker is lost if the gateway is killed.",
    )
    spool_max_hooks: int = Field(
        default=50_000, ge=1, le=10_000_000, description="Hooks that may wait; beyond it they get 503."
    )
    spool_max_bytes: int = Field(
        default=268_435_456, ge=1_048_576, description="Bytes of waiting hooks; beyond it they get 503."
    )
    memory_ttl_s: Seconds = Field(
        default=15 * 86_400, ge=60, description="How long tasks and labels of a tool are remembered: horizon + 1 day."
    )
    label_studio: LabelStudioSettings = Field(
        default=LabelStudioSettings(), description="How Label Studio's webhooks are read."
    )

    @property
    def grant_keys(self) -> tuple[bytes, ...]:
        """The key by which grants are sealed, then the one before it; empty without one."""
        held = [key.get_secret_value().encode() for key in (self.grant_key, self.old_grant_key) if key is not None]
        return tuple(held) if self.grant_key is not None else ()

    @model_validator(mode="after")
    def _keys(self) -> GatewaySettings:
        faults = []
        for name, key in (("grant_key", self.grant_key), ("old_grant_key", self.old_grant_key)):
            if key is not None and len(key.get_secret_value()) < MIN_KEY_CHARS:
                reason = f"the key has fewer than {MIN_KEY_CHARS} characters"
                faults.append(SettingsFault((name,), reason, "make one with: openssl rand -hex 32"))
        if self.old_grant_key is not None and self.grant_key is None:
            faults.append(
                SettingsFault(("old_grant_key",), "there is no key after it", "set grant_key, or grant_key_file")
            )
        if self.grant_key is None:
            for name, source in self.sources.items():
                if source.bound:
                    reason = "the sender is bound, and there is no gateway.grant_key by which workers could know"
                    hint = "make one with: openssl rand -hex 32 > grant.key, and set gateway.grant_key_file for gateway and workers"
                    faults.append(SettingsFault(("sources", name, next(iter(source.bound))), reason, hint))
        refuse(faults)
        return self


def unauthenticated(settings: GatewaySettings) -> str | None:
    """Return why this gateway must not start, or None: without tokens only loopback may be bound."""
    if settings.sources or settings.allow_unauthenticated or _is_loopback(settings.host):
        return None
    return (
        f"gateway.host is {settings.host}, which others can reach, and gateway.sources names no token. "
        "Set FLOORWATCH_GATEWAY__SOURCES__<name>__TOKEN_FILE (or gateway.sources in the YAML), "
        "bind 127.0.0.1, or set gateway.allow_unauthenticated if something else keeps strangers out."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
