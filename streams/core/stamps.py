"""Times as text and back, whole milliseconds."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache


@lru_cache(maxsize=4096)
def rfc3339(time_ms: int) -> str:
    """Return milliseconds since 1970 as RFC 3339 in UTC.

    Example:
        >>> rfc3339(1_795_396_242_250)
        '2026-11-23T01:10:42.250Z'
    """
    whole, ms = divmod(time_ms, 1000)
    text = datetime.fromtimestamp(whole, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms:03d}Z" if ms else f"{text}Z"
