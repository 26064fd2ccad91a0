"""Fingerprints of all formats: what says that one has changed without a new version.

``make golden`` runs this file: it writes ``formats.json`` and, where something has changed, the states of the new version.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import lzma
import sys
from pathlib import Path
from typing import Any

import msgspec

from alerts.codec import Input, encode_input
from tests.golden import make

KNOWN = Path(__file__).with_name("formats.json")


def shapes() -> dict[str, str]:
    """Return by format a text that changes with the format: names, types and order of fields, or sample bytes."""
    from alerts.baseline import BaselineState
    from alerts.health.facts import NotifierTurn
    from alerts.health.heartbeat import HeartbeatState
    from alerts.incident import Incident
    from alerts.looks import Look
    from alerts.notice import IncidentGroup
    from alerts.once import CountedDeed
    from alerts.outgoing import Notification
    from alerts.receipts import NoticeReceipts
    from floorwatch.analysis.audits.plan_file import AuditPlan
    from floorwatch.embedded.kept_alerts import KeptFlush
    from floorwatch.sdk.refused_events import RefusedEvent
    from floorwatch.sdk.stacks import StackState
    from streams.core import counters
    from streams.core.facts import AnyFact
    from streams.core.ledger_store import Meta
    from streams.core.rowcodec import encode_row
    from streams.core.segments import _Segment
    from streams.core.sources import SourcePartition, floor_record, full_record, watermark_record
    from streams.models import formats as f
    from streams.models.events import LogEvent
    from streams.models.outputs import AccuracyRow, AuditDrawn, AuditRequested, DeadLetter, SlaRow, ThroughputRow

    codes = [value for name, value in vars(counters).items() if name.isupper() and isinstance(value, int | str | tuple)]
    files = asyncio.run(make._files())
    told = msgspec.json.decode(make._alerts()["incident"])
    marks = [
        watermark_record(1, "o", SourcePartition(7, 1_000)),
        watermark_record(1, "o", SourcePartition(7, 1_000, idle=True)),
        floor_record(1, "o", 7, 9),
        full_record(1, "o", 7),
    ]
    hooks = next(value for name, value in files.items() if name.startswith("spool/hooks"))
    return {
        f.META.name: shape(Meta),
        f.SEGMENT.name: shape(_Segment) + shape(AnyFact),
        f.ROW.name: encode_row(7, {1: 2, "L:a": 3, 5: 1 << 70}).hex() + repr(sorted(codes, key=str)),
        f.COUNTED.name: counted(),
        f.WATERMARK.name: repr(marks),
        f.TABLE_ROW.name: shape(AccuracyRow) + shape(ThroughputRow) + shape(SlaRow),
        f.INCIDENT.name: shape(Incident) + keys(told),
        f.SIGNAL.name: shape(Input),
        f.NOTICE.name: shape(IncidentGroup) + shape(NoticeReceipts) + shape(CountedDeed),
        f.NOTIFICATION.name: shape(Notification),
        f.AUDIT_REQUEST.name: shape(AuditRequested),
        f.AUDIT_DRAW.name: shape(AuditDrawn),
        f.AUDIT_PLAN.name: shape(AuditPlan),
        f.EVENT.name: shape(LogEvent),
        f.DEAD_LETTER.name: shape(DeadLetter),
        f.BASELINE.name: shape(BaselineState),
        f.LOOK.name: shape(Look),
        f.HEALTH.name: shape(NotifierTurn) + shape(HeartbeatState),
        f.TOOL_STATE.name: repr(
            [(name, keys(json.loads(value))) for name, value in sorted(files.items()) if "tool" in name]
        ),
        f.SPOOL.name: repr([keys(json.loads(line.split(b" ", 2)[2])) for line in hooks.splitlines()]),
        f.EMITTER_SPOOL.name: f"checksum number event, {shape(RefusedEvent)}",
        f.JOURNAL.name: files["journal"].hex(),
        f.STACK_STATE.name: repr([(name, field.type) for name, field in StackState.__dataclass_fields__.items()]),
        f.KEPT_ALERTS.name: shape(KeptFlush),
        f.PROGRESS.name: "epoch, positions, records, at_ms",
        f.COLD_TASK.name: "msgpack array of packed facts",
    }


def counted() -> str:
    """Return all rows of the golden log as they are counted."""
    from streams.core.ledger_store import new_store
    from streams.core.records import Record

    found: dict[str, Any] = {}
    for number, events in enumerate(make.log()):
        store = new_store(number, make.policy(), "fingerprint")
        store.ledger.fold([Record(at, make.ARRIVED_MS, key, value) for at, (key, value) in enumerate(events)])
        flush = store.collect()
        assert flush is not None
        for key, value in flush.outputs:
            if value is not None:
                counters = msgspec.msgpack.decode(value, strict=False)[1]
                found[key.decode().rpartition("|")[0]] = sorted(counters.items(), key=str)
    return repr(sorted(found.items()))


def shape(kind: Any) -> str:
    """Return a type as text: of each struct its tag and, by name and in order, its fields."""
    structs: dict[str, tuple[str, str]] = {}
    head = _shape(msgspec.inspect.type_info(kind), structs)
    return f"{head} {sorted(structs.values())}"


def _shape(found: Any, structs: dict[str, tuple[str, str]]) -> str:
    name = type(found).__name__
    if isinstance(found, msgspec.inspect.StructType):
        # Names of classes, and of fields that are told by their place, are not part of the format.
        own = f"{found.cls.__module__}.{found.cls.__qualname__}"
        if own not in structs:
            structs[own] = (f"struct {len(structs)}", "")
            fields = [
                ("" if found.array_like else field.encode_name, field.required, _shape(field.type, structs))
                for field in found.fields
            ]
            structs[own] = (structs[own][0], f"{found.tag_field} {found.tag} {fields}")
        return structs[own][0]
    parts = []
    for field in sorted(getattr(found, "__struct_fields__", ())):
        value = getattr(found, field)
        if isinstance(value, msgspec.inspect.Type):
            parts.append(f"{field}={_shape(value, structs)}")
        elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.inspect.Type):
            parts.append(f"{field}={[_shape(one, structs) for one in value]}")
        elif value is not None and field != "cls":
            parts.append(f"{field}={value!r}")
    return f"{name}({', '.join(parts)})"


def keys(value: Any) -> str:
    """Return the members of a JSON value, without what they hold."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {keys(one)}" for name, one in sorted(value.items())) + "}"
    if isinstance(value, list):
        return f"[{keys(value[0])}]" if value else "[]"
    return type(value).__name__


