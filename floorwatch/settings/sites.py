"""Sites without a time zone: their days and shifts begin where another place's do, and nothing else says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from config.tables import TableSettings
from floorwatch.settings.schema import FloorwatchConfig
from streams.core.window_names import CALENDAR_WINDOWS

FIX = "add them to tables.zones, for example {KUL: Asia/Kuala_Lumpur}"
_NAMED = 5


def named_sites(config: FloorwatchConfig) -> set[str]:
    """Return the sites that a configuration names: of tools' people, of senders' grants and of alert rules."""
    found = {one.site for one in config.gateway.known_labelers() if one.site}
    grants = [*config.gateway.sources.values(), *config.kafka.bound_topics().values()]
    found |= {site for one in grants for site in one.bound.get("site", ())}
    return found | {rule.scope.exact["site"] for rule in config.rules if "site" in rule.scope.exact}


def zoneless(sites: Iterable[str], tables: TableSettings) -> list[str]:
    """Return those of some sites that have no time zone, in order; none where no window hangs on one."""
    if not any(name in CALENDAR_WINDOWS for name in tables.windows):
        return []
    return sorted(set(sites) - set(tables.zones))


def zoneless_words(sites: Sequence[str], tables: TableSettings, windows: Sequence[str] | None = None) -> str:
    """Return ``no time zone is configured for MNL: their day is that of UTC``.

    Args:
        sites: Those without a zone.
        tables: The ``tables`` section.
        windows: The calendar windows spoken of; all that are kept by default.
    """
    names = [name for name in CALENDAR_WINDOWS if name in tables.windows] if windows is None else windows
    more = f" and {len(sites) - _NAMED} more" if len(sites) > _NAMED else ""
    verb = "is" if len(names) == 1 else "are"
    return (
        f"no time zone is configured for {', '.join(sites[:_NAMED])}{more}: their {' and '.join(names)} {verb} that of "
        f"{tables.default_zone}"
    )
