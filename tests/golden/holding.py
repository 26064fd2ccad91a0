"""One worker's time with a partition of the golden log, by whichever sources come first on ``PYTHONPATH``.

python tests/golden/holding.py STATE    STATE.json is read and written: changelog and partial rows of one partition
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1]))

from tests.golden import make  # noqa: E402

Entries = list[tuple[bytes, "bytes | None"]]


def hold(number: int, owner: str, changelog: Entries, partials: Entries, folds: list[int], lost: int) -> int:
    """Restore a ledger, fold and flush, and leave the last flush cut short; return the offset reached.

    Args:
        number: The partition.
        owner: Who holds it.
        changelog: What is on the changelog; the holder's records are added.
        partials: The same of partial rows.
        folds: How many records each flush holds.
        lost: So many records at the end of the last flush are not written, its meta row first.
    """
    from streams.core.ledger_store import new_store
    from streams.core.records import Record

    store = new_store(number, make.policy(), owner)
    store.restore(changelog)
    events = make.log()[number]
    for count, size in enumerate(folds, 1):
        at = store.ledger.next
        records = [Record(place, make.ARRIVED_MS, *events[place]) for place in range(at, min(at + size, len(events)))]
        store.ledger.fold(records)
        flush = store.collect()
        if flush is None:
            continue
        cut = lost if count == len(folds) else 0
        written = [*flush.rows, flush.meta]
        changelog += written[: len(written) - cut] if cut else written
        if not cut:
            partials += [*flush.outputs, *getattr(flush, "floor", ()), flush.watermark]
        elif cut % 2:
            partials += flush.outputs
    return int(store.ledger.next)


def main() -> None:
    """Hold as the file says, and write back what is on the logs then."""
    path = Path(sys.argv[1])
    state: dict[str, Any] = json.loads(path.read_text())
    changelog, partials = _entries(state["changelog"]), _entries(state["partials"])
    state["next"] = hold(state["number"], state["owner"], changelog, partials, state["folds"], state["lost"])
    path.write_text(json.dumps({**state, "changelog": texts(changelog), "partials": texts(partials)}))


def texts(entries: Entries) -> list[Any]:
    """Return entries as JSON."""
    return [[key.decode(), None if value is None else base64.b64encode(value).decode()] for key, value in entries]


def _entries(found: list[Any]) -> Entries:
    return [(key.encode(), None if value is None else base64.b64decode(value)) for key, value in found]


if __name__ == "__main__":
    main()
