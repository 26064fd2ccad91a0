"""The configuration: one frozen pydantic model for one YAML file. Every default has its reason beside it.

Alert rules and gateway settings are owned by their packages and embedded here, so that one file holds everything and
one loader explains every fault.
"""

from __future__ import annotations

from pydantic import Field, PrivateAttr, model_validator

from alerts.rules import Rule
from config.base import Section, SettingsFault, refuse
from config.engine import EngineSettings
from config.events import EventSettings
from config.kafka import KafkaSettings
from config.metrics import MetricSettings
from config.nearest import choices
from config.people import PeopleSettings, RosterSettings
from config.redis import RedisSettings
from config.sampling import SamplingSettings
from config.tables import TableSettings
from config.targets import TargetSettings
from config.topics import RawTopic
from floorwatch.settings.alert_settings import AlertSettings, GatewaySettings
from floorwatch.settings.project_classes import project_class_faults
from floorwatch.settings.sampling_sources import sampling_faults
from floorwatch.web.settings import WebSettings
from streams.core.window_names import same_window
from streams.models.grants import SenderGrant

_RECORD_OVERHEAD_BYTES = 65_536
"""What key and batch add to an event on its topic, generously."""


class FloorwatchConfig(Section):
    """Everything Floorwatch can be told. An empty file is a complete configuration."""

    kafka: KafkaSettings = Field(default=KafkaSettings(), description="Kafka, or anything that speaks its protocol.")
    redis: RedisSettings = Field(
        default=RedisSettings(), description="Redis or Valkey 6 and later; can be rebuilt from Kafka."
    )
    engine: EngineSettings = Field(default=EngineSettings(), description="Batches, intervals and limits.")
    events: EventSettings = Field(
        default=EventSettings(), description="What an event may say, relative to its own time; the rest is refused."
    )
    sampling: SamplingSettings = Field(
        default=SamplingSettings(), description="How audits are drawn whose sender names no probability."
    )
    tables: TableSettings = Field(default=TableSettings(), description="What is counted, over which time.")
    targets: TargetSettings = Field(default=TargetSettings(), description="What the floor promises.")
    people: PeopleSettings = Field(default=PeopleSettings(), description="What is said of people, and from when on.")
    roster: RosterSettings = Field(default=RosterSettings(), description="What a day's staffing is held against.")
    metrics: MetricSettings = Field(default=MetricSettings(), description="The Prometheus endpoint.")
    gateway: GatewaySettings = Field(default=GatewaySettings(), description="The HTTP gateway: hooks, events, tokens.")
    web: WebSettings = Field(
        default=WebSettings(), description="Web pages, and the links in messages that lead to them."
    )
    alerts: AlertSettings = Field(default=AlertSettings(), description="Alert rules and where notifications go.")

    _renamed: tuple[str, ...] = PrivateAttr(default=())

    @property
    def renamed(self) -> tuple[str, ...]:
        """Warnings about settings that were given by an old name (config/renamed.py)."""
        return self._renamed

    def set_renamed(self, said: tuple[str, ...]) -> None:
        """Keep those warnings; for the loader."""
        self._renamed = said

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The alert rules in force."""
        return self.alerts.in_force(self.tables.windows, self.tables.scopes, self.people.exposure)

    @property
    def shown_window(self) -> str:
        """The window of the metrics, by its name in ``tables.windows``."""
        return same_window(self.metrics.window, self.tables.windows) or self.metrics.window

    @model_validator(mode="after")
    def _across_sections(self) -> FloorwatchConfig:
        faults: list[SettingsFault] = []
        if same_window(self.metrics.window, self.tables.windows) is None:
            reason = f"{self.metrics.window} is not among tables.windows"
            faults.append(
                SettingsFault(
                    ("metrics", "window"),
                    reason,
                    choices(self.metrics.window, self.tables.windows),
                    (("tables", "windows"),),
                )
            )
        # Defaults follow a narrowed list of scopes quietly (see floorwatch.settings.policies); only what somebody wrote is a fault.
        written = self.metrics.scopes if "scopes" in self.metrics.model_fields_set else []
        for index, kind in enumerate(written):
            if kind not in self.tables.scopes:
                reason = f"[{', '.join(kind)}] is not among tables.scopes"
                faults.append(
                    SettingsFault(
                        ("metrics", "scopes", index),
                        reason,
                        "add it to tables.scopes or remove it here",
                        (("tables", "scopes"),),
                    )
                )
        faults += self._log_faults()
        for name, allowed_s in self.targets.sla_classes.items():
            if allowed_s > self.events.max_due_s:
                reason = "tasks of this class would be due later than events.max_due_s allows"
                faults.append(
                    SettingsFault(
                        ("targets", "sla_classes", name),
                        reason,
                        "shorten it, or raise the other",
                        (("events", "max_due_s"),),
                    )
                )
        faults += self._topic_faults()
        faults += project_class_faults(self.gateway, self.targets.sla_classes)
        faults += sampling_faults(self.sampling, self.gateway, self.kafka)
        faults += self.alerts.faults(self.tables.windows, self.tables.scopes, self.people.exposure)
        refuse(faults)
        return self

    def topic_grants(self) -> dict[str, SenderGrant]:
        """Return what may come from the raw topics that are bound to a sender, by the topics' full names."""
        found: dict[str, SenderGrant] = {}
        for name, entry in self.kafka.bound_topics().items():
            sender = self.gateway.sources.get(entry.source or "")
            if sender is not None and not entry.limited and not entry.event_sources:
                found[name] = sender.grant(entry.source or "", f"gateway.sources.{entry.source}")
            else:
                found[name] = entry.grant(
                    entry.source or entry.topic, f"the entry of {entry.topic} in kafka.raw_topics"
                )
        return found

    def _topic_faults(self) -> list[SettingsFault]:
        """Return which raw topics are bound to nothing, and which are named twice."""
        faults: list[SettingsFault] = []
        for field in ("raw_topics", "foreign_raw_topics"):
            for at, entry in enumerate(getattr(self.kafka, field)):
                if not isinstance(entry, RawTopic) or entry.limited or entry.event_sources:
                    continue
                if entry.source not in self.gateway.sources:
                    reason = f"{entry.topic} is bound to nothing: no right is said here, and no gateway source is named"
                    hint = "add may, vendor, site, …, or name a source of gateway.sources; a plain name binds nothing"
                    faults.append(SettingsFault(("kafka", field, at), reason, hint, (("gateway", "sources"),)))
        return faults

    def _log_faults(self) -> list[SettingsFault]:
        """Return what does not fit between the topics and what goes through them."""
        faults: list[SettingsFault] = []
        kept, least = self.kafka.events_kept_days, self.tables.correction_horizon_days + 1
        if kept is not None and kept < least:
            reason = f"{kept} days are less than the correction horizon and a day"
            faults.append(
                SettingsFault(
                    ("kafka", "events_kept_days"),
                    reason,
                    f"use {least} or more, or leave it out",
                    (("tables", "correction_horizon_days"),),
                )
            )
        most = self.kafka.max_message_bytes - _RECORD_OVERHEAD_BYTES
        if self.engine.max_event_bytes > most:
            reason = "an event of this size does not fit into kafka.max_message_bytes"
            faults.append(
                SettingsFault(
                    ("engine", "max_event_bytes"),
                    reason,
                    f"use {most} or less, or raise the other",
                    (("kafka", "max_message_bytes"),),
                )
            )
        return faults
