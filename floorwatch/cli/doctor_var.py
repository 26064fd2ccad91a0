"""The doctor's look at what the embedded stack keeps: damage in its journal, and who else could read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from floorwatch.cli.doctor_check import Check
from floorwatch.embedded.segments import parts_aside
from floorwatch.embedded.state import Paths, open_to_others
from floorwatch.sdk.stacks import Found, StackNotFound, is_alive, locate

STACK = "embedded stack"
"""Name of the check."""


def stack_checks(stack: Found | None, var: Path | None, env: Mapping[str, str]) -> list[Check]:
    """Check that the embedded stack meant runs, and all its processes; nothing where none is meant.

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
    if ended:
        fix = f"it starts them again by itself; {Paths(stack.var).log} says why they ended"
        return [Check("warn", name, f"runs on {stack.var}, without {', '.join(ended)}", fix)]
    return [Check("ok", name, f"runs on {stack.var}: {', '.join(children)}")]


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
    detail = (
        f"{len(parts)} damaged parts ({size} bytes) were passed over and set aside: {', '.join(map(str, parts[:3]))}"
    )
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
