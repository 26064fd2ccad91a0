"""One line in the log for each refused request, and one now and then for many that are alike.

A labelling tool that is set up wrongly shows nothing to the people who use it, so this is where its operator looks. A line
holds words of ours only: no header, token, query or body, of a path only what is like one of ours, and of an address only
where it lies. Requests that are alike, which are those of one source and one code, leave a few lines in a while and then one
that says how many more there were, so a flood costs a bounded number of lines.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection
from ipaddress import IPv6Address, ip_address

from aiohttp import hdrs, web

from gateway.answers import LOGGED, REFUSAL
from gateway.sources.registry import TOOLS
from streams.adapters.refused_requests import UNKNOWN
from telemetry.occasionally import Occasionally

_log = logging.getLogger(__name__)

SAY_EVERY_S = 10.0
AT_ONCE = 5
"""Lines of one source and code in a while; what follows is counted and said in one line."""

MAX_CHARS = 400
_MOST_SEGMENTS, _MOST_SEGMENT_CHARS = 6, 40
_LIKE = 0.7
_WORDS = ("v1", "events", "maintenance", "hooks", "metrics", "healthz", "readyz", "statusz", *TOOLS)
_METHODS = frozenset(hdrs.METH_ALL) - {hdrs.METH_ANY}
_BETWEEN = "\N{INFORMATION SEPARATOR ONE}"


class RefusalLog:
    """Writes what is refused into the log, rate-limited."""

    def __init__(self, sources: Collection[str], say: Occasionally) -> None:
        """Take the names of configured sources, and what tells how often something may be said."""
        self._sources = frozenset(sources)
        self._say = say
        self._last: dict[str, str] = {}

    def request(self, request: web.BaseRequest, response: web.StreamResponse, sender: str) -> str:
        """Note a request that was answered with a refusal; return the source it is of, or says it is of.

        Args:
            request: Its head.
            response: The answer; its code and reason are taken from it.
            sender: Name of the source whose token or signature it showed, ``anyone``, or empty before one was looked at.
        """
        code, reason = response.get(REFUSAL, "refused"), response.get(LOGGED, "")
        claimed = "" if sender else request.query.get("source", "")
        if claimed not in self._sources:
            claimed = ""
        whose = sender or (f"{claimed}, as it says" if claimed else UNKNOWN)
        # A failure of ours is told with its place, and each place for itself.
        kind = _BETWEEN.join((whose, code, reason if response.status == 500 else ""))
        count = self._say.due(kind, AT_ONCE)
        if count:
            method = request.method if request.method in _METHODS else "?"
            where = f"{method} {shown_path(request.path)}, source {whose}, {address_class(request.remote or '')}"
            self._write(kind, f"refused {response.status} {code}: {where}: {reason}", count - 1)
        return sender or claimed or UNKNOWN

    def connection(self, code: str, what: str, status: int = 0, peer: str = "") -> None:
        """Note a connection that was ended, or on which came no HTTP.

        Args:
            code: Why, as the metrics count it.
            what: The same in words, which quote nothing.
            status: What was answered; 0 without an answer.
            peer: The other side's address.
        """
        kind = _BETWEEN.join(("", code, what))
        count = self._say.due(kind, AT_ONCE if status else 1)
        if count:
            said = f"refused {status} {code}" if status else f"connection ended, {code}"
            self._write(kind, f"{said}: {address_class(peer)}: {what}", count - 1)

    def say_rest(self, *, last: bool = False) -> None:
        """Say how many more there were of what was not said one by one; to be called each second, and at the end."""
        for kind, count in self._say.overdue(last=last):
            self._write(kind, self._last.get(kind, kind), count)
        self._last = {kind: text for kind, text in self._last.items() if self._say.knows(kind)}

    def _write(self, kind: str, text: str, more: int) -> None:
        self._last[kind] = text
        _log.warning("%s%s", text[:MAX_CHARS], f" (and {more} more since)" if more else "")


def address_class(address: str) -> str:
    """Return where an address lies, in words: its digits are nobody's business in a log.

    >>> address_class("10.1.2.3"), address_class("::1")
    ('from a private address', 'from this machine')
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "from an unknown address"
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if found.is_loopback:
        return "from this machine"
    return "from a private address" if found.is_private else "from a public address"


def shown_path(path: str) -> str:
    """Return a path as it may be shown: parts that are like none of ours may be a secret or content, and are left out.

    >>> shown_path("/v1/hooks/label-studo"), shown_path("/v1/hooks/4f2c8a90bd")
    ('/v1/hooks/label-studo', '/v1/hooks/…')
    """
    segments = path.split("/")[1:]
    shown = [_shown(one) for one in segments[:_MOST_SEGMENTS]]
    return "/" + "/".join([*shown, *(["…"] if len(segments) > _MOST_SEGMENTS else [])])


def _shown(segment: str) -> str:
    if not segment or segment in _WORDS:
        return segment
    if (
        len(segment) > _MOST_SEGMENT_CHARS
        or not segment.isascii()
        or not segment.replace("-", "").replace("_", "").isalnum()
    ):
        return "…"
    return segment if difflib.get_close_matches(segment.lower(), _WORDS, 1, _LIKE) else "…"
