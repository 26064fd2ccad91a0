"""Every format has a version: values of all versions are read, newer ones are refused, and no format changes unnoticed."""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from alerts.audit_requests import decode_standing
from alerts.codec import decode_group, decode_incident, decode_input, decode_receipts, encode_input
from alerts.incident import Ack, Hold, Receipt, Silence, Tick
from alerts.outgoing import decode_notification, encode_notification
from alerts.signals import Signal
from floorwatch.analysis.audits.asked import until_of
from floorwatch.embedded.journal_segments import START, mend, read_from
from floorwatch.embedded.state import Paths
from floorwatch.sdk.stacks import find_stack, read_state
from gateway.tool_state import RedisToolState, ToolStateUnavailable
from streams.adapters.readmodel import table_row
from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.records import Record
from streams.models import formats
from streams.models.formats import NewerFormat
from streams.models.outputs import AuditDrawn
from streams.models.timestamps import to_ms
from tests.golden import fingerprints, make
from tests.golden.test_states import VERSIONS, golden, pairs
from tests.golden.told import receipts


def values(version: str) -> dict[str, bytes]:
    """Return what a version has serialised, by name."""
    return {name: base64.b64decode(value) for name, value in golden(version)["values"].items()}


# -- nothing changes unnoticed -----------------------------------------------------------------------------------------


def test_no_format_changes_without_a_new_version_and_golden_states() -> None:
    now, known = fingerprints.fingerprints(), fingerprints.known()
    assert not fingerprints.faults(now, known)
    assert now == known, "formats have new versions: run `make golden` and commit what it writes"


def test_the_newest_golden_states_are_of_the_present_formats() -> None:
    assert golden(VERSIONS[-1])["formats"] == {kind.name: kind.label for kind in formats.FORMATS}


def test_a_changed_fingerprint_is_told_unless_the_version_is_new() -> None:
    known = fingerprints.known()
    changed = copy.deepcopy(known)
    changed["a row"]["fingerprint"] = "another"
    assert [fault.split(" is not")[0] for fault in fingerprints.faults(changed, known)] == ["a row"]
    changed["a row"]["version"] = "1.9"
    assert not fingerprints.faults(changed, known)


def test_a_shape_tells_fields_types_order_and_tags_and_no_class_names() -> None:
    def struct(name: str, fields: list[Any], **options: Any) -> str:
        return fingerprints.shape(msgspec.defstruct(name, fields, **options))

    base = struct("A", [("one", int), ("two", str)])
    assert base == struct("B", [("one", int), ("two", str)])
    others = [
        struct("A", [("one", int), ("two", str | None)]),
        struct("A", [("two", str), ("one", int)]),
        struct("A", [("one", int), ("two", str), ("three", int, 0)]),
        struct("A", [("one", int), ("two", str)], tag="a"),
        struct("A", [("one", int), ("two", str, "x")]),
    ]
    assert len({base, *others}) == len(others) + 1


def test_each_format_has_a_name_of_its_own_and_says_what_changed() -> None:
    assert len({kind.name for kind in formats.FORMATS}) == len(formats.FORMATS)
    assert not [
        kind.name
        for kind in formats.FORMATS
        if kind.label != "1.0" and kind.label.removesuffix(".0") not in kind.changes
    ]


