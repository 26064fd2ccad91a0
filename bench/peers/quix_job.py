"""The reduced job on Quix Streams, in two forms.

``grouped`` is how its manual would have it: a stateful join by task, ``group_by`` the window, a stateful sum. ``tuned`` goes
round Quix's rule that state belongs to a message key: every message of a partition is given the same key, so that labels
and sums of a partition share one state and neither a repartition topic nor a second pass is needed.

Run by the harness in the peers' own environment: ``python quix_job.py BROKERS TOPIC GROUP STATE_DIR grouped|tuned``.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import Any

from quixstreams import Application  # type: ignore[import-not-found]  # stands in the peers' environment
from quixstreams.models import BytesDeserializer  # type: ignore[import-not-found]

BROKERS, TOPIC, GROUP, STATE_DIR, FORM = sys.argv[1:6]
_told: list[bool] = []


def at_ms(text: str) -> int:
    """Return an RFC 3339 time as ms since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def add(state: Any, key: str, count: int, audited: int, wrong: int, handle_ms: int) -> None:
    """Add to a sum and keep it."""
    old = state.get(key) or (0, 0, 0, 0)
    state.set(key, (old[0] + count, old[1] + audited, old[2] + wrong, old[3] + handle_ms))


def changes(event: dict[str, Any], state: Any) -> list[dict[str, Any]]:
    """Return the changes an event makes, one a window; its label is remembered so that an audit finds its windows."""
    if not _told:
        print(f"FIRST {time.time() * 1000:.0f}", flush=True)
        _told.append(True)
    data = event["data"]
    if event["type"] == "floorwatch.label.submitted.v1":
        time_ms = at_ms(event["time"])
        minute = time_ms // 60_000
        keys = [f"queue|{data['queue']}|{minute}", f"vendor|{data['vendor']}|{minute}"]
        state.set(data["label_id"], keys)
        sums = (1, 0, 0, time_ms - at_ms(data["started_at"]))
    elif event["type"] == "floorwatch.audit.completed.v1":
        keys = state.get(data["label_id"]) or []
        sums = (0, 1, int(data["verdict"] == "incorrect"), 0)
    else:
        return []
    return [{"key": key, "sums": sums} for key in keys]


def tuned(event: dict[str, Any], state: Any) -> None:
    """Fold one event into the state of its partition."""
    for change in changes(event, state):
        add(state, change["key"], *change["sums"])


def summed(change: dict[str, Any], state: Any) -> None:
    """Add one change to the sum of its window."""
    add(state, change["key"], *change["sums"])


class OneKey(BytesDeserializer):
    """Gives every message the same key."""

    def __call__(self, value: bytes, ctx: Any) -> bytes:  # noqa: ARG002
        """Return the key."""
        return b"p"


def main() -> None:
    """Run until told to stop."""
    app = Application(
        broker_address=BROKERS,
        consumer_group=GROUP,
        auto_offset_reset="earliest",
        commit_interval=1.0,
        state_dir=STATE_DIR,
        loglevel="WARNING",
    )
    if FORM == "tuned":
        topic = app.topic(TOPIC, key_deserializer=OneKey(), value_deserializer="json")
        app.dataframe(topic).update(tuned, stateful=True)
    else:
        topic = app.topic(TOPIC, key_deserializer="bytes", value_deserializer="json")
        frame = app.dataframe(topic).apply(changes, stateful=True, expand=True)
        frame.group_by("key").update(summed, stateful=True)
    app.run()


if __name__ == "__main__":
    main()
