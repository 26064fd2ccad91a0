"""How CVAT's webhooks are read: ``gateway.sources.<name>.cvat``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from config.base import Section, SettingsFault, refuse
from gateway.sources.fields import LabelerDims


class ProjectDims(Section):
    """Where the jobs of a project belong; CVAT sends no more than its name."""

    queue: str | None = Field(default=None, description="Queue of its jobs; else as queue_from says.")
    policy: str | None = Field(default=None, description="Policy its jobs are judged by.")
    policy_version: str | None = Field(default=None, description="Version of that policy.")
    market: str | None = Field(default=None, description="Language or region.")
    priority: str | None = Field(default=None, description="Urgency.")
    sla_class: str | None = Field(default=None, description="One of targets.sla_classes: CVAT has no due times.")


class CvatSettings(Section):
    """How one CVAT's webhooks are read."""

    queue_from: Literal["project", "task"] = Field(
        default="project",
        description="Whose name is the queue of a job: its project's, or its task's. project-7 or task-12 where the version of "
        "CVAT sends only ids; the task's for a job without a project.",
    )
    projects: dict[int, ProjectDims] = Field(default={}, description="Dimensions by CVAT's id of the project, e.g. 7.")
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
    labelers: dict[str, LabelerDims] = Field(
        default={}, description="Team, site and vendor by labeler id (cvat:NAME:ann): CVAT sends none of them."
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
