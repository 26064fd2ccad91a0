"""What is broken on the way from an event to a person, decided from facts."""

from __future__ import annotations

import pytest
from msgspec import structs

from alerts.health.facts import ChannelHealth, HealthFacts, HealthLimits, NotifierTurn
from alerts.health.faults import broken_path, faults_of
from alerts.looks import Look
from tests.alerts.rows import NOW_MS

MINUTE = 60_000
LIMITS = HealthLimits(stalled_ms=10 * MINUTE, notifier_dead_ms=MINUTE, receiver_failing_ms=10 * MINUTE)


def facts(**changes: object) -> HealthFacts:
    """A floor on which all is well."""
    well = HealthFacts(
        NOW_MS,
        NOW_MS - 60 * MINUTE,
        look=Look(NOW_MS - 90_000, NOW_MS, NOW_MS - 30_000),
        taken_in_ms=NOW_MS - 5_000,
        watermark_ms=NOW_MS - 60_000,
        notifiers=(NotifierTurn("w1", NOW_MS - 1_000, NOW_MS - 2_000, "routing"),),
        channels=(ChannelHealth("ops"), ChannelHealth("mail")),
        routes={"default": ("ops", "mail")},
    )
    return structs.replace(well, **changes)


def found(of: HealthFacts) -> list[tuple[str, dict[str, str], int]]:
    return [(one.kind, one.scope, one.lasting_ms // MINUTE) for one in faults_of(of, LIMITS)]


def ago(minutes: float) -> int:
    return NOW_MS - round(minutes * MINUTE)


def test_all_is_well() -> None:
    assert found(facts()) == []
    assert broken_path(facts(), LIMITS) == ()


@pytest.mark.parametrize(
    ("changes", "lasting", "said"),
    [
        ({"look": Look(ago(12), ago(11), ago(11))}, 11, "event time has come to"),
        ({"look": Look(ago(12), ago(11), ago(11)), "watermark_ms": ago(12)}, 11, "event time stands at"),
        ({"look": None}, 60, "Rules have not looked yet"),
        ({"taken_in_ms": ago(10)}, 10, "although rules look"),
    ],
)
def test_rules_that_do_not_look_are_a_fault_and_end_the_signs(
    changes: dict[str, object], lasting: int, said: str
) -> None:
    of = facts(**changes)
    assert found(of) == [("watermark_stalled", {}, lasting)]
    (reason,) = broken_path(of, LIMITS)
    assert said in reason


@pytest.mark.parametrize(
    "changes",
    [
        {"look": Look(ago(60), ago(59), ago(9.9))},  # far behind, and it moves
        {"look": None, "watermark_ms": None},  # nothing was ever counted
        {"look": None, "watched_ms": ago(9)},  # Redis was emptied; rules look within a minute
        {"taken_in_ms": None},
    ],
)
def test_what_is_no_stall(changes: dict[str, object]) -> None:
    assert found(facts(**changes)) == []


def test_one_notifier_that_stands_still_is_told_and_the_signs_go_on() -> None:
    well = NotifierTurn("w1", NOW_MS - 1_000, NOW_MS - 2_000, "routing")
    still = NotifierTurn("w2", NOW_MS - 1_000, ago(5), "channel ops")
    of = facts(notifiers=(well, still))
    assert found(of) == [("notifier_dead", {"worker": "w2"}, 5)]
    assert "channel ops has done nothing since" in faults_of(of, LIMITS)[0].evidence
    assert broken_path(of, LIMITS) == ()


@pytest.mark.parametrize(
    ("turns", "kinds"),
    [
        ((), [("notifier_dead", {}, 60)]),
        ((NotifierTurn("w1", ago(3), ago(3)),), [("notifier_dead", {}, 3)]),  # it says nothing any more
        (
            (NotifierTurn("w1", NOW_MS, ago(4), "routing"),),
            [("notifier_dead", {"worker": "w1"}, 4), ("notifier_dead", {}, 4)],
        ),
    ],
)
def test_no_notifier_ends_the_signs(turns: tuple[NotifierTurn, ...], kinds: list[object]) -> None:
    of = facts(notifiers=turns)
    assert found(of) == kinds
    assert len(broken_path(of, LIMITS)) == 1


def test_a_worker_that_was_stopped_is_no_dead_notifier() -> None:
    turns = (NotifierTurn("w1", NOW_MS, NOW_MS), NotifierTurn("old", ago(90), ago(90)))
    assert found(facts(notifiers=turns)) == []


def test_a_channel_that_fails_is_told_and_ends_the_signs_only_where_a_route_has_no_other() -> None:
    failing = ChannelHealth("ops", failing_since_ms=ago(14), reason="webhook ops: it answered 503", waiting=3, dead=1)
    of = facts(channels=(failing, ChannelHealth("mail")))
    assert found(of) == [("receiver_failing", {"channel": "ops"}, 14)]
    assert faults_of(of, LIMITS)[0].evidence == (
        "Channel ops delivers nothing for 14 min: webhook ops: it answered 503; 3 notifications waiting, 1 given up."
    )
    assert broken_path(of, LIMITS) == ()
    (reason,) = broken_path(structs.replace(of, routes={"default": ("mail",), "lead": ("ops",)}), LIMITS)
    assert reason.startswith("Route lead reaches nobody. Channel ops delivers nothing")


def test_a_channel_that_fails_for_less_or_that_cannot_be_built() -> None:
    shortly = ChannelHealth("ops", failing_since_ms=ago(9), reason="503")
    unusable = ChannelHealth("ops", usable=False)
    assert found(facts(channels=(shortly,), routes={"default": ("ops",)})) == []
    assert found(facts(channels=(unusable,))) == []
    assert broken_path(facts(channels=(unusable,), routes={"default": ("ops",)}), LIMITS) == (
        "Route default reaches nobody. Channel ops cannot be used.",
    )
    assert broken_path(facts(routes={"default": ()}), LIMITS) == ("Route default reaches nobody. It has no channel.",)


def test_without_redis_nothing_is_known_and_no_sign_is_given() -> None:
    of = facts(redis_fault="TimeoutError", look=None, notifiers=())
    assert found(of) == []
    assert broken_path(of, LIMITS) == ("Redis does not answer (TimeoutError): rules and notifications stand still.",)
