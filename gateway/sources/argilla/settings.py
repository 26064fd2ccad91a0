"""How Argilla's webhooks are read: ``gateway.sources.<name>.argilla``."""

from __future__ import annotations

from pydantic import Field

from config.durations import Seconds
from gateway.sources.fields import Severity
from gateway.sources.places import PlaceSettings

_DAY_S = 86_400


class ArgillaSettings(PlaceSettings):
    """How one Argilla's webhooks are read."""

    auditors: frozenset[str] = Field(
        default=frozenset(),
        description="Roles (owner, admin) or usernames whose answer to a record that somebody else has labelled is an audit "
        "of those labels, e.g. [owner, reviewer]. Empty: every answer is a label.",
    )
    queue_field: str = Field(default="queue", description="Metadata of the record; else the dataset's name.")
    policy_field: str = Field(default="policy", description="Metadata of the record that holds the policy.")
    policy_version_field: str = Field(default="policy_version", description="Metadata of the record.")
    market_field: str = Field(default="lang", description="Metadata of the record that holds the market.")
    priority_field: str = Field(default="priority", description="Metadata of the record.")
    due_field: str = Field(
        default="due_at", description="Metadata of the record: when it is due, RFC 3339 with a zone."
    )
    sla_class_field: str = Field(
        default="sla_class", description="Metadata of the record that names one of targets.sla_classes."
    )
    severity_question: str = Field(
        default="severity", description="Name of the rating or label question that tells severity; it decides nothing."
    )
    severities: dict[str, Severity] = Field(
        default={"4": "critical", "3": "major", "S4": "critical", "S3": "major"},
        description="By the answer to severity_question; any other answer is minor.",
    )
    remark_questions: frozenset[str] = Field(
        default=frozenset({"comment", "comments", "note", "notes", "remark", "remarks"}),
        description="Text questions that hold remarks and decide nothing. Any other answer that is no choice (a rating, a "
        "text, spans, a ranking) cannot be compared: an audit of it gives no verdict.",
    )
    safe_values: frozenset[str] = Field(
        default=frozenset({"Safe"}), description="Values that mean 'no violation': they tell false positives."
    )
    timestamp_tolerance_s: Seconds = Field(
        default=300,
        ge=1,
        le=366 * _DAY_S,
        description="How far the time in a webhook's signature may be from the gateway's clock. A retry has a new one.",
    )

    @property
    def metadata_fields(self) -> tuple[str, ...]:
        """Names of the only metadata that is ever read."""
        return (
            self.queue_field,
            self.policy_field,
            self.policy_version_field,
            self.market_field,
            self.priority_field,
            self.due_field,
            self.sla_class_field,
        )
