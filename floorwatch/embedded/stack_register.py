"""Enters running stacks in this user's register, where ``floorwatch.sdk.stacks`` finds them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from floorwatch.embedded.state import replace_private
from floorwatch.sdk.stacks import ENTRIES, find_stack, register_folder


def register(var: Path) -> bool:
    """Enter a running stack in the register, and remove stacks that have ended.

    Args:
        var: Folder of the stack.

    Returns:
        Whether it is entered; False if there is no home folder or it cannot be written.
    """
    try:
        folder = register_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in list(folder.glob(ENTRIES)):
            if find_stack(Path(entry.read_text(encoding="utf-8").strip())) is None:
                entry.unlink(missing_ok=True)
        replace_private(folder / _name(var), f"{var.resolve()}\n")
    except (OSError, ValueError, RuntimeError):
        return False
    return True


def forget(var: Path) -> None:
    """Take a stack out of the register."""
    with contextlib.suppress(OSError, RuntimeError):
        (register_folder() / _name(var)).unlink(missing_ok=True)


def _name(var: Path) -> str:
    return hashlib.sha256(os.fsencode(var.resolve())).hexdigest()[:24] + ".path"
