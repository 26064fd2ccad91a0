"""``floorwatch facts``: everything the log says of one task, and what the task counts for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.cli.options import AsOfOption, ConfigOption, JsonOption, VarOption, past_ms
from floorwatch.output.reader_zone import local_rfc3339
from floorwatch.output.terminal import say, say_json
from streams.core.formatting import plural

if TYPE_CHECKING:
    from floorwatch.replay.history import Contribution, History


def facts(
    task: Annotated[str, typer.Argument(help="The task's id, the subject of its events.")],
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Show every fact of a task in log order, and which rows it counts in."""
    from floorwatch.cli.cluster_session import open_session, told
    from floorwatch.replay.history import history_of

    until_ms = None if as_of is None else past_ms("--as-of", as_of)
    session = open_session(config, var)
    found = session.run(lambda log: history_of(log, session.policy, task, len(log.partitions), until_ms))
    if found.replay is not None:
        for line in told(found.replay):
            say(line, err=True)
    if as_json:
        _print_json(found)
    elif found.lines:
        _print(found)
    if not found.lines:
        say(f"no event of task {task!r} on partition {found.partition} of {session.topic}", err=True)
        raise typer.Exit(1)


def _print_json(found: History) -> None:

    from streams.core.time_text import rfc3339

    body = {
        "task": found.task_id,
        "partition": found.partition,
        "watermark": rfc3339(found.watermark_ms) if found.watermark_ms >= 0 else None,
        "facts": [line.as_json() for line in found.lines],
        "contributions": [one.as_json() for one in found.contributions],
    }
    say_json(body)


def _print(found: History) -> None:
    say(f"task {found.task_id} · partition {found.partition} · {plural(len(found.lines), 'record')}")
    say("")
    for line in found.lines:
        say(f"  {line.offset:>9}  {local_rfc3339(line.time_ms):<24}  {line.says}")
        if line.status != "counted":
            say(f"{'':>13}{line.status}")
    say("")
    if not found.contributions:
        say("It counts in no row now.")
        return
    say(f"What it counts for (event time {local_rfc3339(found.watermark_ms)}):")
    for one in found.contributions:
        _print_contribution(one)


def _print_contribution(one: Contribution) -> None:
    counts = ", ".join(_count(name, amount) for name, amount in one.counters.items())
    panes = ", ".join(f"{size} {local_rfc3339(start_ms)}" for size, start_ms in one.panes.items())
    say(f"  {one.group}: {counts}")
    say(f"      at {local_rfc3339(one.time_ms)}, in panes {panes or 'none, all have expired'}")
    say(f"      of scopes {' · '.join(one.scopes)}")


def _count(name: str, amount: int) -> str:
    """Return a counter as people read it: weights are kept in billionths and shown in audits."""
    if "_nano" in name:
        return f"{name.replace('_nano', '')} {amount / 1_000_000_000:+g}"
    return f"{name} {amount:+d}"
