"""Lives of Argilla's responses: labels, audits, withdrawals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.argilla_hooks import (
    response,
    run_hooks,
    tables,
    told,
    total,
)


def test_a_draft_is_no_label_and_discarding_withdraws_and_a_new_submission_is_a_new_label() -> None:
    bench, said = run_hooks(
        response("created", 1, status="draft"),
        response("updated", 2),
        response("updated", 3, policy="Spam"),
        response("updated", 4, status="discarded"),
        response("updated", 5, status="discarded"),
        response("updated", 6),
        response("deleted", 7),
    )
    assert told(bench) == [
        ("label.submitted", "argilla-r-ann"),
        ("label.submitted", "argilla-r-ann"),
        ("label.withdrawn", "argilla-r-ann"),
        ("label.submitted", "argilla-r-ann-2"),
        ("label.withdrawn", "argilla-r-ann-2"),
    ]
    assert [bool(one["ignored"]) for one in said] == [True, False, False, False, True, False, False]
    panes, _ = tables(value for _, value in bench.publisher.records)
    assert total(panes, "throughput", "labels") == 0


def test_an_older_state_that_comes_late_is_passed_over() -> None:
    bench, said = run_hooks(response("updated", 5, status="discarded"), response("created", 1), response("updated", 3))
    assert told(bench) == [("label.withdrawn", "argilla-r-ann")]
    assert [one["events"] for one in said] == [1, 0, 0]


def test_an_auditors_answer_is_a_label_unless_configured() -> None:
    hooks = [response("created", 1), response("created", 2, "olga", policy="Safe")]
    bench, _ = run_hooks(*hooks)
    assert told(bench) == [("label.submitted", "argilla-r-ann"), ("label.submitted", "argilla-r-olga")]
    bench, _ = run_hooks(*hooks, auditors=["owner", "reviewer"])
    assert told(bench) == [("label.submitted", "argilla-r-ann"), ("audit.completed", "incorrect")]
    data = bench.events[1]["data"]
    assert (data["label_id"], data["auditor_id"], data["error_class"]) == (
        "argilla-r-ann",
        "argilla-olga",
        "false_positive",
    )
    assert "severity" not in data or data["severity"] is None
    bench, _ = run_hooks(response("created", 1), response("created", 2, "bo"), auditors=["bo"])
    assert told(bench)[1] == ("audit.completed", "correct")
    bench, _ = run_hooks(response("created", 1, "olga"), auditors=["owner"])
    assert told(bench) == [("label.submitted", "argilla-r-olga")]  # there is nothing to audit


def test_nobody_audits_a_label_of_their_own() -> None:
    """An owner's first answer is a label; the webhook of its deletion was lost, and the owner answers anew."""
    again = response("created", 2, "olga", policy="Spam")
    again["data"]["id"] = "r-olga-2"
    bench, _ = run_hooks(response("created", 1, "olga"), again, auditors=["owner"])
    assert [kind for kind, _ in told(bench)] == ["label.submitted", "label.submitted"]


def test_an_audit_is_of_every_label_and_changes_and_ends_with_its_response() -> None:
    hooks = [
        response("created", 1),
        response("created", 2, "bo", policy="Spam"),
        response("created", 3, "olga", policy="Spam", severity=4),
        response("updated", 4, "olga", policy="Hate"),
        response("deleted", 5, "olga"),
    ]
    bench, _ = run_hooks(*hooks, auditors=["owner"])
    assert [one for one in told(bench) if one[0] == "audit.completed"] == [
        ("audit.completed", "incorrect"),
        ("audit.completed", "correct"),
        ("audit.completed", "correct"),
        ("audit.completed", "incorrect"),
    ]
    assert bench.events[2]["data"]["severity"] == "critical"
    audits = [one["data"]["audit_id"] for one in bench.events if "audit." in one["type"]]
    assert audits[:2] == audits[2:4] == audits[4:]
    for count, audited, correct in ((3, 2, 1), (4, 2, 1), (5, 0, 0)):
        some, _ = run_hooks(*hooks[:count], auditors=["owner"])
        panes, _ = tables(value for _, value in some.publisher.records)
        found = (total(panes, "accuracy", "audited"), total(panes, "accuracy", "correct"))
        assert (total(panes, "throughput", "labels"), *found) == (2, audited, correct)


@pytest.mark.parametrize(
    ("mine", "theirs", "verdict"),
    [
        ({"policy": "Hate"}, {"policy": "Hate"}, "correct"),
        ({"policy": "Hate", "policies": ["Spam", "Safe"]}, {"policies": ["Safe", "Spam"], "policy": "Hate"}, "correct"),
        ({"policy": "Hate", "policies": ["Spam"]}, {"policy": "Spam", "policies": ["Hate"]}, "incorrect"),
        ({"policy": "Hate", "severity": 1}, {"policy": "Hate", "severity": 4}, "correct"),
        ({"policy": "Hate", "free": "x"}, {"policy": "Hate", "free": "y"}, "incomparable"),
        ({"policy": "Hate", "note": "x"}, {"policy": "Hate", "note": "y"}, "correct"),
        ({"policy": "Hate", "stars": 3}, {"policy": "Spam", "stars": 3}, "incorrect"),
        ({"stars": 3}, {"stars": 3}, "incomparable"),
        ({"spans": [{"start": 1, "end": 3, "label": "x"}]}, {"spans": []}, "incomparable"),
    ],
)
def test_only_choices_are_compared(mine: Any, theirs: Any, verdict: str) -> None:
    hooks = [response("created", 1, **mine), response("created", 2, "olga", **theirs)]
    for hook in hooks:
        asked = hook["data"]["record"]["dataset"]["questions"]
        kinds = {"free": "text", "note": "text", "stars": "rating", "spans": "span"}
        asked += [{"name": name, "settings": {"type": kind}} for name, kind in kinds.items()]
    bench, said = run_hooks(*hooks, auditors=["owner"])
    assert told(bench)[1] == ("audit.completed", verdict)
    assert said[1]["incomparable"] == (verdict == "incomparable")


def test_one_deciding_question_gives_plain_values() -> None:
    hook = response("created", 1, policy="Hate", severity=2)
    questions = hook["data"]["record"]["dataset"]["questions"]
    questions[:] = [one for one in questions if one["name"] != "policies"]
    bench, _ = run_hooks(hook)
    assert bench.events[0]["data"]["values"] == ["Hate"]
