"""What goes wrong between Floorwatch and Label Studio's API: what happened, and how to mend it."""

from __future__ import annotations

import json
from typing import Any, Literal

FaultKind = Literal[
    "unreachable",
    "tls",
    "wrong_address",
    "token",
    "legacy_token",
    "permission",
    "reserved_address",
    "unknown_host",
    "bad_url",
    "not_found",
    "no_organization_hook",
    "refused",
    "busy",
    "odd_answer",
]
"""What kind of fault it is, for programs."""

_MOST_SAID = 300
_TOKEN_FIX = "make one in Label Studio under Account & Settings > Personal Access Token, and pass it whole"  # noqa: S105


class LabelStudioFault(Exception):
    """A request to Label Studio's API that did not work. Operator: ``hint`` says what to do.

    Attributes:
        kind: For programs.
        reason: What happened; it never holds a token.
        hint: How to mend it.
        status: The HTTP status; 0 without an answer.
    """

    def __init__(self, kind: FaultKind, reason: str, hint: str, status: int = 0) -> None:
        """Say what happened and how to mend it."""
        super().__init__(f"{reason}; {hint}")
        self.kind: FaultKind = kind
        self.reason, self.hint, self.status = reason, hint, status


def said_of(body: bytes) -> str:
    """Return what Label Studio says in the body of a refusal; empty where it is no JSON of its API."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("validation_errors")
    said = "; ".join(_lines(errors)) if isinstance(errors, dict) else ""
    return (said or str(answer.get("detail") or ""))[:_MOST_SAID]


def fault_of(status: int, body: bytes, what: str) -> LabelStudioFault:
    """Return what a refusal means.

    Args:
        status: The HTTP status, 400 or more.
        body: Beginning of the answer.
        what: What was asked, e.g. ``GET /api/projects/``.
    """
    said = said_of(body)
    known = _known_refusal(status, said)
    if known is not None:
        return known
    if not said and status in {404, 405}:
        reason = f"{what} answers {status}, and not as Label Studio's API does"
        hint = "give the address under which Label Studio itself is reached, with its path prefix if it has one"
        return LabelStudioFault("wrong_address", reason, hint, status)
    if status == 404:
        return LabelStudioFault(
            "not_found", f"{what}: {said}", "check the id, and that this user sees the project", status
        )
    if status >= 500 or status == 429:
        return LabelStudioFault(
            "busy", f"{what} answers {status}{_after(said)}", "look into Label Studio's log, then try again", status
        )
    return LabelStudioFault(
        "refused", f"{what} answers {status}{_after(said)}", "the reason is Label Studio's own", status
    )


def _known_refusal(status: int, said: str) -> LabelStudioFault | None:
    """Return the refusals that Label Studio 1.23 has words of its own for."""
    lowered = said.lower()
    if status == 401 and "legacy" in lowered:
        reason = "Label Studio takes no legacy tokens for this organization"
        return LabelStudioFault("legacy_token", reason, _TOKEN_FIX, status)
    if status == 401:
        return LabelStudioFault("token", f"Label Studio does not know this token{_after(said)}", _TOKEN_FIX, status)
    if "reserved network address" in lowered or "ssrf" in lowered or "private network" in lowered:
        hint = "give the gateway a public address, or set SSRF_PROTECTION_ENABLED=false for Label Studio and restart it"
        return LabelStudioFault("reserved_address", f"Label Studio refuses the address: {said}", hint, status)
    if "can't resolve hostname" in lowered:
        hint = "use a name that Label Studio's machine knows, or an IP address"
        return LabelStudioFault("unknown_host", f"Label Studio does not find the host: {said}", hint, status)
    if status == 400 and "valid url" in lowered:
        hint = "Label Studio takes localhost, IP addresses and names with a dot: gateway.internal, not gateway"
        return LabelStudioFault("bad_url", "Label Studio does not take the address for a URL", hint, status)
    if status == 403:
        reason = f"this user may not do that in Label Studio{_after(said)}"
        return LabelStudioFault("permission", reason, "use the token of an administrator of the organization", status)
    return None


def _after(said: str) -> str:
    return f": {said}" if said else ""


def _lines(errors: dict[str, Any]) -> list[str]:
    return [f"{name}: {' '.join(map(str, held)) if isinstance(held, list) else held}" for name, held in errors.items()]
