"""Finds the running embedded stack from any folder: a register of the stacks of this user.

A stack that runs has a file below ``$XDG_STATE_HOME/floorwatch/stacks`` (``~/.local/state`` without that variable). It
holds the stack's ``var`` folder and nothing else; whether the stack still runs is read from that folder's state file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from floorwatch.embedded.state import DEFAULT_VAR, VAR_VARIABLE, StackState, find_stack, replace_private


class Found(NamedTuple):
    """A running stack and its folder."""

    var: Path
    state: StackState


class StackNotFound(Exception):
    """No stack can be chosen. Operator: start one, or name its folder; the message says which run.

    Attributes:
        several: Whether the reason is that several run.
    """

    def __init__(self, said: str, *, several: bool = False) -> None:
        """Say why."""
        self.several = several
        super().__init__(said)


def register(var: Path) -> bool:
    """Enter a running stack in the register, and take out those that have ended.

    Args:
        var: Folder of the stack.

    Returns:
        Whether it is entered; False where there is no home or it cannot be written.
    """
    try:
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in _entries(folder):
            if find_stack(Path(entry.read_text(encoding="utf-8").strip())) is None:
                entry.unlink(missing_ok=True)
        replace_private(folder / _name(var), f"{var.resolve()}\n")
    except (OSError, ValueError, RuntimeError):
        return False
    return True


def forget(var: Path) -> None:
    """Take a stack out of the register."""
    with contextlib.suppress(OSError, RuntimeError):
        (_folder() / _name(var)).unlink(missing_ok=True)


def running() -> list[Found]:
    """Return the stacks of this user that run, in the order of their folders."""
    found = []
    with contextlib.suppress(OSError, RuntimeError):
        for entry in _entries(_folder()):
            with contextlib.suppress(OSError, ValueError):
                var = Path(entry.read_text(encoding="utf-8").strip())
                state = find_stack(var)
                if state is not None:
                    found.append(Found(var, state))
    return sorted(found, key=lambda one: one.var)


def locate(var: Path | None = None, env: Mapping[str, str] = os.environ) -> Found | None:
    """Return the stack that a command means: the folder named, else ``./var``, else the only one that runs.

    Args:
        var: The folder the user named; None takes ``FLOORWATCH_VAR``.
        env: The environment.

    Returns:
        The stack, or None where none was named and none runs.

    Raises:
        StackNotFound: No stack runs on the folder named, or several run and none was named.
    """
    named = var or (Path(env[VAR_VARIABLE]) if env.get(VAR_VARIABLE) else None)
    here = named or DEFAULT_VAR
    state = find_stack(here)
    if state is not None:
        return Found(here, state)
    others = running()
    listed = ", ".join(str(one.var) for one in others)
    if named is not None:
        hint = f"running: {listed}" if others else "none runs: start one with `floorwatch up`"
        raise StackNotFound(f"no stack runs on {named} ({hint})")
    if len(others) > 1:
        raise StackNotFound(f"several stacks run: {listed}; name one with --var or {VAR_VARIABLE}", several=True)
    return others[0] if others else None


def _folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local/state") / "floorwatch/stacks"


def _entries(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.path")


def _name(var: Path) -> str:
    return hashlib.sha256(os.fsencode(var.resolve())).hexdigest()[:24] + ".path"
