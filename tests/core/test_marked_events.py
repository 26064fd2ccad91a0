"""A bound sender's label, task or shift has the dimensions that can only be its own, also where it leaves them out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.agents.intake import _bound
from streams.models.events import decode_log_event
from streams.models.grants import SenderGrant, encoded
from tests.core.test_grants import QA, Task

ONE = SenderGrant("b", bound={"vendor": ("v2",), "site": ("KUL", "KUL")})
TWO = SenderGrant("b", bound={"vendor": ("v1", "v2")})
SHIFT = {"shift_id": "s", "from": "2026-11-23T10:00:00Z", "to": "2026-11-23T18:00:00Z", "headcount": 4}


def sent(grant: SenderGrant | None, kind: str, **data: Any) -> dict[str, Any]:
    """Return the data of an event as gateway and intake write it; both write the same."""
    event = decode_log_event(Task().say(None, kind, **data).values[0])
    by_gateway = json.loads(encoded(event, b"{}", grant, None) if grant else b"{}")
    found: Any = _bound(event, Task().say(None, kind, **data).values[0], grant)
    by_intake: dict[str, Any] = json.loads(found[1])
    assert grant is None or by_gateway == by_intake
    return {name: value for name, value in by_intake["data"].items() if value is not None}


@pytest.mark.parametrize(
    ("kind", "data"),
    [("label.submitted", {"label_id": "l", "labeler_id": "w"}), ("task.created", {}), ("shift.scheduled", SHIFT)],
)
def test_a_dimension_with_one_value_is_written(kind: str, data: dict[str, Any]) -> None:
    found = sent(ONE, kind, **data)
    assert (found["vendor"], found["site"]) == ("v2", "KUL")
    assert sent(TWO, kind, **data).get("vendor") is None
    assert sent(None, kind, **data).get("vendor") is None
    assert sent(SenderGrant("m", bound={"market": ("de",)}), kind, **data).get("market") == (
        None if kind == "shift.scheduled" else "de"
    )


def test_what_says_no_place_stays_as_it_is() -> None:
    assert sent(ONE, "label.withdrawn", label_id="l") == {"label_id": "l"}
    assert sent(ONE, "task.claimed", labeler_id="w") == {"labeler_id": "w"}


def test_a_vendor_that_never_names_itself_is_audited_by_its_reviewer() -> None:
    said = sent(SenderGrant("b", bound={"vendor": ("v2",)}), "label.submitted", label_id="l", labeler_id="w")
    task = Task().say("b?vendor=v2&reviewer=no", "label.submitted", **said)
    task.say(QA, "audit.completed", audit_id="x", label_id="l", verdict="incorrect")
    assert task.refused == []
    assert task.counts["vendor=v2 audited"] == 1
