"""Signatures of https://www.standardwebhooks.com: HMAC-SHA-256 over ``id.timestamp.body``, in base64 after ``v1,``."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256

from gateway.sources.base import BadSignature, Signature
from gateway.sources.signatures import secrets_in

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"

_PREFIX = "whsec_"
_MIN_KEY_BYTES = 16
_MOST_SIGNATURES = 16
_MOST_ID_CHARS = 256


def secrets_of(text: str) -> list[bytes]:
    """Return the keys of a secret: one a line in base64, where ``whsec_`` may come first.

    Args:
        text: Lines that begin with ``#`` and blank ones do not count. Several: while one is replaced.

    Raises:
        ValueError: With a sentence that does not show the secret.
    """
    return secrets_in(text, _key)


def _key(line: str) -> bytes:
    try:
        key = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    if len(key) < _MIN_KEY_BYTES:
        raise ValueError(f"has fewer than {_MIN_KEY_BYTES} bytes")
    return key


def check_head(headers: Mapping[str, str], now_ms: int, tolerance_s: float) -> None:
    """Refuse a request whose head is not that of a signed webhook, or is too old or too new.

    Args:
        headers: The request's, case-insensitive.
        now_ms: Unix milliseconds.
        tolerance_s: How far ``webhook-timestamp`` may be from now, seconds.

    Raises:
        BadSignature: What is wrong.
    """
    missing = [name for name in (ID, TIMESTAMP, SIGNATURE) if not headers.get(name)]
    if missing:
        reason = f"the webhook has no header {', '.join(missing)}"
        raise BadSignature("unsigned", reason, "only the tool itself can send here: it signs its webhooks")
    said = headers[TIMESTAMP]
    if not (said.isascii() and said.isdigit() and len(said) <= 12) or len(headers[ID]) > _MOST_ID_CHARS:
        raise BadSignature("unsigned", f"{TIMESTAMP} is no Unix time in seconds", "send what the tool sends, unchanged")
    if abs(int(said) * 1000 - now_ms) > tolerance_s * 1000:
        reason = f"{TIMESTAMP} is more than {tolerance_s:g} s from this gateway's clock"
        raise BadSignature("old_signature", reason, "set both clocks; a tool's own retry has a new timestamp")


def check_body(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes]) -> None:
    """Refuse a body that no secret has signed. The time taken does not tell how much of a signature is right.

    Args:
        headers: The request's; ``webhook-signature`` may hold several signatures, with spaces between.
        body: The exact bytes.
        secrets: Keys, any of which will do.

    Raises:
        BadSignature: None of the signatures is right.
    """
    signed = f"{headers[ID]}.{headers[TIMESTAMP]}.".encode("utf-8", "surrogateescape") + body
    given = [part[3:] for part in headers[SIGNATURE].split()[:_MOST_SIGNATURES] if part.startswith("v1,")]
    right = False
    for key in secrets:
        wanted = base64.b64encode(hmac.digest(key, signed, sha256))
        for one in given:
            right |= hmac.compare_digest(wanted, one.encode("utf-8", "surrogateescape"))
    if not right:
        reason = "no signature of the webhook is right for the secret of this source"
        raise BadSignature("bad_signature", reason, "put the secret the tool shows for this webhook into secret_file")


STANDARD_WEBHOOKS = Signature(check_head, check_body, secrets_of)
