"""The generator: events at the bounds of the contract, damaged ones, and HTTP requests of every kind, from one seed."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from streams.core.time_text import rfc3339
from tests.fuzz.names import NAMES
from tests.gateway.harness import NOW_MS, fixture_names, raw_fixture

Json = dict[str, Any]

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000


TYPES = {
    "created": "task.created",
    "claimed": "task.claimed",
    "cancelled": "task.cancelled",
    "label": "label.submitted",
    "unlabel": "label.withdrawn",
    "audit": "audit.completed",
    "unaudit": "audit.withdrawn",
    "opened": "appeal.opened",
    "decided": "appeal.decided",
    "shift": "shift.scheduled",
    "begun": "break.started",
    "ended": "break.ended",
}
_WEIGHTS = {"label": 8, "audit": 6, "created": 4}


@dataclass
class Request:
    """One HTTP request.

    Attributes:
        what: Its kind, for the count.
        path: Path and query.
        body: As it is sent.
        headers: With the content type.
        method: HTTP method.
    """

    what: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"


class Generator:
    """Everything a campaign sends. The same seed gives the same bytes."""

    def __init__(self, seed: int, now_ms: int = NOW_MS, names: tuple[str, ...] = NAMES) -> None:
        """Begin anew.

        Args:
            seed: Decides everything.
            now_ms: The gateway's time: no event is dated more than five minutes after it.
            names: Identifiers and dimension values to choose from, beside simple ones.
        """
        self._rng = random.Random(seed)
        self._now_ms, self._names, self._serial, self._seed = now_ms, names, 0, seed
        self._hooks = [raw_fixture(name) for name in fixture_names()]
        self._sent: list[bytes] = []

    # -- events ----------------------------------------------------------------------------------------------------

    def event(self) -> Json:
        """Return an event of the contract, often at some bound of it."""
        rng = self._rng
        self._serial += 1
        kind = rng.choices(list(TYPES), [_WEIGHTS.get(kind, 1) for kind in TYPES])[0]
        time_ms = self._time_ms()
        event = {
            "specversion": "1.0",
            "id": f"{self._seed}-{self._serial}" if rng.random() < 0.97 else self._name(),
            "source": rng.choice(("tool/kul-1", "tool/kul-1", self._name())),
            "type": f"floorwatch.{TYPES[kind]}.v1",
            "subject": f"t{rng.randrange(60)}" if rng.random() < 0.9 else self._name(),
            "time": self._text(time_ms),
            "data": getattr(self, f"_{kind}")(time_ms),
        }
        if rng.random() < 0.05:
            event["datacontenttype"] = "application/json"
        if rng.random() < 0.05:
            event["data"]["unknown"] = self._anything(3)
        return event

    def _name(self) -> str:
        rng = self._rng
        return rng.choice(self._names) if rng.random() < 0.6 else f"n{rng.randrange(6)}"

    def _maybe(self, *names: str) -> Json:
        return {name: self._name() for name in names if self._rng.random() < 0.6}

    def _time_ms(self) -> int:
        ages = (0, 1, SECOND_MS, HOUR_MS, DAY_MS, 13 * DAY_MS, 15 * DAY_MS, 399 * DAY_MS, 25 * 365 * DAY_MS)
        return self._now_ms - self._rng.choice((0, 0, 0, self._rng.randrange(3 * HOUR_MS), self._rng.choice(ages)))

    def _text(self, time_ms: int) -> str:
        """Write a time in one of the ways RFC 3339 allows."""
        rng = self._rng
        text = rfc3339(time_ms)
        if rng.random() < 0.8:
            return text
        fraction = "" if "." in text else rng.choice(("", ".0", ".9999999", ".000000001"))
        return text[:-1] + fraction + rng.choice(("Z", "+00:00", "-00:00", "+14:00", "-12:00", "+05:45"))

    def _values(self) -> list[str]:
        rng = self._rng
        count = rng.choice((0, 1, 1, 1, 2, 64))
        return [self._name() for _ in range(count)]

    def _created(self, time_ms: int) -> Json:
        due_ms = self._rng.choice((-400 * DAY_MS, -1, 0, 1, HOUR_MS, DAY_MS, 400 * DAY_MS))
        data = self._maybe("queue", "policy", "policy_version", "market", "priority", "site", "vendor", "team")
        if self._rng.random() < 0.8:
            data["due_at"] = rfc3339(time_ms + due_ms)
        if self._rng.random() < 0.4:
            data["required_labels"] = self._rng.choice((1, 2, 1000))
        return data

    def _claimed(self, _: int) -> Json:
        return {"labeler_id": self._name()}

    def _cancelled(self, _: int) -> Json:
        return {"reason": "free text\nof two lines"} if self._rng.random() < 0.5 else {}

    def _label(self, time_ms: int) -> Json:
        rng = self._rng
        data: Json = {
            "label_id": f"l{rng.randrange(4)}",
            "labeler_id": self._name(),
            "values": self._values(),
            **self._maybe("team", "site", "vendor", "queue", "policy", "policy_version", "market", "priority"),
        }
        if rng.random() < 0.8:
            data["started_at"] = rfc3339(time_ms - rng.choice((0, 1, MINUTE_MS, HOUR_MS, DAY_MS)))
        if rng.random() < 0.4:
            data["active_ms"] = rng.choice((0, 1, 30 * DAY_MS))
        if rng.random() < 0.2:
            data["prediction"] = {"values": self._values(), "score": rng.choice((0, 1, -1e308, 1e308, 0.5))}
        if rng.random() < 0.2:
            data["created_at"] = rfc3339(time_ms - rng.choice((0, HOUR_MS, DAY_MS)))
            data["due_at"] = rfc3339(time_ms + rng.choice((-DAY_MS, 0, HOUR_MS)))
        return data

    def _unlabel(self, _: int) -> Json:
        return {"label_id": f"l{self._rng.randrange(4)}"}

    def _audit(self, _: int) -> Json:
        rng = self._rng
        data: Json = {
            "audit_id": f"a{rng.randrange(4)}",
            "verdict": rng.choice(("correct", "incorrect")),
            **self._maybe("auditor_id"),
        }
        if rng.random() < 0.8:
            data["label_id"] = f"l{rng.randrange(4)}"
        if data["verdict"] == "incorrect" and rng.random() < 0.8:
            data["error_class"] = rng.choice(("false_positive", "false_negative", "wrong_selection", "technical"))
            data["severity"] = rng.choice(("critical", "major", "minor"))
        if rng.random() < 0.4:
            data["values"] = self._values()
        if rng.random() < 0.7:
            data["sampling"] = {"method": self._name(), "probability": rng.choice((1e-6, 0.05, 0.3, 1, 1.0))}
        data["blind"], data["gold"] = rng.random() < 0.5, rng.random() < 0.2
        return data

    def _unaudit(self, _: int) -> Json:
        return {"audit_id": f"a{self._rng.randrange(4)}"}

    def _opened(self, _: int) -> Json:
        rng = self._rng
        against = rng.choice(("label", "audit"))
        target = {"label": f"l{rng.randrange(4)}", "audit": f"a{rng.randrange(4)}"}
        return {"appeal_id": f"p{rng.randrange(3)}", "against": against, f"{against}_id": target[against]}

    def _decided(self, _: int) -> Json:
        return {**self._opened(0), "outcome": self._rng.choice(("upheld", "overturned"))}

    def _shift(self, time_ms: int) -> Json:
        rng = self._rng
        begin_ms = time_ms + rng.choice((-DAY_MS, 0, HOUR_MS))
        data: Json = {
            "shift_id": f"s{rng.randrange(5)}",
            "from": rfc3339(begin_ms),
            "to": rfc3339(begin_ms + rng.choice((1, 8 * HOUR_MS, DAY_MS))),
            **self._maybe("site", "vendor", "team", "queue"),
        }
        if rng.random() < 0.6:
            data["headcount"] = rng.choice((0, 1, 1_000_000))
        if rng.random() < 0.6:
            data["labeler_ids"] = [self._name() for _ in range(rng.choice((1, 5)))]
        return data

    def _begun(self, _: int) -> Json:
        return {"labeler_id": self._name()}

    _ended = _begun

    # -- damage ----------------------------------------------------------------------------------------------------

    def line(self) -> bytes:
        """Return one event as bytes: two of three as the contract wants it, one of three damaged in some way."""
        rng = self._rng
        raw = _encoded(self.event(), ascii_only=rng.random() < 0.3)
        if self._sent and rng.random() < 0.05:
            raw = rng.choice(self._sent)
        self._sent = [*self._sent[-50:], raw]
        return raw if rng.random() < 0.67 else self.damaged(raw)

    def damaged(self, raw: bytes) -> bytes:
        """Return an event damaged in some way; now and then what comes out is one still."""
        rng = self._rng
        how = rng.choice((self._cut, self._flipped, self._nested, self._emptied, self._changed, self._changed, _noise))
        return how(raw) if how is not _noise else _noise(rng)

    def _cut(self, raw: bytes) -> bytes:
        return raw[: self._rng.randrange(len(raw))]

    def _flipped(self, raw: bytes) -> bytes:
        at = self._rng.randrange(len(raw))
        return raw[:at] + bytes([raw[at] ^ (1 << self._rng.randrange(8))]) + raw[at + 1 :]

    def _nested(self, raw: bytes) -> bytes:
        depth = self._rng.choice((10, 200, 2_000, 20_000))
        inside = self._rng.choice((b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth, b"[" * depth))
        return raw[:-1] + b',"extra":' + inside + b"}"

    def _emptied(self, _: bytes) -> bytes:
        return self._rng.choice(
            (b"", b" ", b"{}", b"[]", b"null", b'"x"', b"1", b"\xef\xbb\xbf{}", b"[[]]", b"\x00" * 50)
        )

    def _changed(self, raw: bytes) -> bytes:
        """Put something else in the place of one member, or leave one out."""
        event: Json = json.loads(raw)
        place: Json = event if self._rng.random() < 0.4 or not isinstance(event.get("data"), dict) else event["data"]
        if not place:
            return raw
        name = self._rng.choice(list(place))
        if self._rng.random() < 0.2:
            del place[name]
        else:
            place[name] = self._anything(2)
        return _encoded(event, ascii_only=self._rng.random() < 0.5)

    def _anything(self, deep: int) -> Any:
        rng = self._rng
        if deep and rng.random() < 0.3:
            return [self._anything(deep - 1) for _ in range(rng.randrange(4))]
        if deep and rng.random() < 0.3:
            return {self._name(): self._anything(deep - 1) for _ in range(rng.randrange(4))}
        return rng.choice(
            (
                *(None, True, 0, -1, 1.5, 1000.0, 1e308, 10**18, 10**25, 5e-324, "", "\x7f", "\x85", "a\x00b", "a\nb"),
                *(
                    "x" * 257,
                    "x" * 5_000,
                    "9999-12-31T23:59:59Z",
                    "9999-12-31T23:59:59-10:00",
                    "0001-01-01T00:00:00+14:00",
                ),
                *("0001-01-01T00:00:00Z", "2026-11-23", "2026-11-23T10:00:00", "2026-02-30T10:00:00Z", "\ud800"),
                self._name(),
            )
        )

    # -- requests --------------------------------------------------------------------------------------------------

    def request(self) -> tuple[Request, int]:
        """Return a request and how many generated events are in it."""
        rng = self._rng
        makers: list[Callable[[], tuple[Request, int]]] = [self._one, self._lines, self._array, self._hook, self._odd]
        return rng.choices(makers, [4, 4, 2, 3, 1])[0]()

    def _one(self) -> tuple[Request, int]:
        return self._packed("one event", self.line(), "application/cloudevents+json"), 1

    def _lines(self) -> tuple[Request, int]:
        lines = [self.line() for _ in range(self._rng.choice((1, 5, 40)))]
        body = self._rng.choice((b"\n", b"\r\n", b"\n\n")).join(lines)
        return self._packed("lines", body, "application/x-ndjson"), len(lines)

    def _array(self) -> tuple[Request, int]:
        lines = [self.line() for _ in range(self._rng.choice((0, 1, 5, 40)))]
        return self._packed("array", b"[" + b",".join(lines) + b"]", "application/cloudevents-batch+json"), len(lines)

    def _hook(self) -> tuple[Request, int]:
        """Return a webhook of Label Studio as captured, or with one member changed, or cut."""
        rng = self._rng
        raw = rng.choice(self._hooks).encode()
        if rng.random() < 0.6:
            body = json.loads(raw)
            _change_somewhere(body, rng, self._anything)
            raw = _encoded(body, ascii_only=rng.random() < 0.5)
        if rng.random() < 0.15:
            raw = self.damaged(raw)
        query = rng.choice(("", "?source=kul-1", "?source=", "?source=%00", "?source=" + "x" * 300, "?nobody=1"))
        return self._packed("hook", raw, "application/json", "/v1/hooks/label-studio" + query), 1

    def _odd(self) -> tuple[Request, int]:
        rng = self._rng
        media = rng.choice(("text/plain", "", "application/json; charset=utf-16", "multipart/form-data", "x" * 300))
        path = rng.choice(("/v1/events", "/v1/events/", "/v1/hooks/argilla", "/v1/%2e%2e", "/metrics", "/readyz", "/"))
        method = rng.choice(("POST", "GET", "PUT", "DELETE", "OPTIONS"))
        headers = rng.choice(
            ({}, {"Origin": "https://evil.example"}, {"Authorization": "Bearer wrong"}, {"Host": "evil"})
        )
        return Request("odd", path, self.line(), {"Content-Type": media, **headers}, method), 1

    def _packed(self, what: str, body: bytes, media: str, path: str = "/v1/events") -> Request:
        """Compress a body now and then, and damage it then now and then."""
        rng = self._rng
        headers = {"Content-Type": media if rng.random() < 0.95 else "application/json"}
        if rng.random() < 0.2:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, mtime=0)
            if rng.random() < 0.3:
                what, body = f"{what}, gzip damaged", rng.choice((self._cut, self._flipped))(body)
        elif rng.random() < 0.02:
            headers["Content-Encoding"] = rng.choice(("br", "deflate", "zstd", "gzip"))
        return Request(what, path, body, headers)


def _encoded(value: Any, *, ascii_only: bool) -> bytes:
    """Return JSON as some tool would write it: with escapes only, or as UTF-8 where that can be."""
    if not ascii_only:
        try:
            return json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            pass
    return json.dumps(value).encode()


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice((1, 16, 400)))


def _change_somewhere(value: Any, rng: random.Random, anything: Callable[[int], Any]) -> None:
    """Change one member somewhere inside an object."""
    while isinstance(value, dict | list) and value:
        at = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        inner = value[at]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.2:
            value[at] = anything(2)
            return
        value = inner
