"""CVAT's signatures: HMAC-SHA-256 of the body in hexadecimal, after ``sha256=`` in ``X-Signature-256``.

Source: cvat/apps/webhooks/utils.py, ``perform_webhook_request``. No time is signed, so a request that was recorded can be
sent again; that changes nothing, because ids of events are made of the content. CVAT signs nothing where its webhook has
no secret: such a request is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gateway.sources.base import BadSignature
from gateway.sources.signatures import hmac_of_body, secrets_in

HEADER = "X-Signature-256"

_MOST_SECRET_CHARS = 64
"""The longest secret that CVAT keeps: ``Webhook.secret`` in cvat/apps/webhooks/models.py."""

_HMAC = hmac_of_body(HEADER, "sha256=")


def secrets_of(text: str) -> list[bytes]:
    """Return the keys of a secret: one a line, as typed into CVAT.

    Args:
        text: As for ``secrets_in``.

    Raises:
        ValueError: With a sentence that does not show the secret.
    """
    found = secrets_in(text)
    if any(len(one.decode()) > _MOST_SECRET_CHARS for one in found):
        raise ValueError(f"a secret has more than the {_MOST_SECRET_CHARS} characters CVAT keeps")
    return found


def check_head(headers: Mapping[str, str], now_ms: int, tolerance_s: float) -> None:
    """Refuse a request that has no signature of CVAT's form. Arguments and errors as of ``Signature.check_head``."""
    if not headers.get(HEADER):
        hint = "give CVAT's webhook a secret, the same as in secret_file: without one CVAT signs nothing"
        raise BadSignature("unsigned", f"the webhook has no header {HEADER}", hint)
    _HMAC.check_head(headers, now_ms, tolerance_s)


CVAT_SIGNATURE = replace(_HMAC, check_head=check_head, secrets=secrets_of)
