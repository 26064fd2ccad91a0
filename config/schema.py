"""The configuration: one frozen pydantic model for one YAML file. Every default has its reason beside it.

Alert rules and gateway settings are owned by their packages and embedded here, so that one file holds everything and
one loader explains every fault.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from alerts.rules import Rule
from config.addresses import host_port, ratio, redis_url
from config.base import Fault, Section, refuse
from config.durations import Seconds
from config.embedded import AlertSettings, GatewaySettings
from config.events import EventSettings
from config.people import PeopleSettings, RosterSettings
from config.tables import ScopeKind, TableSettings
from config.topics import RawTopic, RawTopicEntry, TopicName, TopicPart, name_of
from streams.core.policy import DEFAULT_SCOPES
from streams.models.grants import SenderGrant

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
HostPort = Annotated[str, AfterValidator(host_port)]
RedisUrl = Annotated[str, AfterValidator(redis_url)]
Port = Annotated[int, Field(ge=0, le=65535)]
Ratio = Annotated[float, AfterValidator(ratio)]


_RECORD_OVERHEAD_BYTES = 65_536
"""What key and batch add to an event on its topic, generously."""


class KafkaSecurity(Section):
    """How to reach a broker that asks who is calling."""

    protocol: Protocol = Field(
        default="PLAINTEXT", description="PLAINTEXT suits a loopback broker; use SASL_SSL over a network."
    )
    mechanism: Mechanism = Field(
        default="SCRAM-SHA-512", description="Only read with SASL; the strongest that Kafka ships."
    )
    username: str | None = Field(
        default=None, description="SASL user; none by default because the default protocol has none."
    )
    password: SecretStr | None = Field(
        default=None, description="SASL password; better in password_file or the environment."
    )
    password_file: Path | None = Field(
        default=None, description="File whose content is the password, e.g. a mounted secret."
    )
    ca_file: Path | None = Field(default=None, description="PEM of the authority; none means the system's trust store.")
    cert_file: Path | None = Field(
        default=None, description="PEM client certificate, for brokers that ask for mutual TLS."
    )
    key_file: Path | None = Field(default=None, description="PEM private key of cert_file.")

    @model_validator(mode="after")
    def _consistent(self) -> KafkaSecurity:
        name = self.protocol
        faults: list[Fault] = []
        if name.startswith("SASL"):
            if not self.username:
                faults.append(Fault(("username",), f"protocol {name} needs a user name", "set username"))
            if self.password is None:
                faults.append(Fault(("password",), f"protocol {name} needs a password", "set password_file"))
        elif self.username or self.password is not None:
            reason = f"a user or password is given, but protocol {name} would not send it"
            faults.append(Fault(("protocol",), reason, "use SASL_SSL, or remove username and password"))
        if not name.endswith("SSL") and (self.ca_file or self.cert_file or self.key_file):
            reason = f"certificate files are given, but protocol {name} is not encrypted"
            faults.append(Fault(("protocol",), reason, "use SSL or SASL_SSL"))
        if (self.cert_file is None) != (self.key_file is None):
            missing, given = ("key_file", "cert_file") if self.key_file is None else ("cert_file", "key_file")
            faults.append(Fault((given,), "cert_file and key_file go together", f"set {missing} too"))
        refuse(faults)
        return self


class KafkaSettings(Section):
    """The broker, the topics and the consumer group."""

    brokers: list[HostPort] = Field(
        default=["127.0.0.1:9092"], min_length=1, description="host:port list; 9092 is Kafka's own default port."
    )
    topic_prefix: TopicPart = Field(
        default="floorwatch.", description="Put before each topic, so that a shared cluster stays tidy."
    )
    partitions: int = Field(
        default=4,
        ge=1,
        le=1024,
        description="Of every topic; 4 workers' worth for one floor. Cannot be changed with data in place.",
    )
    replication: int = Field(default=1, ge=1, le=15, description="1 suits one broker; use 3 on a cluster.")
    group: TopicName = Field(
        default="floorwatch", description="Consumer group; two installations on one cluster need two names."
    )
    session_timeout_s: Seconds = Field(
        default=6,
        ge=1,
        le=300,
        description="A dead worker's partitions move after this; below 6 s a busy worker looks dead.",
    )
    rebalance_timeout_s: Seconds = Field(
        default=15,
        ge=1,
        le=900,
        description="How long a rebalance waits for a busy member; one put out for being slow puts out others in turn.",
    )
    idempotent_producer: bool = Field(
        default=True,
        description="A batch sent again cannot land behind a newer one; false for brokers without InitProducerId.",
    )
    trust_record_time: bool = Field(
        default=False,
        description="Take a raw record's own time as its arrival where the broker has not stamped it; only for the embedded "
        "broker, whose shipper does.",
    )
    max_message_bytes: int = Field(
        default=8_388_608,
        ge=1_048_576,
        le=67_108_864,
        description="Largest record of each topic: a row of some 350,000 distinct labelers. Kafka's own 1 MiB holds 40,000.",
    )
    events_kept_days: int | None = Field(
        default=None,
        ge=2,
        le=3660,
        description="Of the log of events; none keeps the correction horizon and a day. table --as-of reaches this far less "
        "the horizon.",
    )
    raw_topics: list[RawTopicEntry] = Field(
        default=["raw.v1"],
        min_length=1,
        description="Raw inputs, without the prefix; raw.v1 is what gateway and SDK write. {topic: a.v1, source: vendor-a, may: "
        "[label.*], vendor: bpo-a} binds what others than the gateway write there.",
    )
    foreign_raw_topics: list[RawTopicEntry] = Field(
        default=[],
        description="Further raw inputs by their full names, or with a grant as above: topics of your own that hold contract "
        "events.",
    )
    security: KafkaSecurity = Field(default=KafkaSecurity(), description="How the broker is reached.")

    @property
    def intake_topics(self) -> tuple[str, ...]:
        """Full names of every topic that intake reads."""
        return tuple(self._entries)

    @property
    def _entries(self) -> dict[str, str | RawTopic]:
        """Each raw topic's entry by its full name."""
        own = {self.topic_prefix + name_of(entry): entry for entry in self.raw_topics}
        foreign = {name_of(entry): entry for entry in self.foreign_raw_topics}
        return {**own, **{name: entry for name, entry in foreign.items() if name not in own}}

    def bound_topics(self) -> dict[str, RawTopic]:
        """Return the raw topics that are bound to a sender, by their full names."""
        return {name: entry for name, entry in self._entries.items() if isinstance(entry, RawTopic)}


