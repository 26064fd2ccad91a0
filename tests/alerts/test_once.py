"""What people did counts once: by another record of the same content it does not, by a replay of its own record it does again."""

from __future__ import annotations

from msgspec import structs

from alerts.incident import Act, Maintenance
from alerts.once import KEPT_MS, Once, digest

DEED = Act("ack", "0011", "ana", 1_000, note="mine")
PLAN = Maintenance("m", ("site=kul",), 1, 2, "ana", 1_000)


def test_a_second_record_of_the_same_content_does_not_count() -> None:
    once = Once()
    once.reach(5)
    assert (once.note(DEED, 5), once.note(DEED, 6), once.note(PLAN, 7)) == (digest(DEED), None, digest(PLAN))
    assert once.note(structs.replace(DEED, at_ms=1_001), 8) is not None


def test_its_own_record_counts_again_at_a_replay_and_another_does_not() -> None:
    once = Once()
    name = once.note(DEED, 5)
    assert name is not None
    for first, counts in ((4, True), (5, True), (6, False)):
        later = Once()
        later.take(name, once.encoded(name))
        later.reach(first)
        assert (later.note(DEED, first) is not None) == counts, first
    moved = Once()
    moved.take(name, once.encoded(name), own=False)
    moved.reach(0)
    assert moved.note(DEED, 0) is None


def test_what_is_long_past_is_forgotten() -> None:
    once = Once()
    name = once.note(DEED, 5)
    assert once.forget(DEED.at_ms + KEPT_MS) == []
    assert once.forget(DEED.at_ms + KEPT_MS + 1) == [name]
    assert once.note(DEED, 9) == name