def fingerprints() -> dict[str, dict[str, str]]:
    """Return version and fingerprint of each format."""
    from streams.models.formats import FORMATS

    found = shapes()
    return {
        kind.name: {"version": kind.label, "fingerprint": hashlib.sha256(found[kind.name].encode()).hexdigest()[:16]}
        for kind in FORMATS
    }


def known() -> dict[str, dict[str, str]]:
    """Return the fingerprints of the last golden states."""
    found: dict[str, dict[str, str]] = json.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    return found


def faults(now: dict[str, dict[str, str]], before: dict[str, dict[str, str]]) -> list[str]:
    """Return what has changed without a new version."""
    return [
        f"{name} is not what it was in version {one['version']}: raise its version in streams/models/formats.py (minor, where "
        "an older reader may pass over the change without a wrong number), then run `make golden`"
        for name, one in now.items()
        if name in before
        and before[name]["version"] == one["version"]
        and before[name]["fingerprint"] != one["fingerprint"]
    ]


def drawn() -> bytes:
    """Return what asks for the audit of a label that a plan has drawn. Releases before golden states 12 have none."""
    from floorwatch.analysis.audits.asked import DrawnLabel, encode_draw

    return encode_draw("p", DrawnLabel("t-1", "l-1", make.START_MS, {"decision": "flagged"}, 0.2), make.START_MS + 1)


def inputs() -> dict[str, Input]:
    """Return one of each type of input that golden states before 15 do not have."""
    from alerts.incident import Act, Calendar, Maintenance, Override, Receipt

    at, end = make.START_MS, make.START_MS + 3_600_000
    return {
        "act": Act("snooze", "0011aabb", "ann", at, "a-1", "later", end, "", "link", "g:1"),
        "receipt": Receipt("g:1", "g", "ops", "failing", at, "HTTP 500", "C1/17.5", ("mail",)),
        "override": Override("o-1", "kul-lead", "mei", at, end, "ann", at, removed=True),
        "maintenance": Maintenance("m-1", ("site=kul", "queue=~a.*"), at, end, "ann", at, "moving", removed=True),
        "calendar": Calendar("public", "00ff", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", at),
    }


def main() -> int:
    """Write fingerprints and golden states of the present formats, where they have new versions."""
    now, before = fingerprints(), known()
    if found := faults(now, before):
        print("\n".join(found))
        return 1
    if now == before:
        print("no format has changed")
        return 0
    numbers = [
        int(path.name.split(".")[0]) for path in make.HERE.glob("*.json.xz") if path.name.split(".")[0].isdigit()
    ]
    name = str(max(numbers, default=1) + 1)
    state = {"version": name, **make.make_state()}
    state["values"]["label drawn"] = make._b64(drawn())
    state["values"] |= {f"input {name}": make._b64(encode_input(given)) for name, given in inputs().items()}
    (make.HERE / f"{name}.json.xz").write_bytes(lzma.compress(json.dumps(state, indent=0).encode(), preset=9))
    KNOWN.write_text(json.dumps(now, indent=2) + "\n")
    print(f"wrote {name}.json.xz and {KNOWN.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
