"""A real Apache Kafka for tests: jars from Maven Central, one KRaft node on free loopback ports.

The jars are fetched once into ``FLOORWATCH_KAFKA_HOME`` (default ``~/.cache/floorwatch/kafka``). A conftest.py that
says ``from tests.brokers import kafka_bootstrap`` gives its tests the fixture.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support import missing, require

POM = Path(__file__).parent / "kafka" / "pom.xml"
READY_S = 60.0
_FETCH_S = 900

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.partitions=4
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=4194304
"""

_LOGGING = """\
<Configuration status="WARN"><Appenders><Console name="out"><PatternLayout pattern="%d %p %c: %m%n"/></Console>
</Appenders><Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""


def kafka_jars() -> Path:
    """Return the folder of Kafka's jars, fetching them the first time; without Maven the test is skipped or fails."""
    home = Path(os.environ.get("FLOORWATCH_KAFKA_HOME") or Path.home() / ".cache" / "floorwatch" / "kafka")
    jars = home / f"libs-{sha256(POM.read_bytes()).hexdigest()[:12]}"
    if jars.is_dir():
        return jars
    maven = require("mvn")
    partial = home / f"partial-{os.getpid()}"
    command = [maven, "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_S, check=False)
    if done.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        said = (done.stdout + done.stderr).strip().splitlines()[-5:]
        missing("Kafka's jars could not be fetched from Maven Central: " + " / ".join(said))
    try:
        partial.rename(jars)
    except OSError:
        if not jars.is_dir():
            raise
        shutil.rmtree(partial)  # another test run was faster
    return jars


@contextmanager
def running_kafka(folder: Path) -> Iterator[str]:
    """Run one Kafka node that keeps its data in a folder; it is gone when the context ends.

    Args:
        folder: For configuration, log and data; a second run on the same folder finds the same data.

    Yields:
        ``host:port``.
    """
    java = require("java")
    classpath = f"{kafka_jars()}/*"
    folder.mkdir(parents=True, exist_ok=True)
    port, controller = _free_ports(2)
    settings = folder / "server.properties"
    settings.write_text(_PROPERTIES.format(port=port, controller=controller, data=folder / "data"))
    (folder / "log4j2.xml").write_text(_LOGGING)
    options = ["-Xmx512m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={folder}/log4j2.xml"]
    base = [java, *options, "-cp", classpath]
    if not (folder / "data" / "meta.properties").exists():
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        format_command = [*base, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings)]
        done = subprocess.run(format_command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.fail(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}", pytrace=False)
    log = folder / "kafka.log"
    with log.open("ab") as output:
        server = subprocess.Popen(
            [*base, "kafka.Kafka", str(settings)], stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    try:
        _wait_for(port, server, log)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of a real Apache Kafka, one for the whole test run. Use topics and groups of your own names."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


def _free_ports(count: int) -> list[int]:
    """Return free ports, all different: they are held until the last is chosen."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    end = log.read_text(errors="replace")[-2000:]
    pytest.fail(f"Kafka did not listen on port {port} within {READY_S:g} s:\n{end}", pytrace=False)
