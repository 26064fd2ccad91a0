"""A labeller's session, with handle times measured: python labeller.py GATEWAY_URL SPOOL_FOLDER."""

from __future__ import annotations

import sys

from floorwatch_sdk import Emitter, Labeller

url, spool = sys.argv[1:]
with Emitter(url, spool=spool) as fw:
    ana = Labeller(fw, "ana", source="my-tool", vendor="bpo-a", queue="comments", measures_work=True)
    with ana.task("t-1", policy="hate", claim=True) as task:
        with task.paused():
            print("the window is in the background")
        task.label("hate")
        task.label("hate", "threat")  # changed at once: a new version of the same label
    with ana.task("t-2", policy="spam") as task:
        task.label()  # nothing is wrong with it
        task.withdraw("wrong task")
    with ana.on_break():
        print("away")
    fw.flush(30)
    print(fw.status().delivered, "delivered")
