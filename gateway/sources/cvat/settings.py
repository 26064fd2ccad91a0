"""How CVAT's webhooks are read: ``gateway.sources.<name>.cvat``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from config.base import SettingsFault, refuse
from gateway.sources.places import PlaceSettings


class CvatSettings(PlaceSettings):
    """How one CVAT's webhooks are read."""

    queue_from: Literal["project", "task"] = Field(
        default="project",
        description="Whose name is the queue of a job: its project's, or its task's. project-7 or task-12 where the version of "
        "CVAT sends only ids; the task's for a job without a project.",
    )
    acceptance: Literal["correct", "none"] = Field(
        default="correct",
        description="What it says of a job's work when a reviewer completes its validation or accepts it and nobody has filed an "
        "issue: an audit that says correct, or nothing. Without an issue means that none was filed, not that all was checked.",
    )
    deleted_issue: Literal["keep", "withdraw"] = Field(
        default="keep",
        description="Whether the audit that an issue made stays when the issue is deleted. CVAT sends the same for the issues of "
        "a deleted job, task or project, so withdraw takes their verdicts out of tables.",
    )

    @model_validator(mode="after")
    def _labelers_can_be_met(self) -> CvatSettings:
        refuse(
            [
                SettingsFault(
                    ("labelers", one),
                    "no person of CVAT has such an id",
                    "write cvat:NAME:USERNAME, where NAME is the name of this source",
                )
                for one in sorted(self.labelers)
                if not one.startswith("cvat:") or one.count(":") < 2
            ]
        )
        return self