class RedisSettings(Section):
    """Where the read model and the outbox live."""

    url: RedisUrl = Field(
        default="redis://127.0.0.1:6379/0",
        description="redis:// or, with TLS, rediss://; 6379 is Redis's own default port.",
    )
    prefix: str = Field(
        default="floorwatch:", description="Put before each key, so that a shared Redis stays tidy.", max_length=64
    )
    password: SecretStr | None = Field(default=None, description="None because a loopback Redis has none.")
    password_file: Path | None = Field(
        default=None, description="File whose content is the password, e.g. a mounted secret."
    )
    ca_file: Path | None = Field(
        default=None, description="PEM of the authority for rediss://; none means the system's store."
    )

    @model_validator(mode="before")
    @classmethod
    def _password_out_of_url(cls, data: object) -> object:
        """Move a password from the URL to its own field: a URL is printed in errors and logs, a SecretStr is not."""
        if not isinstance(data, dict) or not isinstance(data.get("url"), str):
            return data
        parts = urlsplit(data["url"])
        if parts.password is None:
            return data
        host = parts.netloc.rpartition("@")[2]
        netloc = f"{parts.username}@{host}" if parts.username else host
        moved = {**data, "url": urlunsplit(parts._replace(netloc=netloc))}
        if moved.get("password") is None:
            moved["password"] = unquote(parts.password)
        return moved


class EngineSettings(Section):
    """How often work is folded, flushed and published, and the limits on what is accepted."""

    flush_interval_s: Seconds = Field(
        default=0.5,
        ge=0.05,
        le=60,
        description="State to the changelog, then commit; what a crash makes a worker fold again.",
    )
    publish_interval_s: Seconds = Field(
        default=0.5,
        ge=0.05,
        le=300,
        description="Tables to topics and Redis; faster than people read only costs bandwidth.",
    )
    max_batch_records: int = Field(
        default=5000,
        ge=1,
        le=100_000,
        description="Records of one micro-batch: about 25 ms of work, so heartbeats keep time.",
    )
    max_unflushed_records: int = Field(
        default=200_000,
        ge=1000,
        le=10_000_000,
        description="Of a stage and partition, folded and not flushed; beyond it folding waits. 2 s of full speed.",
    )
    max_unflushed_bytes: int = Field(
        default=134_217_728,
        ge=1_048_576,
        le=17_179_869_184,
        description="The same in bytes: 200,000 events of usual size come to half of it.",
    )
    max_in_flight_bytes: int = Field(
        default=33_554_432,
        ge=1_048_576,
        le=94_371_840,
        description="Unacknowledged by the broker; beyond it writing waits. Kafka refuses requests above 100 MiB.",
    )
    idle_timeout_s: Seconds = Field(
        default=30,
        ge=1,
        le=86_400,
        description="A partition without events for this long no longer holds the watermark of the tables back.",
    )
    future_tolerance_s: Seconds = Field(
        default=300,
        ge=0,
        le=86_400,
        description="Events dated further ahead are refused; 5 min covers clocks without NTP.",
    )
    max_event_bytes: int = Field(
        default=1_048_576,
        ge=1024,
        le=16_777_216,
        description="Larger events are refused; 1 MiB is Kafka's own message limit.",
    )
    hot_tasks: int = Field(
        default=1_000_000,
        ge=0,
        le=1_000_000_000,
        description="Tasks a partition keeps in memory, 0.3 kB each; more go to disk. 0 keeps all in memory.",
    )
    state_dir: Path | None = Field(
        default=None,
        description="Where such tasks go, emptied at every start; none means the system's temporary directory.",
    )


