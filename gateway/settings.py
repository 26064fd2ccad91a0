"""Settings of the HTTP gateway: the ``gateway`` section of the configuration."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from config.base import Fault, Section, refuse
from config.durations import Seconds

MIN_TOKEN_CHARS = 8

Severity = Literal["critical", "major", "minor"]


class SourceSettings(Section):
    """One sender and its bearer token."""

    token: SecretStr | None = Field(
        default=None, description="What the sender puts after 'Authorization: Bearer '; better in token_file."
    )
    token_file: Path | None = Field(default=None, description="File whose content is the token, e.g. a mounted secret.")
    event_sources: tuple[str, ...] = Field(
        default=(), description="Beginnings of the CloudEvents source it may send; empty allows any."
    )

    @model_validator(mode="after")
    def _has_token(self) -> SourceSettings:
        if self.token is None:
            if self.token_file is None:
                refuse([Fault(("token",), "the source has no token", "set token_file or token")])
        elif len(self.token.get_secret_value()) < MIN_TOKEN_CHARS:
            reason = f"the token has fewer than {MIN_TOKEN_CHARS} characters"
            refuse([Fault(("token",), reason, "make one with: openssl rand -hex 24")])
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


def open_to_strangers(settings: GatewaySettings) -> str | None:
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
