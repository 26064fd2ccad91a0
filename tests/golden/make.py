"""Write the golden file of one version: run with that version's sources first on ``PYTHONPATH``.

    python tests/golden/make.py events OUT       the log that all golden states are made of (made once)
    python tests/golden/make.py state NAME OUT   states and records as the sources at hand write them

24565ae.json.xz was made by this file as it was first committed, with the sources in 24565ae.tar.xz. ``make golden`` runs it with
the present sources.
"""

from __future__ import annotations

import asyncio
import base64
import json
import lzma
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import msgspec

HERE = Path(__file__).resolve().parent
EVENTS = HERE / "events.jsonl.xz"
PARTITIONS, FLUSH_EVERY = 2, 60
START_MS = 1_735_689_600_000
ARRIVED_MS = START_MS + 30 * 86_400_000
"""All records arrive after what they tell of: the watermark follows the events."""
CUT, AHEAD = 0.6, 40
"""The state is cut after this share of the log; a flush that was cut short holds so many events more."""


def main() -> None:
    """Write the file that the command line asks for."""
    if sys.argv[1] == "events":
        Path(sys.argv[2]).write_bytes(lzma.compress(b"\n".join(make_events()), preset=9))
    else:
        found = {"version": sys.argv[2], **make_state()}
        Path(sys.argv[3]).write_bytes(lzma.compress(json.dumps(found, indent=0).encode(), preset=9))


