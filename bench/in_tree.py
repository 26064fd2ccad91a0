"""Figures of one tree of Floorwatch, as JSON; ``bench.pairs`` runs this file on the modules of other revisions too.

So it uses only what every revision since 24565ae has. Run it with ``python -P``: its own folder must not be searched for modules.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

BATCH, ROW = 5_000, b"r"


def state(labels: int) -> dict[str, Any]:
    """Return the bytes of the rows and facts that one partition of workload W leaves in state."""
    from bench.profile import by_partition
    from streams.core.ledger_store import new_store
    from streams.core.policy import CorePolicy

    newest: dict[bytes, int] = {}
    facts = events = 0
    for partition, records in enumerate(by_partition(labels, 500, 4)):
        store = new_store(partition, CorePolicy())
        events += len(records)
        for begin in range(0, len(records), BATCH):
            store.ledger.fold(records[begin : begin + BATCH])
        flush = store.collect()
        for key, value in flush.rows if flush is not None else ():
            if key.startswith(ROW):
                newest[b"%d|%s" % (partition, key)] = len(value or b"")
            else:
                facts += len(value or b"")
    return {"rows": len(newest), "row_bytes": sum(newest.values()), "fact_bytes": facts, "events": events}


def whole(labels: int) -> dict[str, Any]:
    """Return the CPU seconds and the wrong rows of a worker that does the whole job on a real Kafka."""
    from bench.floor_runs import whole as run_whole
    from bench.stack import running_stack

    with tempfile.TemporaryDirectory(prefix="floorwatch-pairs-") as folder, running_stack(Path(folder)) as stack:
        run = run_whole(stack, labels)
        return {"events": run.events, "cpu_s": run.cpu_s, "peak_mb": run.peak_mb, "wrong_rows": run.wrong_rows}


if __name__ == "__main__":
    print(json.dumps({"state": state, "whole": whole}[sys.argv[1]](int(sys.argv[2]))))
