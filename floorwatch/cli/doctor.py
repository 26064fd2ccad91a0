"""``floorwatch doctor``: what is wrong with a configuration, a connection or this machine, and how to mend it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from floorwatch.cli.doctor_check import CONNECT_TIMEOUT_S, Check
from floorwatch.cli.doctor_var import ready_check
from floorwatch.cli.options import ConfigFileOption, VarOption, json_option
from floorwatch.embedded.health import ask_ready
from floorwatch.output.terminal import say, say_json
from floorwatch.sdk.stacks import DEFAULT_VAR
from streams.core.formatting import size_words

if TYPE_CHECKING:
    from floorwatch.settings.schema import FloorwatchConfig

MARKS: dict[str, str] = {"ok": "✓", "warn": "!", "fail": "✗"}

MIN_PYTHON = (3, 11)
FAUST_SERIES = "0.15."
DISK_FAIL_BYTES = 256 * 1024**2
DISK_WARN_BYTES = 2 * 1024**3


def python_checks() -> list[Check]:
    """Check the interpreter and the one package whose internals Floorwatch leans on."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MIN_PYTHON:
        needed = ".".join(map(str, MIN_PYTHON))
        checks = [Check("fail", "python", f"this is Python {version}", f"install Python {needed} or later")]
    else:
        checks = [Check("ok", "python", version)]
    try:
        faust = metadata.version("faust-streaming")
    except metadata.PackageNotFoundError:
        return [
            *checks,
            Check("fail", "faust-streaming", "is not installed", "install Floorwatch with its requirements"),
        ]
    if not faust.startswith(FAUST_SERIES):
        fix = f"install faust-streaming {FAUST_SERIES}x: the engine is held to it by tests"
        return [*checks, Check("fail", "faust-streaming", f"{faust} is not of the series {FAUST_SERIES}x", fix)]
    return [*checks, Check("ok", "faust-streaming", faust)]


def disk_check(var: Path) -> Check:
    """Check the place for the embedded journal: writable, and with room."""
    place = var.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    name = f"disk {var}"
    if not place.is_dir():
        return Check("fail", name, f"{place} is not a folder", "choose another --var")
    if not os.access(place, os.W_OK | os.X_OK):
        return Check("fail", name, f"{place} is not writable", "choose another --var, or mend its permissions")
    free = shutil.disk_usage(place).free
    said = f"{size_words(free)} free"
    if free < DISK_FAIL_BYTES:
        return Check("fail", name, said, "free at least 256 MiB: the journal would soon stop intake")
    if free < DISK_WARN_BYTES:
        return Check("warn", name, said, "free 2 GiB: a busy floor writes about 1 GiB of journal a day")
    return Check("ok", name, said)


async def port_check(name: str, host: str, port: int) -> Check:
    """Check that a port is free, or already served by Floorwatch itself (it answers ``/healthz``), and then that this is ready.

    Args:
        name: The setting, e.g. ``metrics.port``.
        host: Address to listen on.
        port: 0 means that a free one is taken at start.
    """
    where = f"{host}:{port}"
    if port == 0:
        return Check("ok", name, "0: a free port is taken and printed at start")
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return Check("ok", name, f"{where} is free")
    except socket.gaierror:
        return Check("fail", name, f"the host {host} is not known", f"correct {name.rsplit('.', 1)[0]}.host")
    except PermissionError:
        return Check("fail", name, f"{where} needs more rights", "use a port above 1023")
    except OSError as error:
        if await _healthy(host, port):
            target = f"[{_asked(host)}]" if ":" in _asked(host) else _asked(host)
            return ready_check(name, f"http://{where}", await ask_ready(f"http://{target}:{port}/readyz"))
        said = (error.strerror or str(error)).lower()
        return Check(
            "fail", name, f"{where}: {said}", f"stop what listens there, or change {name} (0 takes a free port)"
        )


