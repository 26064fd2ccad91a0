"""``floorwatch check-events``: every fault of a file of events, with its line, field and fix."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from floorwatch.cli.events_file import GZIP_FAULTS, HOW_TO_MEND, damage_words, plain_text
from floorwatch.cli.options import config_option, json_option, timestamp_ms
from floorwatch.output.reader_zone import local_rfc3339
from floorwatch.output.terminal import say, say_json, say_lines
from streams.core.formatting import plural
from streams.core.time_text import rfc3339
from streams.models.timestamps import to_ms

if TYPE_CHECKING:
    from floorwatch.cli.check_sampling import SamplingCount
    from streams.models.sampling_plan import SamplingPlan
    from streams.models.time_rules import EventLimits

MAX_EVENT_BYTES = 1_048_576
FUTURE_MS = 300_000
DEFAULT_SHOWN = 50


@dataclass(frozen=True)
class EventFinding:
    """A fault (Floorwatch would refuse the event) or a warning (it would accept the event, but probably not as meant)."""

    line: int
    code: str
    field: str | None
    reason: str
    hint: str


@dataclass
class FileReport:
    """What a file holds and what is wrong with it.

    Attributes:
        lines: Lines read, blank ones not counted.
        types: Good events by type.
        duplicates: Events that repeat an earlier one exactly; counted, not a fault.
        faults: In the order of the file; at most ``limit`` are kept.
        warnings: As faults.
        fault_codes: Faults by code, all of them.
        warning_codes: Warnings by code, all of them.
        first_ms: Time of the earliest good event, Unix milliseconds; what is finer is cut. None without events.
        last_ms: Of the latest.
        sampling: How the audits were drawn.
    """

    limit: int | None = None
    lines: int = 0
    duplicates: int = 0
    types: Counter[str] = field(default_factory=Counter)
    faults: list[EventFinding] = field(default_factory=list)
    warnings: list[EventFinding] = field(default_factory=list)
    fault_codes: Counter[str] = field(default_factory=Counter)
    warning_codes: Counter[str] = field(default_factory=Counter)
    first_ms: int | None = None
    last_ms: int | None = None
    tasks: int = 0
    sampling: SamplingCount | None = None

    def fault(self, found: EventFinding) -> None:
        """Count a fault and keep it while there is room."""
        self.fault_codes[found.code] += 1
        if self.limit is None or len(self.faults) < self.limit:
            self.faults.append(found)

    def warn(self, found: EventFinding) -> None:
        """Count a warning and keep it while there is room."""
        self.warning_codes[found.code] += 1
        if self.limit is None or len(self.warnings) < self.limit:
            self.warnings.append(found)


def check_stream(
    stream: BinaryIO,
    now_ms: int | None,
    limit: int | None = None,
    *,
    max_bytes: int = MAX_EVENT_BYTES,
    future_ms: int = FUTURE_MS,
    limits: EventLimits | None = None,
    plan: SamplingPlan | None = None,
) -> FileReport:
    """Check events, one a line.

    Args:
        stream: JSON lines, plain or gzip.
        now_ms: What counts as now for times in the future; None skips that check.
        limit: Faults and warnings kept each; None keeps all. All are counted.
        max_bytes: Largest event accepted.
        future_ms: How far ahead of ``now_ms`` an event may be dated.
        limits: How far an event's times may be from its own; None takes the defaults.
        plan: What is said of audits that name no probability; None says nothing.

    Returns:
        The report. About 12 microseconds a line.
    """
    from floorwatch.cli.check_sampling import SamplingCount
    from streams.models.acceptance import Refusal, parse_event
    from streams.models.sampling_plan import NO_PLAN
    from streams.models.time_rules import DEFAULT_LIMITS

    sampling = SamplingCount(plan or NO_PLAN)
    report = FileReport(limit, sampling=sampling)
    memory = _SeenIds(report)
    try:
        for number, raw, length in _lines(plain_text(stream), max_bytes):
            if report.lines == 0 and raw.strip() in (b"[", b"{"):
                hint = "put each event on a line of its own: jq -c '.[]' FILE (or jq -c . FILE)"
                report.fault(EventFinding(number, "not_lines", None, "one JSON document over many lines", hint))
                report.lines = 1
                break
            report.lines += 1
            if length > max_bytes:
                reason = f"the event has {length} bytes, the limit is {max_bytes}"
                report.fault(EventFinding(number, "too_large", None, reason, "send ids and labels, not content"))
                continue
            found = parse_event(raw, now_ms, max_bytes, future_ms, limits or DEFAULT_LIMITS)
            decided = found if isinstance(found, Refusal) else sampling.decided(found)
            if isinstance(decided, Refusal):
                report.fault(EventFinding(number, decided.code, decided.field, decided.reason, decided.hint))
            elif memory.see(number, found):
                sampling.count(decided)
    except GZIP_FAULTS as error:
        report.fault(EventFinding(report.lines + 1, "not_gzip", None, damage_words(error), HOW_TO_MEND))
    memory.close()
    return report


def _lines(stream: io.BufferedReader, max_bytes: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield (line number, bytes, full length) of each line that is not blank; over-long lines come cut off."""
    number = 0
    while True:
        raw = stream.readline(max_bytes + 2)
        if not raw:
            return
        number += 1
        length = len(raw)
        piece = raw
        while not piece.endswith(b"\n") and len(piece) == max_bytes + 2:
            piece = stream.readline(max_bytes + 2)
            length += len(piece)
        if raw.strip():
            yield number, raw.rstrip(b"\r\n"), length - len(raw) + len(raw.rstrip(b"\r\n"))


