"""The doctor's checks of the embedded stack's files: damage in its journal, and whether others can read them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from floorwatch.cli.doctor_check import ANSWER_TIMEOUT_S, Check
from floorwatch.embedded.child_process import LOOPBACK
from floorwatch.embedded.health import Readiness, ask_ready, get_json
from floorwatch.embedded.journal_segments import parts_aside
from floorwatch.embedded.state import Paths, open_to_others
from floorwatch.sdk.stacks import Found, StackNotFound, is_alive, locate
from streams.core.formatting import plural, size_words

STACK = "embedded stack"
"""Name of the check."""


def stack_checks(stack: Found | None, var: Path | None, env: Mapping[str, str]) -> list[Check]:
    """Check that the embedded stack and all its processes run. No check if no stack is meant.

    Args:
        stack: The stack that was found.
        var: The folder named, where a stack is meant.
        env: The environment.
    """
    name = STACK
    if stack is None:
        try:
            locate(var, env)
        except StackNotFound as error:
            return [Check("fail" if error.several else "warn", name, error.said, error.fix)]
        return []
    children = stack.state.children
    ended = [child for child, mark in children.items() if not is_alive(mark)]
    loops = [
        Check(
            "fail",
            child,
            said,
            f"correct what its log says ({Paths(stack.var).log / child}.log); the stack starts it again by itself",
        )
        for child, said in stack.state.failing.items()
    ]
    if loops:
        return loops
    if ended:
        fix = f"it starts them again by itself; {Paths(stack.var).log} says why they ended"
        return [Check("warn", name, f"runs on {stack.var}, without {', '.join(ended)}", fix)]
    return [Check("ok", name, f"runs on {stack.var}: {', '.join(children)}")]


def ready_check(name: str, where: str, answer: Readiness) -> Check:
    """Check a process's answer on ``/readyz``. Not ready is a failure, except while it restores its state.

    Args:
        name: Of the process.
        where: Its address.
        answer: What it said.
    """
    if answer.ok:
        return Check("ok", name, f"{where} is ready")
    if not answer.answered:
        fix = "see its log for what holds it up; it ends on SIGTERM within 20 s, and a new start loses nothing"
        return Check("fail", name, f"{where}/readyz gives no answer", fix)
    if answer.recovering and answer.waits:
        return Check("warn", name, f"{where} is not ready yet: {answer.why}", "wait: it reads its state back")
    fix = "its log says more; where the reason stays, start it again: it recovers exactly"
    return Check("fail", name, f"{where} is not ready: {answer.why}", fix)


async def ready_checks(stack: Found) -> list[Check]:
    """Ask the gateway and every worker of a running stack whether it is ready."""
    ports = {name: port for name, port in stack.state.ports.items() if name == "gateway" or name.startswith("worker-")}
    where = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
    answers = await asyncio.gather(*(ask_ready(f"{url}/readyz", ANSWER_TIMEOUT_S) for url in where.values()))
    return [ready_check(name, url, said) for (name, url), said in zip(where.items(), answers, strict=True)]


def scope_check(name: str, status: Mapping[str, Any]) -> list[Check]:
    """Check a worker's ``/statusz`` for the cap on scopes. No check if the cap refuses none.

    Args:
        name: Of the worker.
        status: What ``/statusz`` said.
    """
    scopes = status.get("scopes")
    refused = scopes.get("refused_times_by_partition") if isinstance(scopes, dict) else None
    if not isinstance(scopes, dict) or not refused:
        return []
    detail = f"partitions {', '.join(map(str, refused))} have reached tables.max_scopes ({scopes.get('max_scopes')})"
    fix = "new scopes are not counted, rows that may lack something are marked partial: prometheus/runbooks.md, FloorwatchScopesRefused"
    return [Check("warn", f"{name}: scopes", detail, fix)]


def rule_check(name: str, status: Mapping[str, Any]) -> list[Check]:
    """Check a worker's ``/statusz`` for scopes that alert rules cannot judge. No check if they judge all, or another worker does.

    Args:
        name: Of the worker.
        status: What ``/statusz`` said.
    """
    rules = status.get("rules")
    told = rules.get("could_not_process") if isinstance(rules, dict) else None
    faults = told.get("faults") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not faults:
        return []
    blind = told.get("not_judged")
    first = "; ".join(
        f"{one.get('rule')} on {one.get('scope')} since {one.get('since')}: {one.get('reason')}" for one in faults[:3]
    )
    more = " …" if len(faults) > 3 else ""
    if blind:
        what = f"alert rules say nothing of {plural(blind, 'scope')}, whose incidents stay as they are"
    else:
        what = f"alert rules left out {plural(told.get('left_out') or 0, 'row')} beside what they judged"
    return [Check("fail" if blind else "warn", f"{name}: alert rules", f"{what}: {first}{more}", str(told.get("fix")))]


async def worker_checks(stack: Found) -> list[Check]:
    """Ask every worker of a running stack whether the cap refuses scopes, and whether alert rules judge all of theirs."""
    workers = {name: port for name, port in stack.state.ports.items() if name.startswith("worker-")}
    urls = [f"http://{LOOPBACK}:{port}/statusz?format=json" for port in workers.values()]
    said = await asyncio.gather(*(get_json(url, ANSWER_TIMEOUT_S) for url in urls))
    return [
        check
        for name, status in zip(workers, said, strict=True)
        for check in (*scope_check(name, status), *rule_check(name, status))
    ]


def var_checks(var: Path) -> list[Check]:
    """Check the folder of the embedded stack; nothing for one that does not exist.

    Args:
        var: The folder.
    """
    paths = Paths(var)
    if not paths.journal.is_dir():
        return []
    return [_journal(paths), _rights(paths)]


def _journal(paths: Paths) -> Check:
    parts = parts_aside(paths.journal)
    if not parts:
        return Check("ok", "journal", "no damaged part has been met")
    size = sum(part.stat().st_size for part in parts)
    detail = f"{len(parts)} damaged parts ({size_words(size)}) were passed over and set aside: {', '.join(map(str, parts[:3]))}"
    fix = (
        "check the disk; restore the segments they lie beside from a backup while the stack is stopped, and remove these files. "
        f"{paths.log / 'shipper.log'} says which held records that were acknowledged"
    )
    return Check("warn", "journal", detail + (" …" if len(parts) > 3 else ""), fix)


def _rights(paths: Paths) -> Check:
    name = "rights of files"
    try:
        readable = open_to_others(paths)
    except PermissionError as error:
        return Check("warn", name, f"{error.filename} cannot be looked at", "run the doctor as the user of the stack")
    if not readable:
        return Check("ok", name, f"what the stack keeps in {paths.var} is its owner's alone")
    detail = f"{len(readable)} files or folders in {paths.var} are open to other users, such as {readable[0]}"
    return Check("warn", name, detail, "start the stack once (floorwatch up): it takes those rights away")
