"""What a stack consists of: its processes, their commands, ports and environments."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from floorwatch.embedded.child_process import LOOPBACK, ChildSpec, answers_http
from floorwatch.embedded.health import ask_ready
from floorwatch.embedded.state import Paths
from floorwatch.embedded.valkey import redis_url

JOURNAL_VARIABLE = "FLOORWATCH_JOURNAL"
"""Set for the gateway and the pages: publish to this journal folder, and not to Kafka."""

KEPT_ALERTS_VARIABLE = "FLOORWATCH_KEPT_ALERTS"
"""Set for workers: keep incidents in this folder too, for the next broker."""

BROKER = "broker"
VALKEY = "valkey"
SHIPPER = "shipper"
GATEWAY = "gateway"
WEB = "web"


@dataclass(frozen=True)
class StackPlan:
    """What to run.

    Attributes:
        var: Folder of everything the stack keeps.
        workers: How many worker processes.
        gateway: Whether to run the HTTP gateway.
        gateway_port: TCP port; 0 takes the last one used, or a free one.
        web: Whether to serve the pages behind links of messages.
        web_port: TCP port; as above.
        web_url: The configuration says how people reach the pages. Else the links of messages lead to the stack's own pages.
        web_keys: The configuration has keys for links. Else they are signed with a key of the stack.
        metrics_port: Of the first worker; as above. Further workers take free ones.
        partitions: Of each topic.
        topic_prefix: Put before each topic.
        redis_prefix: Put before each Redis key.
        horizon_days: Correction horizon; the journal is kept a day longer.
        config_file: Configuration handed on to gateway and workers.
        worker_argv: Command of a worker.
        gateway_argv: Command of the gateway.
        web_argv: Command of the pages.
        extra_env: Added to the environment of gateway and workers.
    """

    var: Path
    workers: int = 1
    gateway: bool = True
    gateway_port: int = 0
    web: bool = False
    web_port: int = 0
    web_url: bool = False
    web_keys: bool = False
    metrics_port: int = 0
    partitions: int = 4
    topic_prefix: str = "floorwatch."
    redis_prefix: str = "floorwatch:"
    horizon_days: int = 14
    config_file: Path | None = None
    worker_argv: Sequence[str] = (sys.executable, "-m", "floorwatch", "worker")
    gateway_argv: Sequence[str] = (sys.executable, "-m", "floorwatch", "gateway")
    web_argv: Sequence[str] = (sys.executable, "-m", "floorwatch", "web")
    extra_env: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> Paths:
        """Where things are kept."""
        return Paths(self.var)

    @property
    def serving(self) -> list[str]:
        """Names of the processes that people and tools call: the gateway and the pages, where they run."""
        return [name for name, runs in ((GATEWAY, self.gateway), (WEB, self.web)) if runs]

    @property
    def worker_names(self) -> list[str]:
        """Names of the workers: worker-1, worker-2 and so on."""
        return [f"worker-{number}" for number in range(1, self.workers + 1)]


@dataclass(frozen=True)
class Ports:
    """TCP ports by process name: broker, valkey, gateway, web, and each worker's metrics."""

    by_name: Mapping[str, int]

    @property
    def kafka(self) -> str:
        """``host:port`` of the broker."""
        return f"{LOOPBACK}:{self.by_name[BROKER]}"

    @property
    def redis(self) -> str:
        """URL of Valkey."""
        return redis_url(self.by_name[VALKEY])

    def http(self, name: str, path: str = "") -> str:
        """Return a URL of the gateway, of the pages or of a worker."""
        return f"http://{LOOPBACK}:{self.by_name[name]}{path}"


def urls_of(plan: StackPlan, ports: Ports) -> dict[str, str]:
    """Return the addresses other commands need: kafka, redis, gateway, web, metrics, metrics-2 and so on."""
    urls = {"kafka": ports.kafka, "redis": ports.redis}
    urls.update((name, ports.http(name)) for name in plan.serving)
    for index, name in enumerate(plan.worker_names):
        urls["metrics" if index == 0 else f"metrics-{index + 1}"] = ports.http(name, "/metrics")
    return urls


