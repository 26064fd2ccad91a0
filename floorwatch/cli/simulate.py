"""``floorwatch simulate``: a seeded floor, to a file, a broker, a gateway or the running embedded stack."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from floorwatch.cli.options import VarOption, timestamp_ms
from floorwatch.output.terminal import say
from floorwatch.sdk.events import NotEmitted
from floorwatch.simulate.config import SCENARIO_SETTINGS
from streams.core.formatting import plural

if TYPE_CHECKING:
    from floorwatch.simulate.config import FloorConfig
    from floorwatch.simulate.oracle import Oracle
    from floorwatch.simulate.wire import Sent


_ANSWER_S = 30.0
"""Seconds that a gateway may take to answer."""

_SCENARIO_HELP = (
    "NAME@AT[+DURATION][:key=value,…], e.g. site_outage@2h+1h. Names and their keys: "
    + "; ".join(f"{name} ({', '.join(keys)})" for name, keys in SCENARIO_SETTINGS.items())
    + ". Without a duration it lasts to the end."
)


class Destination(Protocol):
    """Anything that accepts events: a journal, a broker, a gateway, a file."""

    async def publish(self, records: list[tuple[bytes, bytes]]) -> None:
        """Accept (task id, event) pairs in order."""


_TRUTH_FIELDS = {
    "accuracy": ("labels", "audited", "correct", "weight_sum", "weight_correct"),
    "throughput": ("labels", "handle_ms_sum"),
    "sla": ("due", "met", "missed", "cancelled"),
}
"""Per table, the fields of which one must be more than zero for a row to be in the truth file."""


def simulate(
    seed: Annotated[int, typer.Option(help="The same seed and start give the same floor.")] = 7,
    days: Annotated[float, typer.Option(min=0.0001, max=3660, help="Simulated time.")] = 1.0,
    rate: Annotated[
        float, typer.Option(min=0.001, max=1_000_000, help="Events per second, on average over a day.")
    ] = 26.0,
    labelers: Annotated[int, typer.Option(min=3, max=1_000_000, help="People over all sites and shifts.")] = 150,
    start: Annotated[str | None, typer.Option(help="RFC 3339; by default so that the floor ends now.")] = None,
    scenario: Annotated[list[str] | None, typer.Option(help=_SCENARIO_HELP)] = None,
    errors: Annotated[
        float, typer.Option(min=0, max=100, help="1: a floor at 93%; 0.5 halves mistakes and meets a target of 95%.")
    ] = 1.0,
    sla: Annotated[
        list[str] | None, typer.Option(help="QUEUE=DURATION or, for all, DURATION; by default 15m, 1h and 8h mixed.")
    ] = None,
    order: Annotated[
        str, typer.Option(help="arrival: tasks are taken as they come; due: the one due first.")
    ] = "arrival",
    speed: Annotated[str, typer.Option(help="Simulated seconds a second, or max.")] = "max",
    out: Annotated[Path | None, typer.Option(help="Write JSON lines here instead of sending.")] = None,
    to_brokers: Annotated[str | None, typer.Option(help="Send to this Kafka, host:port.")] = None,
    topic: Annotated[str, typer.Option(help="Topic for --to-brokers.")] = "floorwatch.raw.v1",
    gateway: Annotated[str | None, typer.Option(help="Send to this gateway, http://host:port.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Write the exact tables here, as `process` dumps them.")] = None,
    var: VarOption = None,
) -> None:
    """Simulate a floor of 150 labellers, 3 sites, 3 vendors, 20 queues and 12 policies, with all its troubles."""
    import asyncio

    from floorwatch.simulate.config import FloorConfig, parse_scenario, parse_sla
    from floorwatch.simulate.people import check_scenarios, open_queues

    pace = _pace(speed)
    try:
        scenarios = tuple(parse_scenario(text) for text in scenario or [])
        floor = FloorConfig(
            start_ms=_start_ms(start, days),
            duration_s=days * 86_400,
            rate=rate,
            labelers=labelers,
            scenarios=scenarios,
            errors=errors,
            sla=tuple(parse_sla(text) for text in sla or []),
            order=order,
        )
        # Names of queues, vendors, sites or policies that do not exist are reported before anything is sent.
        open_queues(floor)
        check_scenarios(floor)
    except ValueError as error:
        say(f"floorwatch simulate: {error}", err=True)
        raise typer.Exit(2) from None
    try:
        sent = asyncio.run(_run(floor, seed, pace, _destination(out, to_brokers, topic, gateway, var), truth))
    except NotEmitted as error:
        say(f"floorwatch simulate: {error}", err=True)
        raise typer.Exit(1) from None
    say(plural(sent, "event") + (f", truth in {truth}" if truth else ""))


def _pace(speed: str) -> float:
    try:
        pace = float("inf") if speed == "max" else float(speed)
    except ValueError:
        pace = 0.0
    if not pace > 0:  # nan is not, either
        say(f"--speed {speed}: write a number greater than 0, or max", err=True)
        raise typer.Exit(2)
    return pace


def _start_ms(start: str | None, days: float) -> int:
    import time

    return int(time.time() * 1000 - days * 86_400_000) if start is None else timestamp_ms("--start", start)


async def _run(floor: FloorConfig, seed: int, speed: float, destination: Any, truth: Path | None) -> int:
    from floorwatch.cli.progress import phases
    from floorwatch.embedded.player import play
    from floorwatch.simulate.simulated_floor import simulate as floor_of

    kept: list[bytes] = []

    def events() -> Iterator[Sent]:
        for number, sent in enumerate(floor_of(floor, seed), 1):
            if truth is not None:
                kept.append(sent.value)
            if not number % 1000:
                progress("simulating", number, None)
            yield sent

    with phases() as progress:
        async with destination as target:
            played = await play(events(), target, start_ms=floor.start_ms, speed=speed)
    if truth is not None:
        write_truth(truth, kept)
    return played.events


@asynccontextmanager
async def _destination(
    out: Path | None, brokers: str | None, topic: str, gateway: str | None, var: Path | None
) -> AsyncIterator[Destination]:
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("wb") as file:
            yield _File(file)
    elif brokers is not None:
        async with _kafka(brokers, topic) as target:
            yield target
    elif gateway is not None:
        from aiohttp import ClientSession

        async with ClientSession() as session:
            target = _Gateway(session, gateway.rstrip("/"))
            await target.reach()
            yield target
    else:
        async with _stack(var) as target:
            yield target


@asynccontextmanager
async def _stack(var: Path | None) -> AsyncIterator[Destination]:
    """Open the journal of a running stack."""
    from floorwatch.embedded.journal import open_free_writer
    from floorwatch.embedded.player import WRITER
    from floorwatch.sdk.stacks import StackNotFound, locate

    try:
        found, why = locate(var), "no `floorwatch up` of yours runs; start one"
    except StackNotFound as error:
        found, why = None, str(error)
    if found is None:
        say(f"nowhere to send: {why}, or give --out, --to-brokers or --gateway", err=True)
        raise typer.Exit(2)
    writer = await open_free_writer(Path(found.state.journal), WRITER)
    try:
        yield writer
    finally:
        await writer.stop()


@asynccontextmanager
async def _kafka(brokers: str, topic: str) -> AsyncIterator[Destination]:
    from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

    from streams.engine.log import KafkaLogWriter
    from streams.models.kafka_error import said_by
    from streams.models.kafka_producer import open_producer

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say is said below
    try:
        async with open_producer({"bootstrap_servers": brokers}, batch_bytes=262_144) as producer:
            yield _Kafka(KafkaLogWriter(producer), topic, len(await producer.partitions_for(topic)))
    except UnknownTopicOrPartitionError:
        fix = "create it with `floorwatch topics create`, or correct --topic"
        raise NotEmitted(f"{brokers} has no topic {topic}: {fix}") from None
    except KafkaError as error:
        fix = "start the broker, or correct --to-brokers; `floorwatch doctor` tells more"
        raise NotEmitted(f"Kafka at {brokers} does not take the events: {said_by(error)} ({fix})") from None


class _File:
    def __init__(self, file: Any) -> None:
        self._file = file

    async def publish(self, records: list[tuple[bytes, bytes]]) -> None:
        self._file.writelines(value + b"\n" for _, value in records)


class _Kafka:
    def __init__(self, writer: Any, topic: str, partitions: int) -> None:
        self._writer, self._topic, self._partitions = writer, topic, partitions

    async def publish(self, records: list[tuple[bytes, bytes]]) -> None:
        from streams.engine.log import ProducerRecord
        from streams.models.topics import partition_of

        by_partition: dict[int, list[ProducerRecord]] = {}
        for key, value in records:
            by_partition.setdefault(partition_of(key, self._partitions), []).append(ProducerRecord(key, value))
        for partition, outgoing in by_partition.items():
            await self._writer.append(self._topic, partition, outgoing)


class _Gateway:
    def __init__(self, session: Any, base: str) -> None:
        self._session, self._base, self._url = session, base, f"{base}/v1/events"

    async def reach(self) -> None:
        """Check before the first event is due that the gateway can be reached."""
        await self._ask("GET", f"{self._base}/healthz", 200)

    async def publish(self, records: list[tuple[bytes, bytes]]) -> None:
        if not records:
            return
        body = b"\n".join(value for _, value in records)
        await self._ask("POST", self._url, 202, data=body, headers={"Content-Type": "application/x-ndjson"})

    async def _ask(self, method: str, url: str, wanted: int, **request: Any) -> None:
        from aiohttp import ClientError, ClientTimeout

        from floorwatch.sdk.trouble import refused
        from gateway.http_faults import trouble_of

        try:
            timeout = ClientTimeout(total=_ANSWER_S)
            async with self._session.request(method, url, timeout=timeout, **request) as answer:
                status, text = answer.status, await answer.text(errors="replace")
        except (ClientError, TimeoutError) as error:
            raise NotEmitted(f"{url} cannot be reached: {trouble_of(error, _ANSWER_S)}") from None
        if status != wanted:
            raise NotEmitted(f"{url} {refused(status, text[:500])}")


def write_truth(directory: Path, events: Iterable[bytes]) -> None:
    """Write the exact tables of a log: one row per (scope, 1-hour pane), as ``floorwatch process`` dumps them."""
    from floorwatch.simulate.oracle import Oracle

    oracle = Oracle.from_events(events)
    directory.mkdir(parents=True, exist_ok=True)
    for table, rows in oracle.panes(3600).items():
        _write_rows(directory / f"{table}.jsonl", oracle, rows)


def _write_rows(path: Path, oracle: Oracle, rows: dict[tuple[str, int], dict[str, Any]]) -> None:
    import json

    from streams.core.time_text import rfc3339

    fields = _TRUTH_FIELDS[path.stem]
    with path.open("w") as out:
        for (scope_key, start_ms), row in sorted(rows.items()):
            if not any(row.get(name) for name in fields):
                continue
            place = {"scope": oracle.scopes[scope_key], "pane_start": rfc3339(start_ms), "pane_s": 3600}
            out.write(json.dumps(place | dict.fromkeys(fields, 0) | row) + "\n")