class _SeenIds:
    """What is known of earlier lines, for the faults and warnings that need more than one line."""

    def __init__(self, report: FileReport) -> None:
        from msgspec import msgpack

        from streams.core.facts import fact_of
        from streams.models import events as wire
        from streams.models.sampling_plan import as_sent

        self._report = report
        self._pack = msgpack.Encoder().encode
        self._as_sent, self._fact_of = as_sent, fact_of
        self._wire = wire
        self._seen: dict[tuple[str, str, str], tuple[int, int]] = {}
        self._first: dict[tuple[str, str], tuple[int, str]] = {}
        self._tasks: set[str] = set()
        self._label_line: dict[tuple[str, str], int] = {}
        self._label_task: dict[str, str] = {}
        self._labelled: set[str] = set()
        self._audit_line: dict[tuple[str, str], int] = {}
        self._withdrawn: dict[tuple[str, str, str], int] = {}
        self._mentions: list[tuple[int, str, str | None, str, str]] = []

    def see(self, line: int, event: Any) -> bool:
        """Take in one good event; tell whether it counts."""
        report = self._report
        identity = (event.subject, event.source, event.id)
        # Facts are compared, as in the ledger, so both find the same duplicates.
        content = hash(self._pack(self._fact_of(0, self._as_sent(event)) or event))
        earlier = self._seen.setdefault(identity, (line, content))
        if earlier[0] != line:
            if earlier[1] == content:
                report.duplicates += 1
                return False
            reason = f"source and id are those of line {earlier[0]}, the content is not"
            hint = "give each event its own id; a changed label is a new event with the same label_id"
            report.fault(EventFinding(line, "conflicting_duplicate", "$.id", reason, hint))
            return False
        line_before, task_before = self._first.setdefault((event.source, event.id), (line, event.subject))
        if task_before != event.subject:
            reason = (
                f'source and id are those of line {line_before}, which is of task "{task_before}": both events count'
            )
            hint = "give each event its own id: it is told apart from others of its task only"
            report.warn(EventFinding(line, "id_of_another_task", "$.id", reason, hint))
        report.types[str(event.__struct_config__.tag)] += 1
        at_ms = to_ms(event.time)
        report.first_ms = at_ms if report.first_ms is None else min(report.first_ms, at_ms)
        report.last_ms = at_ms if report.last_ms is None else max(report.last_ms, at_ms)
        self._relate(line, event)
        return True

    def _relate(self, line: int, event: Any) -> None:
        wire, task, kind = self._wire, event.subject, type(event)
        if kind is wire.ShiftScheduled:
            return
        self._tasks.add(task)
        if kind is wire.LabelSubmitted:
            self._label(line, task, event.data.label_id)
        elif kind is wire.LabelWithdrawn:
            self._withdraw(line, task, "label", event.data.label_id)
        elif kind is wire.AuditCompleted:
            self._audit_line.setdefault((task, event.data.audit_id), line)
            self._mentions.append((line, task, event.data.label_id, "label", "audit"))
            self._warn_of_withdrawn(line, task, "audit", event.data.audit_id)
        elif kind is wire.AuditWithdrawn:
            self._withdraw(line, task, "audit", event.data.audit_id)
        elif kind is wire.AppealOpened or kind is wire.AppealDecided:
            against = event.data.against
            self._mentions.append((line, task, getattr(event.data, f"{against}_id"), against, "appeal"))

    def _label(self, line: int, task: str, label_id: str) -> None:
        self._label_line.setdefault((task, label_id), line)
        self._labelled.add(task)
        self._label_task.setdefault(label_id, task)
        self._warn_of_withdrawn(line, task, "label", label_id)

    def _withdraw(self, line: int, task: str, kind: str, name: str) -> None:
        self._withdrawn.setdefault((task, kind, name), line)
        self._mentions.append((line, task, name, kind, "withdrawal"))

    def _warn_of_withdrawn(self, line: int, task: str, kind: str, name: str) -> None:
        withdrawn = self._withdrawn.get((task, kind, name))
        if withdrawn is not None:
            reason = f"{kind} {name} comes after its withdrawal on line {withdrawn} and will never count"
            hint = f"a withdrawal is final: use a new {kind}_id, or put events in the order they happened"
            self._report.warn(EventFinding(line, f"{kind}_after_withdrawal", f"$.data.{kind}_id", reason, hint))

    def close(self) -> None:
        """Warn of what was mentioned and never came, which is known only at the end of the file."""
        for line, task, name, kind, by in self._mentions:
            known = self._label_line if kind == "label" else self._audit_line
            if name is None:
                if task not in self._labelled:
                    reason = f'{by} of task "{task}", which has no label in this file'
                    self._report.warn(EventFinding(line, f"{by}_of_unlabelled_task", "$.subject", reason, _HINT))
            elif (task, name) not in known:
                where = f"$.data.{kind}_id"
                elsewhere = self._label_task.get(name) if kind == "label" else None
                hint = f'{kind} {name} is of task "{elsewhere}": correct the subject' if elsewhere else _HINT
                reason = f'{by} of {kind} {name}, which task "{task}" does not have in this file'
                self._report.warn(EventFinding(line, f"{by}_of_unknown_{kind}", where, reason, hint))
        self._report.warnings.sort(key=lambda finding: finding.line)
        self._report.tasks = len(self._tasks)


