"""Signatures that name no standard: an HMAC of the exact body in a header, or a header that is the secret itself."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha1, sha256
from typing import Literal

from gateway.sources.base import BadSignature, Signature

Encoding = Literal["hex", "base64"]
Hash = Literal["sha256", "sha1"]

_HASHES = {"sha256": sha256, "sha1": sha1}
_MIN_SECRET_CHARS = 16
_MOST_HEADER_CHARS = 1024


def _exact(line: str) -> bytes:
    """Return a secret as its exact bytes."""
    if len(line) < _MIN_SECRET_CHARS:
        raise ValueError(f"has fewer than {_MIN_SECRET_CHARS} characters")
    return line.encode()


def secrets_in(text: str, key_of: Callable[[str], bytes] = _exact) -> list[bytes]:
    """Return the secrets of a text, one a line.

    Args:
        text: Lines that begin with ``#`` and blank ones do not count. Several: while one is replaced.
        key_of: Makes the key of a line; its ValueError says what is wrong with it (``is not base64``).

    Raises:
        ValueError: With a sentence that does not show the secret.
    """
    found: list[bytes] = []
    for number, line in enumerate(text.splitlines(), 1):
        secret = line.strip()
        if not secret or secret.startswith("#"):
            continue
        try:
            found.append(key_of(secret))
        except ValueError as fault:
            raise ValueError(f"the secret in line {number} {fault}") from None
    if not found:
        raise ValueError("there is no secret in it")
    return found


def hmac_of_body(header: str, prefix: str = "", encoding: Encoding = "hex", algorithm: Hash = "sha256") -> Signature:
    """Return the signature of a tool that puts an HMAC of the exact body into a header.

    It says nothing of the time, so an old request can be sent again; ids of events must be made of the content.

    Args:
        header: Its name; upper and lower case are one.
        prefix: What stands before the HMAC, e.g. ``sha256=``.
        encoding: How the HMAC is written; in hex upper and lower case are one.
        algorithm: Hash of the HMAC. SHA-1 is for tools that have no other; as an HMAC it is not broken (RFC 6194, section 3.3).
    """

    def check_head(headers: Mapping[str, str], _now_ms: int, _tolerance_s: float) -> None:
        _header(headers, header, prefix)

    def check_body(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes]) -> None:
        given = _digest(_header(headers, header, prefix), encoding)
        right = False
        for key in secrets:
            right |= hmac.compare_digest(hmac.digest(key, body, _HASHES[algorithm]), given)
        if not right:
            reason = f"the signature in {header} is not right for the secret of this source"
            raise BadSignature(
                "bad_signature", reason, "put the secret that the tool has for this webhook into secret_file"
            )

    return Signature(check_head, check_body, secrets_in, timed=False)


def secret_header(header: str, prefix: str = "") -> Signature:
    """Return the signature of a tool that sends the secret itself in a header: only over TLS.

    Args:
        header: Its name.
        prefix: What stands before the secret, e.g. ``Bearer ``.
    """

    def check_head(headers: Mapping[str, str], _now_ms: int, _tolerance_s: float) -> None:
        _header(headers, header, prefix)

    def check_body(headers: Mapping[str, str], _: bytes, secrets: Sequence[bytes]) -> None:
        # Digests: the time a comparison takes would tell the length of a secret.
        given = sha256(_header(headers, header, prefix).encode("utf-8", "surrogateescape")).digest()
        right = False
        for key in secrets:
            right |= hmac.compare_digest(sha256(key).digest(), given)
        if not right:
            reason = f"{header} does not hold the secret of this source"
            raise BadSignature("bad_signature", reason, "put what the tool sends in that header into secret_file")

    return Signature(check_head, check_body, secrets_in, timed=False)


def _header(headers: Mapping[str, str], name: str, prefix: str) -> str:
    """Return what a header holds behind its prefix. Raises BadSignature where it is missing, or not of that form."""
    said = headers.get(name) or ""
    if not said:
        raise BadSignature("unsigned", f"the webhook has no header {name}", "only the tool itself can send here")
    if not said.startswith(prefix) or len(said) > _MOST_HEADER_CHARS:
        begins = f' that begins with "{prefix}"' if prefix else ""
        reason = f"{name} is no header{begins} of at most {_MOST_HEADER_CHARS} characters"
        raise BadSignature("unsigned", reason, "send what the tool sends, unchanged")
    return said[len(prefix) :]


def _digest(text: str, encoding: Encoding) -> bytes:
    """Return the bytes of a written digest; none where it is not written so."""
    try:
        raw = text.encode("ascii")
        return binascii.unhexlify(raw) if encoding == "hex" else base64.b64decode(raw, validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return b""
