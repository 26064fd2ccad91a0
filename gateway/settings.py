"""Settings of the HTTP gateway: the ``gateway`` section of the configuration."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, Field, SecretStr, model_validator

from config.base import Section, SettingsFault, refuse
from config.durations import Seconds
from config.grants import MIN_KEY_CHARS, GrantSettings, tokens_of
from gateway.sources.base import Signature
from gateway.sources.fields import LabelerDims
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.sources.registry import TOOLS, SignedTool, ToolSections, section_of, signature_of, tool_of


class SourceSettings(GrantSettings, ToolSections):
    """One sender, its bearer tokens or the secret by which its tool signs, and what it may do."""

    tool: SignedTool | None = Field(
        default=None,
        description="The tool that sends webhooks to /v1/hooks/<tool>?source=<name of this source>; null for senders "
        "of events.",
    )
    secret: SecretStr | None = Field(
        default=None,
        description="What the tool signs its webhooks with; several, one a line, while one is replaced. Better in secret_file.",
    )
    secret_file: Path | None = Field(
        default=None, description="File whose content is the secret, or secrets; read again when it changes."
    )
    token: SecretStr | None = Field(
        default=None,
        description="What the sender puts after 'Authorization: Bearer '; several, one a line, while one is replaced; after "
        "a token the time until which it holds. Better in token_file.",
    )
    token_file: Path | None = Field(
        default=None,
        description="File whose content is the token, or tokens, e.g. a mounted secret; read again when it changes.",
    )
    maintenance: bool | None = Field(
        default=None,
        description="Whether it may plan maintenance windows (/v1/maintenance), in which nobody is told of alerts; a bound "
        "sender only of what it is bound to. null: a sender that nothing limits may.",
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="When all tokens of this sender end, e.g. 2027-01-31T00:00:00Z; null: never."
    )

    @property
    def may_plan(self) -> bool:
        """Whether it may plan maintenance windows."""
        return not self.limited if self.maintenance is None else self.maintenance

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
        faults += self._signing_faults()
        if self.signature is not None:
            refuse(faults)
            return self
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

    def secrets(self, text: str) -> list[bytes]:
        """Return the keys in the text of a secret. Raises ValueError, with a sentence that does not show it."""
        signature = self.signature
        return [] if signature is None else signature.secrets(text)

    @property
    def signature(self) -> Signature | None:
        """How its webhooks are signed; None where a token says who sends."""
        return None if self.tool is None else signature_of(TOOLS[self.tool], self)

    def _changed_sections(self) -> set[str]:
        """Return the tools' sections in which something is set."""
        return {one for one, field in ToolSections.model_fields.items() if getattr(self, one) != field.default}

    def _signing_faults(self) -> list[SettingsFault]:
        hint = "it is what the tool shows for its webhook; put it into a file and name that as secret_file"
        if self.tool is None:
            given = {
                one for one in ("secret", "secret_file") if getattr(self, one) is not None
            } | self._changed_sections()
            reason = "the source names no tool, so this is not used"
            return [SettingsFault((one,), reason, "set tool, e.g. tool: argilla") for one in sorted(given)]
        title = TOOLS[self.tool].title
        others = self._changed_sections() - {TOOLS[self.tool].section}
        reason = f"the source's tool is {self.tool}, so this is not used"
        found = [SettingsFault((one,), reason, "remove it") for one in sorted(others)]
        if self.tool == "mapped" and self.mapped.mapping is None:
            reason = "the source names no mapping, so nothing says what its webhooks mean"
            found.append(SettingsFault(("mapped", "mapping"), reason, "e.g. mapped: {mapping: mappings/tool.yaml}"))
        if self.signature is None:
            reason = "nothing is signed with it, so it is not used"
            unused = [one for one in ("secret", "secret_file") if getattr(self, one) is not None]
            return [*found, *(SettingsFault((one,), reason, "remove it, and set token_file") for one in unused)]
        for one in ("token", "token_file", "expires_at", "maintenance"):
            if getattr(self, one) is not None:
                reason = f"{title} signs its webhooks and sends no token"
                found.append(SettingsFault((one,), reason, "remove it, and set secret_file"))
        if self.secret is None and self.secret_file is None:
            found.append(
                SettingsFault(("secret",), f"the source has no secret of {title}", f"set secret_file or secret: {hint}")
            )
        if self.secret is not None:
            try:
                self.secrets(self.secret.get_secret_value())
            except ValueError as error:
                found.append(SettingsFault(("secret",), str(error), hint))
        return found


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
    max_hook_bytes: int = Field(
        default=268_435_456,
        ge=1024,
        le=4_294_967_296,
        description="Of a webhook of Label Studio, which is reduced while it arrives; larger ones get 413. Any one task, annotation or "
        "project in it: max_body_bytes.",
    )
    max_in_flight_bytes: int = Field(
        default=67_108_864, ge=1_048_576, description="Waiting for the broker; beyond it senders get 503."
    )
    max_events: int = Field(
        default=50_000,
        ge=1,
        le=10_000_000,
        description="Events of one request, tasks of one webhook of Label Studio; beyond it 413, and none is accepted.",
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
        default=250_000, ge=1, le=10_000_000, description="Hooks that may wait; beyond it they get 503."
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

    def tool_settings(self, source: str) -> Any:
        """Return how the webhooks of a CloudEvents source, e.g. ``argilla/NAME``, are read: its tool's section."""
        tool = tool_of(source)
        if not tool.of_source:
            return getattr(self, tool.section)
        return section_of(tool, self.sources.get(source.partition("/")[2]))

    def sections(self) -> dict[tuple[str, ...], Any]:
        """Return the sections of all tools, by their place below ``gateway``."""
        found: dict[tuple[str, ...], Any] = {("label_studio",): self.label_studio}
        for name, source in self.sources.items():
            found |= {("sources", name, tool): getattr(source, tool) for tool in ToolSections.model_fields}
        return found

    def known_labelers(self) -> list[LabelerDims]:
        """Return what the sections of all tools say of labellers; of projects what holds for their labellers."""
        sections = self.sections().values()
        return [dims for one in sections for dims in (*one.people.values(), *one.projects.values())]

    @property
    def grant_keys(self) -> tuple[bytes, ...]:
        """The key that signs grants, then the former one; empty without a key."""
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
