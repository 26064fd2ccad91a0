"""``python -m tests.fuzz --count 100000 --seed 7``."""

from __future__ import annotations

import argparse
import logging
import sys

from tests.fuzz.campaign import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="Events and requests to generate.")
    parser.add_argument("--seed", type=int, default=7, help="Decides all of them.")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sys.exit(main(given.count, given.seed))
