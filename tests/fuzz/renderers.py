"""Every stage behind the log, and everything that shows what comes of it: run on accepted events, none may raise."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from alerts.baseline import BaselineState, advance
from alerts.codec import decode_incident, encode_incident
from alerts.evaluate import evaluate
from alerts.incident import Notify, Stamp
from alerts.lifecycle import policy_of, step
from alerts.outgoing import encode_notification, notification
from alerts.rules_file import default_rules
from alerts.text import title_of
from alerts.view import MemoryRowView
from floorwatch.analysis.quality.quality_report import quality_of
from floorwatch.bounded import _key_of
from floorwatch.cli import build, facts, forecast, incidents, quality, table, why
from floorwatch.cli.age import age_of_log
from floorwatch.output.terminal import wide_console
from floorwatch.replay.history import history_of
from floorwatch.replay.why import MEASURES, RowAddress
from floorwatch.replay.why import why as explain_number
from streams.core.ledger_store import new_store
from streams.core.policy import CorePolicy
from streams.core.records import CANNOT_PROCESS, Record
from streams.core.rowcodec import json_bytes
from streams.core.scopes import parse_scope_key
from streams.core.tables import TABLES
from streams.models.topics import partition_of
from telemetry.exporter import ExportPolicy, FloorCollector
from telemetry.registry import build_registry
from tests.core.harness import CoreRun
from tests.replay.memory import MemoryLog

_PARTITIONS = 3
_RUNNER = CliRunner()
_SOME = 2


class Kept(CoreRun):
    """A run that keeps what its ledgers write to their changelogs."""

    def __init__(self, partitions: int, policy: CorePolicy) -> None:
        super().__init__(partitions, policy)
        self.changelogs: list[list[tuple[bytes, bytes | None]]] = [[] for _ in range(partitions)]

    def flush(self, partition: int) -> None:
        flush = self.stores[partition].collect()
        if flush is not None:
            self.floor.apply([*flush.full, *flush.outputs, flush.watermark])
            self.changelogs[partition] += [*flush.rows, flush.meta]


class World:
    """Accepted events, folded: what renderers are given.

    Attributes:
        run: Ledgers and floor.
        rows: Rows by (table, window), by scope key, as the read model has them.
        log: The same events for what reads the log.
        file: The same events as a file.
    """

    def __init__(self, events: list[bytes], directory: Path, policy: CorePolicy | None = None) -> None:
        """Fold events in batches of no fixed size, recovered once on the way."""
        self.policy = policy or CorePolicy()
        self.events = events
        self.run = Kept(_PARTITIONS, self.policy)
        half = len(events) // 2
        self.run.send(events[:half], flush_every=97)
        self._recover()
        self.run.send(events[half:], flush_every=31)
        self.run.finish()
        self.rows = self._rows()
        self.log = _log_of(events)
        self.file = directory / "events.jsonl"
        self.file.write_bytes(b"\n".join(events) + b"\n")

    def _recover(self) -> None:
        """Go on with ledgers read from what the first half has left on the changelog."""
        for partition in range(_PARTITIONS):
            self.run.flush(partition)
            store = self.run.stores[partition]
            fresh = self.run.stores[partition] = new_store(partition, self.policy)
            if fresh.restore(self.run.changelogs[partition]) != self.run.ends[partition]:
                raise ValueError(f"partition {partition} does not resume where it was")
            fresh.ledger.rejected = store.ledger.rejected

    def _rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        from streams.core.tables import pane_rows, window_rows

        floor, found = self.run.floor, dict[tuple[str, str], dict[str, Any]]()
        for window in floor.all_windows():
            for name, row in window_rows(window, floor.watermark_ms).items():
                found.setdefault((name, window.window), {})[window.state.key] = _read_back(row)
        for pane in floor.all_panes():
            for row in pane_rows(pane, floor.watermark_ms).values():
                _read_back(row)
        return found

    def aside(self) -> list[str]:
        """Return why events were set aside; there should be none."""
        return [
            one.reason for store in self.run.stores for one in store.ledger.rejected if one.code == CANNOT_PROCESS
        ] + [one.reason for one in self.run.floor.take_unreadable()]


def _log_of(events: Iterable[bytes]) -> MemoryLog:
    parts: list[list[Record]] = [[] for _ in range(_PARTITIONS)]
    for value in events:
        key = _key_of(value)
        part = parts[partition_of(key, _PARTITIONS)]
        part.append(Record(len(part), 1_795_430_000_000, key, value))
    return MemoryLog(parts)


def _read_back(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a reader of its JSON has it."""
    _finite(row, row["scope_key"])
    found: dict[str, Any] = json.loads(json_bytes(row), parse_constant=_no_constant)
    if found["scope"] != row["scope"] or parse_scope_key(found["scope_key"]) != row["scope"]:
        raise ValueError(f"the scope of row {row['scope_key']!r} is not read back")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _finite(value: Any, place: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place} is {value}")
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, held in inner:
        _finite(held, f"{place}.{name}")


# -- renderers ---------------------------------------------------------------------------------------------------------


def _print(*blocks: Any) -> str:
    console = wide_console()
    with console.capture() as captured:
        for block in blocks:
            console.print(block)
    return captured.get()


