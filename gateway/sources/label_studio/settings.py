"""How Label Studio's webhooks are read: ``gateway.label_studio``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from config.base import SettingsFault, refuse
from config.grants import MIN_KEY_CHARS
from config.tables import Zone
from gateway.sources.fields import Severity
from gateway.sources.places import PlaceSettings

Confirmation = Literal["unchanged", "lead_time", "ground_truth"]


class LabelStudioSettings(PlaceSettings):
    """How Label Studio's webhooks are read."""

    source: str = Field(
        default="default",
        min_length=1,
        max_length=200,
        description="Name in label-studio/<name>, for hooks without ?source= and without a token.",
    )
    ids_by_source: bool = Field(
        default=False,
        description="Whether ids of tasks and people carry the source (ls:kul:1-5, ls:kul:user-7), so that two Label Studios share "
        "none. Switch it on before the first event: it gives every task and person a new id.",
    )
    queue_field: str = Field(default="queue", description="Field of task.data or task.meta; else the project's title.")
    policy_field: str = Field(default="policy", description="Field of task.data or task.meta that holds the policy.")
    policy_version_field: str = Field(default="policy_version", description="Field of task.data or task.meta.")
    market_field: str = Field(default="lang", description="Field of task.data or task.meta that holds the market.")
    priority_field: str = Field(default="priority", description="Field of task.data or task.meta.")
    due_field: str = Field(
        default="due_at",
        description="Field of task.data or task.meta: when it is due, RFC 3339 with a zone, or without one in due_zone.",
    )
    due_zone: Zone | None = Field(
        default=None,
        description="IANA zone, such as Asia/Kuala_Lumpur, of due times that name none; unset, such a task has no due time.",
    )
    sla_class_field: str = Field(
        default="sla_class", description="Field of task.data or task.meta that names one of targets.sla_classes."
    )
    values: Literal["auto", "choice", "control=choice"] = Field(
        default="auto",
        description="What a decision is called: by its choice, by control=choice, or by the latter only in projects with two or more "
        "Choices controls beside severity_control.",
    )
    severity_control: str = Field(
        default="severity", description="Name of the choices control that tells severity; it is not a decision value."
    )
    severities: dict[str, Severity] = Field(
        default={"S4": "critical", "S3": "major"},
        description="By the whole choice or its first word; any other choice of that control is minor.",
    )
    remark_controls: frozenset[str] = Field(
        default=frozenset({"comment", "comments", "note", "notes", "remark", "remarks"}),
        description="Names of text controls that hold remarks and decide nothing. Any other answer that is not a choice of the "
        "whole task (a rating, a text, a box) is compared by its digest (digest_key).",
    )
    digest_key: SecretStr | None = Field(
        default=None,
        description="Secret of all gateways of this installation, by which a review of a rating, a text or a box is compared with the "
        "label without keeping either; without one such a review gives no verdict. Better in digest_key_file.",
    )
    digest_key_file: Path | None = Field(default=None, description="File whose content is digest_key.")
    safe_values: frozenset[str] = Field(
        default=frozenset({"Safe"}), description="Values that mean 'no violation': they tell false positives."
    )
    reviewers: frozenset[str] | None = Field(
        default=None,
        description="Ids (ls-user-7) of those whose change of somebody else's answer is a review; null: everybody. Label Studio "
        "sends no roles. Changes by others count nowhere.",
    )
    confirmations: frozenset[Confirmation] = Field(
        default=frozenset({"unchanged"}),
        description="Which saves of somebody else's answer, left as it is, say that it is correct: unchanged (nothing at all is "
        "changed; only programs save so), lead_time (only the work time: Update in the editor), ground_truth (it is marked).",
    )

    @model_validator(mode="after")
    def _sound(self) -> LabelStudioSettings:
        if self.digest_key is not None and len(self.digest_key.get_secret_value()) < MIN_KEY_CHARS:
            reason = f"the key has fewer than {MIN_KEY_CHARS} characters, so it could be guessed"
            hint = "make one with: openssl rand -hex 32 > digest.key, and set digest_key_file for all gateways"
            refuse([SettingsFault(("digest_key",), reason, hint)])
        return self

    @property
    def digest_bytes(self) -> bytes | None:
        """The key of digests, or None."""
        return None if self.digest_key is None else self.digest_key.get_secret_value().encode()

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
