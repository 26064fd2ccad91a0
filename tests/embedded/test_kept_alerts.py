"""What the embedded stack keeps of alerts: a flush whole or not, the last value of each key, and no place of a log that is gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from alerts.append import ALERTS_KEY
from alerts.codec import decode_group, decode_incident, encode_group, encode_incident
from alerts.signals import Contributor
from alerts.text import title_of
from floorwatch.embedded.kept_alerts import AlertKeeper, begin_life, looked_ms
from streams.engine.log import Entry
from streams.models import formats, topics
from streams.models.formats import NewerFormat
from streams.models.topics import INCIDENTS, NOTICES, partition_of
from tests.golden.make import START_MS
from tests.golden.told import group_told, incident_told

PARTITIONS = 4
PLACE = partition_of(ALERTS_KEY, PARTITIONS)


class Log:
    """A broker's topics, as lists."""

    def __init__(self) -> None:
        self.records: dict[str, dict[bytes, bytes | None]] = {}

    async def append(self, topic: str, partition: int, records: Iterable[Entry]) -> None:
        assert partition == PLACE
        self.records.setdefault(topic, {}).update({entry[0] or b"": entry[1] for entry in records})


async def life(alerts: Path) -> tuple[Log, Path]:
    log = Log()
    return log, await begin_life(alerts, log, "f.", PARTITIONS)


def keeper(folder: Path) -> AlertKeeper:
    return AlertKeeper(folder, "f.", PARTITIONS)


async def flushed(kept: AlertKeeper, upto: int, watermark_ms: int, **values: bytes | None) -> None:
    writer = kept.over(Log())
    await writer.append("f." + INCIDENTS, PLACE, [(key.encode(), value, None) for key, value in values.items()])
    await kept.keep(upto, watermark_ms)


def test_a_new_broker_begins_with_the_last_values_and_the_next_one_too(tmp_path: Path) -> None:
    async def go() -> None:
        log, folder = await life(tmp_path / "alerts")
        assert (log.records, looked_ms(folder)) == ({}, -1)
        kept = keeper(folder)
        await flushed(kept, 5, 60_000, a=b"{}", b=b"{}")
        await flushed(kept, 9, 120_000, a=b'{"n": 2}', b=None)
        kept.note("f." + topics.SIGNALS, PLACE, [(b"s", b"x", None)])  # the log of signals is not kept
        kept.note("f." + INCIDENTS, PLACE + 1, [(b"o", b"x", None)])
        await kept.keep(10, 120_000)
        await kept.close()
        for _ in range(2):
            log, folder = await life(tmp_path / "alerts")
            assert {key: json.loads(value or b"") for key, value in log.records["f." + INCIDENTS].items()} == {
                b"a": {"n": 2, "stamp": None}
            }
            assert looked_ms(folder) == 120_000
            assert [path.name for path in (tmp_path / "alerts").iterdir()] == [folder.name]

    asyncio.run(go())


def test_a_worker_that_lost_its_partition_hides_nothing_newer(tmp_path: Path) -> None:
    async def go() -> None:
        _, folder = await life(tmp_path / "alerts")
        old, new = keeper(folder), keeper(folder)
        await flushed(new, 2, 60_000, a=b"{}")  # so its file is read first
        await flushed(old, 3, 60_000, a=b'{"n": 1}')
        await flushed(new, 8, 180_000, a=b'{"n": 3}')
        await flushed(old, 4, 120_000, a=b'{"n": 2}')
        await old.close()
        await new.close()
        log, folder = await life(tmp_path / "alerts")
        assert json.loads(log.records["f." + INCIDENTS][b"a"] or b"")["n"] == 3
        assert looked_ms(folder) == 180_000

    asyncio.run(go())


def test_what_was_written_and_not_kept_is_not_brought_back(tmp_path: Path) -> None:
    """Half of a flush would say that somebody was told whom no message ever reached."""

    async def go() -> None:
        _, folder = await life(tmp_path / "alerts")
        kept = keeper(folder)
        await flushed(kept, 3, 60_000, a=b"{}")
        await kept.over(Log()).append("f." + INCIDENTS, PLACE, [(b"b", b"{}", None)])
        await kept.close()
        log, _ = await life(tmp_path / "alerts")
        assert log.records["f." + INCIDENTS].keys() == {b"a"}

    asyncio.run(go())


def test_values_name_no_place_of_the_log_that_is_gone(tmp_path: Path) -> None:
    incident = incident_told(Contributor("queue", "q-1", -1.0, 10, "x"))
    group, plan = group_told(), {"type": "maintenance", "id": "m", "offset": 7, "earlier": [{"offset": 3}]}
    values = {
        (INCIDENTS, b"0011aabb"): encode_incident(incident, title_of(incident)),
        (NOTICES, b"g"): encode_group(group),
        (NOTICES, b"~maintenance/m"): json.dumps(plan).encode(),
        (NOTICES, b"!ff"): b'{"offset":9,"at_ms":1}',
        (NOTICES, b"+g:1"): b'{"stamp": 1}',
        (NOTICES, b"=g:1"): b'{"id": "g:1"}',
    }

    async def go() -> dict[str, dict[bytes, bytes | None]]:
        _, folder = await life(tmp_path / "alerts")
        kept = keeper(folder)
        for (topic, key), value in values.items():
            kept.note("f." + topic, PLACE, [(key, value, None)])
        await kept.keep(12, START_MS)
        await kept.close()
        return (await life(tmp_path / "alerts"))[0].records

    found = asyncio.run(go())
    read = decode_incident(found["f." + INCIDENTS][b"0011aabb"] or b"")
    assert (read.stamp, read.acts, read.told_people) == (None, incident.acts, incident.told_people)
    notices: dict[bytes, Any] = found["f." + NOTICES]
    told = decode_group(notices[b"g"])
    assert (told.stamp, told.notices, told.told_ms) == (None, (), group.told_ms)
    assert json.loads(notices[b"~maintenance/m"]) == {**plan, "offset": -1, "earlier": []}
    assert json.loads(notices[b"!ff"]) == {"offset": -1, "at_ms": 1}
    assert (notices[b"+g:1"], notices[b"=g:1"]) == (values[NOTICES, b"+g:1"], values[NOTICES, b"=g:1"])


def test_a_torn_end_is_left_out_and_a_newer_version_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> Path:
        _, folder = await life(tmp_path / "alerts")
        kept = keeper(folder)
        await flushed(kept, 3, 60_000, a=b"{}")
        await flushed(kept, 4, 60_000, b=b"{}")
        await kept.close()
        (segment,) = (folder / "worker").glob("*.seg")
        segment.write_bytes(segment.read_bytes()[:-3])
        log, folder = await life(tmp_path / "alerts")
        assert log.records["f." + INCIDENTS].keys() == {b"a"}
        return folder

    folder = asyncio.run(go())
    monkeypatch.setattr(formats, "KEPT_ALERTS", formats.KEPT_ALERTS._replace(version=0))
    with pytest.raises(NewerFormat):
        looked_ms(folder)
