"""The webhook queue: webhooks are kept, translated in order of arrival, published and remembered.

Label Studio waits one second and never sends a webhook again, so accepting one must not depend on the broker or Redis.
A webhook is first written to the spool, and then tried until it is done. It is published before its state is
remembered, because a webhook that is done again then makes the same events, which the ledger ignores. The tool state
notes in the same transaction how far the queue has come, so nothing is applied to it twice.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from floorwatch.sdk.spool import DiskSpool
from gateway.authenticator import ClockMs
from gateway.fair_share import FairShare
from gateway.metrics import GatewayMetrics
from gateway.publisher import Overloaded, Publisher
from gateway.settings import GatewaySettings
from gateway.sources.base import Webhook
from gateway.sources.registry import tool_of
from gateway.tool_state import ToolState, ToolStateUnavailable
from gateway.unmapped import UnmappedLog
from gateway.webhook_batch import PendingWebhook, WebhookBatch, WebhookOutcome, keys_of, rounds_of, translate_all
from gateway.webhooks import Remembered
from streams.models import formats
from streams.models.grants import SenderGrant
from streams.models.sampling_plan import NO_PLAN, SamplingPlan
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits

_log = logging.getLogger(__name__)

BATCH_HOOKS = 256
BATCH_BYTES = 2 * 1024 * 1024
_STOP_S = 5.0
_GREED = 8.0
_LARGE_BYTES = 4096
"""Webhooks that are larger wait as text alone."""

_BEHIND_HOOKS = 4 * BATCH_HOOKS
"""About a second's work: those that come behind so many wait as text alone, and their senders do not wait for them."""