def _said(work: Callable[[], Any]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        work()
    return out.getvalue()


def tables(world: World) -> None:
    """``floorwatch table``, every table and window, in every form."""
    for (name, window), rows in world.rows.items():
        shown = sorted(rows.values(), key=lambda row: str(row["scope_key"]))[:60]
        if all("labels" in row or name == "sla" for row in shown):
            _print(table.rich_table(name, [row for row in shown if row.get("labels", 0) is not None], window))
        for line in _said(lambda shown=shown: table.print_plain(shown, "json")).splitlines():
            json.loads(line)
        _said(lambda shown=shown: table.print_plain(shown, "csv"))


def metrics(world: World) -> None:
    """A scrape, read back by Prometheus's own parser."""
    rows = [row for (_, window), by_scope in world.rows.items() if window == "1h" for row in by_scope.values()]
    policy = ExportPolicy({"1h": frozenset(map(frozenset, world.policy.scopes))}, max_scopes=10_000)
    text = generate_latest(build_registry(FloorCollector(lambda: rows, policy=policy))).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (skipped,) = [s for s in families["floorwatch_export_rows_skipped"].samples if s.labels["reason"] == "malformed"]
    if skipped.value:
        raise ValueError(f"{skipped.value:g} rows are malformed")
    named = {sample.labels["scope"] for sample in families["floorwatch_labels"].samples}
    if not named <= {row["scope_key"] for row in rows}:
        raise ValueError("a scope's name is not read back from the scrape")


def log_readers(world: World) -> None:
    """``why``, ``facts`` and ``quality``, which read the log."""
    busiest = sorted(world.rows.get(("throughput", "7d"), {}).values(), key=lambda row: -row["labels"])[:_SOME]
    for row in busiest:
        for name in TABLES:
            measure, counters = next(iter(MEASURES[name].items()))
            place = RowAddress(window="7d")
            answer = asyncio.run(explain_number(world.log, world.policy, row["scope"], place, counters, measure))  # type: ignore[arg-type]
            if answer.unequal:
                raise ValueError(f"{row['scope_key']!r} {measure}: tasks and row differ: {answer.unequal}")
            _said(lambda answer=answer: why._print(answer, 0))
            age = age_of_log(answer.replay.floor.watermark_ms, live=True)
            json.loads(_said(lambda answer=answer, age=age: why._print_json(answer, 0, age)))
            _said(lambda answer=answer: why._print_csv(answer, 0))
    for task in list(dict.fromkeys(json.loads(event)["subject"] for event in world.events))[:_SOME]:
        found = asyncio.run(history_of(world.log, world.policy, task, _PARTITIONS))  # type: ignore[arg-type]
        _said(lambda found=found: facts._print(found))
        json.loads(_said(lambda found=found: facts._print_json(found)))
    for by in ("vendor", "labeler"):
        report, done = asyncio.run(quality_of(world.log, world.policy, by=by))  # type: ignore[arg-type]
        for age in (None, age_of_log(done.floor.watermark_ms, live=True)):
            _said(lambda report=report, age=age: quality._print(report, age))
            json.loads(_said(lambda report=report, age=age: quality._print_json(report, age)))


def forecasts(world: World) -> None:
    """``floorwatch forecast``."""
    for rows in world.rows.values():
        queues = [row for row in rows.values() if row.get("forecast")]
        if queues:
            _print(forecast.forecast_table(queues), *(forecast.due_table(row) for row in queues[:_SOME]))


def commands(world: World) -> None:
    """Commands that read a file of events."""
    file = str(world.file)
    labelers = [json.loads(event)["data"].get("labeler_id") for event in world.events if b"label.submitted" in event]
    calls = [
        ["check-events", file],
        ["check-events", file, "--json"],
        ["people", "--events", file, "--window", "30d"],
        ["people", "--events", file, "--window", "30d", "--json", "--by", "vendor"],
        ["roster", "--events", file, "--by", "site", "--hours"],
        ["roster", "--events", file, "--by", "team", "--json"],
    ]
    calls += [
        ["scorecard", "--events", file, "--window", "30d", "--", name] for name in dict.fromkeys(labelers[:_SOME])
    ]
    for words in calls:
        done = _RUNNER.invoke(build(words[0]), words)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise RuntimeError(f"floorwatch {' '.join(words)}") from done.exception


def alert_texts(world: World) -> None:
    """Rules over the rows, incidents, what people are sent, the list of incidents."""
    rules = default_rules().rules
    view = MemoryRowView(world.rows)
    watermark_ms = world.run.floor.watermark_ms
    baseline = BaselineState()
    for rule in rules:
        for signal in evaluate((rule,), view, watermark_ms, baseline):
            _incident(signal, rule)
    advance(baseline, rules, view, watermark_ms)
    # Few rows fire by themselves: every scope is made to.
    scopes = list(world.rows.get(("accuracy", "1h"), {}).values())[:12]
    (template,) = [rule for rule in rules if rule.kind == "accuracy_low"][:1]
    from tests.alerts.machine import signal as made

    for row in scopes:
        fired = made(True, watermark_ms, rule=template.name, scope=row["scope"], scope_key=row["scope_key"])
        _incident(fired, template)


def _incident(signal: Any, rule: Any) -> None:
    held, policy = None, policy_of(rule, None)
    for number in range(3):
        held = step(held, signal, policy, stamp=Stamp(0, number))
        if held is None:
            return
        record = encode_incident(held, title_of(held))
        if decode_incident(record).scope != held.scope:
            raise ValueError("an incident's scope is not read back")
        read = json.loads(record)
        _print(*incidents.lines_of([read], {}, 140), *incidents.whole(read, []))
        if held.live:
            group = Notify("g:1", "open", "default", held, members=((held, "open"),), counts={held.kind: 3})
            for told in (Notify("k:open", "open", "default", held), group):
                json.loads(encode_notification(notification(told)))


RENDERERS: dict[str, Callable[[World], None]] = {
    "table": tables,
    "metrics": metrics,
    "why, facts, quality": log_readers,
    "forecast": forecasts,
    "check-events, people, roster": commands,
    "alerts, incidents": alert_texts,
}
"""By name: each raises where anything cannot be shown or is not read back as it was."""
