"""The one place where tools are registered: a new tool is a package beside this file, and its lines here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from config.base import Section
from gateway.sources.argilla.settings import ArgillaSettings
from gateway.sources.argilla.tool import ARGILLA
from gateway.sources.base import Signature, Tool
from gateway.sources.cvat.settings import CvatSettings
from gateway.sources.cvat.tool import CVAT
from gateway.sources.label_studio.tool import LABEL_STUDIO
from gateway.sources.mapped.settings import MappedSettings
from gateway.sources.mapped.tool import MAPPED

TOOLS: dict[str, Tool] = {one.name: one for one in (LABEL_STUDIO, ARGILLA, CVAT, MAPPED)}
"""By name. A tool whose sources have a ``tool`` is also in ``SignedTool`` and has its section in ``ToolSections``."""

SignedTool = Literal["argilla", "cvat", "mapped"]


class ToolSections(Section):
    """How the webhooks of a source are read, by tool."""

    argilla: ArgillaSettings = Field(default=ArgillaSettings(), description="How Argilla's webhooks are read.")
    cvat: CvatSettings = Field(default=CvatSettings(), description="How CVAT's webhooks are read.")
    mapped: MappedSettings = Field(default=MappedSettings(), description="How the webhooks of a mapped tool are read.")


def tool_of(source: str) -> Tool:
    """Return the tool of a CloudEvents source such as ``argilla/NAME``; before there were others it was Label Studio."""
    return TOOLS.get(source.partition("/")[0], LABEL_STUDIO)


def section_of(tool: Tool, sections: ToolSections | None) -> Any:
    """Return how the webhooks of a source of a tool are read; as by default where the source is no longer configured."""
    return getattr(sections or ToolSections(), tool.section)


def signature_of(tool: Tool, sections: ToolSections | None) -> Signature | None:
    """Return how a source's webhooks are signed; None where it has a token."""
    return tool.signature if tool.signature_of is None else tool.signature_of(section_of(tool, sections))
