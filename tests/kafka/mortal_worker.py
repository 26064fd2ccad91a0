"""A worker killed, as by ``kill -9``, at a named step of an alert's way: ``python -m tests.kafka.mortal_worker POINT CONFIG``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alerts.channels.pagerduty import PagerDutyChannel
from alerts.notifier import Notifier
from alerts.outbox import Outbox
from streams.agents.incident_state import DONE, PLAN
from streams.agents.notice_delivery import MESSAGE, RECEIPTS
from streams.engine.log import KafkaLogWriter
from streams.models import topics

LEASE_S = 5.0
"""Seconds after which what a killed notifier had claimed is sent by the next."""


def die() -> None:
    """End at once, without any last word."""
    os.kill(os.getpid(), signal.SIGKILL)


def _appends(topic: str, fits: Callable[[list[bytes]], bool]) -> None:
    """Die before an append to a topic whose keys fit."""
    append = KafkaLogWriter.append

    async def mortal(self: KafkaLogWriter, name: str, partition: int, records: Any) -> None:
        records = list(records)
        if name.endswith(topic) and fits([key or b"" for key, *_ in records]):
            die()
        await append(self, name, partition, records)

    KafkaLogWriter.append = mortal  # type: ignore[method-assign]


def _filling(*, after: bool = False) -> None:
    """Die before, or after, a message comes into the outbox, be it new or read back from the log."""
    _calls(Outbox, "enqueue", after=after)
    _calls(Outbox, "restore", after=after)


def _calls(kind: type, name: str, *, after: bool = False) -> None:
    """Die before, or after, a method does something; one that returns False has done nothing."""
    plain = getattr(kind, name)

    async def mortal(self: Any, *args: Any, **more: Any) -> Any:
        if not after:
            die()
        done = await plain(self, *args, **more)
        if done is not False:
            die()
        return done

    setattr(kind, name, mortal)


def is_group(key: bytes) -> bool:
    """Whether a key of notices.v1 is a group's; the others begin with a character of their own."""
    return key[:1] not in (MESSAGE, RECEIPTS, PLAN.encode(), DONE.encode())


def _groups(keys: list[bytes]) -> bool:
    return any(is_group(key) for key in keys)


POINTS: dict[str, Callable[[], None]] = {
    "decided, nothing written": lambda: _appends(topics.NOTICES, _groups),
    "decision written, message not": lambda: _appends(topics.NOTICES, lambda keys: keys[0][:1] == b"+"),
    "message written, incident not": lambda: _appends(topics.INCIDENTS, lambda _: True),
    "incident written, outbox empty": _filling,
    "in the outbox, not committed": lambda: _filling(after=True),
    "channels chosen": lambda: _calls(Outbox, "route", after=True),
    "claimed, not sent": lambda: _calls(PagerDutyChannel, "send"),
    "sent, no receipt": lambda: _calls(PagerDutyChannel, "send", after=True),
    "receipt written, outbox not told": lambda: _calls(Outbox, "_receipt", after=True),
    "outbox told": lambda: _calls(Outbox, "sent", after=True),
    "receipts folded, not written": lambda: _appends(topics.NOTICES, lambda keys: keys[0][:1] == b"="),
    "filling begun": lambda: _calls(Outbox, "begin_rebuild", after=True),
    "filled, not noted": lambda: _calls(Outbox, "finish_rebuild"),
    "action folded, not written": lambda: _appends(topics.INCIDENTS, lambda _: True),
    "never": lambda: None,
}


def main(point: str, config: Path) -> int:
    """Run a worker that dies at a point."""
    from floorwatch.output.logs import set_up_logging
    from floorwatch.settings.load import load
    from streams.worker import run_worker

    set_up_logging("info")
    POINTS[point]()
    (Notifier.__init__.__kwdefaults__ or {})["lease_s"] = LEASE_S
    return asyncio.run(run_worker(load(config, {}, channels="tolerated", process="worker")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
