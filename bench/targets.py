"""The targets of issue 4 against what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.measure import Run
from bench.recovery import SESSION_TIMEOUT_S

WHOLE = "Floorwatch, whole job"
WHOLE_RAW = "Floorwatch, whole job with intake"
REDUCED = "Floorwatch, reduced job"
INTAKE = "Floorwatch, intake alone"
FLAT_RATIO = 1.15
"""Cost that grows by less counts as flat: repeated runs here differ by about a tenth."""

_PEERS = (
    ("stock Faust", 30.0),
    ("Quix Streams, grouped", 30.0),
    ("Quix Streams, tuned", 30.0),
    ("Kafka Streams, at_least_once", 3.0),
    ("Kafka Streams, exactly_once_v2", 3.0),
    ("Flink, 2 s checkpoints", 1.0),
)


@dataclass(frozen=True)
class Verdict:
    """One line of the table: what was aimed at, what was measured; ``met`` is None when it was not measured."""

    target: str
    measured: str
    met: bool | None
    value: float | None = None

    def line(self) -> str:
        """Return the line."""
        state = {True: "met", False: "MISSED", None: "not measured"}[self.met]
        return f"{self.target:62}{self.measured:>34}   {state}"


def median(runs: list[Run], of: Callable[[Run], float]) -> float | None:
    """Return the median of a figure over runs whose result was right; None without any."""
    right = [of(run) for run in runs if not run.wrong_rows]
    return statistics.median(right) if right else None


def ratios(runs: dict[str, list[Run]], peer: str, job: str = REDUCED) -> list[float]:
    """Return, per round, how many times as fast Floorwatch did a job as a peer did the reduced one."""
    ours = {run.more.get("round"): run for run in runs.get(job, []) if not run.wrong_rows}
    theirs = [run for run in runs.get(peer, []) if not run.wrong_rows and run.more.get("round") in ours]
    return [ours[run.more["round"]].events_per_s / run.events_per_s for run in theirs]


def verdicts(runs: dict[str, list[Run]], extra: dict[str, Any]) -> list[Verdict]:
    """Return every target with what was measured.

    Args:
        runs: Runs by name, one a round.
        extra: What is measured once: ``latency``, ``recovery``, ``takeover``, ``flat``.
    """
    return [
        _speed(runs, REDUCED, "reduced job: events/s", 150_000),
        _speed(runs, WHOLE, "whole job, ledger and scopes: events/s", 100_000),
        _speed(runs, INTAKE, "intake alone: events/s", 250_000),
        _cpu(runs),
        _against(runs, "stock Faust", 20.0, WHOLE_RAW),
        *(_against(runs, peer, least, REDUCED) for peer, least in _PEERS),
        _latency(extra),
        _restore(extra),
        *_taken_over(extra),
        *_flat(extra),
    ]


def _speed(runs: dict[str, list[Run]], name: str, what: str, least: int) -> Verdict:
    value = median(runs.get(name, []), lambda run: run.events_per_s)
    target = f"{what} >= {least:,}"
    return Verdict(target, "", None) if value is None else Verdict(target, f"{value:,.0f}", value >= least, value)


def _cpu(runs: dict[str, list[Run]]) -> Verdict:
    value = median(runs.get(WHOLE, []), lambda run: run.cpu_s_per_million)
    with_intake = median(runs.get(WHOLE_RAW, []), lambda run: run.cpu_s_per_million)
    target = "whole job: CPU seconds per million events <= 10"
    if value is None:
        return Verdict(target, "", None)
    note = f" ({with_intake:.1f} with intake)" if with_intake is not None else ""
    return Verdict(target, f"{value:.1f}{note}", value <= 10, value)


def _against(runs: dict[str, list[Run]], peer: str, least: float, job: str) -> Verdict:
    target = f"{job.removeprefix('Floorwatch, ')}: times {peer} >= {least:g}"
    found = ratios(runs, peer, job)
    if not found:
        return Verdict(target, "", None)
    value = statistics.median(found)
    each = ", ".join(f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}" for ratio in found)
    return Verdict(target, f"{value:.2f} (rounds {each})", value >= least, value)


def _latency(extra: dict[str, Any]) -> Verdict:
    target = "latency event to table at 10,000/s: p99 <= 2,000 ms"
    found = next((one for one in extra.get("latency", []) if one.get("rate") == 10_000 and "p99_ms" in one), None)
    if found is None:
        return Verdict(target, "", None)
    return Verdict(
        target, f"p50 {found['p50_ms']:,}, p99 {found['p99_ms']:,}", found["p99_ms"] <= 2_000, found["p99_ms"]
    )


def _restore(extra: dict[str, Any]) -> Verdict:
    target = "restore: facts and rows per second >= 200,000"
    found = extra.get("recovery", {})
    if "rows_per_s" not in found:
        return Verdict(target, "", None)
    measured = f"{found['rows_per_s']:,} in {found['assigned_to_recovered_s']} s"
    return Verdict(target, measured, found["rows_per_s"] >= 200_000, found["rows_per_s"])


def _taken_over(extra: dict[str, Any]) -> list[Verdict]:
    found = extra.get("takeover", {})
    limit_s = SESSION_TIMEOUT_S + 5
    took = f"takeover after SIGKILL, open tasks held: <= {limit_s:g} s"
    weight = "memory per million open tasks <= 400 MB"
    if "takeover_s" not in found:
        return [Verdict(took, "", None), Verdict(weight, "", None)]
    tasks = f"{found['takeover_s']} s with {found['open_tasks'] / 1e6:g} M"
    return [
        Verdict(took, tasks, found["takeover_s"] <= limit_s, found["takeover_s"]),
        Verdict(weight, f"{found['mb_per_million']} MB", found["mb_per_million"] <= 400, found["mb_per_million"]),
    ]


def _flat(extra: dict[str, Any]) -> list[Verdict]:
    lines = []
    for name, what in (("events", "more events"), ("labelers", "more labellers")):
        pair = extra.get("flat", {}).get(name)
        target = f"CPU per event with {what}: flat (<= {FLAT_RATIO:g} times)"
        if not pair or "ratio" not in pair:
            lines.append(Verdict(target, "", None))
            continue
        measured = f"{pair['ratio']:.2f} ({pair['from']:,} to {pair['to']:,})"
        lines.append(Verdict(target, measured, pair["ratio"] <= FLAT_RATIO, pair["ratio"]))
    return lines
