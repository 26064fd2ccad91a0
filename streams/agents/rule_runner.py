"""Rule runner: evaluates every rule over the read model whenever the watermark enters a new minute.

After a burst the next minute may be long in coming. So it looks once more within a minute when the log says that every
partition is idle: see ADR 0026.

One worker does it, the owner of scopes partition 0, over the rows of all partitions: contributors and parent scopes
need the whole floor.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from alerts.append import ALERTS_KEY
from alerts.baseline import BaselineState, advance
from alerts.codec import decode_input, encode_input
from alerts.evaluate import Cuts, evaluate
from alerts.holding import holding_signals, holds_after_ms, without_text
from alerts.incident import Tick
from alerts.kinds.base import Faults, ScopeFault
from alerts.looks import LOOKS, Look, encode_look
from alerts.rules import Rule
from alerts.signal_filter import SignalFilterState, filter_signals
from alerts.signals import Signal
from alerts.view import DamagedRow, MemoryRowView
from streams.adapters.readmodel import ReadModel
from streams.adapters.topic_names import TopicNames
from streams.agents.incidents import TICK_KEY
from streams.agents.rule_faults import RuleFaults
from streams.core.policy import MINUTE_MS
from streams.core.records import CONTENT_ERRORS
from streams.engine.log import LogWriter, ProducerRecord
from streams.models import formats, topics

log = logging.getLogger(__name__)

_BASELINE = "throughput-baseline"
_decode_baseline = msgspec.msgpack.Decoder(BaselineState).decode

_DUTY = 12
"""After a look the next is put off by this many times what it took: a catch-up evaluates less often. Not while all is idle."""

_LIVE_DUTY = 3
"""The same while event time is that of the clock: looks of up to 15 s, which is 20,000 scopes, come each minute."""
_LIVE_MS = 2 * MINUTE_MS


class RuleRunner:
    """Turns rows into signals."""

    def __init__(
        self,
        rules: tuple[Rule, ...],
        read_model: ReadModel,
        out: TopicNames,
        meter: Any,
        *,
        cuts: Cuts | None = None,
        looked_ms: int = -1,
    ) -> None:
        """Hold the rules.

        Args:
            rules: The rules.
            read_model: Where the rows are.
            out: Names of topics.
            meter: Counts what could not be evaluated.
            cuts: Which windows and scopes have series.
            looked_ms: Watermark up to which an earlier life of the floor has looked, whose incidents go on: what comes up to there is
                counted again, and not judged again; -1: none.
        """
        self._before_ms = looked_ms
        self._cuts = cuts
        self._rules, self._read_model, self._out, self._meter = rules, read_model, out, meter
        self.faults = RuleFaults(meter)
        self._not_before = 0.0
        self.begin()

    def begin(self) -> None:
        """Begin anew, as the owner of partition 0: with the baseline that the last owner kept."""
        self._baseline: BaselineState | None = None
        self._signal_filter = SignalFilterState()
        self._looked_ms = self._before_ms
        self._minute = self._idle_minute = self._before_ms // MINUTE_MS
        self.look: Look | None = None
        self.faults.begin(self._rules)

    async def run(self, writer: LogWriter, watermark_ms: int, *, idle: bool = False) -> None:
        """Evaluate when event time enters a minute, and once within it when all is idle; write the signals that matter.

        Args:
            writer: Appends the signals.
            watermark_ms: Up to which all rows are in the read model.
            idle: Every partition of the log of events is idle, as the log says (ADR 0019).
        """
        # While all is idle nothing else wants the time, and the next publication may be an idle timeout away.
        if watermark_ms < 0 or (not idle and time.monotonic() < self._not_before):
            return
        minute, began = watermark_ms // MINUTE_MS, time.monotonic()
        if minute > self._minute:
            self._minute = minute
            await self._look_at(writer, watermark_ms)
        elif idle and minute > self._idle_minute and watermark_ms > self._looked_ms:
            await self._look_while_idle(writer, watermark_ms)
        else:
            return
        if idle:
            self._idle_minute = minute
        await self._say_how_far(watermark_ms)
        took_s = time.monotonic() - began
        live = time.time() * 1000 - watermark_ms < _LIVE_MS
        self._not_before = time.monotonic() + (_LIVE_DUTY if live else _DUTY) * took_s

    async def _look_at(self, writer: LogWriter, watermark_ms: int) -> None:
        view = await self._view()
        before = await self._remembered() if self._baseline is None else self._baseline
        faults: Faults = {}
        signals = await self._evaluated(self._rules, view, watermark_ms, before, faults)
        signals += self._holding(view, watermark_ms, before, faults)
        self._baseline = self._advanced(before, view, watermark_ms, faults)
        sent, self._signal_filter = filter_signals(self._signal_filter, signals, self._rules)
        records = self._encoded(sent, faults)
        self.faults.note(self._rules, faults, watermark_ms)
        await self._write(writer, records, watermark_ms)
        if self._baseline != before:
            await self._read_model.keep(_BASELINE, msgspec.msgpack.encode(self._baseline))

    async def _look_while_idle(self, writer: LogWriter, watermark_ms: int) -> None:
        """Send what fires now, of rules that one evaluation opens.

        ``for`` and ``resolve_for`` count minutes, so no other signal is sent; nothing is learnt either.
        """
        rules = tuple(rule for rule in self._rules if rule.for_evaluations == 1)
        before = await self._remembered() if self._baseline is None else self._baseline
        faults: Faults = {}
        found = await self._evaluated(rules, await self._view(), watermark_ms, before, faults)
        firing, self._signal_filter = filter_signals(
            self._signal_filter, [signal for signal in found if signal.firing], rules
        )
        records = self._encoded(firing, faults)
        self.faults.note(rules, faults, watermark_ms)
        await self._write(writer, records, watermark_ms)

    async def _say_how_far(self, watermark_ms: int) -> None:
        """Keep how far the rules have looked, for people who wonder why nothing is said."""
        self._looked_ms = watermark_ms
        self.look = Look(watermark_ms, (self._minute + 1) * MINUTE_MS, int(time.time() * 1000))
        await self._read_model.keep(LOOKS, encode_look(self.look))

    def _advanced(self, before: BaselineState, view: MemoryRowView, watermark_ms: int, faults: Faults) -> BaselineState:
        """Return the baseline updated with the rows that can be read. If that fails, return the old one, so that nothing else stops."""
        readers = [rule.name for rule in self._rules if rule.reads_baseline]

        def aside(key: str, error: Exception) -> None:
            for name in readers:
                faults.setdefault((name, key), ScopeFault(name, key, error))

        try:
            return advance(before, self._rules, view, watermark_ms, aside)
        except CONTENT_ERRORS:
            log.exception(
                "the throughput baseline could not be advanced at watermark %d: please report this", watermark_ms
            )
            self._meter.set_aside("scopes")
            return before

    async def _evaluated(
        self, rules: tuple[Rule, ...], view: MemoryRowView, watermark_ms: int, before: BaselineState, faults: Faults
    ) -> list[Signal]:
        """Return the signals of every rule, and note what could not be judged: a scope, or a rule that failed as a whole."""
        signals: list[Signal] = []
        for rule in rules:
            try:
                signals += evaluate((rule,), view, watermark_ms, before, self._cuts, faults)
            except Exception as error:  # noqa: BLE001 - noted, logged and counted; the other rules go on
                faults[rule.name, ""] = ScopeFault(rule.name, "", error, silent=True)
            await asyncio.sleep(0)  # with ten thousand scopes a rule takes half a second: messages go out between two
        return signals

    def _holding(self, view: MemoryRowView, watermark_ms: int, before: BaselineState, faults: Faults) -> list[Signal]:
        """Return the signals that keep incidents as they are whose scopes have not been judged for a while."""
        rules = {rule.name: rule for rule in self._rules}
        held: list[Signal] = []
        for fault in faults.values():
            rule = rules[fault.rule]
            if fault.silent and self.faults.lasted_ms(fault, watermark_ms) >= holds_after_ms(rule):
                held += holding_signals(rule, fault, view, before, watermark_ms)
        return held

    def _encoded(self, signals: list[Signal], faults: Faults) -> list[bytes]:
        """Return signals as JSON. One that cannot be written goes without its text; if that fails too, it is noted."""
        encoded: list[bytes] = []
        for signal in signals:
            for one in (signal, without_text(signal)):
                try:
                    value = encode_input(one)
                    decode_input(value)  # what the next stage cannot read is as good as not written
                    encoded.append(value)
                    break
                except Exception as error:  # noqa: BLE001 - one signal must not stop the others
                    fault = ScopeFault(signal.rule, signal.scope_key, error, silent=one is not signal)
                    faults[signal.rule, signal.scope_key] = fault
        return encoded

    async def _write(self, writer: LogWriter, signals: list[bytes], watermark_ms: int) -> None:
        """Write signals and, after them, a tick: an incident that got no signal before it got none in this evaluation.

        All go to one partition, which has all incidents: one may speak for another, and they are told together.
        """
        tick = ProducerRecord(TICK_KEY, encode_input(Tick(int(time.time() * 1000), watermark_ms)))
        records = [ProducerRecord(ALERTS_KEY, value) for value in signals]
        await writer.append(self._out.name(topics.SIGNALS), self._out.partition_of(ALERTS_KEY), [*records, tick])

    async def _remembered(self) -> BaselineState:
        """Return the baseline kept in Redis. If Redis was emptied, return an empty one, which settles within a few windows."""
        kept = await self._read_model.kept(_BASELINE)
        try:
            if kept is None:
                return BaselineState()
            formats.check_msgpack(formats.BASELINE, kept)
            return _decode_baseline(kept)
        except (msgspec.DecodeError, formats.NewerFormat) as error:
            log.warning("the throughput baseline of another version cannot be read, learning it anew: %s", error)
            return BaselineState()

    async def _view(self) -> MemoryRowView:
        tables: dict[tuple[str, str], Mapping[str, Mapping[str, Any]]] = {}
        for table, window in sorted(rows_read(self._rules)):
            unreadable: dict[str, str] = {}
            rows = await self._read_model.patient_rows(table, window, unreadable)
            # A part is not judged as if it were the whole: neither alarm nor all-clear comes of it.
            whole = {key: row for key, row in rows.items() if not row.get("partial")}
            tables[table, window] = {**whole, **{key: DamagedRow(why) for key, why in unreadable.items()}}
        return MemoryRowView(tables)


def rows_read(rules: tuple[Rule, ...]) -> set[tuple[str, str]]:
    """Return the table and the window of all rows that some rule reads."""
    return {(table, window) for rule in rules for table in rule.tables_read for window in rule.windows_read()}