# -- every version is read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_alert_records_of_every_version_are_read(version: str) -> None:
    held = values(version)
    signal = decode_input(held["signal"])
    assert isinstance(signal, Signal)
    assert (signal.rule, signal.value, signal.contributors[0].value, signal.dated) == ("quality", 0.91, "ann", True)
    assert decode_input(held["ack"]) == Ack("0011aabb", "ann", make.START_MS, "mine")
    assert decode_input(held["silence"]) == Silence(
        "0011aabb", "ann", make.START_MS, make.START_MS + 3_600_000, "known"
    )
    assert decode_input(held["tick"]) == Tick(make.START_MS, make.START_MS - 1)
    incident = decode_incident(held["incident"])
    assert (incident.state, incident.tier, incident.acknowledged_by, incident.told) == ("acknowledged", 1, "ann", ())
    assert incident.acts[0].note == "mine"
    if "group" in held:
        assert [told.receiver for told in incident.told_people] == ["channel:ops"]
        assert incident.held == (Hold("inhibited", "ffee", None, ("channel:lead",)),)
        group = decode_group(held["group"])
        assert (group.told_ms, group.notices[0].targets[0].channels) == (make.START_MS, ("ops",))
    if "receipts" in held:
        assert decode_receipts(held["receipts"]) == receipts()
        assert receipts().open == ("mail",)
    note = decode_notification(held["notification"])
    assert (note.id, note.route, note.also) == ("0011aabb:open", "default", ())
    assert decode_notification(encode_notification(note)) == note
    standing = decode_standing(held["audit request"])
    assert standing is not None
    assert standing[2].number == 3
    if "label drawn" in held:
        assert decode_standing(held["label drawn"]) is None
        drawn = msgspec.json.decode(held["label drawn"], type=AuditDrawn)
        assert (drawn.subject, drawn.data.label_id) == ("t-1", "l-1")
        assert until_of(held["label drawn"]) == to_ms(drawn.data.until)
    for name, given in fingerprints.inputs().items():
        found = decode_input(held.get(f"input {name}", encode_input(given)))
        if isinstance(found, Receipt) and not found.instead:  # before 3.2
            found = structs.replace(found, instead=("mail",))
        assert found == given


@pytest.mark.parametrize("version", VERSIONS)
def test_files_of_every_version_are_read(version: str, tmp_path: Path) -> None:
    held = values(version)
    spool = tmp_path / "spool"
    spool.mkdir()
    for name, value in held.items():
        if name.startswith("spool/"):
            (spool / name.removeprefix("spool/")).write_bytes(value)
    assert asyncio.run(waiting_in(spool)) == 2
    segment = tmp_path / "journal" / "gateway" / "00000001.seg"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(held["journal"])
    assert [record.value for record in read_from(segment.parent, START, 1 << 20).records] == [
        b'{"one":1}',
        b'{"two":2}',
    ]
    paths = Paths(tmp_path / "var")
    paths.run.mkdir(parents=True)
    paths.state.write_bytes(held["state.json"])
    state = read_state(paths.var)
    assert state is not None
    assert (state.partitions, state.urls["kafka"]) == (4, "h:1")


async def waiting_in(spool: Path) -> int:
    """Return how many webhooks a gateway finds in a spool."""
    from gateway.metrics import GatewayMetrics
    from gateway.settings import GatewaySettings
    from gateway.webhook_queue import WebhookQueue

    away: Any = make._Away()
    lane = WebhookQueue(GatewaySettings(spool_dir=spool), away, away, lambda: make.START_MS, GatewayMetrics("golden"))
    await lane.start()
    found = lane.waiting
    await lane.stop()
    return found


# -- a newer version is refused ----------------------------------------------------------------------------------------


def newer_json(value: bytes) -> bytes:
    """Return a JSON object as a later version might write it."""
    return msgspec.json.encode({**msgspec.json.decode(value), "format": 9, "hence": True})


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("signal", decode_input),
        ("ack", decode_input),
        ("tick", decode_input),
        ("incident", decode_incident),
        ("notification", decode_notification),
    ],
)
def test_a_newer_record_is_refused_and_says_which_version_is_needed(name: str, read: Callable[[bytes], Any]) -> None:
    value = values(VERSIONS[0])[name]
    read(value)
    known = {decode_incident: formats.INCIDENT, decode_notification: formats.NOTIFICATION}.get(read, formats.SIGNAL)
    with pytest.raises(NewerFormat, match=f"format version 9, and this Floorwatch reads up to version {known.version}"):
        read(newer_json(value))


def test_a_newer_table_row_is_refused() -> None:
    with pytest.raises(NewerFormat, match="a table row in format version 9"):
        table_row(b'{"format":9,"scope_key":"queue=a"}')
    assert table_row(b'{"format":2,"labels":1}') == table_row(b'{"labels":1}') == {"labels": 1}
    with pytest.raises(ValueError, match="no row"):
        table_row(b'{"format":"x"}')