def make_events() -> list[bytes]:
    """Return a floor's events, and among them tasks whose meaning has changed since 24565ae."""
    from floorwatch.simulate.config import FloorConfig
    from floorwatch.simulate.simulated_floor import simulate

    floor = FloorConfig(
        start_ms=START_MS,
        duration_s=6 * 3600,
        rate=0.03,
        labelers=12,
        queues=3,
        policies=2,
        audit_delay_scale=0.02,
        faults=True,
    )
    plain = [sent.value for sent in simulate(floor, 5)]
    rare = list(_rare_events())
    step = max(1, len(plain) // (len(rare) + 1))
    for at, event in enumerate(rare, 1):
        plain.insert(at * (step + 1) - 1, event)
    return plain


def _rare_events() -> list[bytes]:
    """Return labels without values, very long decisions and repeated values, each changed before and after the cut."""
    found: list[bytes] = []

    def event(kind: str, task: str, number: int, **data: Any) -> None:
        minute = 2 * number
        found.append(
            json.dumps(
                {
                    "specversion": "1.0",
                    "id": f"rare-{number}",
                    "source": "golden",
                    "type": f"floorwatch.{kind}.v1",
                    "subject": task,
                    "time": f"2025-01-01T{minute // 60:02d}:{minute % 60:02d}:00Z",
                    "data": data,
                }
            ).encode()
        )

    long = [f"{'v' * 90}-{at}" for at in range(6)]
    kinds: dict[str, list[list[str]]] = {
        "empty": [[], []],
        "half": [[], ["spam"]],
        "long": [long, long],
        "twice": [["b", "a", "a"], ["a", "b"]],
    }
    number = 0
    for stage in range(4):
        for task, (one, two) in kinds.items():
            for copy in range(3):
                if stage == 1 and copy == 2:
                    continue  # one label and then its audit
                name, number = f"rare-{task}-{copy}", number + 1
                dims = {"queue": "rare", "policy": "p-0"}
                if stage < 2:
                    who, values = ("ann", "ben")[stage], (one, two)[stage]
                    event(
                        "label.submitted",
                        name,
                        number,
                        label_id=f"{name}-{stage}",
                        labeler_id=who,
                        values=values,
                        **dims,
                    )
                elif stage == 2:
                    event(
                        "audit.completed",
                        name,
                        number,
                        audit_id=f"{name}-a",
                        label_id=f"{name}-0",
                        verdict="incorrect",
                        values=["ham"],
                        auditor_id="aud",
                    )
                elif copy == 1:
                    event("label.withdrawn", name, number, label_id=f"{name}-1")
                else:
                    event(
                        "audit.completed",
                        name,
                        number,
                        audit_id=f"{name}-b",
                        label_id=f"{name}-0",
                        verdict="correct",
                        auditor_id="aud",
                    )
    return found


def policy() -> Any:
    """Return the policy of the golden states: few scopes, everything else by default."""
    from streams.core.policy import CorePolicy

    return CorePolicy(scopes=(("queue",), ("queue", "policy"), ("labeler",)), audit_scopes=())


def log() -> list[list[tuple[bytes, bytes]]]:
    """Return (task id, event) of the golden log by partition, in order."""
    from streams.models.topics import partition_of

    parts: list[list[tuple[bytes, bytes]]] = [[] for _ in range(PARTITIONS)]
    for line in lzma.decompress(EVENTS.read_bytes()).split(b"\n"):
        event = json.loads(line)
        key = event["subject"].encode()
        parts[partition_of(key, PARTITIONS)].append((key, saying_how(event, line)))
    return parts


def saying_how(event: dict[str, Any], line: bytes) -> bytes:
    """Return an event that says how its audit was drawn. Before format 3 of rows it was not kept whether a sender says so."""
    if event["type"] != "floorwatch.audit.completed.v1" or event["data"].get("sampling") is not None:
        return line
    return json.dumps({**event, "data": {**event["data"], "sampling": {"method": "unsaid"}}}).encode()


def cut_of(events: list[Any]) -> int:
    """Return how many events of a partition the last whole flush holds."""
    return int(len(events) * CUT)


def make_state() -> dict[str, Any]:
    """Return everything of one version as JSON: bytes in base64."""
    partials: list[tuple[bytes, bytes | None]] = []
    changelogs = [_changelog(number, events, partials) for number, events in enumerate(log())]
    return {
        "changelogs": [[_pair(entry) for entry in entries] for entries in changelogs],
        "partials": [_pair(entry) for entry in partials],
        "rows": _rows(partials),
        "formats": _formats(),
        "values": {name: _b64(value) for name, value in {**_alerts(), **asyncio.run(_files())}.items()},
    }


def _formats() -> dict[str, str]:
    """Return the version of each format; 24565ae had none to tell of."""
    try:
        from streams.models.formats import FORMATS
    except ImportError:
        return {}
    return {kind.name: kind.label for kind in FORMATS}


def _changelog(number: int, events: list[tuple[bytes, bytes]], partials: list[Any]) -> list[Any]:
    """Fold a partition up to the cut and a little more, of which the flush is cut short; return its changelog."""
    from streams.core.ledger_store import new_store
    from streams.core.records import Record

    store = new_store(number, policy(), f"golden-{number}")
    entries: list[tuple[bytes, bytes | None]] = []
    records = [Record(at, ARRIVED_MS, key, value) for at, (key, value) in enumerate(events)]
    cut = cut_of(events)
    for begin in range(0, cut, FLUSH_EVERY):
        store.ledger.fold(records[begin : min(cut, begin + FLUSH_EVERY)])
        flush = store.collect()
        assert flush is not None
        entries += [*flush.rows, flush.meta]
        partials += [*flush.outputs, *getattr(flush, "floor", ()), flush.watermark]
    store.ledger.fold(records[cut : cut + AHEAD])
    flush = store.collect()
    assert flush is not None
    entries += flush.rows
    return entries


def _rows(partials: list[Any]) -> list[dict[str, Any]]:
    """Return table rows as the version shows them at the cut."""
    from streams.core.floor import Floor
    from streams.core.tables import pane_rows, window_rows

    floor = Floor(policy())
    floor.apply(partials)
    found: list[dict[str, Any]] = []
    for window in floor.all_windows():
        found += window_rows(window, floor.watermark_ms).values()
    for pane in floor.all_panes():
        found += pane_rows(pane, floor.watermark_ms).values()
    return found


def _alerts() -> dict[str, bytes]:
    """Return what the alerts serialise."""
    from alerts.audit_requests import AuditRequest, encode_request
    from alerts.baseline import BaselineState, Sample
    from alerts.codec import encode_group, encode_incident, encode_input, encode_receipts
    from alerts.incident import Ack, Notify, Silence, Tick
    from alerts.outgoing import encode_notification, notification
    from alerts.signals import AuditSuggestion, Contributor, Signal
    from tests.golden.told import group_told, incident_told, receipts

    part = Contributor("labeler", "ann", -1.5, 40, "12 of 40 wrong")
    signal = Signal(
        "quality",
        "accuracy_low",
        {"queue": "q-1"},
        "queue=q-1",
        True,
        0.91,
        0.95,
        "91 of 100",
        START_MS,
        START_MS + 60_000,
        "1h",
        (part,),
        ("t-1",),
        "/d/board",
        "#quality",
        AuditSuggestion(20, 3.0, 9.0, 50, 4),
        True,
    )
    incident = incident_told(part)
    note = notification(Notify("0011aabb:open", "open", "default", incident))
    return {
        "signal": encode_input(signal),
        "ack": encode_input(Ack("0011aabb", "ann", START_MS, "mine")),
        "silence": encode_input(Silence("0011aabb", "ann", START_MS, START_MS + 3_600_000, "known")),
        "tick": encode_input(Tick(START_MS, START_MS - 1)),
        "incident": encode_incident(incident, "accuracy low"),
        "group": encode_group(group_told()),
        "receipts": encode_receipts(receipts()),
        "notification": encode_notification(note),
        "audit request": encode_request(AuditRequest(signal, 3, START_MS + 86_400_000)),
        "baseline": msgspec.msgpack.encode(
            BaselineState(START_MS, {"1h": {"queue=q-1": (Sample(START_MS, 3_600_000, 120),)}})
        ),
    }


class _Away:
    """Broker and memory of a gateway that reaches neither: webhooks stay in the spool."""

    async def publish(self, *_: Any) -> None:
        raise OSError("away")

    dead_letter = get = put = publish


async def _files() -> dict[str, bytes]:
    """Return what gateway and embedded stack keep in files, and the state of a tool."""
    import floorwatch.embedded.state as state
    from floorwatch.embedded.journal import JournalWriter
    from floorwatch.embedded.state import Paths, write_state

    try:
        import floorwatch.sdk.stacks as stacks
    except ImportError:  # 24565ae
        stacks = state
    from gateway.metrics import GatewayMetrics
    from gateway.settings import GatewaySettings
    from gateway.sources.label_studio.read import distill
    from gateway.tool_state import RedisToolState
    from gateway.webhook_batch import PendingWebhook, keys_of, translate_all
    from gateway.webhook_queue import WebhookQueue

    bodies = []
    for name in ("0009", "0010"):
        (path,) = (HERE.parent / "fixtures" / "label-studio-1.23.2").glob(f"{name}-*.json")
        bodies.append(json.loads(json.loads(path.read_text())["body_raw"]))
    kept: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = GatewaySettings(spool_dir=root / "spool")
        hooks = [distill(body, settings.label_studio) for body in bodies]
        away: Any = _Away()
        lane = WebhookQueue(settings, away, away, lambda: START_MS, GatewayMetrics("golden"))
        await lane.start()
        for hook in hooks:
            await lane.submit("golden", hook)
        await lane.stop()
        for path in sorted((root / "spool").iterdir()):
            if path.name not in ("lock", "id"):
                kept[f"spool/{path.name}"] = path.read_bytes()
        waiting = [PendingWebhook(at, "golden", START_MS + at, hook) for at, hook in enumerate(hooks, 1)]
        assert keys_of(waiting, settings)
        redis = _Pipe()
        batch = translate_all(waiting, {}, settings)
        await RedisToolState(redis, "", 60).put(batch.remember)  # type: ignore[arg-type]
        kept.update({f"tool state/{name}": value for name, value in redis.held.items()})
        async with JournalWriter(root / "journal", "gateway", now_ms=lambda: START_MS) as journal:
            await journal.publish([(b"t-1", b'{"one":1}'), (b"t-2", b'{"two":2}')])
        (segment,) = (root / "journal" / "gateway").glob("*.seg")
        kept["journal"] = segment.read_bytes()
        paths = Paths(root / "var")
        paths.run.mkdir(parents=True)
        mark = stacks.ProcessMark(1, "0")
        names = {"kafka": "h:1", "redis": "redis://h:2/0", "gateway": "http://h:3", "metrics": "http://h:4/metrics"}
        values = {
            "supervisor": mark,
            "children": {"broker": mark},
            "ports": {"broker": 1},
            "urls": names,
            "topic_prefix": "",
        }
        required = {"journal": "journal", "partitions": 4, "epoch": "e-1"}
        write_state(paths, stacks.StackState(**{**values, **required}))  # type: ignore[arg-type]
        kept["state.json"] = paths.state.read_bytes()
    return kept


class _Pipe:
    """Stands for Redis and its pipeline: keeps what is set."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def pipeline(self, **_: Any) -> _Pipe:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def set(self, key: str, value: bytes, **_: Any) -> None:
        self.held[key] = value

    async def execute(self) -> None:
        return None


def _b64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _pair(entry: tuple[bytes, bytes | None]) -> list[str | None]:
    return [entry[0].decode(), _b64(entry[1])]


if __name__ == "__main__":
    main()
