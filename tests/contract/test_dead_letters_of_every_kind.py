"""Every kind of dead letter that is written is as contract/floorwatch-dead-letter.schema.json says: by the code that writes it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from streams.adapters.topic_names import TopicNames
from streams.agents.ledger import LedgerStage
from streams.core import dead_letters
from streams.core.policy import CorePolicy
from streams.core.records import Record
from tests.agents import test_intake, test_set_aside
from tests.core import test_dead_letters
from tests.core.test_dead_letters import Meter, Writer, event
from tests.suite.layers import ROOT

SCHEMA = json.loads((ROOT / "contract" / "floorwatch-dead-letter.schema.json").read_text(encoding="utf-8"))
CHECK = Draft202012Validator(SCHEMA, format_checker=FormatChecker())


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every letter that is built while the test runs."""
    found: list[dict[str, Any]] = []

    def encode(letter: dict[str, Any], written: Any = dead_letters._encode) -> bytes:
        value: bytes = written(letter)
        found.append(json.loads(value))
        return value

    monkeypatch.setattr(dead_letters, "_encode", encode)
    return found


def _rights() -> None:
    """A sender that may speak for one site only, on the log with its grant: the ledger alone knows what a label is about."""
    stage = LedgerStage(0, CorePolicy(), TopicNames("f.", 1), Writer(), None, Meter())  # type: ignore[arg-type]
    values = [
        event({"site": "LIS"}, id="1"),
        event({"label_id": "l2", "site": "LIS"}, id="2", floorwatchgrant="kul?site=KUL"),
    ]
    stage.fold([Record(offset, 0, None, value) for offset, value in enumerate(values)])
    asyncio.run(stage.flush())


def test_every_kind(letters: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    test_intake.test_every_bad_kind_is_a_dead_letter_with_its_reason_and_a_count()  # intake: what breaks the contract
    test_set_aside.test_intake(monkeypatch)  # set aside, by each stage
    test_set_aside.test_incidents(monkeypatch)
    test_set_aside.test_partial_rows(recovered=True)
    test_dead_letters.test_the_gateway_s_and_the_ledger_s_letters_are_as_the_contract_says()  # a webhook, late, conflicting
    _rights()
    kinds = {(letter["stage"], letter["code"]) for letter in letters}
    assert {stage for stage, _ in kinds} == {"gateway", "intake", "ledger", "scopes", "incidents"}
    assert kinds >= {
        ("gateway", "unknown_annotation"),
        ("intake", "not_json"),
        ("intake", "cannot_process"),
        ("ledger", "conflicting_duplicate"),
        ("ledger", "late"),
        ("ledger", "not_permitted"),
        ("scopes", "cannot_process"),
        ("incidents", "cannot_process"),
    }
    for letter in letters:
        CHECK.validate(letter)


def test_the_schema_takes_no_other_field_and_lacks_none() -> None:
    letter = test_dead_letters.refused(b"{oops")
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == set(letter)
    assert not CHECK.is_valid({**letter, "more": 1})
    assert not CHECK.is_valid({name: held for name, held in letter.items() if name != "removed"})