_HINT = "right if it is in another file; otherwise compare subject and ids, capitals included"


def as_json(name: str, report: FileReport) -> dict[str, Any]:
    """Return a report as plain data."""
    return {
        "file": name,
        "ok": not report.fault_codes,
        "lines": report.lines,
        "events": sum(report.types.values()),
        "types": dict(sorted(report.types.items())),
        "tasks": report.tasks,
        "duplicates": report.duplicates,
        "first_time": None if report.first_ms is None else rfc3339(report.first_ms),
        "last_time": None if report.last_ms is None else rfc3339(report.last_ms),
        "sampling": report.sampling.as_json() if report.sampling else [],
        "fault_count": sum(report.fault_codes.values()),
        "fault_codes": dict(report.fault_codes.most_common()),
        "warning_count": sum(report.warning_codes.values()),
        "warning_codes": dict(report.warning_codes.most_common()),
        "faults": [vars(finding) for finding in report.faults],
        "warnings": [vars(finding) for finding in report.warnings],
    }


def as_text(name: str, report: FileReport) -> str:
    """Return a report for people: faults, warnings, summary."""
    blocks: list[str] = []
    for word, found, codes in (
        ("fault", report.faults, report.fault_codes),
        ("warning", report.warnings, report.warning_codes),
    ):
        for one in found:
            place = f"{name}:{one.line}"
            blocks.append(f"{place}: {word}: {_placed(one)}\n  fix: {one.hint}")
        hidden = sum(codes.values()) - len(found)
        if hidden > 0:
            blocks.append(f"… and {hidden} more {word}s ({_counts(codes)}); --max 0 shows all")
    blocks.append(_summary(name, report))
    return "\n".join(blocks)


