"""What a chaos run shakes: a Kafka, a Redis and up to three real worker processes, each with a place of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml

from floorwatch.chaos.kafka import BUSY_CLEANER, KafkaNode, KafkaStartError
from floorwatch.chaos.schedule import MAX_WORKERS
from floorwatch.embedded.child_process import describe_exit, free_port, last_error, log_end
from floorwatch.embedded.servers import clean_environment, dying_with_me, valkey_command, wait_for_port, worker_command

SESSION_TIMEOUT_S = 6.0
PREFIX = "floorwatch."
GROUP = "floorwatch"
_STOP_S = 30.0
_LAG = re.compile(r'^floorwatch_lag_records\{(?=.*stage="(?P<stage>[^"]*)")(?=.*partition="(?P<partition>\d+)")')
_TIME = re.compile(r"^[\d-]+ [\d:,]+ ")


@dataclass
class WorkerSlot:
    """A place for one worker.

    Attributes:
        wanted: Whether a worker should run here.
        busy: Held by whatever is being done to the worker.
        frozen: Whether it stands still under SIGSTOP.
        exits: How each process that nobody ended has ended.
    """

    number: int
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    frozen: bool = False
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    exits: list[str] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether a process runs here (it may be frozen)."""
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Signal the process, if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.frozen = number == signal.SIGSTOP


class ChaosStack:
    """Kafka, Redis and workers. Start with ``start``, end with ``stop``.

    Attributes:
        config: The YAML every worker runs with.
        places: One per worker that may run.
    """

    def __init__(self, folder: Path, partitions: int, properties: dict[str, str] | None = None) -> None:
        """Choose ports; nothing runs yet.

        Args:
            folder: For data and logs.
            partitions: Of every topic.
            properties: Broker properties beside those of a busy log cleaner.
        """
        self.folder = folder
        self.partitions = partitions
        self.kafka = KafkaNode(folder / "kafka", {**BUSY_CLEANER, **(properties or {})})
        self._redis_port, *metrics = (free_port() for _ in range(1 + MAX_WORKERS))
        self.redis_url = f"redis://127.0.0.1:{self._redis_port}/0"
        self.config = folder / "floorwatch.yaml"
        self.places = [WorkerSlot(n, port, folder / f"worker-{n}.log") for n, port in enumerate(metrics)]
        self._redis: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start Kafka and Redis and write the workers' configuration; workers are started one by one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(yaml.safe_dump(self._settings(), sort_keys=False))
        self.start_redis()
        await self.start_kafka()
        await wait_for_port(self._redis_port)

    def _settings(self) -> dict[str, object]:
        return {
            "kafka": {
                "brokers": [self.kafka.bootstrap],
                "partitions": self.partitions,
                "group": GROUP,
                "session_timeout_s": SESSION_TIMEOUT_S,
            },
            "redis": {"url": self.redis_url},
            # The end of the input moves time to its end here, not a silence while a broker is down.
            "engine": {"idle_timeout_s": 86_400, "flush_interval_s": 0.5, "publish_interval_s": 2},
            # Days in UTC everywhere: then the oracle's panes of 24 hours are the calendar days.
            "tables": {"zones": {}, "default_zone": "UTC"},
        }

    async def start_kafka(self) -> None:
        """Start Kafka on its data and wait until it listens.

        Raises:
            KafkaStartError: It ended, or does not listen within a minute.
        """
        self.kafka.spawn()
        until_s = time.monotonic() + 60
        while not self.kafka.listening():
            if time.monotonic() > until_s:
                raise KafkaStartError(f"Kafka does not listen; the end of its log:\n{log_end(self.kafka.log)}")
            await asyncio.sleep(0.1)

    def start_redis(self) -> None:
        """Start Redis, empty."""
        with (self.folder / "redis.log").open("ab") as log:
            command = valkey_command(self._redis_port, self.folder)
            self._redis = _spawn(command, log.fileno(), clean_environment())

    def kill_redis(self) -> None:
        """End Redis with SIGKILL: it forgets everything."""
        if self._redis is not None:
            self._redis.kill()
            self._redis.wait()

    def start_worker(self, place: WorkerSlot) -> None:
        """Start a worker at its place; its log goes on in the same file."""
        env = clean_environment(METRICS__PORT=str(place.port))
        with place.log.open("ab") as log:
            log.write(b"---- start ----\n")
            log.flush()
            place.process = _spawn(worker_command(self.config), log.fileno(), env)
        place.frozen = False

    async def end_worker(self, place: WorkerSlot) -> bool:
        """End a worker with SIGTERM; return whether it ended by itself within 30 s."""
        worker = place.process
        if worker is None or worker.poll() is not None:
            return True
        place.send(signal.SIGCONT)
        place.send(signal.SIGTERM)
        until_s = time.monotonic() + _STOP_S
        while worker.poll() is None:
            if time.monotonic() > until_s:
                worker.kill()
                worker.wait()
                return False
            await asyncio.sleep(0.05)
        return True

    async def held(self, place: WorkerSlot) -> set[tuple[str, int]] | None:
        """Return (stage, partition) of everything a worker says it owns in its metrics; None without an answer."""
        text = await _get(f"http://127.0.0.1:{place.port}/metrics")
        if text is None:
            return None
        found = (_LAG.match(line) for line in text.splitlines())
        return {(match["stage"], int(match["partition"])) for match in found if match}

    async def ready(self, place: WorkerSlot) -> bool:
        """Whether a worker says that it has partitions and has recovered them."""
        return await _get(f"http://127.0.0.1:{place.port}/readyz") is not None

    def supervise(self) -> list[str]:
        """Start every worker again that has ended by itself; return what to say about it."""
        said = []
        for place in self.places:
            if not place.wanted or place.busy.locked() or place.process is None or place.running:
                continue
            how = f"{describe_exit(place.process.returncode)}: {last_error(place.log) or '(no log)'}"
            place.exits.append(how)
            said.append(f"worker {place.number} ended with {how}")
            self.start_worker(place)
        return said

    async def stop(self) -> None:
        """End everything, workers first."""
        for place in self.places:
            place.wanted = False
        await asyncio.gather(*(self.end_worker(place) for place in self.places))
        self.kill_redis()
        await asyncio.to_thread(self.kafka.stop)


def _spawn(command: list[str], output: int, env: dict[str, str]) -> subprocess.Popen[bytes]:
    # In its own session, so that Ctrl-C reaches the run alone, which ends its children in order.
    return subprocess.Popen(  # noqa: S603 - our own command lines
        command,
        stdout=output,
        stderr=output,
        stdin=subprocess.DEVNULL,
        env=env,
        start_new_session=True,
        preexec_fn=dying_with_me(),  # noqa: PLW1509 - one prctl, no locks
        cwd=os.getcwd(),  # noqa: PTH109 - the children import from where this process does
    )


async def _get(url: str) -> str | None:
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return await answer.text() if answer.status < 300 else None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
