"""Decides when a process of the stack that ended is started again, and when a running one must be replaced."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 10.0
CONFIG_BACKOFF_S = 30.0
"""Pause after exit code 78: a restart helps only after somebody has changed something."""
STABLE_S = 30.0
"""A process that ran this long starts again with the shortest pause."""
LOOP_ENDS = 3
"""After this many ends in a row, a process counts as being in a crash loop."""
UNREADY_S = 120.0
"""A running process is restarted when it has given no answer, or has not been ready for a reason that a restart may
fix, for this long."""
ASK_S = 5.0
"""Pause between two readiness checks of a process."""


class Readiness(NamedTuple):
    """What a process answers when asked whether it is ready.

    Attributes:
        ok: It is.
        reasons: Why not; empty where it gave no answer.
        recovering: It restores its state, which takes longer for more state.
        waits: A restart would not help: it recovers, or waits for others.
        answered: There was an answer at all.
    """

    ok: bool
    reasons: tuple[str, ...] = ()
    recovering: bool = False
    waits: bool = False
    answered: bool = True

    @property
    def why(self) -> str:
        """Why it is not ready, in words."""
        if not self.answered:
            return "it does not answer"
        return "; ".join(self.reasons) or "it is not ready and does not say why"


Ask = Callable[[], Awaitable[Readiness]]


async def ask_ready(url: str, timeout_s: float = 2.0) -> Readiness:
    """Ask a ``/readyz``.

    Args:
        url: Of the endpoint.
        timeout_s: Longest wait for the answer.
    """
    import aiohttp

    try:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            said: Any = await answer.json(content_type=None) if answer.status >= 300 else {}
            ok = 200 <= answer.status < 300
    except ValueError:
        return Readiness(ok=False)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return Readiness(ok=False, answered=False)
    if not isinstance(said, dict):
        return Readiness(ok=ok)
    reasons = said.get("reasons")
    listed = tuple(map(str, reasons)) if isinstance(reasons, list) else ()
    return Readiness(ok, listed, said.get("recovering") is True, said.get("waits") is True)


async def get_json(url: str, timeout_s: float = 2.0) -> dict[str, Any]:
    """Return the JSON object at a URL; an empty one if there is none."""
    import aiohttp

    try:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            said: Any = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


@dataclass
class UnreadyWatch:
    """Notes since when a running process has not been usable.

    Attributes:
        limit_s: Seconds from which it should be started again.
    """

    limit_s: float = UNREADY_S
    clock_s: Callable[[], float] = time.monotonic
    _since_s: float | None = None

    def note(self, now: Readiness) -> float | None:
        """Note an answer. Returns for how many seconds the process has been unusable if it should be restarted, else None."""
        if now.ok or now.waits:
            self._since_s = None
            return None
        at_s = self.clock_s()
        self._since_s = at_s if self._since_s is None else self._since_s
        lasting_s = at_s - self._since_s
        return lasting_s if lasting_s >= self.limit_s else None


class Restarts:
    """How often each process has ended in a row, and why.

    Attributes:
        failing: By process in a crash loop, what to tell people of it.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._ends: dict[str, int] = {}
        self.failing: dict[str, str] = {}

    def ended(self, name: str, ran_s: float, returncode: int | None, why: str) -> float:
        """Note the end of a process; return how many seconds to wait before it is started again.

        Args:
            name: Of the process.
            ran_s: How long it ran.
            returncode: Its exit code, negative for a signal.
            why: Why it ended.
        """
        ends = 1 if ran_s > STABLE_S else self._ends.get(name, 0) + 1
        self._ends[name] = ends
        self.failing.pop(name, None)
        if ends >= LOOP_ENDS:
            self.failing[name] = f"ended {ends} times in a row, the last time with {why}"
        pause_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(ends - 1, 20))
        return CONFIG_BACKOFF_S if returncode == os.EX_CONFIG and ends >= LOOP_ENDS else pause_s

    def settled(self, names: Iterable[str]) -> bool:
        """Forget failures of processes that have run long enough. Returns whether one was failing."""
        found = [name for name in names if self.failing.pop(name, None) is not None]
        return bool(found)
