"""A real Apache Kafka from Maven Central: one KRaft node on free loopback ports that can be killed and started again.

The jars are fetched once into ``FLOORWATCH_KAFKA_HOME`` (default ``~/.cache/floorwatch/kafka``). Nothing is compiled.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from floorwatch.embedded.child_process import free_port, log_end
from floorwatch.embedded.servers import dying_with_me

KAFKA_VERSION = "4.1.1"
LOG4J_VERSION = "2.24.3"
READY_S = 180.0
STOP_S = 20.0
_FETCH_S = 900
_FORMAT_S = 120

POM = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>floorwatch</groupId>
  <artifactId>kafka-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <properties><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>{LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
"""What `mvn dependency:copy-dependencies` fetches: the broker, its tools, and a voice for its log."""

_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "INTERNAL",
    "num.partitions": "4",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "2",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "auto.create.topics.enable": "false",
    "log.cleaner.dedupe.buffer.size": "4194304",
    # A node killed -9 may only register again when its old session has ended.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}

BUSY_CLEANER: Mapping[str, str] = {
    # Kafka 4 takes no smaller segment than 1 MiB; rolling by time lets the cleaner reach quiet topics too.
    "log.segment.bytes": "1048576",
    "log.roll.ms": "15000",
    "log.cleaner.backoff.ms": "1000",
    "log.cleaner.min.cleanable.ratio": "0.05",
    "offsets.topic.segment.bytes": "1048576",
}
"""Properties that make compaction run all the time, as it does over weeks in production."""

_LOGGING = """\
<Configuration status="WARN"><Appenders><Console name="out"><PatternLayout pattern="%d %p %c: %m%n"/></Console>
</Appenders><Loggers><Logger name="org.apache.kafka.coordinator.group" level="INFO"/>
<Root level="WARN"><AppenderRef ref="out"/></Root></Loggers></Configuration>
"""


class KafkaUnavailableError(RuntimeError):
    """Kafka cannot be had on this machine. Operator: the message names what to install, or what Maven said."""


class KafkaStartError(RuntimeError):
    """The node did not come up. Operator: the message holds the end of its log."""


def kafka_jars() -> Path:
    """Return the folder of Kafka's jars, fetching them the first time.

    Raises:
        KafkaUnavailableError: Maven is missing, or cannot reach a repository.
    """
    home = Path(os.environ.get("FLOORWATCH_KAFKA_HOME") or Path.home() / ".cache" / "floorwatch" / "kafka")
    jars = home / f"libs-{sha256(POM.encode()).hexdigest()[:12]}"
    if jars.is_dir():
        return jars
    maven = _program("mvn", "Debian: apt-get install maven")
    home.mkdir(parents=True, exist_ok=True)
    partial = home / f"partial-{os.getpid()}"
    pom = home / f"pom-{os.getpid()}.xml"
    pom.write_text(POM)
    command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_S, check=False)  # noqa: S603 - fixed
    pom.unlink()
    if done.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        said = (done.stdout + done.stderr).strip().splitlines()[-5:]
        raise KafkaUnavailableError("Kafka's jars could not be fetched from Maven Central: " + " / ".join(said))
    try:
        partial.rename(jars)
    except OSError:
        if not jars.is_dir():
            raise
        shutil.rmtree(partial)  # another process was faster
    return jars


class KafkaNode:
    """One broker and controller in one process, with its data in one folder.

    Attributes:
        bootstrap: ``host:port`` for clients; the same for every start on this object.
    """

    def __init__(
        self,
        folder: Path,
        properties: Mapping[str, str] | None = None,
        *,
        protocol: str = "PLAINTEXT",
        scram_users: Mapping[str, str] | None = None,
    ) -> None:
        """Choose ports; nothing runs yet.

        Args:
            folder: For configuration, log and data; a later node on the same folder finds the same data.
            properties: Broker properties beside or instead of the usual ones.
            protocol: Of the listener for clients, such as ``SASL_SSL``; its keys and mechanisms are ``properties``.
            scram_users: Password by user name, stored as SCRAM-SHA-512 when the data folder is made.
        """
        self._folder = folder
        self._port, self._controller, self._internal = (free_port() for _ in range(3))
        self._scram_users = dict(scram_users or {})
        listeners = {"CLIENT": self._port, "CONTROLLER": self._controller, "INTERNAL": self._internal}
        addresses = {name: f"{name}://127.0.0.1:{port}" for name, port in listeners.items()}
        self._properties = {
            **_PROPERTIES,
            "listeners": ",".join(addresses.values()),
            "advertised.listeners": f"{addresses['CLIENT']},{addresses['INTERNAL']}",
            "listener.security.protocol.map": f"CLIENT:{protocol},CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "log.dirs": str(folder / "data"),
            **(properties or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = f"127.0.0.1:{self._port}"

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        """File of everything the node says."""
        return self._folder / "kafka.log"

    def spawn(self) -> None:
        """Start the process, formatting the data folder the first time; do not wait until it listens.

        Raises:
            KafkaUnavailableError: Java or the jars cannot be had.
            KafkaStartError: The data folder cannot be formatted.
        """
        java = _program("java", "Debian: apt-get install default-jre-headless")
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._folder / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in self._properties.items()))
        logging = self._folder / "log4j2.xml"
        logging.write_text(_LOGGING)
        tuning = ["-Xmx512m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", f"-Dlog4j2.configurationFile={logging}"]
        base = [java, *tuning, "-cp", f"{kafka_jars()}/*"]
        if not (self._folder / "data" / "meta.properties").exists():
            self._format(base, settings)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [*base, "kafka.Kafka", str(settings)],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                preexec_fn=dying_with_me(),  # noqa: PLW1509 - one prctl, no locks
            )

    def _format(self, base: Sequence[str], settings: Path) -> None:
        # The tool takes an id that begins with a dash for an option.
        cluster = "F" + urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        users = [f"SCRAM-SHA-512=[name={name},password={word}]" for name, word in self._scram_users.items()]
        command = [*base, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings)]
        for user in users:
            command += ["--add-scram", user]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FORMAT_S, check=False)  # noqa: S603
        if done.returncode:
            raise KafkaStartError(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")

    def listening(self) -> bool:
        """Whether the client port accepts connections.

        Raises:
            KafkaStartError: The process has ended.
        """
        if not self.running:
            raise KafkaStartError(f"Kafka ended before it listened; the end of its log:\n{log_end(self.log)}")
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def start(self) -> None:
        """Start and wait until clients can connect.

        Raises:
            KafkaUnavailableError: Java or the jars cannot be had.
            KafkaStartError: It ended, or does not listen within three minutes.
        """
        self.spawn()
        until_s = time.monotonic() + READY_S
        while not self.listening():
            if time.monotonic() > until_s:
                raise KafkaStartError(
                    f"Kafka did not listen within {READY_S:g} s; the end of its log:\n{log_end(self.log)}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """End it politely, then not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut does to a process (not to the disk)."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextmanager
def running_kafka(folder: Path, properties: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run one node that keeps its data in a folder; it is gone when the context ends.

    Args:
        folder: For configuration, log and data; a second run on the same folder finds the same data.
        properties: Broker properties beside or instead of the usual ones.

    Yields:
        ``host:port``.

    Raises:
        KafkaUnavailableError: Java or the jars cannot be had.
        KafkaStartError: It did not come up.
    """
    node = KafkaNode(folder, properties)
    try:
        node.start()
        yield node.bootstrap
    finally:
        node.stop()


def _program(name: str, hint: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise KafkaUnavailableError(f"{name} is not installed; {hint}")
    return found
