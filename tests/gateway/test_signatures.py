"""Signatures of tools that follow no standard: an HMAC of the body in a header, and a header that is the secret."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import pytest

from gateway.sources.base import BadSignature, Signature
from gateway.sources.signatures import hmac_of_body, secret_header, secrets_in

KEY, OTHER = b"a-secret-of-the-tool", b"another-secret-of-it"
BODY = b'{"event": "done"}'


def told(signature: Signature, headers: dict[str, str], body: bytes = BODY, secrets: Any = (KEY,)) -> str:
    """The code of the refusal, or an empty text."""
    try:
        signature.check_head(headers, 0, 0)
        signature.check_body(headers, body, secrets)
    except BadSignature as fault:
        assert KEY.decode() not in f"{fault.reason} {fault.hint}"
        return fault.code
    return ""


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_an_hmac_of_the_exact_body_is_right_and_nothing_else(encoding: Any, algorithm: Any) -> None:
    signature = hmac_of_body("X-Sign", f"{algorithm}=", encoding, algorithm)

    def sign(body: bytes = BODY, key: bytes = KEY, by: str = algorithm) -> dict[str, str]:
        mac = hmac.digest(key, body, by)
        text = mac.hex() if encoding == "hex" else base64.b64encode(mac).decode()
        return {"X-Sign": f"{algorithm}={text}"}

    assert told(signature, sign()) == ""
    assert told(signature, sign(), secrets=(OTHER, KEY)) == ""
    assert told(signature, sign(key=OTHER)) == "bad_signature"
    assert told(signature, sign(by="md5")) == "bad_signature"
    assert told(signature, sign(), BODY + b" ") == "bad_signature"
    whole = sign()["X-Sign"]
    for wrong in (whole[:-4], whole + "00", f"{algorithm}=", f"{algorithm}=ü", f"{algorithm}=%%%%", f"{algorithm}=zz"):
        assert told(signature, {"X-Sign": wrong}) == "bad_signature", wrong
    for wrong in ({}, {"X-Sign": ""}, {"X-Sign": whole.partition("=")[2]}, {"X-Sign": whole + "0" * 2000}):
        assert told(signature, wrong) == "unsigned", wrong


def test_an_empty_digest_is_never_right() -> None:
    assert told(hmac_of_body("X-Sign"), {"X-Sign": " "}) == "bad_signature"
    assert told(hmac_of_body("X-Sign"), {"X-Sign": "zz"}, secrets=()) == "bad_signature"


def test_a_header_that_is_the_secret() -> None:
    signature = secret_header("Authorization", "Bearer ")
    for key in (KEY, OTHER):
        assert told(signature, {"Authorization": f"Bearer {key.decode()}"}, secrets=(KEY, OTHER)) == ""
    for wrong in ("", KEY.decode()[:-1], KEY.decode() + "x", "ü\udcff"):
        assert told(signature, {"Authorization": f"Bearer {wrong}"}) == "bad_signature", wrong
    assert told(signature, {"Authorization": KEY.decode()}) == "unsigned"
    assert told(signature, {}) == "unsigned"


def test_secrets_of_a_file() -> None:
    assert secrets_in(f"# old and new\n{KEY.decode()}\n\n  {OTHER.decode()}\n") == [KEY, OTHER]
    for text, said in (("short", "line 1"), ("\n# none\n", "no secret")):
        with pytest.raises(ValueError, match=said) as fault:
            secrets_in(text)
        assert "short" not in str(fault.value)
