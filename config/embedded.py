"""Sections owned by other packages, embedded in the one configuration."""

from __future__ import annotations

from config.base import Section


class GatewaySettings(Section):
    pass


class AlertSettings(Section):
    pass