@dataclass
class _Entry:
    """A webhook that waits. One that is large waits as text alone, which takes a fifth of its memory."""

    number: int
    hook: PendingWebhook | None
    text: bytes
    share: str
    durable: asyncio.Future[None]
    outcome: asyncio.Future[WebhookOutcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class WebhookQueue:
    """Accepts webhooks and works them off. Start it, then ``submit``."""

    def __init__(
        self,
        settings: GatewaySettings,
        publisher: Publisher,
        tool_state: ToolState,
        clock_ms: ClockMs,
        metrics: GatewayMetrics,
        *,
        retry_s: tuple[float, float] = (0.2, 5.0),
        limits: EventLimits = DEFAULT_LIMITS,
        plan: SamplingPlan = NO_PLAN,
    ) -> None:
        """Take what it works with.

        Args:
            settings: The gateway's.
            publisher: Where events go.
            tool_state: What earlier webhooks left.
            clock_ms: Wall clock, Unix milliseconds.
            metrics: Counts.
            limits: How far an event's times may be from its own.
            plan: What is said of audits that name no probability.
            retry_s: First and longest pause after a failure, seconds.
        """
        self._settings = settings
        self._publisher = publisher
        self._tool_state = tool_state
        self._clock_ms = clock_ms
        self._metrics = metrics
        self._unmapped = UnmappedLog(metrics, clock_ms)
        self._retry_s = retry_s
        self._limits, self._plan = limits, plan
        self._spool = DiskSpool(settings.spool_dir) if settings.spool_dir else None
        self._position_key = f"lane:{uuid.uuid4().hex}"
        self._next_number = 1
        self._last_ms = 0
        self._unsynced: list[_Entry] = []
        self._ready: deque[_Entry] = deque()
        # A tool whose webhooks come in a flood leaves a ninth of the spool to the others.
        self._count = FairShare(settings.spool_max_hooks, _GREED)
        self._bytes = FairShare(settings.spool_max_bytes, _GREED)
        self._to_sync = asyncio.Event()
        self._to_work = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._fault: str | None = None
        self.durable = self._spool is not None

    @property
    def waiting(self) -> int:
        """How many webhooks are accepted and not done."""
        return len(self._unsynced) + len(self._ready)

    @property
    def behind(self) -> bool:
        """Whether what comes now is safe on disk, and waits longer than its sender should."""
        return self.durable and (self._fault is not None or len(self._ready) > _BEHIND_HOOKS)

    @property
    def waiting_bytes(self) -> int:
        """Their size."""
        return self._bytes.held

    @property
    def alive(self) -> bool:
        """Whether its tasks run. If not, the process must be restarted."""
        return not any(task.done() for task in self._tasks) or self._stopping.is_set()

    def faults(self) -> tuple[str, ...]:
        """Return why webhooks wait, as sentences; empty while they are worked off."""
        return (f"{self.waiting} webhooks wait: {self._fault}",) if self._fault else ()

    def notes(self) -> tuple[str, ...]:
        """Return what an operator should look at, as sentences, though everything is worked off."""
        return self._spool.damage if self._spool is not None else ()

    @property
    def damaged_bytes(self) -> int:
        """Bytes of the spool that could not be read and were set aside."""
        return self._spool.damaged_bytes if self._spool is not None else 0

    async def start(self) -> None:
        """Open the spool and begin with what it holds.

        Raises:
            SpoolBusy: Another gateway uses the folder.
            NewerFormat: A newer version of Floorwatch wrote what the spool holds.
            OSError: The folder cannot be used.
        """
        if self._spool is not None:
            kept = await asyncio.to_thread(self._spool.open)
            self._next_number = self._spool.next_number
            self._position_key = f"lane:{self._spool.id}"
            for number, text in kept:
                self._ready.append(self._restored(number, text))
            if kept:
                _log.info("%d webhooks wait in %s from before; they are worked off now", len(kept), self._spool.folder)
                self._to_work.set()
        self._tasks = [asyncio.create_task(self._work_forever(), name="hooks")]
        if self._spool is not None:
            self._tasks.append(asyncio.create_task(self._sync_forever(self._spool), name="hooks to disk"))

    async def stop(self) -> None:
        """Finish what can be finished in a few seconds. The rest stays in the spool."""
        self._stopping.set()
        self._to_sync.set()
        self._to_work.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.waiting and self._spool is None:
            _log.error("%d webhooks were not published and are lost: set gateway.spool_dir", self.waiting)
        elif self.waiting:
            _log.info("%d webhooks wait in the spool for the next start", self.waiting)
        if self._spool is not None:
            await asyncio.to_thread(self._spool.close)

    async def submit(
        self, source: str, hook: Webhook, share: str = "", grant: SenderGrant | None = None
    ) -> asyncio.Future[WebhookOutcome]:
        """Accept a webhook; as ``submit_parts`` of one."""
        (outcome,) = await self.submit_parts(source, [hook], share, grant)
        return outcome

    async def submit_parts(
        self, source: str, parts: Sequence[Webhook], share: str = "", grant: SenderGrant | None = None
    ) -> list[asyncio.Future[WebhookOutcome]]:
        """Accept a webhook, a large one in parts: returns once all are kept, with futures of what becomes of each.

        Args:
            source: CloudEvents source.
            parts: Distilled body: it is written to disk.
            share: Whose share of the spool it takes.
            grant: What the sender may do, written with it; None for everything.

        Raises:
            Overloaded: Too many wait, or the disk does not take it.
        """
        entries: list[_Entry] = []
        for hook in parts:
            entry = None if self._stopping.is_set() else self._entry(source, hook, share, grant)
            if entry is None:
                for one in entries:
                    self._let_go(one)
                raise Overloaded(f"{self.waiting} webhooks of {self.waiting_bytes} bytes wait already", 5)
            entries.append(entry)
        if self._spool is None:
            self._ready += entries
            self._to_work.set()
        else:
            self._unsynced += entries
            self._to_sync.set()
            await asyncio.gather(*(asyncio.shield(one.durable) for one in entries))
        return [one.outcome for one in entries]

    def _entry(self, source: str, hook: Webhook, share: str, grant: SenderGrant | None) -> _Entry | None:
        """Return a webhook as it waits, with room taken for it; None where its sender has none."""
        # Times ascend even if the clock steps back, so that each webhook has its own.
        self._last_ms = received_ms = max(self._last_ms + 1, self._clock_ms())
        text = spooled({"source": source, "received_ms": received_ms, "hook": hook, "grant": grant})
        if not self._keep(share, len(text)):
            return None
        number = self._next_number
        self._next_number += 1
        as_text = len(text) > _LARGE_BYTES or len(self._ready) > _BEHIND_HOOKS
        as_text = as_text or any(isinstance(held, msgspec.Raw) for held in hook.values())
        waiting = None if as_text else PendingWebhook(number, source, received_ms, hook, grant)
        return _Entry(number, waiting, text, share, asyncio.get_running_loop().create_future())

    def _restored(self, number: int, text: bytes) -> _Entry:
        folder = "" if self._spool is None else str(self._spool.folder)
        formats.check_json(formats.SPOOL, text, folder)
        held = msgspec.json.decode(text)
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last_ms = max(self._last_ms, held["received_ms"])
        source = held["source"]
        self._count.hold(source, 1)
        self._bytes.hold(source, len(text))
        return _Entry(number, None, text, source, durable)

    def _keep(self, share: str, size: int) -> bool:
        """Take room for one webhook; False when there is none for this sender."""
        if not self._count.take(share, 1):
            return False
        if not self._bytes.take(share, size):
            self._count.give(share, 1)
            return False
        return True

    def _let_go(self, one: _Entry) -> None:
        self._count.give(one.share, 1)
        self._bytes.give(one.share, len(one.text))

    # -- to disk -------------------------------------------------------------------------------------------------

    async def _sync_forever(self, spool: DiskSpool) -> None:
        while not self._stopping.is_set() or self._unsynced:
            await self._to_sync.wait()
            self._to_sync.clear()
            if self._unsynced:
                await self._sync(spool, list(self._unsynced))

    async def _sync(self, spool: DiskSpool, group: list[_Entry]) -> None:
        try:
            await asyncio.to_thread(spool.append, [(one.number, one.text) for one in group])
        except OSError as error:
            fault = Overloaded(f"the spool {spool.folder} cannot be written: {error.strerror or error}", 5)
            _log.error("%s", fault)
            for one in group:
                one.durable.set_exception(fault)
                one.durable.exception()  # taken here: the sender may have given up
                self._let_go(one)
        else:
            for one in group:
                one.durable.set_result(None)
            self._ready += group
            self._to_work.set()
        del self._unsynced[: len(group)]
        if self._unsynced:
            self._to_sync.set()

    # -- through -------------------------------------------------------------------------------------------------

    async def _work_forever(self) -> None:
        pause_s, longest_s = self._retry_s
        while not self._stopping.is_set() or self._ready:
            await self._to_work.wait()
            if not self._ready:
                self._to_work.clear()
                continue
            group = self._next_group()
            try:
                hooks = [one.hook or _pending(one.number, one.text) for one in group]
                batch = await self._through(hooks)
            except Exception as error:  # noqa: BLE001 - the queue must survive any error
                said = _said(error)
                if self._fault is None:
                    _log.warning("webhooks wait in the spool: %s", said)
                self._fault = said
                if self._stopping.is_set():
                    return
                await self._pause(pause_s)
                pause_s = min(longest_s, pause_s * 2)
                continue
            if self._fault is not None:
                _log.info("webhooks are worked off again; %d wait", self.waiting - len(group))
            self._fault, pause_s = None, self._retry_s[0]
            await self._finish(group, hooks, batch)

    def _next_group(self) -> list[_Entry]:
        group: list[_Entry] = []
        size = 0
        for one in self._ready:
            if group and (len(group) == BATCH_HOOKS or size + len(one.text) > BATCH_BYTES):
                break
            group.append(one)
            size += len(one.text)
        return group

    async def _through(self, hooks: Sequence[PendingWebhook]) -> WebhookBatch | None:
        """Publish and remember. None if the tool state says that this was done before."""
        settings = self._settings
        seen: dict[str, Remembered] = {}
        asked = {self._position_key}
        async with asyncio.timeout(self._settings.publish_timeout_s):
            for _ in range(rounds_of(hooks)):
                keys = [one for one in await asyncio.to_thread(keys_of, hooks, settings, seen) if one not in asked]
                wanted = keys if seen else [self._position_key, *keys]
                asked.update(keys)
                seen |= await self._tool_state.get(wanted)
        position = seen.pop(self._position_key, {"number": 0})["number"]
        fresh = [one for one in hooks if one.number > position]
        if not fresh:
            return None
        # In a thread, because a project of 20,000 tasks takes half a second, and others must be answered meanwhile.
        key = next(iter(self._settings.grant_keys), None)
        batch = await asyncio.to_thread(translate_all, fresh, seen, settings, self._limits, key, self._plan)
        async with asyncio.timeout(self._settings.publish_timeout_s):
            await self._publisher.publish(batch.records)
            await self._publisher.dead_letter(batch.dead)
            await self._tool_state.put({**batch.remember, self._position_key: {"number": hooks[-1].number}})
        return batch

    async def _finish(self, group: list[_Entry], hooks: list[PendingWebhook], batch: WebhookBatch | None) -> None:
        outcomes = batch.outcomes if batch is not None else []
        first = len(group) - len(outcomes)
        for one, hook, outcome in zip(group[first:], hooks[first:], outcomes, strict=True):
            kind = tool_of(hook.source).name
            self._metrics.events(kind, "accepted", outcome.events)
            self._metrics.events(kind, "ignored", int(outcome.ignored is not None))
            self._metrics.events(kind, "dead", len(outcome.problems))
            for problem in outcome.problems:
                self._metrics.dead_letter(problem.code)
            self._unmapped.tell(hook.source, outcome.unmapped)
            if not one.outcome.done():
                one.outcome.set_result(outcome)
        for one in group:
            self._let_go(self._ready.popleft())
            if not one.outcome.done():
                one.outcome.set_result(WebhookOutcome(0, "done before", ()))
        if self._spool is not None:
            try:
                await asyncio.to_thread(self._spool.done, group[-1].number)
            except OSError as error:
                _log.warning("%s: what is done cannot be noted: %s", self._spool.folder, error)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def spooled(hook: dict[str, Any]) -> bytes:
    """Return a webhook as the spool keeps it."""
    return formats.stamped_json(formats.SPOOL, msgspec.json.encode(hook))


def _pending(number: int, text: bytes) -> PendingWebhook:
    """Return a webhook that waited as text."""
    held = msgspec.json.decode(text)
    grant = msgspec.convert(held.get("grant"), SenderGrant | None)
    return PendingWebhook(number, held["source"], held["received_ms"], held["hook"], grant)


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "broker or memory did not answer in time"
    if isinstance(error, Overloaded | ToolStateUnavailable):
        return str(error)
    return f"unexpected {type(error).__name__}"  # its message may quote a webhook
