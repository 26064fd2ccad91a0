"""Settings that several tools share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.base import Section

Severity = Literal["critical", "major", "minor"]


class LabelerDims(Section):
    """Where a labeller belongs; tools do not say."""

    team: str | None = Field(default=None, max_length=256, description="Team of this labeller.")
    site: str | None = Field(default=None, max_length=256, description="Site of this labeller.")
    vendor: str | None = Field(default=None, max_length=256, description="Vendor of this labeller.")
