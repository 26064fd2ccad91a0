"""Several incidents under arbitrary actions, merges among them: each is told, explained or over, and every end is told."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from alerts.dues import Scene, told_now
from alerts.incident import Incident, Stamp, Tick, incident_key
from alerts.lifecycle import step
from alerts.merging import merge_fault, speaker
from alerts.notice import IncidentGroup
from alerts.telling import tell
from tests.alerts.machine import POLICY, ROUTING, move, signal
from tests.alerts.rows import MINUTE_MS, NOW_MS

NAMES = ("a", "b", "c")
KEYS = {name: incident_key("accuracy-low-vendor", f"vendor={name}", 1) for name in NAMES}
LOUD = structs.replace(POLICY, open_after=1, resolve_after=1)

scripts = st.lists(
    st.tuples(
        st.sampled_from(
            ["on", "on", "off", "tick", "ack", "silence", "snooze", "comment", "escalate", "merge", "merge", "unmerge"]
        ),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
    ),
    max_size=30,
)


class Floor:
    """Incidents of three vendors and their groups, moved as the incidents stage moves them."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.groups: dict[str, IncidentGroup] = {}
        self.scene = Scene(ROUTING, tiers={"accuracy-low-vendor": LOUD.tiers})
        self.now_ms, self.offset = NOW_MS, 0

    def put(self, what: str, name: str, other: str) -> None:
        self.offset += 1
        key, before = KEYS[name], self.incidents.get(KEYS[name])
        if what in ("on", "off"):
            place = {"scope": {"vendor": name}, "scope_key": f"vendor={name}", "contributors": ()}
            after = step(before, signal(what == "on", NOW_MS, **place), LOUD, stamp=Stamp(0, self.offset))
        else:
            given = move(what, self.now_ms, key, **({"target": KEYS[other]} if what == "merge" else {}))
            if what == "merge" and (name == other or before is None or self.refuses(before, KEYS[other])):
                return
            after = step(before, given, LOUD, stamp=Stamp(0, self.offset))  # type: ignore[arg-type]
        if after is not None:
            self.incidents[key] = after

    def refuses(self, incident: Incident, target: str) -> bool:
        return merge_fault(incident, target, self.incidents.get) != ""

    def tick(self, minutes: float) -> None:
        self.offset += 1
        self.now_ms += round(minutes * MINUTE_MS)
        stamp = Stamp(0, self.offset)
        for key, one in list(self.incidents.items()):
            after = step(one, Tick(self.now_ms), LOUD, stamp=stamp)
            assert after is not None
            self.incidents[key] = after
        told = tell(self.scene, list(self.incidents.values()), self.groups, self.now_ms, stamp)
        assert not told.faults
        self.incidents |= told.incidents
        self.groups |= told.groups


def play(script: list[tuple[str, str, str]]) -> Floor:
    floor = Floor()
    for what, name, other in script:
        if what == "tick":
            floor.tick(3)
        else:
            floor.put(what, name, other)
    floor.tick(1)
    return floor


@settings(max_examples=200)
@given(scripts)
def test_what_is_live_is_told_or_explained_or_somebody_has_it(script: list[tuple[str, str, str]]) -> None:
    floor = play(script)
    for one in floor.incidents.values():
        if one.live and one.state != "acknowledged":
            assert told_now(one) or one.held, one
        other = speaker(one, floor.incidents.get)
        assert other is None or other.live
        chain, at = set(), one
        while at.merged_into is not None:
            assert at.key not in chain
            chain.add(at.key)
            at = floor.incidents[at.merged_into]


@settings(max_examples=200)
@given(scripts)
def test_when_all_is_over_whoever_was_told_knows_it(script: list[tuple[str, str, str]]) -> None:
    floor = play(script)
    for name in NAMES:
        floor.put("off", name, name)
    for _ in range(3):
        floor.tick(40)  # longer than any silence
    for one in floor.incidents.values():
        assert not one.live
        assert not told_now(one), one


@settings(max_examples=100)
@given(scripts)
def test_nobody_hears_of_a_merged_incident_while_the_other_is_live(script: list[tuple[str, str, str]]) -> None:
    floor = play([("on", "a", "a"), ("on", "b", "b"), ("tick", "a", "a"), ("merge", "a", "b")])
    told = floor.incidents[KEYS["a"]].told_people
    for what, name, other in script:
        if name == "b" or what in ("merge", "unmerge"):
            continue
        floor.put(what, name, other) if what != "tick" else floor.tick(5)
    floor.tick(60)
    assert floor.incidents[KEYS["b"]].live
    assert floor.incidents[KEYS["a"]].told_people == told


def test_ends_of_merged_incidents_are_one_message_also_where_their_groups_differ() -> None:
    floor = Floor()
    apart = {name: structs.replace(route, group_by=("vendor",)) for name, route in ROUTING.routes.items()}
    floor.scene = Scene(structs.replace(ROUTING, routes=apart), tiers={"accuracy-low-vendor": LOUD.tiers})
    for name in ("a", "b"):
        floor.put("on", name, name)
    floor.tick(0)
    floor.put("merge", "a", "b")
    for name in ("a", "b"):
        floor.put("off", name, name)
    floor.tick(1)
    last = [floor.incidents[KEYS[name]].told_people for name in ("a", "b")]
    assert last[0][0].notice != last[1][0].notice  # the beginnings came apart
    assert [told[-1].step for told in last] == ["resolved-0", "resolved-0"]
    assert last[0][-1].notice == last[1][-1].notice


def test_a_circle_is_refused() -> None:
    floor = play(
        [
            ("on", "a", "a"),
            ("on", "b", "b"),
            ("on", "c", "c"),
            ("merge", "a", "b"),
            ("merge", "b", "c"),
            ("merge", "c", "a"),
        ]
    )
    assert floor.incidents[KEYS["c"]].merged_into is None
    assert "circle" in merge_fault(floor.incidents[KEYS["c"]], KEYS["a"], floor.incidents.get)
