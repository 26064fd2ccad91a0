"""What the detectors cost: the CPU of ledger, floor and rows over workload W with the shipped rules' detectors and without.

Both run in turns over the same records, without a broker; the ratio of each round and their median are printed. Intake
and the broker's client, which detectors do not touch, are left out, so the share of a whole worker is smaller.

    .venv/bin/python -m bench.detectors --labels 200000 --rounds 3
"""

from __future__ import annotations

import argparse
import gc
import statistics
from pathlib import Path

from alerts.detectors import detectors_of
from bench.profile import Sections, by_partition, run_core
from floorwatch.settings.load import loads
from streams.core.policy import CorePolicy
from streams.core.records import Record


def cost_us(parts: list[list[Record]], policy: CorePolicy, given: argparse.Namespace) -> dict[str, float]:
    """Return CPU microseconds per event of each part, recovery left out."""
    sections = Sections()
    gc.collect()
    run_core(parts, sections, policy, given)
    events = sum(map(len, parts))
    return {name: cpu_s / events * 1e6 for name, cpu_s in sections.cpu_s.items() if "restore" not in name}


def main() -> None:
    """Run the rounds and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--labels", type=int, default=200_000, help="labels of W; audits come on top")
    options.add_argument("--labelers", type=int, default=500)
    options.add_argument("--partitions", type=int, default=4)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--batch", type=int, default=5_000, help="records of one fold")
    options.add_argument("--flush-every", type=int, default=50_000, help="records of a partition between flushes")
    options.add_argument("--publish-flushes", type=int, default=1, help="flushes between publications")
    given = options.parse_args()
    parts = by_partition(given.labels, given.labelers, given.partitions)
    gc.collect()
    gc.freeze()  # the workload itself is not part of what is measured
    found = detectors_of(loads("", {}, name="defaults", base=Path()).rules)
    without, watched = CorePolicy(), CorePolicy(detectors=found)
    print(f"{sum(map(len, parts)):,} events, {len(found)} detectors: {', '.join(each.name for each in found)}")
    print(f"{'round':>6}{'without us/event':>18}{'with us/event':>16}{'more':>8}   where")
    ratios = []
    for number in range(given.rounds):
        plain, more = cost_us(parts, without, given), cost_us(parts, watched, given)
        ratio = sum(more.values()) / sum(plain.values()) - 1.0
        ratios.append(ratio)
        where = ", ".join(f"{name.split(' ')[1]} {more[name] - plain[name]:+.2f}" for name in plain)
        print(f"{number + 1:>6}{sum(plain.values()):>18.2f}{sum(more.values()):>16.2f}{ratio:>8.1%}   {where}")
    print(f"median: {statistics.median(ratios):.1%} more CPU (aim: at most 10%)")


if __name__ == "__main__":
    main()
