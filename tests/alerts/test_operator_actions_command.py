"""``floorwatch ack`` and ``silence``: what they refuse, and what ``incidents`` shows of them."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from msgspec import structs
from typer.testing import CliRunner

from alerts.codec import encode_incident, incident_record
from alerts.incident import Ack, Silence
from alerts.lifecycle import step
from alerts.text import title_of
from floorwatch.cli import build
from floorwatch.cli.incident_records import start_of
from floorwatch.cli.incidents import state_words
from floorwatch.cli.operator_actions import checked, find, silence_ms
from tests.alerts.machine import POLICY, opened, run
from tests.alerts.rows import NOW_MS
from tests.redis_clients import blocking_client


def record(key: str, **more: Any) -> dict[str, Any]:
    incident = structs.replace(opened(), key=key, **more)
    return incident_record(incident, title_of(incident))


KNOWN = [
    record("abcdef01" + "0" * 24),
    record("abcdef02" + "0" * 24),
    record("123456" + "0" * 26, state="resolved", resolved_ms=NOW_MS),
    record("77777700" + "0" * 24),
    record("77777701" + "0" * 24, state="pending"),
]


def test_a_start_that_means_one_incident_is_enough() -> None:
    assert find(KNOWN, start_of(" ABCDEF01 ")) is KNOWN[0]
    assert find(KNOWN, start_of("777777")) is KNOWN[3]  # one that never opened is not meant


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("abcde", "at least 6 digits"),
        ("vendor-a", "at least 6 digits"),
        ("abcdef", "is the start of 2 incidents"),
        ("fedcba", "`floorwatch incidents` lists"),
        ("123456", "resolved since 2026-11-23T10:02:00.000Z"),
    ],
)
def test_what_means_none_is_said_with_what_to_do(key: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left:
        find(KNOWN, start_of(key))
    assert left.value.exit_code == 2
    assert said in capsys.readouterr().err


def test_names_and_lengths_are_bounded() -> None:
    assert checked("--by", "  Mei Lín ") == "Mei Lín"
    assert checked("--note", "", empty=True) == ""
    assert [silence_ms(text) for text in ("1m", "1h30m", "30d")] == [60_000, 5_400_000, 30 * 86_400_000]
    for bad in ("", "a\nb", "\x07", "x" * 201):
        with pytest.raises(typer.Exit):
            checked("--by", bad)
    for bad in ("59s", "30d1s", "-2h", "two hours"):
        with pytest.raises(typer.Exit):
            silence_ms(bad)


def test_what_was_done_is_shown() -> None:
    incident = opened()
    taken, _ = run([Ack(incident.key, "mei", NOW_MS)], structs.replace(incident, state="escalated", tier=2))
    assert taken is not None
    assert state_words(incident_record(taken, "")) == "acknowledged by mei, tier 2"
    quiet = step(incident, Silence(incident.key, "mei", NOW_MS, NOW_MS + 60_000), POLICY)
    assert quiet is not None
    assert state_words(incident_record(quiet, "")) == "open, silenced until Mon 23 Nov 10:03 UTC"
    assert state_words(incident_record(incident, "")) == "open"


def test_without_a_broker_nothing_has_changed(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:

    from alerts.incident import Stamp

    incident = structs.replace(opened(), stamp=Stamp(0, 1))
    client = blocking_client(redis_url)
    client.hset("floorwatch:incidents", incident.key, encode_incident(incident, title_of(incident)))
    client.close()
    monkeypatch.setenv("FLOORWATCH_REDIS__URL", redis_url)
    monkeypatch.setenv("FLOORWATCH_KAFKA__BROKERS", "127.0.0.1:1")
    result = CliRunner().invoke(build("ack"), ["ack", incident.key[:6], "--by", "mei"])
    assert result.exit_code == 1
    assert "nothing has changed: Kafka cannot be reached. Broker 127.0.0.1:1: nothing listens there" in result.output
