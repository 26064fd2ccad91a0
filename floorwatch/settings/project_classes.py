"""SLA classes that a tool's projects are given, and that are none of the configuration."""

from __future__ import annotations

from collections.abc import Collection

from config.base import SettingsFault
from config.nearest import nearest
from gateway.settings import GatewaySettings


def project_class_faults(gateway: GatewaySettings, classes: Collection[str]) -> list[SettingsFault]:
    """Return which projects have an SLA class that is not configured.

    Args:
        gateway: The ``gateway`` section.
        classes: Names of ``targets.sla_classes``.
    """
    return [
        SettingsFault(
            ("gateway", *place, "projects", key, "sla_class"),
            f"there is no SLA class {one.sla_class}",
            nearest(one.sla_class, classes) if classes else "add it to targets.sla_classes",
            (("targets", "sla_classes"),),
        )
        for place, section in gateway.sections().items()
        for key, one in section.projects.items()
        if one.sla_class is not None and one.sla_class not in classes
    ]
