"""``floorwatch check-events``: faults, warnings, forms of input."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from config.sampling import SamplingSettings
from floorwatch.cli.check_events import MAX_EVENT_BYTES, FileReport, as_json, as_text, check_events, check_stream

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "contract" / "examples.jsonl"
NOW_MS = 1_795_500_000_000  # 2026-11-24T06:00:00Z, after every example
app = typer.Typer()
app.command()(check_events)
runner = CliRunner()


def event(kind: str, task: str, name: str, time: str = "2026-11-23T01:00:00Z", **data: Any) -> bytes:
    envelope = {"specversion": "1.0", "id": name, "source": "test", "subject": task, "time": time}
    return json.dumps({**envelope, "type": f"floorwatch.{kind}.v1", "data": data}).encode()


def label(task: str, label_id: str, name: str | None = None, **data: Any) -> bytes:
    return event("label.submitted", task, name or f"e-{label_id}", label_id=label_id, labeler_id="k", **data)


def check(lines: Iterable[bytes], limit: int | None = None) -> FileReport:
    return check_stream(io.BytesIO(b"\n".join(lines)), NOW_MS, limit)


def test_the_examples_have_no_fault() -> None:
    with EXAMPLES.open("rb") as stream:
        report = check_stream(stream, NOW_MS)
    assert report.faults == []
    assert sum(report.types.values()) == report.lines == 11
    assert report.tasks == 5, "a roster is not a task"


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        (b"{oops", "not_json", None),
        (b"[1]", "wrong_type", "$"),
        (event("label.liked", "t", "e"), "unknown_type", "$.type"),
        (event("label.submitted", "t", "e", labeler_id="k"), "missing_field", "$.data.label_id"),
        (event("label.submitted", "t", "e", label_id=7, labeler_id="k"), "wrong_type", "$.data.label_id"),
        (event("label.withdrawn", "t\0", "e", label_id="l"), "control_character", "$.subject"),
        (event("label.withdrawn", "t", "e", "2026-11-24T07:00:00Z", label_id="l"), "future_time", "$.time"),
        (event("label.withdrawn", "t", "e", "2026-11-24 07:00", label_id="l"), "wrong_time", "$.time"),
        (b'"' + b"x" * (2 * MAX_EVENT_BYTES + 5) + b'"', "too_large", None),
        (b"\xff\xfe", "not_utf8", None),
    ],
)
def test_each_fault_has_its_line_its_field_and_a_fix(line: bytes, code: str, field: str | None) -> None:
    report = check([label("t", "l-1"), b"", line, label("t", "l-2")])
    assert [(found.line, found.code, found.field) for found in report.faults] == [(3, code, field)]
    assert report.faults[0].hint
    assert report.types.total() == 2, "the lines around a fault still count"


def test_an_over_long_line_is_measured_whole() -> None:
    report = check([b"x" * 3_000_000])
    assert "3000000 bytes" in report.faults[0].reason
    assert check([b'"' + b" " * (MAX_EVENT_BYTES - 2) + b'"']).faults[0].code == "wrong_type", (
        "the limit itself is allowed"
    )


def test_a_repeated_event_is_a_duplicate_and_another_content_a_fault() -> None:
    first = label("t", "l-1", "e-1", queue="a")
    same_instant = first.replace(b"2026-11-23T01:00:00Z", b"2026-11-23T09:00:00+08:00")
    report = check([first, same_instant, label("t", "l-1", "e-1", queue="b"), label("t-2", "l-1", "e-1", queue="b")])
    assert report.duplicates == 1
    assert [(found.line, found.code) for found in report.faults] == [(3, "conflicting_duplicate")]
    assert "line 1" in report.faults[0].reason


def warnings(lines: Iterable[bytes]) -> list[tuple[int, str]]:
    report = check(lines)
    assert report.faults == []
    return [(found.line, found.code) for found in report.warnings]


def audit(task: str, name: str, **data: Any) -> bytes:
    return event("audit.completed", task, f"e-{name}", audit_id=name, verdict="correct", **data)


def test_an_audit_of_an_unknown_label_is_a_warning() -> None:
    lines = [audit("t", "a-1", label_id="l-1"), label("t", "l-1"), audit("t", "a-2", label_id="L-1"), audit("u", "a-3")]
    assert warnings(lines) == [(3, "audit_of_unknown_label"), (4, "audit_of_unlabelled_task")]


def test_a_label_under_another_task_is_pointed_at() -> None:
    report = check([label("t", "l-1"), audit("T", "a-1", label_id="l-1")])
    assert 'is of task "t"' in report.warnings[0].hint


def test_a_label_after_its_withdrawal_is_a_warning() -> None:
    withdrawn = event("label.withdrawn", "t", "w", label_id="l-1")
    assert warnings([withdrawn, label("t", "l-1")]) == [(2, "label_after_withdrawal")]
    assert warnings([label("t", "l-1"), withdrawn]) == []
    assert warnings([withdrawn]) == [(1, "withdrawal_of_unknown_label")]


def test_an_appeal_against_an_unknown_audit_is_a_warning() -> None:
    appeal = event("appeal.opened", "t", "p", appeal_id="p", against="audit", audit_id="a-1")
    assert warnings([appeal]) == [(1, "appeal_of_unknown_audit")]
    assert warnings([label("t", "l"), audit("t", "a-1", label_id="l"), appeal]) == []


def test_a_pretty_printed_file_is_one_fault_not_a_thousand() -> None:
    pretty = json.dumps([json.loads(label("t", "l-1"))], indent=2).encode()
    report = check_stream(io.BytesIO(pretty), NOW_MS)
    assert [found.code for found in report.faults] == ["not_lines"]
    assert "jq" in report.faults[0].hint


def test_the_limit_bounds_what_is_kept_not_what_is_counted() -> None:
    report = check([b"x"] * 5, limit=2)
    assert len(report.faults) == 2
    assert report.fault_codes == {"not_json": 5}
    assert "… and 3 more faults (5 not_json)" in as_text("f", report)


def test_gzip_is_read_and_a_damaged_one_is_a_fault() -> None:
    packed = gzip.compress(b"\n".join([label("t", f"l-{i}") for i in range(100)]))
    assert check_stream(io.BytesIO(packed), NOW_MS).types.total() == 100
    assert check_stream(io.BytesIO(packed[:-20]), NOW_MS).fault_codes["not_gzip"] == 1


def test_the_command_says_where_and_what_and_exits_1(tmp_path: Path) -> None:
    target = tmp_path / "events.jsonl"
    target.write_bytes(label("t", "l-1") + b"\n" + event("label.withdrawn", "t", "e"))
    result = runner.invoke(app, [str(target)])
    assert result.exit_code == 1
    assert f"{target}:2: fault: $.data.label_id is missing" in result.stdout
    assert "fix: " in result.stdout
    data = json.loads(runner.invoke(app, [str(target), "--json"]).stdout)
    assert (data["ok"], data["lines"], data["fault_codes"]) == (False, 2, {"missing_field": 1})
    assert data["faults"][0]["line"] == 2


def test_the_command_can_judge_as_of_another_moment() -> None:
    assert runner.invoke(app, [str(EXAMPLES), "--now", "2026-11-25T00:00:00Z"]).exit_code == 0
    early = runner.invoke(app, [str(EXAMPLES), "--now", "2026-11-23T05:00:00Z"])
    assert early.exit_code == 1
    assert "future_time" in early.stdout


def test_the_command_reads_stdin_and_exits_0(tmp_path: Path) -> None:
    result = runner.invoke(app, ["-"], input=EXAMPLES.read_bytes()[:1200].rpartition(b"\n")[0])
    assert result.exit_code == 0
    assert runner.invoke(app, [str(tmp_path / "absent")]).exit_code == 2


def test_an_id_that_another_task_has_too_is_warned_of_and_both_count() -> None:
    one, other = (label(task, "l") for task in ("t-1", "t-2"))
    report = check([one, other, one])
    assert not report.faults
    assert (report.types.total(), report.duplicates) == (2, 1)
    assert [(found.line, found.code) for found in report.warnings] == [(2, "id_of_another_task")]


def audited(number: int, **sampling: Any) -> bytes:
    said = {"sampling": sampling} if sampling else {}
    return event("audit.completed", "t", f"a-{number}", audit_id=f"a-{number}", label_id="l", verdict="correct", **said)


def test_how_audits_were_drawn_is_told_by_source_and_what_intake_would_say() -> None:
    lines = [
        label("t", "l"),
        audited(1),
        audited(2),
        audited(2, probability=0.3, source="configuration"),
        audited(3, probability=0.2),
        audited(4, probability=0.0002),
        audited(5, method="flagged"),
    ]
    unset = check(lines)
    assert unset.duplicates == 1, "what another intake has written is none of the content"
    said = as_text("f", unset)
    assert "2 audits of test: no sampling is said, so they are assumed random; say it: sampling.sources.test" in said
    assert "2 audits of test: each with its probability" in said
    assert "1 audit of test: targeted, a method without a probability" in said
    rules = {"rules": [{"when": {"method": "flagged"}, "probability": 0.5}], "min_probability": 0.001}
    plan = SamplingSettings.model_validate({"sources": {"test": {"probability": 0.05, **rules}}}).plan()
    report = check_stream(io.BytesIO(b"\n".join(lines)), NOW_MS, plan=plan)
    assert [(fault.line, fault.code) for fault in report.faults] == [(6, "probability_below_bound")]
    said = as_text("f", report)
    assert "2 audits of test: random with probability 0.05, by the configuration" in said
    assert "1 audit of test: random with probability 0.5, by the configuration" in said
    assert sum(one["audits"] for one in as_json("f", report)["sampling"]) == 4


def test_first_and_last_time_are_utc_and_whole_milliseconds() -> None:
    times = ["2026-11-20T17:59:59.99999+09:00", "2026-11-20T08:00:00-01:00", "2000-01-01T00:00:00+14:00"]
    lines = [
        event("label.submitted", f"t-{n}", f"e-{n}", at, label_id="l", labeler_id="a") for n, at in enumerate(times)
    ]
    said = as_json("x", check(lines))
    assert (said["first_time"], said["last_time"]) == ("1999-12-31T10:00:00Z", "2026-11-20T09:00:00Z")
    said = as_json("x", check(lines[:1]))
    assert said["first_time"] == said["last_time"] == "2026-11-20T08:59:59.999Z"
    assert as_json("x", check([]))["first_time"] is None
