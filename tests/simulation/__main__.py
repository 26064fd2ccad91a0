"""Runs schedules by hand: ``python -m tests.simulation --seed 17 -v``."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from dataclasses import fields

from tests.simulation.floor import Kinds
from tests.simulation.report import told
from tests.simulation.schedule import run
from tests.simulation.shrink import shrunk


def main() -> int:
    """Run the schedules asked for; 1 when any went wrong."""
    logging.disable(logging.CRITICAL)
    names = [field.name for field in fields(Kinds)]
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this schedule only, and shorten it when it fails")
    parser.add_argument("--first", type=int, default=0, help="first seed of a run of many")
    parser.add_argument("--count", type=int, default=2000, help="how many seeds")
    parser.add_argument("--without", nargs="*", default=[], choices=names, help="kinds of trouble to leave out")
    parser.add_argument("--stop", type=int, default=5, help="stop after this many failures")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the timeline of every schedule")
    options = parser.parse_args()
    kinds = Kinds().without(*options.without)
    if options.seed is not None:
        outcome = run(options.seed, kinds)
        print(told(outcome, timeline=options.verbose or outcome.failed))
        if outcome.failed:
            print("\nThe shortest schedule found that still fails:\n")
            print(told(shrunk(options.seed, kinds)))
        return int(outcome.failed)
    began, failures = time.process_time(), 0
    seeds = range(options.first, options.first + options.count)
    done = 0
    for done, seed in enumerate(seeds, 1):  # noqa: B007 - how many were done before the last failure
        outcome = run(seed, kinds)
        if options.verbose:
            print(told(outcome))
        if outcome.failed:
            failures += 1
            print(f"seed {seed} FAILS: {(outcome.wrong or [repr(outcome.error)])[0].splitlines()[0]}", flush=True)
            if failures >= options.stop:
                break
    spent = time.process_time() - began
    print(f"{done} schedules, {failures} failed, {spent:.1f} s of CPU, {done / spent * 60:,.0f} a minute")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
