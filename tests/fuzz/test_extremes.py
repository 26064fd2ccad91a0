"""Any events of the contract, at any bounds of it, come through every stage and every renderer (Hypothesis)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.models.acceptance import accept
from streams.models.events import MAX_ID_CHARS, MAX_VALUES, MIN_PROBABILITY
from streams.models.refusal import Refusal
from streams.models.time_rules import DEFAULT_LIMITS as LIMITS
from tests.fuzz.generate import TYPES
from tests.fuzz.names import NAMES
from tests.fuzz.renderers import RENDERERS, World

from streams.core.time_text import rfc3339  # isort: skip

pytestmark = pytest.mark.slow

YEAR_2000_MS, YEAR_2099_MS = 946_684_800_000, 4_102_444_799_999

names = st.one_of(
    st.sampled_from(NAMES),
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=MAX_ID_CHARS),
    st.characters(exclude_categories=("Cc", "Cs")).map(lambda one: one * MAX_ID_CHARS),
)
few = st.sampled_from(["a", "b"])
values = st.one_of(st.lists(names, max_size=3), names.map(lambda name: [f"{name[:200]}{n}" for n in range(MAX_VALUES)]))
dims = st.dictionaries(st.sampled_from(["site", "vendor", "team", "queue", "policy", "market", "priority"]), names)


def bounded(lowest: int, highest: int) -> st.SearchStrategy[int]:
    """A number from a range, its ends more often than not."""
    ends = [lowest, highest, *([0] if lowest < 0 < highest else [])]
    return st.one_of(st.sampled_from(ends), st.integers(lowest, highest))


@st.composite
def data_of(draw: st.DrawFn, kind: str, time_ms: int) -> dict[str, Any]:
    """The data of an event of a kind: every field at any place the rules allow."""

    def at(lowest: int, highest: int) -> str:
        return rfc3339(min(max(time_ms + draw(bounded(lowest, highest)), YEAR_2000_MS), YEAR_2099_MS))

    against = draw(st.sampled_from(["label", "audit"]))
    target = {"appeal_id": draw(few), "against": against, f"{against}_id": draw(few)}
    audit = {
        "audit_id": draw(few),
        "verdict": draw(st.sampled_from(["correct", "incorrect"])),
        "label_id": draw(few),
        "auditor_id": draw(names),
        "sampling": {"probability": draw(st.sampled_from([MIN_PROBABILITY, 1, 1.0, 0.1]))},
        "gold": draw(st.booleans()),
        "severity": draw(st.sampled_from(["critical", "major", "minor"])),
        "values": draw(values),
    }
    label = {
        "label_id": draw(few),
        "labeler_id": draw(names),
        "values": draw(values),
        "started_at": at(-LIMITS.handle_ms, 0),
        "active_ms": draw(bounded(0, 30 * 86_400_000)),
        **draw(dims),
    }
    if draw(st.booleans()):
        label |= {"created_at": at(-LIMITS.created_ms, 0), "due_at": at(-LIMITS.due_ms, LIMITS.due_ms)}
    begin_ms = draw(bounded(-LIMITS.shift_ms, LIMITS.shift_ms - LIMITS.shift_length_ms))
    length_ms = draw(st.sampled_from([1, LIMITS.shift_length_ms]))
    shift = {
        "shift_id": draw(few),
        "from": at(begin_ms, begin_ms),
        "to": at(begin_ms + length_ms, begin_ms + length_ms),
    }
    found: dict[str, dict[str, Any]] = {
        "created": {
            **draw(dims),
            "due_at": at(-LIMITS.due_ms, LIMITS.due_ms),
            "required_labels": draw(bounded(1, 1000)) or 1,
        },
        "claimed": {"labeler_id": draw(names)},
        "cancelled": {},
        "label": label,
        "unlabel": {"label_id": draw(few)},
        "audit": audit,
        "unaudit": {"audit_id": draw(few)},
        "opened": target,
        "decided": {**target, "outcome": draw(st.sampled_from(["upheld", "overturned"]))},
        "shift": {**shift, "headcount": draw(bounded(0, 1_000_000)), "labeler_ids": draw(st.lists(names, max_size=3))},
        "begun": {"labeler_id": draw(names)},
        "ended": {"labeler_id": draw(names)},
    }
    return found[kind]


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """One event, anywhere between the years 2000 and 2099."""
    kind = draw(st.sampled_from(list(TYPES)))
    time_ms = draw(
        st.one_of(
            st.sampled_from([YEAR_2000_MS, YEAR_2099_MS, 1_795_430_000_000]),
            st.integers(1_795_000_000_000, 1_795_430_000_000),
        )
    )
    body = {
        "specversion": "1.0",
        "id": draw(names),
        "source": draw(names),
        "type": f"floorwatch.{TYPES[kind]}.v1",
        "subject": draw(few),
        "time": rfc3339(time_ms),
        "data": draw(data_of(kind, time_ms)),
    }
    return json.dumps(body, ensure_ascii=draw(st.booleans())).encode()


@settings(max_examples=12, deadline=None)
@given(st.lists(events(), min_size=1, max_size=12))
def test_whatever_is_accepted_is_carried_to_the_end(sent: list[bytes]) -> None:
    taken = []
    for raw in sent:
        found = accept(raw, None)
        if not isinstance(found, Refusal):
            taken.append(found[1])
    if not taken:
        return
    with tempfile.TemporaryDirectory() as directory:
        world = World(taken, Path(directory))
        assert world.aside() == []
        for render in RENDERERS.values():
            render(world)


@settings(max_examples=40, deadline=None)
@given(events())
def test_nearly_everything_made_here_is_accepted(raw: bytes) -> None:
    """The property above must not hold because nothing passes: what is refused breaks a rule at the ends of the years."""
    found = accept(raw, None)
    if isinstance(found, Refusal):
        time = json.loads(raw)["time"]
        # Characters that change the direction of text, and line separators, are not names either.
        assert found.code == "control_character" or time.startswith(("2000", "2099")), found


@pytest.mark.parametrize("stamp", [rfc3339(YEAR_2000_MS), rfc3339(YEAR_2099_MS), "9999-12-31T23:59:59Z"])
def test_what_is_on_the_log_from_before_the_rules_is_folded_and_shown(tmp_path: Path, stamp: str) -> None:
    """due_at in the year 10000 of UTC, a start in the year 1: folded as ever, clamped when shown."""
    at = "2026-11-23T10:00:00Z" if stamp.startswith("9999") else stamp
    old = [
        ("task.created", "t1", {"queue": "q", "due_at": "9999-12-31T23:59:59-10:00"}),
        ("label.submitted", "t2", {"label_id": "l", "labeler_id": "a", "started_at": "0001-01-01T00:00:00+14:00"}),
        (
            "label.submitted",
            "t3",
            {"label_id": "l", "labeler_id": "a", "created_at": at, "due_at": "9999-12-31T23:59:59Z"},
        ),
        ("shift.scheduled", "s", {"shift_id": "s", "from": at, "to": "9999-12-31T23:59:59Z", "headcount": 3}),
        ("shift.scheduled", "s", {"shift_id": "z", "from": at, "to": "2000-01-01T00:00:00Z", "headcount": 3}),
    ]
    lines = [
        json.dumps(
            {
                "specversion": "1.0",
                "id": str(n),
                "source": "s",
                "type": f"floorwatch.{kind}.v1",
                "subject": task,
                "time": at,
                "data": data,
            }
        ).encode()
        for n, (kind, task, data) in enumerate(old)
    ]
    world = World(lines, tmp_path)
    assert world.aside() == []
    for render in RENDERERS.values():
        render(world)


def test_a_watermark_at_the_end_of_time_is_shown(tmp_path: Path) -> None:
    """One event of an unchecked log may be dated so; everything else is late then, and nothing raises."""
    body = {
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "type": "floorwatch.label.submitted.v1",
        "subject": "t",
        "time": "9999-12-31T23:59:59-10:00",
        "data": {"label_id": "l", "labeler_id": "a", "queue": "q", "site": "KUL"},
    }
    world = World([json.dumps(body).encode()], tmp_path)
    assert world.run.floor.watermark_ms > 253_402_300_000_000
    assert world.rows["throughput", "day"]["all"]["end"].startswith("9999-12-31")
    for name, render in RENDERERS.items():
        if name != "check-events, people, roster":  # their file is of the contract
            render(world)