def _placed(found: EventFinding) -> str:
    if found.field is None or found.field in found.reason:
        return found.reason
    return f"{found.field}: {found.reason}"


def _counts(codes: Counter[str]) -> str:
    return ", ".join(f"{count} {code}" for code, count in codes.most_common())


def _summary(name: str, report: FileReport) -> str:
    good = sum(report.types.values())
    events = f"{plural(good, 'good event')} of {plural(report.tasks, 'task')}"
    lines = [f"{name}: {plural(report.lines, 'line')}, {events}, {plural(report.duplicates, 'duplicate')}"]
    lines += [f"  {count:>9} {kind}" for kind, count in sorted(report.types.items())]
    if report.first_ms is not None and report.last_ms is not None:
        lines.append(f"  from {local_rfc3339(report.first_ms)} to {local_rfc3339(report.last_ms)}")
    lines += [f"  {line}" for line in (report.sampling.lines() if report.sampling else ())]
    faults, warnings = sum(report.fault_codes.values()), sum(report.warning_codes.values())
    lines.append(f"  {faults} faults{_of(report.fault_codes)}, {warnings} warnings{_of(report.warning_codes)}")
    return "\n".join(lines)


def _of(codes: Counter[str]) -> str:
    return f" ({_counts(codes)})" if codes else ""


def _bounds(config: Path | None) -> dict[str, Any]:
    """Return the limits of a configuration, as arguments of ``check_stream``; none where there is no configuration."""
    import os

    from config.events import event_limits
    from floorwatch.cli.common import exit_on_config_error
    from floorwatch.settings.load import load
    from streams.core.durations import seconds_to_ms

    if config is None:
        return {}
    with exit_on_config_error():
        found = load(config, os.environ, process="reader")
    engine = found.engine
    return {
        "max_bytes": engine.max_event_bytes,
        "future_ms": seconds_to_ms(engine.future_tolerance_s),
        "limits": event_limits(found.events),
        "plan": found.sampling.plan(),
    }


def check_events(
    file: Annotated[str, typer.Argument(help="JSON lines, plain or gzip; - reads standard input.")],
    as_json_: Annotated[bool, json_option("One JSON object instead of text.")] = False,
    max_: Annotated[int, typer.Option("--max", min=0, help="Faults and warnings shown; 0 shows all.")] = DEFAULT_SHOWN,
    now: Annotated[
        str | None,
        typer.Option(metavar="<TIME>", help="Judge times in the future as of this time instead of now."),
    ] = None,
    config: Annotated[
        Path | None, config_option("YAML configuration: its limits; the defaults without.", env=False)
    ] = None,
) -> None:
    """Explain every fault of a file of events with its line, field and fix; exit 1 if there is one."""
    import time

    now_ms = int(time.time() * 1000) if now is None else timestamp_ms("--now", now)
    bounds = _bounds(config)
    try:
        if file == "-":
            report = check_stream(sys.stdin.buffer, now_ms, max_ or None, **bounds)
        else:
            with Path(file).open("rb") as stream:
                report = check_stream(stream, now_ms, max_ or None, **bounds)
    except OSError as error:
        say_lines([f"cannot read {file}: {(error.strerror or str(error)).lower()}"], err=True)
        raise typer.Exit(2) from error
    name = "standard input" if file == "-" else file
    if as_json_:
        say_json(as_json(name, report))
    else:
        say(as_text(name, report))
    if report.fault_codes:
        raise typer.Exit(1)
