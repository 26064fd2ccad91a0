"""Tell Floorwatch about one label and its audit: python examples/emit_event.py [gateway URL]."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from floorwatch.sdk import AuditCompletedData, LabelSubmittedData, Sampling, emit, event

url = sys.argv[1] if len(sys.argv) > 1 else None  # None: the `floorwatch up` that runs
now = datetime.now(UTC)
label = LabelSubmittedData(
    label_id="l-1",
    labeler_id="ana",
    vendor="bpo-a",
    queue="comments",
    values=["hate"],
    started_at=now - timedelta(seconds=40),
)
audit = AuditCompletedData(
    audit_id="a-1",
    label_id="l-1",
    verdict="incorrect",
    error_class="false_positive",
    sampling=Sampling(probability=0.05),
)
events = [event(data, task_id="t-1", source="my-tool", time=now) for data in (label, audit)]
print(f"{emit(events, url=url)} events accepted")
