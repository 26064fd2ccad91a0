"""Argilla behind the gateway's seam."""

from __future__ import annotations

from gateway.sources.argilla.read import redact
from gateway.sources.argilla.translate import lookups, translate
from gateway.sources.base import Tool
from gateway.sources.standard_webhooks import STANDARD_WEBHOOKS

ARGILLA = Tool("argilla", "Argilla", STANDARD_WEBHOOKS, redact, lookups, translate, lookup_rounds=2, retries=True)
