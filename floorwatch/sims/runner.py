"""Runs simulations in several processes, says how far they are, and keeps what has finished.

A simulation depends on nothing but its scale and seed, so its numbers are the same however many processes there are.
"""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from floorwatch.sims import cost_s, simulations
from floorwatch.sims.lines import ReportLine

_PACKAGES = ("alerts", "config", "floorwatch", "streams")
"""Packages that what is simulated is made of."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finished:
    """A simulation that has run.

    Attributes:
        name: Its name.
        lines: What it reports, none where it failed.
        took_s: How long it took.
        cpu_s: Seconds of processor time.
        error: Why it failed, empty where it did not.
    """

    name: str
    lines: tuple[ReportLine, ...]
    took_s: float
    cpu_s: float
    error: str = ""


def cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_one(name: str, scale: float, seed: int) -> Finished:
    """Run a simulation in this process; what goes wrong in it becomes its ``error``."""
    began_s, cpu_s, error = time.perf_counter(), time.process_time(), ""
    lines: tuple[ReportLine, ...] = ()
    try:
        lines = tuple(simulations()[name](scale, seed))
    except Exception as raised:  # noqa: BLE001 -- the others go on, and the command fails
        error = f"{type(raised).__name__}: {raised}"
    return Finished(name, lines, time.perf_counter() - began_s, time.process_time() - cpu_s, error)


class KeptRuns:
    """Simulations that finished earlier, in a file of JSON lines: those of the same scale, seed and code are not run again."""

    def __init__(self, path: Path | None, scale: float, seed: int) -> None:
        """Read the file, if there is one.

        Raises:
            ValueError: It holds something else.
        """
        self._path = path
        self._key = {"scale": scale, "seed": seed, "code": code_version() if path else ""}
        self.found: dict[str, Finished] = {}
        if path is None or not path.exists():
            return
        for at, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                held = json.loads(text)
                if all(held[name] == value for name, value in self._key.items()):
                    self.found[held["name"]] = _read(held)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}, line {at}: not a kept simulation ({error}); delete the line or name another file"
                ) from error

    def add(self, done: Finished) -> None:
        """Keep one that has finished without an error."""
        if self._path is None or done.error:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self._key | as_json(done)) + "\n")


def as_json(done: Finished) -> dict[str, Any]:
    """Return a simulation for JSON."""
    lines = [line_as_json(line) for line in done.lines]
    return {"name": done.name, "took_s": round(done.took_s, 1), "cpu_s": round(done.cpu_s, 1), "lines": lines}


def line_as_json(line: ReportLine) -> dict[str, Any]:
    """Return a line for JSON; infinity, which JSON has no number for, is null."""
    fields = asdict(line).items()
    shown = {name: None if isinstance(value, float) and math.isinf(value) else value for name, value in fields}
    return shown | {"ok": line.ok}


def _read(held: dict[str, Any]) -> Finished:
    lines = []
    for one in held["lines"]:
        fields = {name: value for name, value in one.items() if name != "ok"}
        for name in ("expected", "measured", "low", "high"):
            fields[name] = math.inf if fields[name] is None else float(fields[name])
        lines.append(ReportLine(**fields))
    return Finished(held["name"], tuple(lines), held["took_s"], held["cpu_s"])


@cache
def code_version() -> str:
    """Return a digest of the code: what was measured with other code is not what this one does."""
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in (".py", ".yaml", ".json"):
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def run_all(
    names: Sequence[str], scale: float, seed: int, *, jobs: int = 1, keep: Path | None = None, say: Say = lambda _: None
) -> list[Finished]:
    """Run simulations, the longest first, and return them in the order of their names here.

    Args:
        names: Which.
        scale: Multiplies the number of runs.
        seed: The same seed gives the same numbers.
        jobs: Processes; with 1, all run in this one.
        keep: File of finished ones, read before and added to.
        say: Takes a line of progress.
    """
    kept = KeptRuns(keep, scale, seed)
    done = {name: kept.found[name] for name in names if name in kept.found}
    left = sorted((name for name in names if name not in done), key=lambda name: -cost_s(name))
    if done:
        say(f"{len(done)} of {len(names)} are in {keep}")
    for one in _each(left, scale, seed, min(jobs, len(left)), say):
        done[one.name] = one
        kept.add(one)
        what = one.error or f"{sum(line.ok for line in one.lines)} of {len(one.lines)} as promised"
        say(f"{one.name}: {what}; took {one.took_s:.0f} s, {one.cpu_s:.0f} s of CPU; {len(names) - len(done)} to go")
    return [done[name] for name in names]


def _each(names: Sequence[str], scale: float, seed: int, jobs: int, say: Say) -> Iterator[Finished]:
    if jobs <= 1:
        for name in names:
            say(f"{name} begins")
            yield run_one(name, scale, seed)
        return
    say(f"{', '.join(names)}: in {jobs} processes")
    # New interpreters instead of forks: a fork of a process with threads may hang.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _end_with_parent)
    try:
        began: dict[Future[Finished], str] = {pool.submit(run_one, name, scale, seed): name for name in names}
        for future in as_completed(began):
            error = future.exception()
            yield (Finished(began[future], (), 0.0, 0.0, f"its process ended: {error}") if error else future.result())
    finally:  # broken off, too: what is kept goes on next time
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, however that came about."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
