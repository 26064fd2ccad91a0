"""Settings of the broker, the topics and the consumer group."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from config.addresses import host_port
from config.base import Section, SettingsFault, refuse
from config.durations import Seconds
from config.topics import RawTopic, RawTopicEntry, TopicName, TopicPart, name_of

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
HostPort = Annotated[str, AfterValidator(host_port)]


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
        faults: list[SettingsFault] = []
        if name.startswith("SASL"):
            if not self.username:
                faults.append(SettingsFault(("username",), f"protocol {name} needs a user name", "set username"))
            if self.password is None:
                faults.append(SettingsFault(("password",), f"protocol {name} needs a password", "set password_file"))
        elif self.username or self.password is not None:
            reason = f"a user or password is given, but protocol {name} would not send it"
            faults.append(SettingsFault(("protocol",), reason, "use SASL_SSL, or remove username and password"))
        if not name.endswith("SSL") and (self.ca_file or self.cert_file or self.key_file):
            reason = f"certificate files are given, but protocol {name} is not encrypted"
            faults.append(SettingsFault(("protocol",), reason, "use SSL or SASL_SSL"))
        if (self.cert_file is None) != (self.key_file is None):
            missing, given = ("key_file", "cert_file") if self.key_file is None else ("cert_file", "key_file")
            faults.append(SettingsFault((given,), "cert_file and key_file go together", f"set {missing} too"))
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
        description="Take a raw record's own time as its arrival where the broker has not stamped it and a header says that "
        "the embedded stack's shipper has; only for that stack.",
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
