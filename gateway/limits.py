"""Who may send, and how much: bearer tokens and token buckets."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from gateway.settings import MIN_TOKEN_CHARS, GatewaySettings, SourceSettings

ClockMs = Callable[[], int]

_MOST_BUCKETS = 10_000
"""Without tokens each address has a bucket, and there may be many."""


class TokenFault(Exception):
    """A token cannot be used. Operator: the message names the source and the file."""


@dataclass(frozen=True)
class Sender:
    """Who sends.

    Attributes:
        name: The source's name in the settings; empty where no tokens are set.
        event_sources: Beginnings of the CloudEvents source it may send; empty allows any.
    """

    name: str
    event_sources: tuple[str, ...] = ()

    def may_send(self, source: str) -> bool:
        """Tell whether events of a CloudEvents source may come from this sender."""
        return not self.event_sources or source.startswith(self.event_sources)


ANYONE = Sender("")


class Doorkeeper:
    """Knows the senders by their tokens; keeps digests only."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Read the tokens.

        Raises:
            TokenFault: A token file cannot be read, or two sources share a token.
        """
        self._senders: list[tuple[bytes, Sender]] = []
        seen: dict[bytes, str] = {}
        for name, source in settings.sources.items():
            digest = sha256(_token(name, source)).digest()
            if digest in seen:
                raise TokenFault(f"gateway.sources: {seen[digest]} and {name} have the same token; give each its own")
            seen[digest] = name
            self._senders.append((digest, Sender(name, source.event_sources)))

    def sender(self, authorization: str | None) -> Sender | None:
        """Return who holds the token of an Authorization header, or None. Takes the same time for every token."""
        if not self._senders:
            return ANYONE
        scheme, _, token = (authorization or "").partition(" ")
        given = sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found = None
        for digest, sender in self._senders:
            if hmac.compare_digest(digest, given):
                found = sender
        return found if scheme.lower() == "bearer" else None


def _token(name: str, source: SourceSettings) -> bytes:
    if source.token is not None:
        return source.token.get_secret_value().encode()
    if source.token_file is None:
        raise TokenFault(f"gateway.sources.{name} has no token; set token_file")
    try:
        text = source.token_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenFault(f"gateway.sources.{name}.token_file {source.token_file} cannot be read: {error}") from error
    if len(text) < MIN_TOKEN_CHARS:
        reason = f"has fewer than {MIN_TOKEN_CHARS} characters; make one with: openssl rand -hex 24"
        raise TokenFault(f"the token in {source.token_file} of gateway.sources.{name} {reason}")
    return text.encode()


class Buckets:
    """A token bucket for each sender: ``burst`` requests at once, ``per_s`` a second on average."""

    def __init__(self, per_s: float, burst: int, clock_ms: ClockMs) -> None:
        """Begin with full buckets; ``per_s`` 0 sets no limit."""
        self._per_ms = per_s / 1000
        self._burst = float(burst)
        self._clock_ms = clock_ms
        self._held: dict[str, tuple[float, int]] = {}

    def wait_s(self, name: str) -> int:
        """Take one request from a sender's bucket; return 0, or in how many seconds there is room again."""
        if not self._per_ms:
            return 0
        now_ms = self._clock_ms()
        held, since_ms = self._held.pop(name, (self._burst, now_ms))
        while len(self._held) >= _MOST_BUCKETS:
            del self._held[next(iter(self._held))]  # the one used longest ago; an unknown one begins full
        held = min(self._burst, held + max(0, now_ms - since_ms) * self._per_ms)
        if held >= 1:
            self._held[name] = (held - 1, now_ms)
            return 0
        self._held[name] = (held, now_ms)
        return max(1, math.ceil((1 - held) / self._per_ms / 1000))
