"""Settings of the Prometheus endpoint."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.base import Section
from config.tables import ScopeKind, WindowName
from streams.core.policy import DEFAULT_SCOPES

Port = Annotated[int, Field(ge=0, le=65535)]


class MetricSettings(Section):
    """The Prometheus endpoint."""

    host: str = Field(
        default="127.0.0.1", description="Loopback, because metrics have no login; 0.0.0.0 inside a container."
    )
    port: Port = Field(default=0, description="0 takes a free port and prints it; fix it where Prometheus scrapes.")
    window: WindowName = Field(
        default="1h",
        description="The window shown in series; long enough to hold a sample, short enough to act.",
    )
    scopes: list[ScopeKind] = Field(
        default=[kind for kind in DEFAULT_SCOPES if "labeler" not in kind],
        description="Scopes exported of this window. Of each alert rule its own window and scope are exported too, so that the link of "
        "a message opens a board with lines. Not labeler, whose series would be unbounded and personal.",
    )