class TargetSettings(Section):
    """What the floor promises; alerts and boards measure against these."""

    accuracy_ratio: Ratio = Field(
        default=0.95, description="What contracts ask; public programmes report 80 to 92 percent."
    )
    critical_accuracy_ratio: Ratio = Field(
        default=0.995, description="Labels without a critical error; one in 200 is the usual bar."
    )
    attainment_ratio: Ratio = Field(
        default=0.95, description="Tasks decided by their due time; the usual contract figure."
    )
    sla_classes: dict[str, Seconds] = Field(
        default={"priority": 3600, "normal": 86_400},
        description="Time from creation to due for tasks that name a class instead of due_at: 1 h urgent, 24 h normal.",
    )

    @model_validator(mode="after")
    def _positive_classes(self) -> TargetSettings:
        empty = [name for name, seconds in self.sla_classes.items() if seconds == 0]
        refuse([Fault(("sla_classes", name), "must be longer than 0", "write e.g. 1h") for name in empty])
        return self


class MetricSettings(Section):
    """The Prometheus endpoint."""

    host: str = Field(
        default="127.0.0.1", description="Loopback, because metrics have no login; 0.0.0.0 inside a container."
    )
    port: Port = Field(default=0, description="0 takes a free port and prints it; fix it where Prometheus scrapes.")
    window: str = Field(
        default="1h", description="The window shown in series; long enough to hold a sample, short enough to act."
    )
    scopes: list[ScopeKind] = Field(
        default=[kind for kind in DEFAULT_SCOPES if "labeler" not in kind],
        description="Scopes exported; not labeler, whose series would be unbounded and personal.",
    )


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
    tables: TableSettings = Field(default=TableSettings(), description="What is counted, over which time.")
    targets: TargetSettings = Field(default=TargetSettings(), description="What the floor promises.")
    people: PeopleSettings = Field(default=PeopleSettings(), description="What is said of people, and from when on.")
    roster: RosterSettings = Field(default=RosterSettings(), description="What a day's staffing is held against.")
    metrics: MetricSettings = Field(default=MetricSettings(), description="The Prometheus endpoint.")
    gateway: GatewaySettings = Field(default=GatewaySettings(), description="The HTTP gateway: hooks, events, tokens.")
    alerts: AlertSettings = Field(default=AlertSettings(), description="Alert rules and where notifications go.")

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The alert rules in force."""
        return self.alerts.in_force(self.tables.windows, self.tables.scopes, self.people.exposure)

    @model_validator(mode="after")
    def _across_sections(self) -> FloorwatchConfig:
        faults: list[Fault] = []
        if self.metrics.window not in self.tables.windows:
            reason = f"{self.metrics.window} is not among tables.windows"
            faults.append(Fault(("metrics", "window"), reason, f"use one of {', '.join(self.tables.windows)}"))
        # Defaults follow a narrowed list of scopes quietly (see config.lower); only what somebody wrote is a fault.
        written = self.metrics.scopes if "scopes" in self.metrics.model_fields_set else []
        for index, kind in enumerate(written):
            if kind not in self.tables.scopes:
                reason = f"[{', '.join(kind)}] is not among tables.scopes"
                faults.append(Fault(("metrics", "scopes", index), reason, "add it to tables.scopes or remove it here"))
        faults += self._log_faults()
        for name, allowed_s in self.targets.sla_classes.items():
            if allowed_s > self.events.max_due_s:
                reason = "tasks of this class would be due later than events.max_due_s allows"
                faults.append(Fault(("targets", "sla_classes", name), reason, "shorten it, or raise the other"))
        faults += self._topic_faults()
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

    def _topic_faults(self) -> list[Fault]:
        """Return which raw topics are bound to nothing, and which are named twice."""
        faults: list[Fault] = []
        for field in ("raw_topics", "foreign_raw_topics"):
            for at, entry in enumerate(getattr(self.kafka, field)):
                if not isinstance(entry, RawTopic) or entry.limited or entry.event_sources:
                    continue
                if entry.source not in self.gateway.sources:
                    reason = f"{entry.topic} is bound to nothing: no right is said here, and no gateway source is named"
                    hint = "add may, vendor, site, …, or name a source of gateway.sources; a plain name binds nothing"
                    faults.append(Fault(("kafka", field, at), reason, hint))
        return faults

    def _log_faults(self) -> list[Fault]:
        """Return what does not fit between the topics and what goes through them."""
        faults: list[Fault] = []
        kept, least = self.kafka.events_kept_days, self.tables.correction_horizon_days + 1
        if kept is not None and kept < least:
            reason = f"{kept} days are less than the correction horizon and a day"
            faults.append(Fault(("kafka", "events_kept_days"), reason, f"use {least} or more, or leave it out"))
        most = self.kafka.max_message_bytes - _RECORD_OVERHEAD_BYTES
        if self.engine.max_event_bytes > most:
            reason = "an event of this size does not fit into kafka.max_message_bytes"
            faults.append(Fault(("engine", "max_event_bytes"), reason, f"use {most} or less, or raise the other"))
        return faults
