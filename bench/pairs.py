"""``make pairs``: what two revisions of Floorwatch cost on workload W, in pairs: CPU per event and state per row.

Each pair runs both, one after the other, in turns first; so what the machine does meanwhile falls on both. What counts is the ratio
of the two, with its 95% interval over the pairs. A revision is what git knows, or a folder: ``.`` is this one as it stands.

    .venv/bin/python -m bench.pairs 24565ae . --pairs 5 --labels 60000
    .venv/bin/python -m bench.pairs 24565ae HEAD --whole --labels 200000
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from bench.machine import Others, wait_for_calm
from bench.stack import ROOT, BenchError
from streams.core.beta import incomplete_beta

_PART = re.compile(r"^(\S.{33})\s+(\d+\.\d\d)\s+\d+\.\d\d\b")
"""A line of ``bench.profile``: part, CPU microseconds an event."""

_SUM = "sum of all parts"

Figures = dict[str, float]
"""CPU microseconds an event, by part; of a whole worker its peak memory in MB too."""


class Ratio(NamedTuple):
    """How many times as much the second of two revisions takes.

    Attributes:
        value: The geometric mean of the ratios of the pairs.
        low: Lower end of its 95% interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def ratio_of(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Return the ratio of the second to the first figure of some pairs, with Student's interval of its logarithm.

    Args:
        pairs: Two pairs at least, each of two figures above 0.

    Example:
        >>> [round(part, 3) for part in ratio_of([(10, 9), (11, 10.4), (10, 9.5)])]
        [0.932, 0.874, 0.995]
    """
    logs = [math.log(second / first) for first, second in pairs]
    mean, error = statistics.fmean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    reach = student_quantile(len(logs) - 1) * error
    return Ratio(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach))


@lru_cache
def student_quantile(degrees: int, chance: float = 0.975) -> float:
    """Return the quantile of Student's t distribution, found by bisection.

    Example:
        >>> round(student_quantile(4), 3)
        2.776
    """
    low, high = 0.0, 1e6
    for _ in range(200):
        at = (low + high) / 2
        below = 1 - incomplete_beta(degrees / 2, 0.5, degrees / (degrees + at * at)) / 2
        low, high = (at, high) if below < chance else (low, at)
    return high


@contextmanager
def tree(revision: str, folder: Path) -> Iterator[Path]:
    """Give a folder with the files of a revision.

    Args:
        revision: A revision of git, or a folder.
        folder: Where the files of a revision may be put.

    Raises:
        BenchError: Git does not know it, and it is no folder.
    """
    if Path(revision).is_dir():
        yield Path(revision).resolve()
        return
    made = subprocess.run(
        ["git", "-C", str(ROOT), "archive", "--format=tar", revision], capture_output=True, check=False
    )
    if made.returncode:
        raise BenchError(f"{revision} is neither a revision nor a folder: {made.stderr.decode().strip()}")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=made.stdout, check=True)
    yield folder


def run_in(folder: Path, *arguments: str) -> str:
    """Run this Python on the modules of a tree and return what it prints.

    Raises:
        BenchError: It failed; the message ends with what it said.
    """
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"{' '.join(arguments)} failed in {folder}:\n{done.stderr[-2_000:]}")
    return done.stdout


def parts_of(printed: str) -> Figures:
    """Return CPU microseconds per event by part from what ``bench.profile`` printed."""
    found: Figures = {}
    for line in printed.splitlines():
        if line.startswith("sum of"):
            found[_SUM] = float(line.split()[-2])
        elif (part := _PART.match(line)) is not None:
            found[part[1].strip()] = float(part[2])
    return found


def parts(folder: Path, labels: int) -> Figures:
    """Measure the pure parts of a tree."""
    return parts_of(run_in(folder, "-m", "bench.profile", "--labels", str(labels)))


def whole(folder: Path, labels: int) -> Figures:
    """Measure a tree's worker on a real Kafka.

    Raises:
        BenchError: It made a wrong row.
    """
    run = in_tree(folder, "whole", labels)
    if run["wrong_rows"]:
        raise BenchError(f"{folder}: {run['wrong_rows']} wrong rows; its figures count for nothing")
    return {"whole job with intake": run["cpu_s"] / run["events"] * 1e6, "peak MB": run["peak_mb"]}


def in_tree(folder: Path, what: str, labels: int) -> dict[str, Any]:
    """Return what ``bench/in_tree.py`` of this revision finds with the modules of a tree."""
    printed = run_in(folder, "-P", str(ROOT / "bench" / "in_tree.py"), what, str(labels))
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def table(figures: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Return a line for each part: least figure of both, ratio over the pairs."""
    lines = [
        f"{'CPU us/event, or as named':36}{'first, least':>14}{'second, least':>15}{'ratio over the pairs, 95%':>32}"
    ]
    for name, pairs in figures.items():
        found = ratio_of(pairs)
        told = f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
        lines.append(f"{name:36}{min(a for a, _ in pairs):>14.2f}{min(b for _, b in pairs):>15.2f}{told:>32}")
    return "\n".join(lines)


def state_table(first: Mapping[str, int], second: Mapping[str, int]) -> str:
    """Return what both keep on the changelog, and the ratio."""
    lines = [f"{'state':36}{'first':>14}{'second':>15}{'ratio':>32}"]
    for name, count, of in (("bytes a row", "row_bytes", "rows"), ("bytes of facts an event", "fact_bytes", "events")):
        one, other = first[count] / first[of], second[count] / second[of]
        lines.append(f"{name:36}{one:>14.1f}{other:>15.1f}{other / one:>32.3f}")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("first", help="a revision of git or a folder")
    options.add_argument("second", help="what is compared with it")
    options.add_argument("--pairs", type=int, default=5, help="two at least")
    options.add_argument("--labels", type=int, default=60_000, help="labels of W; audits come on top")
    options.add_argument("--whole", action="store_true", help="a whole worker on a real Kafka, not its pure parts")
    options.add_argument(
        "--calm", type=float, default=0, help="wait so many seconds for a calm machine before each run"
    )
    given = options.parse_args()
    if given.pairs < 2:
        options.error("--pairs: an interval needs two pairs at least")
    return given


def one_pair(folders: tuple[Path, Path], number: int, measure: Callable[[Path], Figures]) -> tuple[Figures, Figures]:
    """Measure two trees, which may be one folder, one after the other.

    Args:
        folders: The first and the second.
        number: Number of the pair; in each other pair the second is measured first.
        measure: Returns the figures of a tree.

    Returns:
        Those of the first and those of the second.
    """
    if number % 2 == 0:
        one = measure(folders[0])
        return one, measure(folders[1])
    other = measure(folders[1])
    return measure(folders[0]), other


def _calmly(measure: Callable[[Path, int], Figures], given: argparse.Namespace, folder: Path) -> Figures:
    wait_for_calm(given.calm)
    return measure(folder, given.labels)


def main() -> None:
    """Measure in pairs and print the tables."""
    given = _options()
    measure = whole if given.whole else parts
    scratch = Path(tempfile.mkdtemp(prefix="floorwatch-pairs-"))
    figures: dict[str, list[tuple[float, float]]] = {}
    try:
        folders = [scratch / "first", scratch / "second"]
        for folder in folders:
            folder.mkdir()
        with tree(given.first, folders[0]) as first, tree(given.second, folders[1]) as second:
            for number in range(given.pairs):
                others = Others()
                one, other = one_pair((first, second), number, partial(_calmly, measure, given))
                for name in one.keys() & other.keys():
                    figures.setdefault(name, []).append((one[name], other[name]))
                told = ", ".join(f"{of.get(_SUM, 0) or next(iter(of.values())):.2f}" for of in (one, other))
                print(f"pair {number + 1}: {told} us/event; others {others.cores():.1f} cores", flush=True)
            names = [name for name in one if name in figures]
            print(f"\n{table({name: figures[name] for name in names})}")
            print(f"\n{state_table(*(in_tree(folder, 'state', given.labels) for folder in (first, second)))}")
    except BenchError as error:
        sys.exit(f"pairs: {error}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
