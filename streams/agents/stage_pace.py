"""How often and how many at once the stages of a worker flush and commit."""

from __future__ import annotations

import sys

from streams.engine.host import FAR_BEHIND

PROMPT_S = {"intake": 0.05, "scopes": 0.05}
"""Most seconds between two flushes of stages whose flush costs only what is written, however often it runs. They hold
no rows that each flush would write again, and the aggregate stage has its own schedule."""

AT_ONCE = {"intake": 16, "ledger": 2}
"""Partitions of a stage that are flushed at the same time. Intake only waits for the broker. In the ledger, one
partition makes its rows while another's are being sent. Publications run one after the other, since two at once would
both end when the slower one does."""

RARE_BEHIND = {"intake": sys.maxsize}
"""Records behind from which a stage's flushes become rare, so that a row is not written over and over. Intake writes each event
once: it is flushed all along, and the broker takes some while others are checked."""

BACKLOG = 3 * FAR_BEHIND
"""Records of a partition whose results are still to come, from which tables wait. What comes between two flushes of a busy live
floor is a third of it."""

COMMIT_PAUSE_S = 0.5
"""Least time between two commits of a partition. One costs two changes of thread and an answer of the coordinator."""
