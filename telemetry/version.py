"""The version of this Floorwatch, for metrics, status pages and ``--version``."""

from __future__ import annotations

VERSION = "0.1.0"
