"""``floorwatch dead-letters replay`` of mapped tools: a mended mapping, once and only once, and nothing that was not kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from floorwatch.analysis.dead_letters import Letter, letter_of
from floorwatch.cli.dead_letters_hooks import is_of_mapping, records_again
from floorwatch.settings.schema import FloorwatchConfig
from gateway.sources.mapped.again import NotUnderstood
from streams.adapters.admin import create_topics
from streams.models.topics import DEAD_LETTERS, topic_specs
from tests.dead_letters.test_replay import PARTITIONS, call, labels, raw_records
from tests.embedded.tansu import filled_broker
from tests.gateway.mapped_hooks import HMAC, SECRET, STAMPIT, run_hooks, written

STAMP: dict[str, Any] = {
    "ref": 7,
    "desk": "hate",
    "at": "2026-11-23T10:00:00Z",
    "text": "hateful words",
    "stamp": {"no": 41, "by": "ana", "marks": ["slur"], "took_s": 3},
}
HOOK = {"kind": "stamped", "items": [STAMP]}
GOOD = STAMPIT.read_text()
BAD = GOOD.replace("_hook.kind == 'stamped'", "_hook.kind == 'stumped'")
"""Names the same places, and takes no stamp."""


def letters(folder: Path, hook: Any = HOOK) -> tuple[list[Letter], list[tuple[bytes, bytes]]]:
    bench, _ = run_hooks(hook, mapping=written(folder, BAD))
    return [letter_of(key, value) for key, value in bench.publisher.dead], bench.publisher.dead


def config_of(folder: Path, text: str = GOOD) -> dict[str, Any]:
    mapped = {"mapping": str(written(folder, text)), "signature": HMAC}
    return {"gateway": {"sources": {"kul": {"tool": "mapped", "secret": SECRET, "mapped": mapped}}}}


def mended(folder: Path, text: str = GOOD) -> FloorwatchConfig:
    return FloorwatchConfig.model_validate(config_of(folder, text))


def test_a_mended_mapping_gives_the_events_that_the_hook_itself_gives(tmp_path: Path) -> None:
    (letter,), raw = letters(tmp_path)
    assert letter.code == "unmapped"
    assert b"hateful words" not in raw[0][1]
    assert is_of_mapping(letter)
    bench, _ = run_hooks(HOOK)
    assert records_again(mended(tmp_path), letter) == bench.publisher.records != []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BAD, "no event of the mapping takes it"),
        (GOOD.replace("values: stamp.marks, queue: desk", "values: stamp.marks, queue: text"), "text is an object"),
        (GOOD.replace("each: items", "each: things"), "takes its items from another list now"),
        (GOOD.replace("_hook.kind == 'stamped'", "length(_hook.items) == `1`"), "the hook around it was not kept"),
        (BAD.replace("_hook.kind == 'hello'", "_hook.kind == 'stamped'"), "the mapping ignores it now: a greeting"),
    ],
)
def test_what_is_still_not_understood_or_was_not_kept_is_not_sent(text: str, said: str, tmp_path: Path) -> None:
    assert text != GOOD
    (letter,), _ = letters(tmp_path)
    with pytest.raises(NotUnderstood, match=said):
        records_again(mended(tmp_path, text), letter)


def test_a_letter_of_another_source_or_from_before_is_not_guessed(tmp_path: Path) -> None:
    (letter,), _ = letters(tmp_path)
    with pytest.raises(NotUnderstood, match=r"gateway\.sources has no kul"):
        records_again(FloorwatchConfig(), letter)
    old = {name: one for name, one in json.loads(letter.value).items() if name not in ("each", "around")}
    with pytest.raises(NotUnderstood, match="too little of it was kept"):
        records_again(mended(tmp_path), replace(letter, value=json.dumps(old)))
    without = {name: one for name, one in json.loads(letter.value).items() if name != "around"}
    with pytest.raises(NotUnderstood, match="the hook around it was not kept"):
        records_again(mended(tmp_path), replace(letter, value=json.dumps(without)))
    (odd,), _ = letters(tmp_path, {**HOOK, "items": [{**STAMP, "an odd name": 1}]})
    with pytest.raises(NotUnderstood, match="names in it were not kept"):
        records_again(mended(tmp_path), odd)
    assert not is_of_mapping(replace(letter, value=json.dumps({"id": "0-1"})))
    assert not is_of_mapping(replace(letter, source="cvat/roads"))


def test_other_items_and_content_of_the_hook_do_not_stand_in_a_letter(tmp_path: Path) -> None:
    many = {**HOOK, "items": [{**STAMP, "ref": number} for number in range(3)], "note": "hateful words"}
    found, raw = letters(tmp_path, many)
    assert [json.loads(one.value)["item"]["ref"] for one in found] == [0, 1, 2]
    assert {json.dumps(json.loads(one.value)["around"]["items"]) for one in found} == {"[]"}
    assert not any(b"hateful" in value for _, value in raw)


# -- over a broker -----------------------------------------------------------------------------------------------


@pytest.fixture
def bootstrap(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    _, raw = letters(tmp_path)

    async def fill(address: str) -> None:
        connection = {"bootstrap_servers": address}
        await create_topics(connection, topic_specs("floorwatch.", PARTITIONS))
        producer = AIOKafkaProducer(acks="all", **connection)
        await producer.start()
        try:
            for key, value in raw:
                await producer.send_and_wait("floorwatch." + DEAD_LETTERS, value, key, partition=0)
        finally:
            await producer.stop()

    with filled_broker(tmp_path_factory.mktemp("broker"), fill) as address:
        yield address


@pytest.mark.servers
def test_it_is_sent_once_and_only_once(bootstrap: str, tmp_path: Path) -> None:
    config = tmp_path / "floorwatch.yaml"
    config.write_text(json.dumps(config_of(tmp_path, BAD)))

    def replayed(*more: str) -> str:
        found = call(bootstrap, "replay", "--source", "mapped/kul", "--config", str(config), *more)
        assert found.exit_code == 0, found.output
        return found.output

    assert "1 would be refused again" in replayed()
    written(tmp_path, GOOD)
    assert "1 would be sent again" in replayed("--dry-run")
    assert raw_records(bootstrap) == []
    assert "1 sent again" in replayed()
    assert "1 was sent again before" in replayed()
    (record,) = raw_records(bootstrap)
    bench, _ = run_hooks(HOOK)
    by_hook = [value for _, value in bench.publisher.records]
    assert [record[1]] == by_hook
    assert labels([record, *((0, value) for value in by_hook)]) == 1
