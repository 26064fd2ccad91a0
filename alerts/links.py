"""Signed links of messages: each does one thing, to one incident, until a time. Pure: no clock, no configuration.

A token is ``v1.<claim>.<signature>``: the claim is JSON, the signature HMAC-SHA-256 of the text before it, both in base64url. A short
one, for messages of 160 characters, is ``s.<claim and signature>``, both as bytes, without the message, its signature cut to 96 bits.
Whoever has the token may do what the claim says, and nothing else: no login is asked for.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Literal

import msgspec
from msgspec import Struct, structs

from streams.models.timestamps import DAY_MS

LinkPurpose = Literal["ack", "silence", "useful", "not_useful", "comment", "escalate", "details", "tasks", "check"]
"""What a link is for. ``details`` and ``tasks`` only show; ``check`` is about no incident: `floorwatch doctor` follows one."""

# Short tokens name a purpose by its place here: new ones go to the end.
PURPOSES: tuple[LinkPurpose, ...] = (
    "ack",
    "silence",
    "useful",
    "not_useful",
    "comment",
    "escalate",
    "details",
    "check",
    "tasks",
)

MOST_TOKEN = 1_500
"""Characters of a token; browsers and mail programs take addresses of some 2,000."""

PATH = "a/"
"""Below the address of the pages, in front of the token."""

SHORT = "ack_short"
"""What the short form of a link that acknowledges is called."""

_VERSION = "v1"
_SHORT_BEGIN, _SHORT_SIGNATURE = "s.", 12
"""What a short token begins with, and bytes of its signature: forging one takes 2^95 requests on average, which are limited."""
_SHORT_DOMAIN = b"floorwatch short link\0"
_KEY_BYTES, _DAY_BYTES = 16, 2
_DOMAIN = b"floorwatch link\0"
"""Part of what is signed, so that no signature made for something else with the same key is one of a link."""


class Claim(Struct, frozen=True, array_like=True):
    """What a token allows.

    Attributes:
        purpose: The one thing it is for.
        incident: Key of the incident.
        notice: Id of the message that it stood in.
        receiver: Whom the message was for: ``person:mei``, or the name of a channel.
        expires_ms: Wall time from which it is no longer good.
    """

    purpose: LinkPurpose
    incident: str
    notice: str
    receiver: str
    expires_ms: int


class LinkFault(Struct, frozen=True):
    """Why a token is not good. An expired one says what it was for; of a forged one nothing is believed."""

    why: Literal["forged", "expired"]
    claim: Claim | None = None


_claims: msgspec.json.Decoder[Claim] = msgspec.json.Decoder(Claim)


def keys_of(text: str) -> tuple[bytes, ...]:
    """Return the keys in the text of a secret: one a line. The first signs; all are believed, so that one can replace another."""
    return tuple(line.strip().encode() for line in text.splitlines() if line.strip())


def sign(
    keys: Sequence[bytes], purpose: LinkPurpose, incident: str, notice: str, receiver: str, expires_ms: int
) -> str:
    """Return the token of a claim. The same arguments give the same token.

    Args:
        keys: The first signs.
        purpose: What it is for.
        incident: Key of the incident.
        notice: Id of the message.
        receiver: Whom the message is for.
        expires_ms: Wall time from which it is no longer good.

    Raises:
        ValueError: There is no key.
    """
    if not keys:
        raise ValueError("there is no key to sign links with")
    # The id of a message begins with the incident's key, which stands in the claim already: links should be short.
    short = notice.removeprefix(incident) if notice.startswith(f"{incident}:") else notice
    claim = msgspec.json.encode(Claim(purpose, incident, short, receiver, expires_ms))
    text = f"{_VERSION}.{_encoded(claim)}"
    return f"{text}.{_signature(keys[0], text)}"


def sign_short(keys: Sequence[bytes], purpose: LinkPurpose, incident: str, receiver: str, expires_ms: int) -> str:
    """Return the short token of a claim that names no message; empty where it has none.

    Args:
        keys: The first signs.
        purpose: What it is for.
        incident: Key of the incident; one that is not 16 bytes in hex has no short token.
        receiver: Whom the message is for.
        expires_ms: Wall time from which it is no longer good; the begin of a UTC day.

    Raises:
        ValueError: There is no key.
    """
    if not keys:
        raise ValueError("there is no key to sign links with")
    try:
        key = bytes.fromhex(incident)
        day = (expires_ms // DAY_MS).to_bytes(_DAY_BYTES, "big")
    except (ValueError, OverflowError):
        return ""
    if len(key) != _KEY_BYTES:
        return ""
    claim = bytes([PURPOSES.index(purpose)]) + day + key + receiver.encode()
    return f"{_SHORT_BEGIN}{_encoded(claim + _short_signature(keys[0], claim))}"


def _read_short(keys: Sequence[bytes], token: str, now_ms: int) -> Claim | LinkFault:
    try:
        raw = _decoded(token.removeprefix(_SHORT_BEGIN))
    except ValueError:
        return LinkFault("forged")
    claim, given = raw[:-_SHORT_SIGNATURE], raw[-_SHORT_SIGNATURE:]
    # Base64 has several texts for the same bytes, of which one is right.
    if _encoded(raw) != token.removeprefix(_SHORT_BEGIN) or len(claim) < 1 + _DAY_BYTES + _KEY_BYTES:
        return LinkFault("forged")
    if not any([hmac.compare_digest(_short_signature(key, claim), given) for key in keys]):  # noqa: C419
        return LinkFault("forged")
    purpose, day, rest = claim[0], claim[1 : 1 + _DAY_BYTES], claim[1 + _DAY_BYTES :]
    try:
        receiver = rest[_KEY_BYTES:].decode()
        what = PURPOSES[purpose]
    except (UnicodeDecodeError, IndexError):
        return LinkFault("forged")  # signed by us, but by a release that knows other purposes
    expires_ms = int.from_bytes(day, "big") * DAY_MS
    found = Claim(what, rest[:_KEY_BYTES].hex(), "", receiver, expires_ms)
    return found if now_ms < expires_ms else LinkFault("expired", found)


def read(keys: Sequence[bytes], token: str, now_ms: int) -> Claim | LinkFault:
    """Return what a token allows now, or why it allows nothing.

    Args:
        keys: Any of them may have signed.
        token: As it came, from anybody.
        now_ms: Wall time.
    """
    if token.startswith(_SHORT_BEGIN) and len(token) <= MOST_TOKEN and token.isascii():
        return _read_short(keys, token, now_ms)
    text, _, given = token.rpartition(".")
    if len(token) > MOST_TOKEN or not token.isascii() or not text.startswith(f"{_VERSION}."):
        return LinkFault("forged")
    # Every key is tried, so that the time tells nothing about them. Signatures are compared as text: base64 has several
    # texts for the same bytes, of which one is right.
    if not any([hmac.compare_digest(_signature(key, text), given) for key in keys]):  # noqa: C419
        return LinkFault("forged")
    try:
        claim = _claims.decode(_decoded(text.partition(".")[2]))
    except (ValueError, msgspec.MsgspecError):
        return LinkFault("forged")  # signed by us, but by a release that knows other purposes
    if claim.notice.startswith(":"):
        claim = structs.replace(claim, notice=claim.incident + claim.notice)
    return claim if now_ms < claim.expires_ms else LinkFault("expired", claim)


class LinkSigner(Struct, frozen=True):
    """Makes the links of messages.

    Attributes:
        base: Address of the pages, ending in a slash.
        keys: The first signs.
        lasts_ms: How long a link is good at least.
    """

    base: str
    keys: tuple[bytes, ...]
    lasts_ms: int

    def url(self, purpose: LinkPurpose, incident: str, notice: str, receiver: str, now_ms: int) -> str:
        """Return a link. Its end is rounded up to a day, so that a message sent again on the same day has the same link."""
        return f"{self.base}{PATH}{sign(self.keys, purpose, incident, notice, receiver, self._expires_ms(now_ms))}"

    def short_url(self, purpose: LinkPurpose, incident: str, receiver: str, now_ms: int) -> str:
        """Return a link as short as can be, which does not say by which message somebody came; empty where there is none."""
        token = sign_short(self.keys, purpose, incident, receiver, self._expires_ms(now_ms))
        return f"{self.base}{PATH}{token}" if token else ""

    def _expires_ms(self, now_ms: int) -> int:
        return -(-(now_ms + self.lasts_ms) // DAY_MS) * DAY_MS

    def for_receiver(self, receiver: str, now_ms: int) -> Callable[[str, str, str], str]:
        """Return how the links of one receiver's message are made: from (purpose, incident, notice); empty for what no page does.

        ``SHORT`` as the purpose gives the short form of ``ack``.
        """

        def link(purpose: str, incident: str, notice: str) -> str:
            if purpose == SHORT:
                return self.short_url("ack", incident, receiver, now_ms)
            return next((self.url(one, incident, notice, receiver, now_ms) for one in PURPOSES if one == purpose), "")

        return link


def doer(receiver: str, name: str = "") -> str:
    """Return in whose name a link acts: of a person theirs, of a channel that of the channel with the name somebody gave.

    Example:
        >>> doer("person:mei"), doer("ops"), doer("ops", "Mei")
        ('mei', 'link of ops', 'Mei (link of ops)')
    """
    if receiver.startswith("person:"):
        return receiver.partition(":")[2]
    link = f"link of {receiver.removeprefix('channel:')}"
    return f"{name} ({link})" if name else link


def _signature(key: bytes, text: str) -> str:
    return _encoded(hmac.new(key, _DOMAIN + text.encode(), sha256).digest())


def _short_signature(key: bytes, claim: bytes) -> bytes:
    return hmac.new(key, _SHORT_DOMAIN + claim, sha256).digest()[:_SHORT_SIGNATURE]


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
