"""Send labels from a tool, and read what was refused: python send.py GATEWAY_URL SPOOL_FOLDER."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from floorwatch_sdk import BadEvents, Emitter, LabelSubmittedData, NotEmitted, event

url, spool = sys.argv[1:]
with Emitter(url, spool=spool) as fw:
    for number in range(3):
        now = datetime.now(UTC)
        label = LabelSubmittedData(
            label_id=f"l-{number}",
            labeler_id="ana",
            queue="comments",
            values=["hate"],
            started_at=now - timedelta(seconds=40),
        )
        try:
            fw.send(event(label, task_id=f"t-{number}", source="my-tool", time=now))  # on disk when it returns
        except (BadEvents, NotEmitted) as error:
            print(f"label {number} was not kept: {error}")
    fw.flush(30)  # not needed: the end of the block waits, and what is left goes with the next start
    print(fw.status().delivered, "delivered")
    for one in fw.refused():
        print(one.event["id"], one.refusal.reason, one.refusal.hint)
