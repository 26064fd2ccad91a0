"""CVAT behind the gateway's seam."""

from __future__ import annotations

from typing import Any

from gateway.sources.base import Tool, Webhook
from gateway.sources.cvat.read import redact
from gateway.sources.cvat.signature import CVAT_SIGNATURE
from gateway.sources.cvat.translate import lookups, translate


def project_of(hook: Webhook) -> tuple[Any, Any]:
    """Return id and name of the project of a webhook's job."""
    job = hook.get("job") or {}
    return job.get("project_id"), job.get("project_name")


CVAT = Tool("cvat", "CVAT", CVAT_SIGNATURE, redact, lookups, translate, retries=True, project_of=project_of)
