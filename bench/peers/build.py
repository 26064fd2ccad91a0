"""Builds the peers: jars by Maven, classes by javac, Quix Streams into an environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

from bench.stack import BenchError

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / ".peers"
VENV = HERE.parent / ".venv-peers"
QUIX = "quixstreams==3.28.1"
_FETCH_S = 1200


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{what}: {error}") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-4:]
        raise BenchError(f"{what}: " + " / ".join(said))


def java_command(peer: str, main_class: str, *options: str) -> list[str]:
    """Return the start of a Java peer's command line, fetching and compiling what is missing.

    Args:
        peer: Folder under bench/peers.
        main_class: Class to run.
        *options: Options of the Java machine.

    Raises:
        BenchError: Java or Maven is missing, or something cannot be fetched or compiled; the message says what.
    """
    for program in ("java", "javac", "mvn"):
        if shutil.which(program) is None:
            raise BenchError(f"{peer} cannot be built: {program} is not installed")
    folder = HERE / peer
    sources = sorted([*(HERE / "common").glob("*.java"), *folder.glob("*.java")])
    jars = _fetched(folder)
    digest = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    classes = BUILT / f"{peer}-classes-{digest}"
    if not classes.is_dir():
        partial = classes.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        command = ["javac", "--release", "17", "-d", str(partial), "-cp", f"{jars}/*", *map(str, sources)]
        _run(command, f"{peer} does not compile")
        partial.rename(classes)
    return ["java", *options, "-cp", f"{classes}:{jars}/*", f"floorwatch.bench.{main_class}"]


def _fetched(folder: Path) -> Path:
    pom = folder / "pom.xml"
    jars = BUILT / f"{folder.name}-jars-{sha256(pom.read_bytes()).hexdigest()[:12]}"
    if not jars.is_dir():
        partial = jars.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        target = f"-DoutputDirectory={partial}"
        _run(["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", target], f"jars of {folder.name}")
        partial.rename(jars)
    return jars


def quix_python() -> Path:
    """Return the Python that has Quix Streams, making its environment the first time.

    Raises:
        BenchError: It cannot be installed.
    """
    python = VENV / "bin" / "python"
    done = VENV / f".{QUIX}"
    if not done.exists():
        if not python.exists():
            _run([sys.executable, "-m", "venv", str(VENV)], "environment of Quix Streams")
        _run([str(python), "-m", "pip", "install", "-q", QUIX], "Quix Streams cannot be installed")
        done.touch()
    return python


def available(names: Iterable[str]) -> dict[str, str]:
    """Build peers; return the error of each that cannot be built, by name."""
    errors = {}
    builds: dict[str, Callable[[], object]] = {
        "Kafka Streams": lambda: java_command("kafka-streams", "KafkaStreamsPeer"),
        "Flink": lambda: java_command("flink", "FlinkPeer"),
        "Quix Streams": quix_python,
    }
    for name in names:
        try:
            builds[name]()
        except BenchError as error:
            errors[name] = str(error)
    return errors