def shipper_spec(plan: StackPlan, ports: Ports, epoch: str) -> ChildSpec:
    """Return how to run the shipper for one life of the broker."""
    paths = plan.paths
    keep_ms = (plan.horizon_days + 1) * 86_400_000
    argv = [sys.executable, "-m", "floorwatch.embedded.shipper"]
    settings = {
        "journal": paths.journal,
        "progress": paths.progress,
        "brokers": ports.kafka,
        "prefix": plan.topic_prefix,
        "partitions": plan.partitions,
        "epoch": epoch,
        "keep-ms": keep_ms,
    }
    argv += [f"--{name}={value}" for name, value in settings.items()]
    return ChildSpec(SHIPPER, argv, paths.log / "shipper.log", stop_timeout_s=5)


def gateway_spec(plan: StackPlan, ports: Ports) -> ChildSpec:
    """Return how to run the gateway, which accepts into the journal."""
    env = {
        **_environment(plan, ports),
        JOURNAL_VARIABLE: str(plan.paths.journal.resolve()),
        "FLOORWATCH_GATEWAY__PORT": str(ports.by_name[GATEWAY]),
        "FLOORWATCH_GATEWAY__SPOOL_DIR": str((plan.var / "spool").resolve()),
    }
    url = ports.http(GATEWAY, "/healthz")
    return ChildSpec(
        GATEWAY,
        plan.gateway_argv,
        plan.paths.log / "gateway.log",
        lambda: answers_http(url),
        env=env,
        ready_timeout_s=30,
    )


def web_spec(plan: StackPlan, ports: Ports) -> ChildSpec:
    """Return how to run the pages behind links of messages."""
    env = {
        **_environment(plan, ports),
        JOURNAL_VARIABLE: str(plan.paths.journal.resolve()),
        "FLOORWATCH_WEB__PORT": str(ports.by_name[WEB]),
    }
    if not plan.web_url:
        env["FLOORWATCH_WEB__HOST"] = LOOPBACK
    url = ports.http(WEB, "/healthz")
    return ChildSpec(
        WEB, plan.web_argv, plan.paths.log / "web.log", lambda: answers_http(url), env=env, ready_timeout_s=30
    )


def worker_spec(plan: StackPlan, ports: Ports, name: str, kept_alerts: Path | None = None) -> ChildSpec:
    """Return how to run one worker, which keeps its incidents in a folder of this life of the broker."""
    env = {**_environment(plan, ports), "FLOORWATCH_METRICS__PORT": str(ports.by_name[name])}
    if kept_alerts is not None:
        env[KEPT_ALERTS_VARIABLE] = str(kept_alerts.resolve())
    url = ports.http(name, "/readyz")
    log = plan.paths.log / f"{name}.log"
    # Ready means recovered and assigned; joining a group that lost a member takes Tansu 11 s (ADR 5).
    # A worker ends by itself within telemetry.shutdown.LIMIT_S and logs what hung. It is killed only after that.
    return ChildSpec(
        name,
        plan.worker_argv,
        log,
        lambda: answers_http(url),
        lambda: ask_ready(url),
        env,
        ready_timeout_s=90,
        stop_timeout_s=28,
    )


def _environment(plan: StackPlan, ports: Ports) -> dict[str, str]:
    env = {
        **plan.extra_env,
        "FLOORWATCH_KAFKA__BROKERS": ports.kafka,
        "FLOORWATCH_KAFKA__IDEMPOTENT_PRODUCER": "false",  # Tansu has no InitProducerId
        "FLOORWATCH_KAFKA__REBALANCE_TIMEOUT_S": "3",  # Tansu's first member waits all of it
        "FLOORWATCH_KAFKA__TRUST_RECORD_TIME": "true",  # of the shipper's records; Tansu stamps none
        "FLOORWATCH_KAFKA__PARTITIONS": str(plan.partitions),
        "FLOORWATCH_KAFKA__TOPIC_PREFIX": plan.topic_prefix,
        "FLOORWATCH_REDIS__URL": ports.redis,
        "FLOORWATCH_REDIS__PASSWORD_FILE": str(plan.paths.redis_password.resolve()),
        "FLOORWATCH_REDIS__PREFIX": plan.redis_prefix,
    }
    if plan.web and not plan.web_url:
        env["FLOORWATCH_WEB__URL"] = ports.http(WEB)
    if plan.web and not plan.web_keys:
        env["FLOORWATCH_WEB__LINK_KEYS_FILE"] = str(plan.paths.link_keys.resolve())
    if plan.config_file is not None:
        env["FLOORWATCH_CONFIG"] = str(plan.config_file.resolve())
    return env
