"""CVAT behind the gateway's seam."""

from __future__ import annotations

from gateway.sources.base import Tool
from gateway.sources.cvat.read import redact
from gateway.sources.cvat.signature import CVAT_SIGNATURE
from gateway.sources.cvat.translate import lookups, translate

CVAT = Tool("cvat", "CVAT", CVAT_SIGNATURE, redact, lookups, translate, retries=True)
