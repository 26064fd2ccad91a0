"""The page of the tasks behind an incident: their ids, labels, verdicts and times, and where the tool shows them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec import structs

from alerts.view import instant_ms
from floorwatch.replay.task_look import TaskLook
from floorwatch.web.page import Page, PagePart
from streams.core.formatting import instant, plural, printable, times_in
from streams.core.window_names import window_ms

_BEFORE_MS = 600_000
"""Events of a window may have come to the log a little before its begin, by another clock."""


def tasks_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the tasks that an incident names."""
    return tuple(str(one) for one in record.get("examples") or ())


def seen_from_ms(record: Mapping[str, Any]) -> int:
    """Return from when on the log is looked at for them: the begin of the window that was judged last."""
    return instant_ms(record["updated_at"]) - window_ms(str(record["window"])) - _BEFORE_MS


def tasks_page(shown: Page, record: Mapping[str, Any], seen: TaskLook | None, task_url: str, zone: str) -> Page:
    """Return the page of the tasks behind an incident.

    Args:
        shown: What all pages of the incident show.
        record: Its record of the read model.
        seen: What the log says of them; None: it cannot be asked now.
        task_url: Where the tool shows a task, with ``{task}`` in place of its id; empty: nowhere.
        zone: IANA name of the reader's zone.
    """
    tasks, near_ms = tasks_of(record), instant_ms(record["updated_at"])
    lines = {} if seen is None else seen.lines
    if not tasks:
        said = ["This alert names no tasks: its number is not made of wrong labels."]
    elif seen is None:
        said = ["Their labels cannot be read now. Reload this page in a minute."]
    else:
        said = [] if seen.whole else ["More came since than this page looks through, so labels may be missing."]
    parts = [
        PagePart(
            printable(task),
            tuple(
                printable(f"{instant(one.time_ms, zone=zone)}: {times_in(one.says, zone, near_ms)}")
                for one in lines.get(task, ())
            ),
            task_url.replace("{task}", quote(task, safe="")),
        )
        for task in tasks
    ]
    title = f"{plural(len(tasks), 'task')} behind it, as examples" if tasks else "No tasks are named"
    command = [("All of one, at a command line", f"floorwatch facts {shlex.quote(tasks[0])}")] if tasks else []
    return structs.replace(
        shown,
        title=title,
        tone="show",
        lines=tuple(said),
        sections=tuple(parts),
        facts=(*shown.facts[:-1], *((name, printable(value)) for name, value in command), *shown.facts[-1:]),
        ask_name=False,
    )
