"""Tells whether a disk is full. Then the stack waits for room instead of giving up."""

from __future__ import annotations

import errno
import os
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk and of a full quota."""

LEAST_BYTES = 1024 * 1024
"""Less free space than this counts as a full disk, because servers need some to start."""


def no_room(error: BaseException) -> bool:
    """Return whether an error says that the disk is full."""
    return isinstance(error, OSError) and error.errno in NO_ROOM


def is_full(folder: Path) -> bool:
    """Return whether the file system of a folder has no room for ordinary users."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < LEAST_BYTES or bool(found.f_files and not found.f_favail)
