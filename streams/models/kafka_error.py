"""Errors of the Kafka library in words."""

from __future__ import annotations

import re

_BOOTSTRAP = re.compile(r"Unable to bootstrap from \[(.*)\]")
_ADDRESS = re.compile(r"\('([^']*)', (\d+), [^()]*\)")


def said_by(error: BaseException) -> str:
    """Return an error of the Kafka library in words, without class names of sockets and never empty.

    Example:
        >>> said_by(OSError("Unable to bootstrap from [('a', 9092, <AddressFamily.AF_INET: 2>)]"))
        'no broker answers at a:9092'
    """
    said = str(error)
    found = _BOOTSTRAP.search(said)
    if found:
        return "no broker answers at " + ", ".join(f"{host}:{port}" for host, port in _ADDRESS.findall(found[1]))
    kind = type(error).__name__
    return said.removeprefix(f"{kind}: ") or kind