def store_of(entries: list[tuple[bytes, bytes | None]]) -> None:
    new_store(0, make.policy(), "now").restore(entries)


def test_a_newer_changelog_stops_recovery_and_is_not_taken_for_damage() -> None:
    entries = pairs(golden(VERSIONS[-1])["changelogs"][0])
    place = {
        kind: next(at for at, (key, _) in enumerate(entries) if key.startswith(kind)) for kind in (b"m|", b"s|", b"r|")
    }

    def with_newer(kind: bytes, change: Callable[[list[Any]], list[Any]]) -> list[tuple[bytes, bytes | None]]:
        key, value = entries[place[kind]]
        members = change(msgspec.msgpack.decode(value or b"", strict=False))
        return [*entries, (key + b"x", msgspec.msgpack.encode(members))]

    for kind, name, change in (
        (b"m|", "meta row", lambda held: [10_000, *held[1:8], 9]),
        (b"m|", "meta row", lambda held: [10_000, {"other": "shape"}, *held[2:8], 9, "hence"]),
        (b"s|", "segment", lambda held: [*held[:3], 9]),
        (b"s|", "segment", lambda held: ["other", "shape", None, 9, 1]),
        (b"r|", "row", lambda held: [*held, 9]),
    ):
        with pytest.raises(NewerFormat, match=f"{name}.* in format version 9"):
            store_of(with_newer(kind, change))


def test_a_newer_partial_row_or_watermark_is_not_set_aside_as_unreadable() -> None:
    for key, value in ((b"queue=a|0|0|1|o", [5, {1: 2}, 9]), (b"~watermark|0|o", [5, 1_000, 9])):
        floor = Floor(make.policy())
        with pytest.raises(NewerFormat, match="format version 9"):
            floor.apply([(key, msgspec.msgpack.encode(value))])
        assert not floor.unreadable


def test_a_newer_spool_journal_or_state_is_refused(tmp_path: Path) -> None:
    from floorwatch.sdk.spool_records import framed

    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "hooks-0000000000000001.jsonl").write_bytes(framed(1, b'{"format":9,"source":"s"}'))
    with pytest.raises(NewerFormat, match=r"spool: a webhook in the spool in format version 9"):
        asyncio.run(waiting_in(spool))
    segment = tmp_path / "gateway" / "00000001.seg"
    segment.parent.mkdir()
    segment.write_bytes(b"FWJRNL9\n" + bytes(40))
    for read in (lambda: read_from(segment.parent, START, 1000), lambda: mend(segment)):
        with pytest.raises(NewerFormat, match=r"seg: a journal segment in format version 9"):
            read()
    assert segment.read_bytes() == b"FWJRNL9\n" + bytes(40)
    paths = Paths(tmp_path)
    paths.run.mkdir()
    paths.state.write_text('{"version": 9}')
    with pytest.raises(NewerFormat, match=r"state\.json"):
        find_stack(tmp_path)


def test_a_tool_s_newer_state_makes_webhooks_wait() -> None:
    class Redis:
        async def mget(self, keys: list[str]) -> list[bytes]:
            return [b'{"format":9}' for _ in keys]

    with pytest.raises(ToolStateUnavailable, match="a tool's state in format version 9"):
        asyncio.run(RedisToolState(Redis(), "", 60).get(["one"]))  # type: ignore[arg-type]


def test_the_present_core_writes_versions_once_a_record() -> None:
    store = new_store(0, make.policy(), "now")
    store.ledger.fold([Record(at, make.ARRIVED_MS, *one) for at, one in enumerate(make.log()[0][:50])])
    flush = store.collect()
    assert flush is not None
    segments = [
        msgspec.msgpack.decode(value, strict=False) for key, value in flush.rows if key.startswith(b"s|") and value
    ]
    assert [held[3] for held in segments] == [formats.SEGMENT.version]
    assert msgspec.msgpack.decode(flush.meta[1])[8] == formats.META.version
