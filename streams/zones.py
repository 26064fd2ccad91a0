"""Says once of each site that events name and no time zone is configured for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from config.tables import TableSettings
from floorwatch.settings.sites import FIX, zoneless, zoneless_words

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 30.0


class ZoneWatch:
    """Compares the sites that a worker counts with those that have a time zone."""

    def __init__(self, tables: TableSettings, sites: Callable[[], set[str]]) -> None:
        """``sites`` gives those of the partitions that this worker owns now."""
        self._tables, self._sites = tables, sites
        self._told: set[str] = set()

    def look(self) -> list[str]:
        """Log the sites not told of before; return all that have no time zone now."""
        found = zoneless(self._sites(), self._tables)
        new = [site for site in found if site not in self._told]
        if new:
            self._told.update(new)
            log.warning("%s. Fix: %s", zoneless_words(new, self._tables), FIX)
        return found

    async def run(self) -> None:
        """Look now and then."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_EVERY_S)
