"""Starts the embedded stack, keeps it running whatever is killed, and stops it in order.

The broker keeps everything in memory. When it dies, everything derived from it is gone too, so the shipper and the
    workers are ended with it and start again from the journal on a new broker (a new *epoch*). Every other process is
    just restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Self

from redis.exceptions import RedisError

from floorwatch.embedded.broker import broker_spec, create_topics
from floorwatch.embedded.child_process import Child, ChildSpec, StartError, cap_log, free_port
from floorwatch.embedded.disk_space import is_full, no_room
from floorwatch.embedded.health import ASK_S, STABLE_S, UNREADY_S, Readiness, Restarts, UnreadyWatch
from floorwatch.embedded.journal_segments import parts_aside
from floorwatch.embedded.kept_alerts import bring_alerts
from floorwatch.embedded.shipper import is_shipped
from floorwatch.embedded.stack_plan import (
    BROKER,
    GATEWAY,
    SHIPPER,
    VALKEY,
    WEB,
    Ports,
    StackPlan,
    gateway_spec,
    shipper_spec,
    urls_of,
    web_spec,
    worker_spec,
)
from floorwatch.embedded.stack_register import forget, register
from floorwatch.embedded.state import StackLock, end_orphans, link_key, make_private, redis_password, write_state
from floorwatch.embedded.status import Report, Status, nobody
from floorwatch.embedded.valkey import forget_rows, valkey_spec
from floorwatch.sdk.stacks import ProcessMark, StackState, mark_of, read_state
from streams.models.topics import topic_specs

START_ATTEMPTS = 3
LOG_CHECK_S = 60.0
LOOK_S = 2.0
"""Pause between two checks for room on the disk and for damage that the shipper has set aside."""


class Stack:
    """A running stack. ``async with Stack(plan, report) as stack: await stack.failed()``."""

    def __init__(
        self, plan: StackPlan, report: Report | None = None, *, unready_s: float = UNREADY_S, ask_s: float = ASK_S
    ) -> None:
        """Take the plan and somebody to tell; nothing runs yet. The times are those of :mod:`floorwatch.embedded.health`."""
        self._unready_s, self._ask_s = unready_s, ask_s
        self.plan = plan
        self.epoch = self.redis_password = ""
        self.ports = Ports({})
        self._report = report or nobody
        self._lock = StackLock(plan.paths)
        self._children: dict[str, Child] = {}
        self._restarts = Restarts()
        self._ended: asyncio.Queue[str] = asyncio.Queue()
        self._watchers: set[asyncio.Task[None]] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self._state_unwritten = self._waiting = self.registered = False
        self._aside: set[Path] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def urls(self) -> dict[str, str]:
        """Addresses of the stack: kafka, redis, gateway, web, metrics."""
        return urls_of(self.plan, self.ports)

    async def start(self) -> None:
        """Start everything and wait until all of it is ready.

        Raises:
            AlreadyRunning: Another supervisor runs on this folder.
            StartError: A process did not come up; those that did are stopped again.
        """
        self._lock.acquire()
        try:
            for name in await asyncio.to_thread(end_orphans, self.plan.paths):
                self._report(Status(name, "ended", "left over from an earlier run"))
            await asyncio.to_thread(make_private, self.plan.paths)
            self.redis_password = redis_password(self.plan.paths)
            if self.plan.web and not self.plan.web_keys:
                link_key(self.plan.paths)
            await self._with_room(self._start_servers)
            await self._with_room(self._begin_epoch, [SHIPPER, *self.plan.worker_names])
            names = [*self.plan.serving, *self.plan.worker_names]
            await asyncio.gather(*(self._children[name].wait_ready() for name in names))
            for name in names:
                self._report(Status(name, "ready", self._address(name)))
            for child in self._children.values():
                self._watch(self._look_after(child))
            self.registered = register(self.plan.var)
        except BaseException:
            await self.stop()
            raise
        self._loop_task = asyncio.create_task(self._supervise(), name="supervisor")

    async def failed(self) -> None:
        """Wait until the stack cannot go on (for ever, if all is well).

        Raises:
            StartError: A process cannot be kept running; the message says which and why.
        """
        if self._loop_task is None:
            raise StartError("the stack was not started; call start() first")
        await asyncio.shield(self._loop_task)

    async def stop(self) -> None:
        """Stop everything: first what accepts, then what computes, then what stores."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
            self._loop_task = None
        await self._stop_children([GATEWAY, WEB])
        await self._stop_children([SHIPPER])
        await self._stop_children(self.plan.worker_names)
        await self._stop_children([BROKER, VALKEY])
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers.clear()
        if self._lock.held:
            forget(self.plan.var)
            self._write_state()
            self._lock.release()

    async def _with_room(self, work: Callable[[], Awaitable[None]], undo: Sequence[str] = ()) -> None:
        """Retry some work while it fails on a full disk, and report that once. Stop ``undo`` before each retry."""
        while True:
            try:
                await work()
            except (StartError, RedisError, OSError) as error:
                if not (no_room(error) or is_full(self.plan.var)):
                    raise
                self._say_full(str(error))
                await self._stop_children(list(undo))
                await asyncio.sleep(LOOK_S)
            else:
                return

    def _say_full(self, why: str) -> None:
        if not self._waiting:
            said = f"the disk of {self.plan.var} is full; make room, and the stack goes on by itself ({why.splitlines()[0]})"
            self._report(Status("disk", "waiting", said))
        self._waiting = True

    def _look(self) -> None:
        """Check whether there is room on the disk, and whether the shipper has found damage."""
        if is_full(self.plan.var):
            self._say_full("events are refused with 503 until then")
        elif self._waiting:
            self._waiting = False
            self._report(Status("disk", "ready", "there is room again"))
        if self._state_unwritten:
            self._write_state()
        for part in set(parts_aside(self.plan.paths.journal)) - self._aside:
            self._aside.add(part)
            said = f"records in it fail their check and were passed over; see {part} and {self.plan.paths.log / 'shipper.log'}"
            self._report(Status("journal", "damaged", said))

    def shipped(self) -> bool:
        """Return whether everything accepted until now has reached the present broker."""
        return is_shipped(self.plan.paths.journal, self.plan.paths.progress, self.epoch)

    # Starting

    async def _start_servers(self) -> None:
        """Start broker and Valkey; their ports may be taken between choosing and binding, so try again with others."""
        for attempt in range(1, START_ATTEMPTS + 1):
            self._choose_ports(fresh=attempt > 1)
            paths = self.plan.paths
            specs = [
                broker_spec(self.ports.by_name[BROKER], paths.log / "broker.log"),
                valkey_spec(self.ports.by_name[VALKEY], paths.valkey, paths.log / "valkey.log", self.redis_password),
            ]
            try:
                await asyncio.gather(*(self._start(spec, wait=True) for spec in specs))
            except StartError:
                await self._stop_children([BROKER, VALKEY])
                if attempt == START_ATTEMPTS:
                    raise
                continue
            return

    def _choose_ports(self, *, fresh: bool) -> None:
        """Take the ports of the last run where they are free, so that bookmarks and scrape targets stay right."""
        known = read_state(self.plan.var)
        last = known.ports if known is not None and not fresh else {}
        wanted = {name: last.get(name, 0) for name in (BROKER, VALKEY)}
        asked = {GATEWAY: self.plan.gateway_port, WEB: self.plan.web_port, "worker-1": self.plan.metrics_port}
        wanted.update((name, asked[name] or last.get(name, 0)) for name in self.plan.serving)
        for index, name in enumerate(self.plan.worker_names):
            wanted[name] = (self.plan.metrics_port if index == 0 else 0) or last.get(name, 0)
        self.ports = Ports({name: free_port(port) for name, port in wanted.items()})
        for name, port in asked.items():
            if port and self.ports.by_name.get(name, port) != port:
                raise StartError(f"port {port} for {name} is in use; stop what listens there or choose another")

    async def _begin_epoch(self) -> None:
        """Set up the empty broker, which is ready, and start everything that depends on it."""
        self.epoch = uuid.uuid4().hex
        specs = topic_specs(self.plan.topic_prefix, self.plan.partitions, self.plan.horizon_days)
        await create_topics(self.ports.kafka, specs)
        plan = self.plan
        kept = await bring_alerts(plan.paths.alerts, self.ports.kafka, plan.topic_prefix, plan.partitions)
        await forget_rows(self.ports.redis, self.plan.redis_prefix, self.redis_password)
        self.plan.paths.journal.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._start(shipper_spec(self.plan, self.ports, self.epoch))
        for name in self.plan.worker_names:
            await self._start(worker_spec(self.plan, self.ports, name, kept))
        for name, spec in ((GATEWAY, gateway_spec), (WEB, web_spec)):
            if name in self.plan.serving and not self._running(name):
                await self._start(spec(self.plan, self.ports))

    async def _start(self, spec: ChildSpec, *, wait: bool = False) -> None:
        self._report(Status(spec.name, "starting"))
        child = Child(spec)
        self._children[spec.name] = child
        await child.start()
        self._watch(self._tell_end(child))
        self._write_state()
        if wait:
            await child.wait_ready()
            self._report(Status(spec.name, "ready", self._address(spec.name)))

    # Supervising

    async def _supervise(self) -> None:
        checked_s = time.monotonic()
        while True:
            name = None
            with contextlib.suppress(TimeoutError):
                name = await asyncio.wait_for(self._ended.get(), LOOK_S)
            if name is not None:
                await self._with_room(functools.partial(self._recover, name))
            self._look()
            ran_s = {n: time.monotonic() - child.started_s for n, child in self._children.items() if child.running}
            if self._restarts.settled(n for n, seconds in ran_s.items() if seconds > STABLE_S):
                self._write_state()
            if time.monotonic() - checked_s > LOG_CHECK_S:
                checked_s = time.monotonic()
                for child in self._children.values():
                    cap_log(child.spec.log)

    async def _recover(self, name: str) -> None:
        """Restart a process that ended by itself. One at a time; others that end meanwhile wait in the queue."""
        child = self._children[name]
        if child.running or child.stopping:
            return  # it was dealt with together with the broker
        why = child.why_ended
        self._report(Status(name, "ended", why))
        pause_s = self._restarts.ended(name, time.monotonic() - child.started_s, child.returncode, why)
        if name in self._restarts.failing:
            self._write_state()
            self._report(Status(name, "waiting", f"it {self._restarts.failing[name]}; next start in {pause_s:g} s"))
        await asyncio.sleep(pause_s)
        if name == BROKER:
            await self._new_broker()
        else:
            await self._start(child.spec)
            self._watch(self._tell_ready(self._children[name]))

    async def _new_broker(self) -> None:
        """Replace a dead broker. End what depends on it first, so that nothing of the old epoch reaches the new one."""
        derived = [BROKER, SHIPPER, *self.plan.worker_names]
        attempt = 1
        while True:
            await asyncio.gather(*(self._children[name].kill() for name in derived if name in self._children))
            try:
                await self._start(self._children[BROKER].spec, wait=True)
                if not self._running(VALKEY):
                    await self._start(self._children[VALKEY].spec, wait=True)
                await self._begin_epoch()
                break
            except (StartError, RedisError, OSError) as error:
                if no_room(error) or is_full(self.plan.var):
                    self._say_full(str(error))
                    await asyncio.sleep(LOOK_S)
                    continue
                # Broker or Valkey was killed again meanwhile.
                if attempt == START_ATTEMPTS:
                    raise StartError(f"the broker cannot be replaced: {error}") from error
                self._report(Status(BROKER, "ended", f"while it was being replaced: {error}"))
                await asyncio.sleep(attempt)
                attempt += 1
        for name in self.plan.worker_names:
            self._watch(self._tell_ready(self._children[name]))
        for name in (BROKER, VALKEY):
            self._watch(self._look_after(self._children[name]))

    async def _tell_end(self, child: Child) -> None:
        await child.wait()
        if not child.stopping:
            self._ended.put_nowait(child.spec.name)

    async def _tell_ready(self, child: Child) -> None:
        if child.spec.probe is None:
            return
        try:
            await child.wait_ready()
        except StartError as error:
            if child.running:
                await self._replace(child, str(error).splitlines()[0])
            return
        self._report(Status(child.spec.name, "ready", self._address(child.spec.name)))
        await self._look_after(child)

    async def _look_after(self, child: Child) -> None:
        """Check now and then whether a ready process still is. Replace it if it runs and has been unusable for long."""
        spec, watch = child.spec, UnreadyWatch(self._unready_s)
        while spec.probe is not None and child.running and not child.stopping:
            await asyncio.sleep(self._ask_s)
            answer = await spec.ask() if spec.ask is not None else Readiness(await spec.probe(), answered=False)
            lasting_s = watch.note(answer)
            if lasting_s is not None and child.running and not child.stopping:
                await self._replace(child, f"not ready for {lasting_s:.0f} s: {answer.why}")
                return

    async def _replace(self, child: Child, why: str) -> None:
        """End a process that runs and does not do its work, so that it is started again."""
        self._report(Status(child.spec.name, "unready", f"{why}; it is started again; log: {child.spec.log}"))
        await child.stop()
        child.stopping = False
        self._ended.put_nowait(child.spec.name)

    def _watch(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    # Small things

    def _running(self, name: str) -> bool:
        return name in self._children and self._children[name].running

    async def _stop_children(self, names: list[str]) -> None:
        alive = [name for name in names if self._running(name)]
        await asyncio.gather(*(self._children[name].stop() for name in alive))
        for name in alive:
            self._report(Status(name, "stopped"))

    def _address(self, name: str) -> str:
        if name == BROKER:
            return self.ports.kafka
        if name == VALKEY:
            return self.ports.redis
        if name in (GATEWAY, WEB):
            return self.ports.http(name)
        return self.ports.http(name, "/metrics") if name in self.ports.by_name else ""

    def _write_state(self) -> None:
        children = {name: mark_of(child.pid) for name, child in self._children.items() if child.running}
        state = StackState(
            # The state file of a stopped stack keeps its ports, but names no processes.
            supervisor=mark_of(os.getpid()) if children else ProcessMark(os.getpid(), ""),
            children=children,
            ports=dict(self.ports.by_name),
            urls=self.urls,
            journal=str(self.plan.paths.journal.resolve()),
            topic_prefix=self.plan.topic_prefix,
            partitions=self.plan.partitions,
            epoch=self.epoch,
            redis_password_file=str(self.plan.paths.redis_password.resolve()),
            redis_prefix=self.plan.redis_prefix,
            config_file=str(self.plan.config_file.resolve()) if self.plan.config_file is not None else "",
            failing=dict(self._restarts.failing),
        )
        try:
            write_state(self.plan.paths, state)
        except OSError as error:
            # Other commands find a change only when it is written; the stack itself does not need the file.
            self._state_unwritten = True
            self._say_full(f"{self.plan.paths.state}: {error.strerror or error}")
        else:
            self._state_unwritten = False
