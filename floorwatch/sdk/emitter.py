"""An emitter for labelling tools: what ``send`` has taken reaches the gateway, whatever happens in between.

    with Emitter("http://gateway:8090", spool="/var/spool/my-tool") as fw:
        fw.send(event(label, task_id="t-1", source="my-tool"))

``send`` checks the events, writes them to the spool on disk and returns; one thread delivers them in batches, in the order they
were sent, and tries again while the gateway is busy or away. An emitter that was killed goes on where it was when the next is
made on the same folder. Events have their ids before they are written, so what is sent twice counts once.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Self

import msgspec

from floorwatch.sdk.answers import Answer, NotNow, Settled, TooMuch, meaning
from floorwatch.sdk.backoff import told_wait_s, wait_s
from floorwatch.sdk.emitter_settings import EmitterSettings, EmitterStatus, SpoolFull
from floorwatch.sdk.events import Given, NotEmitted, checked
from floorwatch.sdk.forks import closed_in_children
from floorwatch.sdk.gateway_connection import AGENT, GatewayConnection, NoReply
from floorwatch.sdk.refused_events import RefusedEvent, RefusedEvents
from floorwatch.sdk.spool import DiskSpool, SpoolUse
from streams.models import formats
from streams.models.refusal import Refusal
from streams.models.time_rules import EventLimits

log = logging.getLogger("floorwatch.sdk")

_EVENTS = SpoolUse("events", "events", "emitter", "folder: spool=")
_SEGMENT_BYTES = 1024 * 1024
_FRAME_BYTES = 32
"""What the spool adds to an event at most: checksum, number, spaces, line feed."""
_OnRefused = Callable[[RefusedEvent], None]


class Emitter:
    """Takes events and delivers them to a gateway, in order. Any thread may use it; it belongs to one process."""

    def __init__(
        self,
        url: str,
        *,
        spool: str | Path,
        token: str | None = None,
        settings: EmitterSettings | None = None,
        on_refused: _OnRefused | None = None,
    ) -> None:
        """Open the spool and go on with what it holds.

        Args:
            url: Of the gateway, e.g. ``http://127.0.0.1:8090``.
            spool: Folder for what is not delivered yet; made if missing, used by one emitter at a time. It must outlive the
                process, so in a container it is a volume.
            token: Bearer token, where the gateway wants one; ``FLOORWATCH_TOKEN`` if None.
            settings: How to send.
            on_refused: Called in the emitter's thread with each event that the gateway refuses.

        Raises:
            ValueError: The URL, the token or a setting cannot be used.
            SpoolBusy: Another emitter uses the folder.
            NewerFormat: A newer version of the SDK wrote the folder.
            OSError: The folder cannot be used.
        """
        self._settings = settings or EmitterSettings()
        token = token or os.environ.get("FLOORWATCH_TOKEN") or None
        self._gateway = GatewayConnection(url, token=token, timeout_s=self._settings.timeout_s, agent=AGENT)
        self._folder = Path(spool)
        self._on_refused = on_refused
        self._refused_events = RefusedEvents(self._folder)
        self._chance = random.SystemRandom().random
        self._disk = threading.Lock()
        self._changed = threading.Condition()
        self._spool = DiskSpool(self._folder, use=_EVENTS, segment_bytes=_SEGMENT_BYTES)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._waiting_bytes = self._reserved_bytes = 0
        self._delivered = self._refused = self._failures = 0
        self._most_events = self._settings.batch_events
        self._hurry_to = 0
        self._since_s = time.monotonic()
        self._trouble = ""
        self._closing = self._stopped = False
        self._pid = os.getpid()
        self._begin()
        self._thread = threading.Thread(target=self._run, name="floorwatch emitter", daemon=True)
        self._thread.start()
        closed_in_children(self)
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *events: Given) -> int:
        """Keep events for delivery and return their number. When it returns, no crash of this process loses them.

        Args:
            events: Structs of this module, dicts in the contract's words, or JSON bytes.

        Raises:
            BadEvents: Some would be refused; none was kept.
            SpoolFull: There is no room; none was kept.
            NotEmitted: They could not be written to the spool, or the emitter is closed. Send the same events again.
        """
        return self.keep([value for _, value in checked(events, self._settings.limits)])

    def keep(self, values: Sequence[bytes]) -> int:
        """Keep events that ``checked`` has returned; otherwise as ``send``."""
        self._must_be_open()
        if not values:
            return 0
        size = sum(len(value) + _FRAME_BYTES for value in values)
        self._reserve(size, len(values))
        try:
            with self._disk:
                self._must_be_open()
                first = self._next_number
                self._next_number += len(values)
                records = list(enumerate(values, first))
                self._spool.append(records)
                with self._changed:
                    if not self._waiting:
                        self._since_s = time.monotonic()
                    self._waiting.extend(records)
                    self._waiting_bytes += size
        except OSError as error:
            fix = "make room on its disk, or correct spool=; send the same events again"
            raise NotEmitted(f"{self._folder} cannot be written: {error.strerror or error} ({fix})") from None
        finally:
            with self._changed:
                self._reserved_bytes -= size
                self._changed.notify_all()
        return len(values)

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until all that was sent before is delivered or refused.

        Args:
            timeout_s: How long to wait, in seconds; None: as long as it takes.

        Raises:
            NotEmitted: Time is up, or the emitter was closed. What waits stays in the spool and is still delivered.
        """
        last = self.hurry()
        if not self.arrived(last, timeout_s):
            raise NotEmitted(self.left())

    def hurry(self) -> int:
        """Let what waits now not wait for others; return the number of its last event, for ``arrived``."""
        with self._changed:
            last = self._waiting[-1][0] if self._waiting else 0
            self._hurry_to = max(self._hurry_to, last)
            self._changed.notify_all()
            return last

    def arrived(self, number: int, timeout_s: float | None = None) -> bool:
        """Wait until all up to a number of ``hurry`` is delivered or refused; return whether it is.

        Args:
            number: As ``hurry`` gave it.
            timeout_s: How long to wait, in seconds; None: as long as the emitter is open.
        """
        with self._changed:

            def gone() -> bool:
                return not self._waiting or self._waiting[0][0] > number

            self._changed.wait_for(lambda: gone() or self._stopped, timeout_s)
            return gone()

    @property
    def limits(self) -> EventLimits:
        """How far an event's times may be from its own."""
        return self._settings.limits

    @property
    def stopped(self) -> bool:
        """Whether the emitter is closed, so that nothing is delivered any more."""
        return self._stopped

    def left(self) -> str:
        """Return in words what waits, where, and why."""
        why = self._trouble or "they are on their way"
        return f"{len(self._waiting)} events wait in {self._folder} for {self._gateway.url}: {why}"

    def refused(self) -> list[RefusedEvent]:
        """Return the events that the gateway refused for what they hold, with its reason and hint, the oldest first.

        They are kept in ``refused.jsonl`` in the spool folder, those of earlier runs too; delete the file when they are mended.
        """
        return self._refused_events.read()

    def status(self) -> EmitterStatus:
        """Return how the emitter fares."""
        with self._changed:
            counts = (len(self._waiting), self._waiting_bytes, self._delivered, self._refused)
            return EmitterStatus(*counts, self._trouble, self._spool.damage)

    def close(self, timeout_s: float | None = None) -> None:
        """Deliver what can be delivered in time, and end. What is left stays in the spool for the next emitter there.

        Args:
            timeout_s: How long to wait, in seconds; ``settings.close_wait_s`` if None.
        """
        if self._pid != os.getpid() or self._stopped:
            return
        atexit.unregister(self.close)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            wait = self._settings.close_wait_s if timeout_s is None else timeout_s
            self._changed.wait_for(lambda: not self._waiting, wait)
            self._stopped = True
            self._changed.notify_all()
        self._gateway.abort()
        if threading.current_thread() is not self._thread:
            self._thread.join(1.0)
        with self._disk:
            self._spool.close()
        if self._waiting:
            log.warning("%s", self.left())

    def leave_to_parent(self) -> None:
        """Close the files of this emitter in a process that was forked; called there by itself, and for nothing else."""
        if self._pid != os.getpid():
            self._spool.close()
            self._gateway.close()

    def _begin(self) -> None:
        """Open the spool with what an earlier emitter has left."""
        known = self._folder / "format"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if known.exists():
            found = known.read_bytes().strip()
            version = int(found) if found.isdigit() else formats.FIRST
            formats.check(formats.EMITTER_SPOOL, version, str(self._folder))
        try:
            kept = self._spool.open()
            known.write_text(f"{formats.EMITTER_SPOOL.version}\n", encoding="ascii")
        except BaseException:
            self._spool.close()
            raise
        self._waiting.extend(kept)
        self._waiting_bytes = sum(len(value) + _FRAME_BYTES for _, value in kept)
        self._next_number = self._spool.next_number
        if kept:
            log.info("%d events wait in %s from before; they are sent now", len(kept), self._folder)

    def _must_be_open(self) -> None:
        if self._pid != os.getpid():
            raise NotEmitted("this emitter was made before a fork: make one in each process, with a spool of its own")
        if self._closing:
            raise NotEmitted("the emitter is closed: nothing was kept")

    def _reserve(self, size: int, count: int) -> None:
        """Take room in the spool, for which ``full_wait_s`` is waited."""
        most = self._settings.max_spool_bytes
        if size > most:
            fix = "send fewer at once, or raise max_spool_bytes"
            raise SpoolFull(f"{count} events of {size} bytes are more than the spool may hold, {most} bytes ({fix})")
        with self._changed:

            def room() -> bool:
                return self._waiting_bytes + self._reserved_bytes + size <= most

            self._changed.wait_for(lambda: room() or self._closing, self._settings.full_wait_s)
            if not room():
                fix = "nothing of this call was kept: send it again later, set full_wait_s, or raise max_spool_bytes"
                raise SpoolFull(f"the spool is full: {self.left()} ({fix})")
            self._reserved_bytes += size

    # -- the emitter's thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                answer = self._offer([value for _, value in batch])
                self._conclude(batch, answer)
            except Exception as error:
                log.exception("the emitter failed, and goes on")
                self._wait_after(NotNow(f"the emitter failed: {type(error).__name__}: {error}"))
        self._gateway.close()

    def _next_batch(self) -> Sequence[tuple[int, bytes]]:
        """Wait until there is a batch; return it, or nothing at the end."""
        with self._changed:
            while not self._stopped:
                batch = self._front()
                left_s = self._since_s + self._settings.linger_s - time.monotonic()
                full = len(batch) < len(self._waiting) or len(batch) >= self._most_events
                full = full or sum(len(value) for _, value in batch) >= self._settings.batch_bytes
                if batch and (full or left_s <= 0 or self._closing or batch[0][0] <= self._hurry_to):
                    return batch
                self._changed.wait(left_s if batch else None)
            return ()

    def _front(self) -> list[tuple[int, bytes]]:
        batch: list[tuple[int, bytes]] = []
        size = 0
        for one in islice(self._waiting, self._most_events):
            size += len(one[1]) + 1
            if batch and size > self._settings.batch_bytes:
                break
            batch.append(one)
        return batch

    def _offer(self, values: Sequence[bytes]) -> Answer:
        try:
            reply = self._gateway.post(b"[%s]" % b",".join(values))
        except NoReply as error:
            return NotNow(f"{self._gateway.url}: {error}", lasting=error.trouble.lasting)
        asked_s = told_wait_s(reply.retry_after, datetime.now(UTC))
        answer = meaning(reply.status, reply.body, len(values), asked_s)
        if isinstance(answer, NotNow):
            return NotNow(f"{self._gateway.url} {answer.said}", answer.asked_s, answer.lasting)
        return answer

    def _conclude(self, batch: Sequence[tuple[int, bytes]], answer: Answer) -> None:
        match answer:
            case Settled(refused):
                self._settle(batch, refused)
            case TooMuch() if len(batch) > 1:
                self._most_events = len(batch) // 2
            case TooMuch(refusal):
                self._settle(batch, ((0, refusal),))
            case NotNow():
                self._wait_after(answer)

    def _settle(self, batch: Sequence[tuple[int, bytes]], refused: Sequence[tuple[int, Refusal]]) -> None:
        """Note what became of a batch: first what was refused, then that all of it is done."""
        at = datetime.now(UTC)
        told = [RefusedEvent(at, why, msgspec.json.decode(batch[place][1])) for place, why in refused]
        try:
            if told:
                self._refused_events.add(told)
        except OSError as error:
            said = f"{self._refused_events.path} cannot be written: {error.strerror or error} (make room on its disk)"
            self._wait_after(NotNow(said))
            return
        with self._disk:
            try:
                if not self._stopped:
                    self._spool.done(batch[-1][0])
            except OSError as error:
                log.warning("%s: what is done cannot be noted, and may be sent again: %s", self._folder, error)
        with self._changed:
            for _, value in batch:
                self._waiting.popleft()
                self._waiting_bytes -= len(value) + _FRAME_BYTES
            self._delivered += len(batch) - len(told)
            self._refused += len(told)
            self._since_s = time.monotonic()
            if self._trouble:
                log.info("%s takes events again; %d wait", self._gateway.url, len(self._waiting))
            self._trouble, self._failures = "", 0
            self._most_events = min(self._settings.batch_events, self._most_events + self._most_events // 8 + 1)
            self._changed.notify_all()
        self._tell(told)

    def _tell(self, told: Sequence[RefusedEvent]) -> None:
        if told:
            first, path = told[0].refusal, self._refused_events.path
            said = "%d events were refused and are kept in %s; the first: %s (%s)"
            log.warning(said, len(told), path, first.reason, first.hint)
        if self._on_refused is None:
            return
        for one in told:
            try:
                self._on_refused(one)
            except Exception:
                log.exception("on_refused failed")

    def _wait_after(self, answer: NotNow) -> None:
        """Wait before the next try; the first failure is said, for nobody likes to wait unknowing."""
        with self._changed:
            if self._stopped:
                return
            self._failures += 1
            if self._trouble != answer.said:
                log.log(logging.ERROR if answer.lasting else logging.WARNING, "%s; trying again", answer.said)
            self._trouble = answer.said
            first_s, most_s = self._settings.retry_first_s, self._settings.retry_most_s
            pause_s = wait_s(self._failures, self._chance(), answer.asked_s, first_s, most_s)
            self._changed.wait_for(lambda: self._stopped, pause_s)