def _asked(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - asked, not bound


async def _healthy(host: str, port: int) -> bool:
    target = _asked(host)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(target, port)
            writer.write(f"GET /healthz HTTP/1.0\r\nHost: {target}\r\n\r\n".encode())
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    parts = status.split()
    return len(parts) > 1 and parts[0].startswith(b"HTTP/") and parts[1] == b"200"


async def diagnose(path: Path | None, env: Mapping[str, str], var: Path | None) -> list[Check]:
    """Run every check, on the embedded stack that runs where the configuration names no Kafka and no Redis.

    Args:
        path: The configuration file; None takes the defaults.
        env: The environment.
        var: Folder of the embedded stack, where the user named it.

    Returns:
        One entry a check; connections are only tried with a valid configuration.
    """
    from config.errors import ConfigErrors
    from floorwatch.cli.common import load_target, names_servers
    from floorwatch.cli.doctor_var import STACK, ready_checks, stack_checks, var_checks, worker_checks

    checks = python_checks()
    folder = var or DEFAULT_VAR
    try:
        config, stack = load_target(path, var, env, needed=False)
    except ConfigErrors as errors:
        checks += [Check("fail", "configuration", _first_line(error), _rest(error)) for error in errors.errors]
        return [*checks, disk_check(folder), *var_checks(folder)]
    if stack is not None:
        folder = stack.var
        path = path or (Path(stack.state.config_file) if stack.state.config_file else None)
    checks.append(Check("ok", "configuration", str(path) if path else "the defaults"))
    if not names_servers(config, env) or stack is not None:
        checks += stack_checks(stack, var, env)
    checks += grant_checks(config)
    if any(check.name == STACK and check.status == "fail" for check in checks):
        return checks  # it is not known which servers are meant, and checks of the default ones would mislead
    checks += await _connections(config)
    checks += [disk_check(folder), *var_checks(folder)]
    if stack is not None:
        return [*checks, *await ready_checks(stack), *await worker_checks(stack)]
    for name, host, port in _ports(config):
        checks.append(await port_check(name, host, port))
    return checks


def grant_checks(config: FloorwatchConfig) -> list[Check]:
    """If some senders have grants, check that all others have: other tokens, and raw topics."""
    sources = config.gateway.sources
    limited = [name for name, source in sources.items() if source.limited]
    topics = config.kafka.bound_topics()
    if not limited and not topics:
        return []
    checks = []
    free = [name for name in sources if name not in limited]
    if free:
        fix = "give each may, vendor, site, …, if it is not meant to do everything: docs/security.md"
        checks.append(Check("warn", "grants", f"gateway sources that may do everything: {', '.join(free)}", fix))
    if config.gateway.allow_unauthenticated and not sources:
        fix = "set gateway.sources: without tokens nobody is told apart"
        checks.append(Check("warn", "grants", "the gateway takes events from anyone", fix))
    open_topics = [name for name in config.kafka.intake_topics if name not in topics]
    if open_topics:
        fix = "write {topic: raw.v1, may: []} to take only what the gateway sealed, or keep others off by Kafka's ACLs"
        detail = f"raw topics on which a producer may do everything: {', '.join(open_topics)}"
        checks.append(Check("warn", "grants", detail, fix))
    return checks or [Check("ok", "grants", f"every sender has one: {', '.join([*limited, *topics])}")]


async def _connections(config: FloorwatchConfig) -> list[Check]:
    from floorwatch.cli.doctor_alerts import alert_checks
    from floorwatch.cli.doctor_kafka import kafka_checks
    from floorwatch.cli.doctor_redis import redis_checks
    from floorwatch.cli.doctor_sampling import sampling_checks
    from floorwatch.cli.doctor_sites import review_checks
    from floorwatch.cli.doctor_web import web_checks

    kafka, redis, alerts, review, web = await asyncio.gather(
        kafka_checks(config.kafka, config.tables.correction_horizon_days),
        redis_checks(config.redis, config.engine.future_tolerance_s),
        alert_checks(config),
        review_checks(config),
        web_checks(config.web),
    )
    there = any(check.name == "topics" and check.status == "ok" for check in kafka)
    drawn = await sampling_checks(config.kafka, config.sampling.plan()) if there else []
    return [*review, *kafka, *redis, *alerts, *web, *drawn]


def _ports(config: FloorwatchConfig) -> list[tuple[str, str, int]]:
    """Return (setting, host, port) of everything that will listen."""
    found = []
    for name, section in (("metrics", config.metrics), ("gateway", config.gateway)):
        port, host = getattr(section, "port", None), getattr(section, "host", "127.0.0.1")
        if isinstance(port, int):
            found.append((f"{name}.port", str(host), port))
    return found


def _first_line(error: Any) -> str:
    return str(error).split("\n", 1)[0]


def _rest(error: Any) -> str:
    return str(error.hint or "correct the place named; floorwatch config check shows it in its line")


def as_text(checks: list[Check]) -> str:
    """Return one line a check, its fix below it where there is one, and a verdict."""
    from streams.core.formatting import printable

    lines = []
    for check in checks:
        lines.append(printable(f"{MARKS[check.status]} {check.name}: {check.detail}"))
        if check.fix and check.status != "ok":
            lines.append(printable(f"    → {check.fix}"))
    failed = sum(check.status == "fail" for check in checks)
    warned = sum(check.status == "warn" for check in checks)
    verdict = f"{failed} of {len(checks)} checks failed" if failed else f"all {len(checks)} checks passed"
    lines.append(verdict + (f", {warned} to look at" if warned else ""))
    return "\n".join(lines)


def doctor(
    config: ConfigFileOption = None,
    as_json: Annotated[bool, json_option("A JSON object instead of text.")] = False,
    var: VarOption = None,
) -> None:
    """Check Python, configuration, broker, topics, Redis, alert channels, clock, disk and ports; exit 1 if anything is broken."""
    import logging

    # aiokafka logs what the checks explain better.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    checks = asyncio.run(diagnose(config, os.environ, var))
    failed = any(check.status == "fail" for check in checks)
    if as_json:
        data = {"ok": not failed, "checks": [asdict(check) for check in checks]}
        say_json(data, indent=True)
    else:
        say(as_text(checks))
    if failed:
        raise typer.Exit(1)
