"""A campaign: generated requests to a real gateway, what it accepts through everything behind, and the count of outcomes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from floorwatch.bounded import _key_of
from floorwatch.simulate.compare import COMPARED, differences
from floorwatch.simulate.oracle import Oracle
from gateway.settings import GatewaySettings
from streams.adapters.topic_names import TopicNames
from streams.agents.intake import Intake, IntakePolicy
from streams.core.policy import DAY_MS, CorePolicy
from streams.core.records import Record
from tests.fuzz.generate import Generator, Request
from tests.fuzz.renderers import RENDERERS, World
from tests.gateway.harness import NOW_MS, Bench

HANGS_AFTER_S = 30.0
"""No answer to a request within this time is a hang. A good one takes milliseconds; the bound is for a busy machine."""

_CHUNK = 10_000
_TOLD = 20
_STAMPS = (NOW_MS, NOW_MS, NOW_MS, 0, -1, 1 << 61, -(1 << 62))
_EXPLAINS = ("/v1/events", "/v1/hooks/label-studio")
_SERVER_ERROR = 500
_UNAVAILABLE = 503
_REFUSED_FROM = 400


@dataclass
class Result:
    """What came of a campaign.

    Attributes:
        generated: Events and requests so far.
        outcomes: How often each outcome came.
        faults: What must not come: crashes, hangs, refusals without a reason, wrong numbers.
    """

    generated: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def fault(self, kind: str, what: str) -> None:
        """Note something that must not come."""
        self.faults[kind] += 1
        if len(self.examples) < _TOLD:
            self.examples.append(f"{kind}: {what}")

    def text(self) -> str:
        """Return the report."""
        lines = [f"{self.generated:,} generated events and requests"]
        lines += [f"  {count:>9,}  {name}" for name, count in sorted(self.outcomes.items())]
        for kind in ("crashes", "hangs", "unexplained refusals", "wrong numbers"):
            lines.append(f"{self.faults[kind]:,} {kind}")
        return "\n".join([*lines, *self.examples])


def run(count: int, seed: int, progress: Callable[[int], None] = lambda _: None) -> Result:
    """Run a campaign.

    Args:
        count: Events and requests to generate, at least.
        seed: Decides all of them.
        progress: Told how many have been.
    """
    result, generator = Result(), Generator(seed)
    number = 0
    while result.generated < count:
        _chunk(generator, min(_CHUNK, count - result.generated), result, checked=number % 4 == 0)
        number += 1
        progress(result.generated)
    return result


def _chunk(generator: Generator, count: int, result: Result, *, checked: bool) -> None:
    goal = result.generated + count
    lines: list[bytes] = []
    # Its rates are for senders that mean well; what is looked for here is not their limits.
    bench = Bench(GatewaySettings(requests_per_s=1e6, burst_requests=1_000_000))

    async def steps(bench: Bench) -> None:
        while result.generated < goal:
            request, events = generator.request()
            result.generated += 1 + events
            await _send(bench, request, result)
            lines.append(request.body[:100_000])

    bench.run(steps)
    for key, value in bench.publisher.dead:
        _explained(json.loads(value), f"dead letter {key!r}", result)
    accepted = [value for _, value in bench.publisher.records]
    taken = _intake(accepted, result, raw=False)
    if len(taken) != len(accepted):
        result.fault(
            "unexplained refusals", f"intake refuses {len(accepted) - len(taken)} events that the gateway took"
        )
    raw = _intake([line for line in lines if line], result, raw=True)
    _behind(taken + raw, result, checked=checked)


async def _send(bench: Bench, request: Request, result: Result) -> None:
    try:
        async with asyncio.timeout(HANGS_AFTER_S):
            call = bench.client.request(request.method, request.path, data=request.body, headers=request.headers)
            async with call as answer:
                status, text = answer.status, await answer.text()
    except TimeoutError:
        result.fault("hangs", f"{request.what} {request.path}: {request.body[:200]!r}")
        return
    except (aiohttp.ClientError, ValueError) as error:
        # The client itself does not send some headers; a connection that the server closes is an answer to none.
        result.outcomes[f"{request.what}: not sent ({type(error).__name__})"] += 1
        return
    result.outcomes[f"{request.what}: {status}"] += 1
    if status >= _SERVER_ERROR and status != _UNAVAILABLE:
        result.fault("crashes", f"{status} to {request.what} {request.path}: {request.body[:300]!r}")
    elif status >= _REFUSED_FROM and request.method == "POST" and request.path.partition("?")[0] in _EXPLAINS:
        _explained_answer(text, request, result)


def _explained_answer(text: str, request: Request, result: Result) -> None:
    try:
        said = json.loads(text)
        told = said["rejected"] if "rejected" in said else [said["error"]]
    except (ValueError, KeyError, TypeError):
        result.fault("unexplained refusals", f"{request.what} {request.path}: {text[:300]!r}")
        return
    for one in told:
        _explained(one, f"{request.what} {request.path} {request.body[:200]!r}", result)


def _explained(said: dict[str, Any], what: str, result: Result) -> None:
    """Hold a refusal against what every refusal has: a code, a reason, and what to do."""
    result.outcomes[f"refused: {said.get('code')}"] += 1
    if not all(isinstance(said.get(name), str) and said[name].strip() for name in ("code", "reason", "hint")):
        result.fault("unexplained refusals", f"{what}: {said}")
    if said.get("code") in ("cannot_process", "internal_error"):
        result.fault("crashes", f"{what}: {said}")


class _Writer:
    def __init__(self) -> None:
        self.records: dict[str, list[Any]] = {}

    async def append(self, topic: str, partition: int, records: Any) -> None:
        self.records.setdefault(topic, []).extend(records)


class _NoLetters:
    """A topic of dead letters that holds none yet."""

    async def read(self, topic: str, partition: int) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:
        for nothing in ():
            yield nothing

    async def empty(self, topic: str, partition: int) -> bool:
        return True


class _Nobody:
    def __getattr__(self, _: str) -> Any:
        return lambda *_, **__: 0.0


def _intake(values: list[bytes], result: Result, *, raw: bool) -> list[bytes]:
    """Put records through intake; return the events that it writes.

    Args:
        values: Their values.
        result: Where outcomes go.
        raw: They come from anybody: their timestamps are anything.
    """
    writer = _Writer()
    stage = Intake(
        "raw.v1", 0, TopicNames("f.", 1), writer, _NoLetters(), IntakePolicy(), _Nobody(), now_ms=lambda: NOW_MS
    )
    stamps = _STAMPS if raw else (NOW_MS,)
    records = [Record(n, stamps[n % len(stamps)], _key_of(value), value) for n, value in enumerate(values)]
    try:
        if records:
            stage.fold(records)
            asyncio.run(stage.flush())
    except Exception:  # noqa: BLE001 - that is what is looked for
        result.fault("crashes", f"intake: {traceback.format_exc(limit=-3)}")
    for entry in writer.records.get("f.deadletters.v1", []):
        _explained(json.loads(entry[1]), "dead letter of intake", result)
    events = [entry[1] for entry in writer.records.get("f.events.v1", [])]
    result.outcomes["events that intake writes"] += len(events)
    return events


def _behind(events: list[bytes], result: Result, *, checked: bool) -> None:
    """Fold what was accepted, show it in every way, and compare some of it with the independent count."""
    if not events:
        return
    with tempfile.TemporaryDirectory() as directory:
        try:
            world = World(events, Path(directory))
        except Exception:  # noqa: BLE001 - that is what is looked for
            result.fault("crashes", f"ledger, scopes or tables: {traceback.format_exc(limit=-4)}")
            return
        for reason in world.aside():
            result.fault("crashes", f"set aside: {reason}")
        for name, render in RENDERERS.items():
            result.outcomes[f"rendered: {name}"] += 1
            try:
                render(world)
            except Exception:  # noqa: BLE001 - that is what is looked for
                result.fault("crashes", f"{name}: {traceback.format_exc(limit=-4)}")
        if checked:
            _compare(events, Path(directory), result)


def _compare(events: list[bytes], directory: Path, result: Result) -> None:
    """Compare every hour pane with the oracle's, nothing being too late."""
    world = World(events, directory, replace(CorePolicy(), horizon_ms=40_000 * DAY_MS))
    panes = {
        name: {(_plain(row["scope"]), pane): row for (_, pane), row in rows.items()}
        for name, rows in world.run.panes().items()
    }
    found = differences(Oracle.from_events(events).panes(3600), panes, COMPARED)
    result.outcomes["events compared with the oracle"] += len(events)
    for one in found[:_TOLD]:
        result.fault("wrong numbers", str(one))


def _plain(scope: dict[str, str]) -> str:
    """Return a scope's key as the oracle writes it, which does not have to be read back."""
    return ",".join(f"{name}={value}" for name, value in scope.items()) or "all"


def main(count: int, seed: int) -> int:
    """Run a campaign and print its report; return the exit code."""
    began_s = time.monotonic()

    def told(done: int) -> None:
        print(f"{done:,} of {count:,}", file=sys.stderr, flush=True)

    with contextlib.redirect_stderr(sys.stderr):
        result = run(count, seed, told)
    print(result.text())
    print(f"seed {seed}, {time.monotonic() - began_s:,.0f} s")
    return 1 if result.faults else 0
