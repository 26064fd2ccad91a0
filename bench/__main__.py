"""``make bench``: workload W through Floorwatch and its peers on one real Kafka, in turns; a table with every target.

.venv/bin/python -m bench
.venv/bin/python -m bench --labels 200000 --rounds 1 --skip latency,takeover,flat
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from bench import floor_runs, targets
from bench.latency import latency
from bench.machine import Others, facts, wait_for_calm
from bench.measure import HEADER, Run
from bench.peers import build, runs
from bench.recovery import recovery, takeover
from bench.stack import ROOT, BenchError, Stack, running_stack

RESULTS = ROOT / "bench" / "results"
EXTRAS = ("latency", "recovery", "takeover", "flat")
PEERS = {"quix": "Quix Streams", "kafka-streams": "Kafka Streams", "flink": "Flink"}


@dataclass
class Suite:
    """All that is measured in one run.

    Attributes:
        given: The options.
        stack: The servers.
        runs: Runs by name, one a round.
        extra: What is measured once.
        errors: What could not be measured and why, by name.
    """

    given: argparse.Namespace
    stack: Stack
    runs: dict[str, list[Run]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def wanted(self, name: str) -> bool:
        """Tell whether a part is asked for."""
        return name not in self.given.skip and (not self.given.only or name in self.given.only)

    def jobs(self) -> list[tuple[str, Callable[[int], Run]]]:
        """Return (part, run of a round), Floorwatch's and the peers' in turns."""
        stack, labels = self.stack, self.given.labels
        prepared = cache(partial(runs.prepared, stack))
        full = partial(prepared, labels)
        floor = partial(floor_runs.whole, stack, labels)
        listed: list[tuple[str, Callable[[int], Run]]] = [
            ("floorwatch", lambda _: floor(from_raw=False, reduced=True)),
            ("flink", lambda n: runs.flink(stack, full(), n, parallelism=self.given.flink_parallelism)),
            ("floorwatch", lambda _: floor(from_raw=False)),
            ("kafka-streams", lambda n: runs.kafka_streams(stack, full(), n, "at_least_once")),
            ("floorwatch", lambda _: floor_runs.intake_alone(stack, labels)),
            ("kafka-streams", lambda n: runs.kafka_streams(stack, full(), n, "exactly_once_v2")),
            ("floorwatch", lambda _: floor()),
            ("quix", lambda n: runs.quix(stack, prepared(self.given.quix_labels), n, "grouped")),
            ("quix", lambda n: runs.quix(stack, prepared(self.given.quix_labels), n, "tuned")),
            ("faust", lambda n: runs.stock_faust(stack, prepared(self.given.faust_labels), n)),
            ("loop", lambda _: runs.python_loop(full())),
        ]
        return [(part, job) for part, job in listed if self.wanted(part)]

    def rounds(self) -> None:
        """Run every job once a round, in the same order."""
        unbuilt = build.available([PEERS[part] for part in PEERS if self.wanted(part)])
        self.errors.update(unbuilt)
        jobs = [(part, job) for part, job in self.jobs() if PEERS.get(part) not in unbuilt]
        for number in range(1, self.given.rounds + 1):
            print(f"\nround {number}, load average {os.getloadavg()[0]:.1f}\n{HEADER}", flush=True)
            for part, job in jobs:
                run = self.measured(part, partial(job, number))
                if run is not None:
                    run.more["round"] = number
                    self.runs.setdefault(run.name, []).append(run)

    def measured(self, name: str, job: Callable[[], Run]) -> Run | None:
        """Run a job when the machine is calm, or as calm as it gets, note how busy others kept it, and print it."""
        wait_for_calm(self.given.calm)
        load, others = os.getloadavg()[0], Others()
        run: Run | None = self.tried(name, job)
        if run is not None:
            run.more |= {"load_average": round(load, 2), "others_cores": round(others.cores(), 2)}
            print(f"{run.line()}; others {run.more['others_cores']:.1f} cores", flush=True)
        return run

    def tried(self, name: str, job: Callable[[], Any]) -> Any:
        """Run a job; one that cannot be measured is said so and does not end the suite."""
        try:
            return job()
        except Exception as error:  # noqa: BLE001 - one that fails must not lose what the others measured
            self.errors[name] = f"{type(error).__name__}: {error}"
            print(f"{name}: NOT MEASURED: {str(error).splitlines()[0]}", flush=True)
            if not isinstance(error, BenchError):
                traceback.print_exc()
            return None

    def extras(self) -> None:
        """Measure latency, recovery, takeover and how flat the cost is."""
        stack, given = self.stack, self.given
        if self.wanted("latency"):
            for rate in (1_000, 10_000):
                wait_for_calm(given.calm)
                others = Others()
                found = self.tried(f"latency at {rate}/s", partial(latency, stack, rate, given.seconds))
                if found is not None:
                    found["others_cores"] = round(others.cores(), 2)
                self.keep("latency", found, many=True)
        if self.wanted("recovery"):
            self.keep("recovery", self.tried("recovery", lambda: recovery(stack, given.labels)))
        if self.wanted("takeover"):
            self.keep("takeover", self.tried("takeover", lambda: takeover(stack, given.open_tasks)))
        if self.wanted("flat"):
            self.keep("flat", self.flat())

    def keep(self, name: str, found: Any, *, many: bool = False) -> None:
        """Print and keep what was measured once."""
        if found is None:
            return
        if many:
            self.extra.setdefault(name, []).append(found)
        else:
            self.extra[name] = found
        print(f"\n{name}: {json.dumps(found)}", flush=True)

    def flat(self) -> dict[str, Any]:
        """Compare the CPU per event at two sizes of the workload, and with few and many labellers."""
        given, found = self.given, {}
        for name, low, high in (("events", given.labels, given.flat_labels), ("labelers", 10, 1000)):
            pair = []
            for amount in (low, high):
                labels = amount if name == "events" else given.labels
                people = amount if name == "labelers" else 500
                run = self.measured(
                    f"flat {name}",
                    partial(floor_runs.whole, self.stack, labels, labelers=people, from_raw=False),
                )
                if run is not None and not run.wrong_rows:
                    pair.append(run)
            if len(pair) == 2:
                few, many = (run.cpu_s_per_million for run in pair)
                found[name] = {"from": low, "to": high, "cpu_s_per_million": [round(few, 2), round(many, 2)]}
                found[name]["ratio"] = round(many / few, 3)
        return found

    def report(self) -> str:
        """Return the table of the medians and that of the targets."""
        lines = [f"\nmedians of {self.given.rounds} round(s)", HEADER]
        for name, many in self.runs.items():
            middle = sorted(many, key=lambda run: run.events_per_s)[len(many) // 2]
            cpu = statistics.median(run.cpu_s for run in many)
            rate = statistics.median(run.events_per_s for run in many)
            memory = statistics.median(run.peak_mb for run in many)
            wrong = max(run.wrong_rows for run in many)
            shown = {name: middle.more[name] for name in ("shown_after_s",) if name in middle.more}
            lines.append(Run(name, middle.events, middle.events / rate, cpu, memory, wrong, middle.rows, shown).line())
        lines += [f"{name}: NOT MEASURED: {error.splitlines()[0]}" for name, error in self.errors.items()]
        lines.append(f"\n{'target of issue 4':62}{'measured':>34}")
        lines += [verdict.line() for verdict in targets.verdicts(self.runs, self.extra)]
        return "\n".join(lines)

    def as_json(self, machine: dict[str, Any]) -> dict[str, Any]:
        """Return everything for the results file."""
        found = targets.verdicts(self.runs, self.extra)
        return {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine,
            "options": {name: value for name, value in vars(self.given).items() if name != "keep"},
            "runs": {name: [run.as_json() for run in many] for name, many in self.runs.items()},
            "extra": self.extra,
            "errors": self.errors,
            "targets": [{"target": v.target, "measured": v.measured, "met": v.met, "value": v.value} for v in found],
            "load_average_at_end": [round(load, 2) for load in os.getloadavg()],
        }


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--labels", type=int, default=1_000_000, help="labels of W; a tenth of that in audits on top")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--quix-labels", type=int, default=0, help="share of W for Quix Streams (default a fifth)")
    options.add_argument("--faust-labels", type=int, default=0, help="share of W for stock Faust (default a fortieth)")
    options.add_argument("--flink-parallelism", type=int, default=1)
    options.add_argument("--flat-labels", type=int, default=0, help="the larger workload (default three times W)")
    options.add_argument(
        "--open-tasks", type=int, default=0, help="open tasks of the takeover (default as many as labels)"
    )
    options.add_argument("--seconds", type=int, default=30, help="length of each latency run, under five minutes")
    options.add_argument(
        "--calm", type=float, default=0, help="wait so many seconds for a calm machine before each run"
    )
    parts = ("floorwatch", "loop", "faust", *PEERS, *EXTRAS)
    options.add_argument("--only", type=_names, default=(), help=f"parts to run, of {','.join(parts)}")
    options.add_argument("--skip", type=_names, default=(), help="parts to leave out")
    options.add_argument("--keep", action="store_true", help="leave logs and data of the run in their folder")
    given = options.parse_args()
    given.quix_labels = given.quix_labels or max(10_000, given.labels // 5)
    given.faust_labels = given.faust_labels or max(10_000, given.labels // 40)
    given.flat_labels = given.flat_labels or 3 * given.labels
    given.open_tasks = given.open_tasks or given.labels
    return given


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Measure, print, keep; what was measured before an interruption is kept too."""
    given, machine = _options(), facts()
    signal.signal(signal.SIGTERM, _stop)
    print(f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_average']}, commit {machine['commit']}")
    folder = Path(tempfile.mkdtemp(prefix="floorwatch-bench-run-"))
    with suppress(KeyboardInterrupt), running_stack(folder) as stack:
        suite = Suite(given, stack)
        try:
            suite.rounds()
            suite.extras()
        finally:
            _keep(suite, machine)
    if given.keep:
        print(f"logs: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(suite: Suite, machine: dict[str, Any]) -> None:
    print(suite.report(), flush=True)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y-%m-%d')}-{machine['commit']}.json"
    path.write_text(json.dumps(suite.as_json(machine), indent=1) + "\n")
    print(f"\nkept as {path.relative_to(ROOT)}; a picture: python -m bench.plot {path.relative_to(ROOT)}", flush=True)


if __name__ == "__main__":
    main()
