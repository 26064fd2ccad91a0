"""Who may send, what, and how much: bearer tokens with their grants, and token buckets."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from config.errors import ConfigErrors
from config.files import FileFault, read_secret
from gateway.settings import GatewaySettings, SourceSettings, unauthenticated
from gateway.sources.places import PlaceSettings
from streams.core.time_text import rfc3339
from streams.models.grants import SenderGrant
from streams.models.timestamps import to_ms

_log = logging.getLogger(__name__)

_LOOK_EVERY_MS = 1000

ClockMs = Callable[[], int]


class SourceFault(Exception):
    """A source cannot be served. Operator: the message names it and what to mend."""


class TokenFault(SourceFault):
    """A token or a secret cannot be used. Operator: the message names the source and the file."""


class MappingFault(SourceFault):
    """A mapping cannot be used. Operator: the message names the source, the file and the place."""


class UnauthenticatedGateway(Exception):
    """The gateway would take events from anyone. Operator: set a token; the message says how."""


@dataclass(frozen=True)
class Sender:
    """Who sends.

    Attributes:
        name: The source's name in the settings; empty where no tokens are set.
        grant: What it may do.
        expired: When its token ended, as text; empty while it holds.
    """

    name: str
    grant: SenderGrant = field(default_factory=lambda: SenderGrant(""))
    expired: str = ""

    @property
    def event_sources(self) -> tuple[str, ...]:
        """Beginnings of the CloudEvents source it may send; empty allows any."""
        return self.grant.event_sources

    def may_send(self, source: str) -> bool:
        """Tell whether events of a CloudEvents source may come from this sender."""
        return not self.event_sources or source.startswith(self.event_sources)


ANYONE = Sender("")


@dataclass
class _Token:
    digest: bytes
    sender: Sender
    until_ms: int | None


@dataclass
class _TokenFile:
    name: str
    path: Path
    seen: tuple[int, int, int]


@dataclass(frozen=True)
class Signer:
    """A source whose tool signs its webhooks.

    Attributes:
        sender: Who it is, and what it may do.
        secrets: Keys, any of which may have signed.
    """

    sender: Sender
    secrets: tuple[bytes, ...]


class Authenticator:
    """Knows the senders by their tokens, of which it keeps digests only, and tools by their signatures.

    Files of tokens and secrets are read again when they change.
    """

    def __init__(self, settings: GatewaySettings, clock_ms: ClockMs = lambda: 0) -> None:
        """Read the tokens.

        Args:
            settings: The gateway's.
            clock_ms: Wall clock in Unix milliseconds, against which tokens expire.

        Raises:
            TokenFault: A token file cannot be read, or two sources share a token.
        """
        self._clock_ms = clock_ms
        self._sources = settings.sources
        self._files: list[_TokenFile] = []
        self._by_name: dict[str, list[_Token]] = {}
        self._signers: dict[str, Signer] = {}
        self._looked_ms = clock_ms()
        for name, source in settings.sources.items():
            path = source.secret_file if source.signature else source.token_file
            if path is not None:
                self._files.append(_TokenFile(name, path, _state_of(path)))
            self._take(name, *_text_of(name, source))

    def sender(self, authorization: str | None) -> Sender | None:
        """Return the sender whose token is in an Authorization header, or None. Takes the same time for every token.

        If the sender's token has expired, ``expired`` says when.
        """
        if not self._by_name:
            return ANYONE
        now_ms = self._look_again_at_times()
        scheme, _, token = (authorization or "").partition(" ")
        given = sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found = None
        for held in (held for tokens in self._by_name.values() for held in tokens):
            if hmac.compare_digest(held.digest, given):
                found = held
        if found is None or scheme.lower() != "bearer":
            return None
        if found.until_ms is not None and now_ms >= found.until_ms:
            return replace(found.sender, expired=rfc3339(found.until_ms))
        return found.sender

    def source_of(self, tool: str, name: str | None) -> str | None:
        """Return the source that a webhook says it is of; without a name the only source of that tool. None without one."""
        found = [one for one, source in self._sources.items() if source.tool == tool and name in (None, one)]
        return found[0] if len(found) == 1 else None

    def signer(self, source: str) -> Signer | None:
        """Return who signs the webhooks of a source; None where a token says who sends."""
        self._look_again_at_times()
        return self._signers.get(source)

    def _look_again_at_times(self) -> int:
        now_ms = self._clock_ms()
        if now_ms - self._looked_ms >= _LOOK_EVERY_MS:
            self._looked_ms = now_ms
            self._look_again()
        return now_ms

    def _take(self, name: str, text: str, path: str) -> int:
        """Use the tokens or secrets of a text from now on; return how many. Raises TokenFault, and leaves what was."""
        source = self._sources[name]
        if source.signature is None:
            self._by_name[name] = self._distinct(name, _read(name, source, text, path))
            return len(self._by_name[name])
        self._by_name[name] = []  # known, but never by a token
        self._signers[name] = _read_signer(name, source, text, path)
        return len(self._signers[name].secrets)

    def _look_again(self) -> None:
        """Read the token files that have changed. If one cannot be used, the old tokens stay."""
        for one in self._files:
            state = _state_of(one.path)
            if state == one.seen:
                continue
            one.seen = state
            try:
                field = "secret" if self._sources[one.name].signature else "token"
                count = self._take(one.name, _file_text(one.name, field, one.path), str(one.path))
            except TokenFault as error:
                _log.error("%s; the tokens read before stay in force", error)
            else:
                _log.info("gateway.sources.%s: %d %ss read from %s", one.name, count, field, one.path)

    def _distinct(self, name: str, tokens: list[_Token]) -> list[_Token]:
        others = {held.digest: other for other, held_by in self._by_name.items() if other != name for held in held_by}
        for token in tokens:
            if token.digest in others:
                other = others[token.digest]
                raise TokenFault(f"gateway.sources: {other} and {name} have the same token; give each its own")
        return tokens


def authenticator(settings: GatewaySettings, clock_ms: ClockMs = lambda: 0) -> Authenticator:
    """Return who may send, or refuse to: what the gateway does at its start, and ``config check`` before.

    Raises:
        UnauthenticatedGateway: It would listen beyond loopback without tokens.
        TokenFault: A token file cannot be read, or two sources share a token.
        MappingFault: A mapping, or a list of users, cannot be used.
    """
    fault = unauthenticated(settings)
    if fault is not None:
        raise UnauthenticatedGateway(fault)
    for name, source in settings.sources.items():
        try:
            source.mapped.loaded()
        except ConfigErrors as errors:
            first, more = errors.errors[0], len(errors.errors) - 1
            place = f"{first.path}:{first.line}:{first.column}" if first.line else first.path
            rest = f" (and {more} more: floorwatch map test {source.mapped.mapping})" if more else ""
            said = f"gateway.sources.{name}.mapped.mapping: {place}: {first.reason}{rest}"
            raise MappingFault(said) from errors
    for at, section in settings.sections().items():
        if isinstance(section, PlaceSettings):
            try:
                section.load_users()
            except ConfigErrors as errors:
                first, more = errors.errors[0], len(errors.errors) - 1
                where = f"{first.path}:{first.line}:{first.column}" if first.line else first.path
                rest = f" (and {more} more)" if more else ""
                hint = f"; {first.hint}" if first.hint else ""
                said = f"gateway.{'.'.join(at)}.users_csv: {where}: {first.reason}{hint}{rest}"
                raise MappingFault(said) from errors
    return Authenticator(settings, clock_ms)


def _state_of(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file changes. Mounted secrets are replaced by renaming, so the inode number is part of it."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _text_of(name: str, source: SourceSettings) -> tuple[str, str]:
    """Return the text of a source's tokens or secrets, and the path of its file, empty without one."""
    field = "secret" if source.signature else "token"
    given = source.secret if source.signature else source.token
    path = source.secret_file if source.signature else source.token_file
    if given is not None:
        return given.get_secret_value(), ""
    if path is None:
        raise TokenFault(f"gateway.sources.{name} has no {field}; set {field}_file")
    return _file_text(name, field, path), str(path)


def _file_text(name: str, field: str, path: Path) -> str:
    try:
        return read_secret(path, pipes=False)  # it is read again, and a pipe can be read once only
    except FileFault as error:
        raise TokenFault(f"gateway.sources.{name}.{field}_file {path} {error}") from error


def _read_signer(name: str, source: SourceSettings, text: str, path: str) -> Signer:
    try:
        secrets = source.secrets(text)
    except ValueError as error:
        where = f"secret_file {path}" if path else "secret"
        raise TokenFault(f"gateway.sources.{name}.{where}: {error}; put there what the tool shows for it") from None
    return Signer(Sender(name, source.grant(name, f"gateway.sources.{name}")), tuple(secrets))


def _read(name: str, source: SourceSettings, text: str, path: str) -> list[_Token]:
    sender = Sender(name, source.grant(name, f"gateway.sources.{name}"))
    try:
        tokens = source.tokens(text)
    except ValueError as error:
        where = f"token_file {path}" if path else "token"
        raise TokenFault(f"gateway.sources.{name}.{where}: {error}; make one with: openssl rand -hex 24") from None
    return [
        _Token(sha256(token.encode()).digest(), sender, None if until is None else to_ms(until))
        for token, until in tokens
    ]
